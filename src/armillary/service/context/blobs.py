# SPDX-License-Identifier: Apache-2.0
"""Image packages by their SHA-256: written once, never changed, checked when read."""

from __future__ import annotations

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from armillary.engines.durable import PARTIAL_SUFFIX, move_file, not_writable, sync_folder, write_file
from armillary.errors import DataFolderError

_NAME: Final = re.compile("[0-9a-f]{64}")


class Blobs:
    """The blob folder: ``blobs/ab/abcd....``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._locks: dict[bytes, threading.Lock] = {}
        self._users: Counter[bytes] = Counter()

    @contextlib.contextmanager
    def held(self, digest: bytes) -> Iterator[None]:
        """Lock a blob: from writing it until a record names it, or from searching the records to removing it.

        Without the lock one caller could remove a blob that another has just recorded.
        """
        with self._lock:
            self._users[digest] += 1
            lock = self._locks.setdefault(digest, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._users[digest] -= 1
                if not self._users[digest]:
                    del self._users[digest], self._locks[digest]

    def remove_partial(self) -> None:
        """Delete the leftovers of interrupted writes; call it before anything is written."""
        for partial in self._folder.glob(f"*/*{PARTIAL_SUFFIX}"):
            partial.unlink()

    def written_before(self, moment: float) -> frozenset[bytes]:
        """The SHA-256 of every blob whose file was written before a moment, Unix seconds; other files are no blobs."""
        return frozenset(
            bytes.fromhex(file.name)
            for file in self._folder.glob("*/*")
            if _NAME.fullmatch(file.name) and file.parent.name == file.name[:2] and file.stat().st_mtime < moment
        )

    def path(self, digest: bytes) -> Path:
        """The file of a blob."""
        name = digest.hex()
        return self._folder / name[:2] / name

    def write(self, content: bytes) -> bytes:
        """Keep content durably; returns its SHA-256. Writing it twice keeps it once."""
        digest = sha256(content).digest()
        path = self.path(digest)
        if not path.exists():
            self._make_folder(path.parent)
            write_file(path, content, mode=0o400)
        return digest

    def take(self, file: Path, digest: bytes) -> None:
        """Keep a finished file of the same disk durably as the blob of its SHA-256, which the caller has computed.

        Raises:
            DataFolderError: the disk refuses.
        """
        path = self.path(digest)
        if path.exists():
            file.unlink()
            return
        self._make_folder(path.parent)
        move_file(file, path, mode=0o400)

    def _make_folder(self, path: Path) -> None:
        if path.exists():
            return
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._folder)
        except OSError as error:
            raise not_writable(path, error) from error

    def read(self, digest: bytes) -> bytes:
        """The content; DataFolderError if it is missing or not what was written."""
        path = self.path(digest)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataFolderError(
                f"{path} cannot be read ({error.strerror})", remedy="Restore the blobs folder from a backup."
            ) from error
        if sha256(content).digest() != digest:
            raise DataFolderError(f"{path} was changed on the disk", remedy="Restore it from a backup.")
        return content

    def remove(self, digest: bytes) -> None:
        """Delete a blob that no record names; the caller has held it since before searching the records."""
        self.path(digest).unlink(missing_ok=True)
