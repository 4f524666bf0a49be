# SPDX-License-Identifier: Apache-2.0
"""The repository's folder: what is served, and what waits for signatures.

::

    DATA/repository/metadata/   N.root.json, timestamp.json, N.snapshot.json, N.ROLE.json
    DATA/repository/targets/    PATH/SHA256.NAME: hard links to the blobs
    DATA/repository/pending/    ROLE.json: metadata that lacks signatures; not served

A web server may serve the first two as they are. ``timestamp.json`` is written last: everything that it leads to is
there before, so that whoever fetches in between, or after a crash, finds a whole repository.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Final
from uuid import UUID

from armillary.engines.durable import PARTIAL_SUFFIX, not_writable, sync_folder, write_file
from armillary.errors import NotFoundError

SERVED_MODE: Final = 0o644  # a web server of another user reads them
MAX_PATH_BYTES: Final = 512
# Versions of a role that stay for clients that are fetching with an earlier timestamp.
KEPT_VERSIONS: Final = 8

_NUMBERED: Final = re.compile(r"(\d{1,9})\.([a-z0-9-]+)\.json")
# No segment begins with a dot: none is "..", none is a file that is being written.
_SERVED: Final = re.compile(
    r"metadata/(?:timestamp|\d{1,9}\.[a-z0-9-]{1,64})\.json"
    r"|targets(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,63}){1,4}/[0-9a-f]{64}\.[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    re.ASCII,
)
_ROOT: Final = re.compile(r"metadata/([1-9]\d{0,8})\.root\.json", re.ASCII)
_OF_CATALOG: Final = re.compile(r"(?:targets/catalogs/|metadata/\d{1,9}\.catalog-)([0-9a-f-]{36})[/.].+", re.ASCII)


def is_for(path: str, catalog_id: UUID | None) -> bool:
    """Whether a served path belongs to all, or to the catalog of who asks.

    A mirror cannot tell; the device endpoint can, and shows nobody the images of another catalog.
    """
    owner = _OF_CATALOG.fullmatch(path)
    return owner is None or owner[1] == str(catalog_id)


class RepositoryFiles:
    """The folder of one repository; one process writes, any number read."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "repository"
        self._metadata = self.folder / "metadata"
        self._targets = self.folder / "targets"
        self._pending = self.folder / "pending"

    @property
    def is_made(self) -> bool:
        """Whether a first edition was published."""
        return (self._metadata / "timestamp.json").exists()

    def begin(self) -> None:
        """Make the folders, without what an interrupted first edition left.

        Raises:
            DataFolderError: the disk refuses.
        """
        try:
            if not self.is_made:
                shutil.rmtree(self._metadata, ignore_errors=True)
            for path, mode in ((self._metadata, 0o755), (self._targets, 0o755), (self._pending, 0o700)):
                path.mkdir(mode=mode, parents=True, exist_ok=True)
                for partial in path.glob(f"*{PARTIAL_SUFFIX}"):
                    partial.unlink()
            sync_folder(self.folder)
        except OSError as error:
            raise not_writable(self.folder, error) from error

    def served(self, path: str) -> Path:
        """The file behind a path under ``/v1/repository/``; NotFoundError if nothing of this name is served."""
        if len(path) <= MAX_PATH_BYTES and _SERVED.fullmatch(path):
            found = self.folder / path
            if found.is_file():
                return found
        raise NotFoundError("the repository has no such file", remedy="Fetch the metadata again: it names the files.")

    def is_next_root(self, path: str) -> bool:
        """Whether a path names the root after the newest: clients ask for it, and that there is none tells them so."""
        found = _ROOT.fullmatch(path)
        if found is None or (self.folder / path).is_file():
            return False
        return (self._metadata / f"{int(found[1]) - 1}.root.json").is_file()

    # -- metadata -------------------------------------------------------------------------------------------------

    def newest_root(self) -> int:
        """Version of the newest root; 0 where there is none."""
        return max(self.versions("root"), default=0)

    def versions(self, role: str) -> list[int]:
        """The versions of a role that are there, rising."""
        found = (_NUMBERED.fullmatch(path.name) for path in self._metadata.glob(f"*.{role}.json"))
        return sorted(int(match[1]) for match in found if match is not None and match[2] == role)

    def read(self, name: str) -> bytes | None:
        """A file of the metadata folder, as ``timestamp.json``; None where it is missing."""
        return _read(self._metadata / name)

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the metadata folder, wholly or not at all; DataFolderError if the disk refuses."""
        write_file(self._metadata / name, content, mode=SERVED_MODE)

    def drop_old(self, role: str, version: int) -> None:
        """Delete versions of a role that no client needs any more; not of root, whose versions are a chain."""
        for old in self.versions(role):
            if old < version - KEPT_VERSIONS:
                (self._metadata / f"{old}.{role}.json").unlink(missing_ok=True)

    # -- artifacts ------------------------------------------------------------------------------------------------

    def artifact(self, path: str, digest: str) -> Path:
        """The file of a target path and SHA-256 in hex (consistent snapshots, TUF 1.0.33 §6.2)."""
        folder, _, name = path.rpartition("/")
        return self._targets / folder / f"{digest}.{name}"

    def link(self, path: str, digest: str, blob: Path) -> None:
        """Serve a blob under a target path; DataFolderError if the disk refuses."""
        place = self.artifact(path, digest)
        if place.exists():
            return
        try:
            place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            try:
                os.link(blob, place)
            except OSError:  # another file system, or one without hard links
                write_file(place, blob.read_bytes(), mode=SERVED_MODE)
            sync_folder(place.parent)
        except OSError as error:
            raise not_writable(place, error) from error

    def unlink(self, path: str, digest: str) -> None:
        """Serve a target no longer."""
        place = self.artifact(path, digest)
        place.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are in the folder
            place.parent.rmdir()

    # -- what waits -----------------------------------------------------------------------------------------------

    def pending(self) -> dict[str, bytes]:
        """Metadata that lacks signatures, by role."""
        if not self._pending.is_dir():
            return {}
        return {path.stem: path.read_bytes() for path in sorted(self._pending.glob("*.json"))}

    def put_pending(self, documents: dict[str, bytes]) -> None:
        """Keep exactly these; DataFolderError if the disk refuses."""
        before = self.pending()
        for role, content in documents.items():
            if before.get(role) != content:
                write_file(self._pending / f"{role}.json", content, mode=0o600)
        for role in before.keys() - documents.keys():
            (self._pending / f"{role}.json").unlink(missing_ok=True)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
