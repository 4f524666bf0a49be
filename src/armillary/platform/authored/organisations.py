# SPDX-License-Identifier: Apache-2.0
"""Organisations: the tree, and which device is in which. Methods block for the disk: call them from threads.

A device's organisation is a field of what operators keep of it (the document of kind ``device``). The tree is
cached until a document changes.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from armillary.engines.database.outbox import Author
from armillary.engines.documents.document import Document, is_device_id
from armillary.engines.documents.store import MAX_LIMIT, DocumentStore
from armillary.errors import ArmillaryError, ConflictError, RateLimitedError
from armillary.platform.authored.documents import every
from armillary.platform.ports import Directory
from armillary.twin.author.organisation import Organisation, check_tree, parse_organisation, subtree

KIND: Final = "organisation"
# Tries to change a device's document that others change at the same time.
TRIES: Final = 5


@dataclass(eq=False)
class Organisations:
    """Who sees which devices of a catalog."""

    _documents: DocumentStore
    _directory: Directory
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _known: tuple[int, Mapping[str, Organisation]] | None = field(default=None, init=False)

    def all(self) -> Mapping[str, Organisation]:
        """Every organisation by id; one that cannot be read is not there."""
        seq = self._documents.seq  # before the documents: what changes meanwhile is read again the next time
        with self._lock:
            if self._known is not None and self._known[0] == seq:
                return self._known[1]
        found: dict[str, Organisation] = {}
        for document in self._documents.all((KIND,)):
            try:
                found[document.id] = parse_organisation(document.content)
            except ArmillaryError:
                continue
        with self._lock:
            self._known = (seq, found)
        return found

    def subtree(self, root: str) -> frozenset[str]:
        """An organisation and everything below it; empty when there is none."""
        return subtree(self.all(), root)

    def check(self, organisation_id: str, changed: Organisation | None) -> None:
        """Raise ConflictError if a change (None: a deletion) would break the tree or move the organisation."""
        present = dict(self.all())
        before = present.pop(organisation_id, None)
        if changed is not None:
            if before is not None and before.catalog.lower() != changed.catalog.lower():
                raise ConflictError(
                    f"organisation {organisation_id[:64]!a} is of catalog {before.catalog!a:.60}",
                    remedy="Make another one: tokens and devices are bound to it.",
                )
            present[organisation_id] = changed
        check_tree(present)

    def of_device(self, device_id: str) -> str | None:
        """The organisation of a device, or of a module's device; None when it is in none."""
        owner = device_id.partition("/")[0]  # a module is where its device is
        document = self._documents.find("device", owner) if is_device_id(owner) else None
        found = None if document is None else document.content.get("organisation")
        return found if isinstance(found, str) else None

    def assign(self, device_id: str, organisation_id: str | None, *, by: Author) -> None:
        """Put a device into an organisation, or into none. Raises RateLimitedError after TRIES conflicts."""
        store = self._documents
        for _ in range(TRIES):
            present = store.find("device", device_id)
            body: dict[str, Any] = {} if present is None else dict(present.content)
            body.pop("organisation", None)
            if organisation_id is not None:
                body["organisation"] = organisation_id
            seen = "" if present is None else present.etag
            with contextlib.suppress(ConflictError):
                store.put("device", device_id, body, by=by, if_match=seen)
                return
        raise RateLimitedError(f"device {device_id[:16]}...: others change it all the time", retry_after_s=1)

    def devices(self, root: str, *, after: str | None, limit: int) -> tuple[list[dict[str, Any]], str | None]:
        """Devices of an organisation and of everything below it that are its catalog's now, by id; where to go on."""
        known = self.all()
        reach, found, at = subtree(known, root), list[dict[str, Any]](), after
        while reach:
            page = self._documents.list("device", after=at, limit=MAX_LIMIT)
            members = {each.id: each.content["organisation"] for each in page.items if _of(each) in reach}
            found += self._owned(members, known[root].catalog)
            if len(found) > limit:
                return found[:limit], found[limit - 1]["device_id"]
            at = page.next_after
            if at is None:
                break
        return found, None

    def has_devices(self, organisation_id: str) -> bool:
        """Whether a device is in this very organisation."""
        devices = every(lambda after: self._documents.list("device", after=after, limit=MAX_LIMIT))
        return any(_of(each) == organisation_id for each in devices)

    def _owned(self, members: Mapping[str, str], catalog: str) -> list[dict[str, Any]]:
        ids: Sequence[str] = list(members)
        known: dict[str, Any] = {}
        for start in range(0, len(ids), 500):
            known |= self._directory.of(ids[start : start + 500])
        return [
            {"device_id": each, "organisation": members[each], "health": known[each].get("health")}
            for each in ids
            if each in known and str(known[each].get("catalog") or "").lower() == catalog.lower()
        ]


def _of(document: Document) -> str | None:
    found = document.content.get("organisation")
    return found if isinstance(found, str) else None
