# SPDX-License-Identifier: Apache-2.0
"""The repository of one service: made at its first use, kept true to the records, renewed before anything ends.

Everything that takes the package ``tuf`` is imported where it is needed first (``loading.py``): a service at rest does
not load it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from armillary.errors import HostError
from armillary.service.authority.key_store import KeyStore
from armillary.service.context.blobs import Blobs
from armillary.service.context.context import Context
from armillary.service.repository.files import RepositoryFiles
from armillary.service.repository.loading import load_tuf
from armillary.service.repository.published import Published
from armillary.service.repository.roles import CATALOG_PREFIX, ROOT
from armillary.service.repository.wanted import Wanted, wanted
from armillary.wire.device.checkin import OfferedImage

if TYPE_CHECKING:
    from armillary.service.repository.edition import Edition
    from armillary.service.repository.keys import RepositoryKeys
    from armillary.service.repository.publication import Publication

# Looked at so often whether something ends soon; the shortest life is two days.
RENEWAL_S: Final = 3600

_log = structlog.get_logger("armillary.service.repository")


class Repository:
    """Publishes metadata and artifacts. Synchronous and thread-safe; one process has one that writes."""

    def __init__(self, context: Context, store: KeyStore, blobs: Blobs) -> None:
        self.files = RepositoryFiles(context.folder.path)
        self._context = context
        self._store = store
        self._blobs = blobs
        self.lock = threading.RLock()
        self._keys: RepositoryKeys | None = None
        self._changed = True
        self._looked_at = 0
        self._fault = ""
        self._root = b""  # what root() read
        self._custody: dict[str, str] = {}
        self._published = Published(self.files)

    # -- reading --------------------------------------------------------------------------------------------------

    def root(self) -> bytes:
        """The newest root metadata, which a device trusts from its manufacture on.

        Raises:
            DataFolderError: the folder cannot be used.
            SignerError: the repository has to be made, and a token does not answer.
        """
        with self.lock:
            if not self.files.is_made:
                self.publish()
            if not self._root:
                self._root = self.files.read(f"{self.files.newest_root()}.{ROOT}.json") or b""
            return self._root

    def served(self, path: str) -> Path:
        """The file behind a path under ``/v1/repository/``; NotFoundError for everything else."""
        return self.files.served(path)

    def names(self, digests: Collection[bytes], catalog_id: UUID | None) -> bool:
        """Whether the metadata in force name all artifacts, of the OS or of a catalog; what changed is published first.

        What they do not name waits for the signatures of offline keys, or could not be published; no device gets it.

        Raises:
            DataFolderError: the disk refuses.
        """
        with self.lock:
            self.follow()
            return bool(self._published.edition()) and self._published.names(digests, catalog_id)

    def unnamed(self, images: Iterable[OfferedImage]) -> frozenset[UUID]:
        """Ids of those of these trust stores that wait for the signatures of offline keys; DataFolderError as above."""
        with self.lock:
            return self._published.unnamed(images)

    @property
    def fault(self) -> str:
        """Why the last publication failed; empty if it did not."""
        return self._fault

    @property
    def custody(self) -> dict[str, str]:
        """Role -> ``online``, ``offline`` or ``mixed``; empty before this process has looked."""
        return dict(self._custody)

    # -- writing --------------------------------------------------------------------------------------------------

    def mark_changed(self) -> None:
        """Images or releases changed: the next :meth:`follow` looks at them. Quick, from any thread."""
        self._changed = True

    def follow(self) -> None:
        """Publish what changed in the records before the call, and renew what ends soon; quick, and never raises."""
        with self.lock:  # a publication under way may have read the records before the change
            now = self._context.now()
            if not self._changed and 0 <= now - self._looked_at < RENEWAL_S:
                return
            try:
                self.publish()
            except HostError as error:  # it stays as it was, and is tried again
                if error.message != self._fault:
                    _log.error("the repository could not be published", error=error.message, remedy=error.remedy)
                self._fault = error.message

    def publish(self, change: Callable[[Publication], object] | None = None) -> bool:
        """Bring the repository to what the records say, with a ``change`` of its own; whether there is a new edition.

        Raises:
            DataFolderError: the disk refuses; the edition in force stays whole.
            SignerError: a token does not answer.
        """
        load_tuf()
        from armillary.service.repository import edition as editions, publication  # noqa: PLC0415 - see above
        from armillary.service.repository.status import role_statuses  # noqa: PLC0415 - see above

        with self.lock:
            now = self._context.now()
            self._changed, self._root = False, b""
            try:
                keys = self.keys()
                if not self.files.is_made:
                    self.files.begin()
                    publication.write_first(self.files, publication.first_edition(keys, now))
                before = editions.read_edition(self.files)
                step = publication.Publication(before, keys, now)
                step.resume(self.files.pending())
                self._stage(step, self._context.records.read(wanted))
                if change is not None:
                    change(step)
                step.renew_due()
                is_new = step.publish(self.files, self._link)
                self._forget_replaced(before, step.edition)
                self._custody = {one.role: one.custody for one in role_statuses(step.edition, keys)}
            except BaseException:  # whatever it was: it is tried again, and raised on
                self._changed = True
                raise
            self._looked_at, self._fault = now, ""
            return is_new

    def edition(self) -> Edition:
        """The metadata in force; makes the repository where it is not there yet.

        Raises:
            DataFolderError: the folder cannot be used.
        """
        load_tuf()
        from armillary.service.repository import edition as editions  # noqa: PLC0415 - see above

        with self.lock:
            if not self.files.is_made:
                self.publish()
            return editions.read_edition(self.files)

    def keys(self) -> RepositoryKeys:
        """The online keys."""
        load_tuf()
        from armillary.service.repository.keys import RepositoryKeys  # noqa: PLC0415 - see above

        if self._keys is None:
            self._keys = RepositoryKeys(self._store)
        return self._keys

    def _stage(self, step: Publication, found: Wanted) -> None:
        known = [role for role in step.edition.delegated if role.startswith(CATALOG_PREFIX)]
        for role in known:
            if role not in found:  # a role that a snapshot has named stays for good (TUF 1.0.33 §5.5.5)
                step.set_targets(role, {})
        for role, targets in found.items():
            if role.startswith(CATALOG_PREFIX) and role not in known and role not in step.staged:
                step.give_keys(role, [self.keys().create(role)], 1)
            step.set_targets(role, targets)

    def _link(self, path: str, digest: str) -> None:
        self.files.link(path, digest, self._blobs.path(bytes.fromhex(digest)))

    def _forget_replaced(self, before: Edition, after: Edition) -> None:
        """Delete online keys that their roles no longer have."""
        from armillary.service.repository.status import role_keys  # noqa: PLC0415 - see above

        now_held = role_keys(after)
        for role, key_ids in role_keys(before).items():
            gone = set(key_ids) - set(now_held.get(role, ()))
            if gone:
                self.keys().remove(role, gone)
