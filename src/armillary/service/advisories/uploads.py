# SPDX-License-Identifier: Apache-2.0
"""Feed bundles on their way in: parts of at most 4 MiB, in order, into a file of the data folder.

One at a time: a bundle has up to a gigabyte, and imports run one after the other anyway.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import structlog

from armillary.engines.durable import not_writable
from armillary.errors import ConflictError, DataFolderError, InvalidArgumentError, NotFoundError, QuotaExceededError
from armillary.wire.advisory.bundle import HEAD_BYTES, MAX_RECORDS_BYTES
from armillary.wire.encoding.cose import MAX_SIGN1_BYTES

MAX_PART_BYTES: Final = 4 << 20
MAX_BUNDLE_BYTES: Final = HEAD_BYTES + MAX_SIGN1_BYTES + MAX_RECORDS_BYTES
# An upload without a byte for this long makes room for the next.
LIFETIME_S: Final = 600
RETRY_S: Final = 30
# Left on the disk: the records need room to grow, by about five times the bundle.
RESERVE_BYTES: Final = 256 << 20
GROWTH: Final = 5

_log = structlog.get_logger("armillary.service.advisories")


@dataclass(eq=False, slots=True)
class BundleUpload:
    """A bundle under way: ``size`` bytes were announced, ``received`` are there."""

    upload_id: UUID
    size: int
    path: Path
    changed_at: float
    received: int = 0


class BundleUploads:
    """Receives bundles. From any thread."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._upload: BundleUpload | None = None

    def begin(self, size: int) -> BundleUpload:
        """Begin to receive a bundle.

        Raises:
            InvalidArgumentError: a size that no bundle has.
            QuotaExceededError: another one is on its way; try again later.
            DataFolderError: the disk has no room for it.
        """
        if not HEAD_BYTES < size <= MAX_BUNDLE_BYTES:
            raise InvalidArgumentError(
                f"bundle: expected {HEAD_BYTES + 1} to {MAX_BUNDLE_BYTES} bytes, got {size}",
                remedy="Pack the feed in parts, each a feed of its own.",
            )
        with self._lock:
            if self._upload is not None and 0 <= self._clock() - self._upload.changed_at < LIFETIME_S:
                raise QuotaExceededError("another feed bundle is on its way", retry_after_s=RETRY_S)
            self._end()
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                free = shutil.disk_usage(self._folder).free
            except OSError as error:
                raise not_writable(self._folder, error) from error
            if free < size * (1 + GROWTH) + RESERVE_BYTES:
                raise DataFolderError(
                    f"{self._folder} has {free} bytes free, and an import of this bundle may need "
                    f"{size * (1 + GROWTH) + RESERVE_BYTES}",
                    remedy="Free space on the disk.",
                )
            upload_id = uuid4()
            self._upload = BundleUpload(upload_id, size, self._folder / f"{upload_id}.partial", self._clock())
            return self._upload

    def take(self, upload_id: UUID, offset: int, part: bytes) -> BundleUpload:
        """Take the next part.

        Raises:
            NotFoundError: there is no such upload: it ended.
            ConflictError: the part is not the next one.
            InvalidArgumentError: it is empty, too large, or more than was announced.
            DataFolderError: the disk refuses; the upload has ended.
        """
        with self._lock:
            upload = self._upload
            if upload is None or upload.upload_id != upload_id:
                raise NotFoundError(f"there is no upload {upload_id}", remedy="Begin again: it ended.")
            if offset != upload.received:
                raise ConflictError(
                    f"offset: expected {upload.received}, what was received so far, got {offset}",
                    remedy="Send the part that begins there.",
                )
            most = min(MAX_PART_BYTES, upload.size - upload.received)
            if not 0 < len(part) <= most:
                raise InvalidArgumentError(
                    f"part: expected 1 to {most} bytes, got {len(part)}", remedy="Send no more than was announced."
                )
            try:
                with upload.path.open("ab") as file:
                    file.write(part)
            except OSError as error:
                self._end()
                raise not_writable(self._folder, error) from error
            upload.received += len(part)
            upload.changed_at = self._clock()
            return upload

    def end(self, upload_id: UUID) -> None:
        """Forget an upload and its file; nothing if it ended before."""
        with self._lock:
            if self._upload is not None and self._upload.upload_id == upload_id:
                self._end()

    def remove_all(self) -> None:
        """Delete what uploads have left: before the first, and at the end."""
        with self._lock:
            self._upload = None
            if os.path.lexists(self._folder):
                shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self) -> None:
        if self._upload is not None:
            self._upload.path.unlink(missing_ok=True)
            self._upload = None


class ImportThread:
    """The import of an uploaded bundle, in a thread of its own: one at a time, which the caller sees to."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._failure = ""

    @property
    def state(self) -> dict[str, Any]:
        """Whether a bundle is being imported, and why the last one was not."""
        return {"running": self._thread is not None and self._thread.is_alive(), "failure": self._failure}

    def check_idle(self) -> None:
        """Raise ConflictError while a bundle is being imported."""
        if self.state["running"]:
            raise ConflictError("another feed is being imported", remedy="Wait for it: armillary advisory-feed list.")

    def begin(self, work: Callable[[], object], end: Callable[[], object]) -> None:
        """Import, and then ``end``, however it went."""
        self._failure = ""
        self._thread = threading.Thread(target=self._run, args=(work, end), name="feed-import", daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], object], end: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the thread's outermost frame: who asked reads it in the state
            self._failure = str(error)[:500] or type(error).__name__
            _log.warning("a feed was not imported", error=self._failure)
        finally:
            end()

    def join(self) -> None:
        """Wait for an import that is running."""
        if self._thread is not None:
            self._thread.join()
