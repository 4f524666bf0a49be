# SPDX-License-Identifier: Apache-2.0
"""Limits the bytes that devices may have on the disk, and the requests that write them, before a byte is written.

Parts of an upload come in any order, some twice, some without a length. So each part is counted while it is written: an
upload (parts kept and parts being written) may have as many bytes as one file, and a device (its files and all of its
uploads) as many as a device may have. A part that is sent again replaces its earlier bytes. Uploads that this process
has not seen yet are read from the disk.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from armillary.engines.hub import uploads
from armillary.engines.hub.uploads import Upload
from armillary.engines.quota import Quota
from armillary.errors import InvalidArgumentError

# One file; a longer one is many.
MAX_FILE_BYTES: Final = 256 << 20
# Blocks of one file, as the blob client sends what is larger than 64 MiB.
MAX_BLOCKS: Final = 1000
# Bytes that stay free on the disk: the service's databases are on it.
SPARE_BYTES: Final = 512 << 20
# Requests of one device under way, over all its uploads: npm's azure-iot-device sends 20 blocks of 4 MiB at once, and
# tries again four times at most.
MAX_DEVICE_REQUESTS: Final = 20
# Requests of all devices: a quarter of those that the API has under way for everybody.
MAX_REQUESTS: Final = 128
_RETRY_S: Final = 2

_PART: Final = re.compile("block-[0-9a-f]{64}")


@dataclass(slots=True, eq=False)
class Writing:
    """A part that is being written."""

    name: str  # Of the file that it becomes
    size: int = 0  # Bytes so far


@dataclass(slots=True)
class _UploadUse:
    kept: dict[str, int] = field(default_factory=dict)
    kept_bytes: int = 0
    writing: list[Writing] = field(default_factory=list)
    is_joined: bool = False
    joining: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, name: str, size: int) -> None:
        """A part is kept."""
        self.kept_bytes += size - self.kept.get(name, 0)
        self.kept[name] = size

    @property
    def size(self) -> int:
        """Bytes that count: a part that is being written replaces the one of its name."""
        if self.is_joined:
            return 0  # they are counted as a file now
        sent: dict[str, int] = {}
        for each in self.writing:
            sent[each.name] = max(sent.get(each.name, 0), each.size)
        replaced = sum(min(self.kept.get(name, 0), size) for name, size in sent.items())
        return self.kept_bytes + sum(each.size for each in self.writing) - replaced


@dataclass(slots=True)
class _DeviceUse:
    stored: int = 0
    uploads: dict[str, _UploadUse] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return self.stored + sum(each.size for each in self.uploads.values())


class UploadRoom:
    """Bytes and requests of all devices' uploads; ``folder`` has the bytes, ``of_device`` counts requests by device."""

    def __init__(self, folder: Path, files_of: Callable[[str], list[Upload]]) -> None:
        self._folder = folder
        self._files_of = files_of
        self.of_device = Quota(
            "requests with bytes under way", each=MAX_DEVICE_REQUESTS, total=MAX_REQUESTS, retry_after_s=_RETRY_S
        )
        self._lock = threading.Lock()
        self._devices: dict[str, _DeviceUse] = {}

    @contextlib.contextmanager
    def request(self, upload: Upload) -> Iterator[None]:
        """Count a request that brings bytes of an upload while the block runs.

        Raises:
            QuotaExceededError: its device, or all devices together have as many as they may have.
        """
        with self._lock:
            if not self.of_device.of(upload.device_id):
                self._device(upload)  # read anew: files may have been deleted
            self.of_device.take(upload.device_id)
        try:
            yield
        finally:
            self.of_device.free(upload.device_id)

    @contextlib.contextmanager
    def writing(self, upload: Upload, name: str) -> Iterator[Writing]:
        """Count a part while it is written; its bytes are given back at the end, unless it was kept.

        Raises:
            InvalidArgumentError: the upload has as many parts as it may have.
        """
        part = Writing(name)
        with self._lock:
            use = self._use(upload)
            names = {*use.kept, *(each.name for each in use.writing)}
            if name not in names and len(names) >= MAX_BLOCKS:
                raise InvalidArgumentError(f"blocks: expected at most {MAX_BLOCKS}, got more", remedy="Send less.")
            use.writing.append(part)
        try:
            yield part
        finally:
            with self._lock:
                if part in use.writing:
                    use.writing.remove(part)

    def take(self, upload: Upload, part: Writing, size: int) -> None:
        """Count bytes that are about to be written.

        Raises:
            InvalidArgumentError: the file gets too large, the device has too much, or the disk has no room.
        """
        with self._lock:
            device, use = self._device(upload), self._use(upload)
            part.size += size
            try:
                if use.size > MAX_FILE_BYTES:
                    raise _too_large()
                if device.size > uploads.MAX_DEVICE_BYTES:
                    raise _device_full()
                self._check_disk(size)
            except InvalidArgumentError:
                part.size -= size
                raise

    def keep(self, upload: Upload, part: Writing) -> None:
        """A part is whole: its bytes are the upload's from now on."""
        with self._lock:
            use = self._use(upload)
            use.writing.remove(part)
            use.keep(part.name, part.size)

    def joining(self, upload: Upload) -> threading.Lock:
        """Held by the one request that joins an upload's parts to a file."""
        with self._lock:
            return self._use(upload).joining

    def check_copy(self, size: int) -> None:
        """Raise InvalidArgumentError if a file may not have so many bytes, or the disk has no room for them."""
        if size > MAX_FILE_BYTES:
            raise _too_large()
        self._check_disk(size)

    @contextlib.contextmanager
    def stored(self, upload: Upload, size: int) -> Iterator[None]:
        """Count an upload as a file of this size, in place of its parts; undone when it is left with an error.

        Raises:
            InvalidArgumentError: its device would have more than it may.
        """
        with self._lock:
            device, use = self._device(upload), self._use(upload)
            if device.size - use.size + size > uploads.MAX_DEVICE_BYTES:
                raise _device_full()
            device.stored += size
            use.is_joined = True
        try:
            yield
        except BaseException:  # whatever it is: the upload is no file, and the error goes on
            with self._lock:
                device.stored -= size
                use.is_joined = False
            raise

    def forget_idle(self) -> None:
        """Forget devices without a request under way; they are read again with the next."""
        with self._lock:
            self._devices = {name: each for name, each in self._devices.items() if self.of_device.of(name)}

    def _device(self, upload: Upload) -> _DeviceUse:
        """The use of an upload's device; read anew when no request is under way: files may be deleted meanwhile."""
        found = self._devices.get(upload.device_id)
        if found is None or not self.of_device.of(upload.device_id):
            known = self._files_of(upload.device_id)
            before = {} if found is None else found.uploads
            found = _DeviceUse(stored=sum(each.size for each in known if each.state in ("stored", "confirmed")))
            for each in known:
                if each.state == "open":
                    found.uploads[each.upload_id] = before.get(each.upload_id) or self._read(each.upload_id)
            self._devices[upload.device_id] = found
        return found

    def _use(self, upload: Upload) -> _UploadUse:
        return self._device(upload).uploads.setdefault(upload.upload_id, _UploadUse())

    def _read(self, upload_id: str) -> _UploadUse:
        """The parts that an earlier process left of an upload; incomplete ones are removed."""
        use = _UploadUse()
        with contextlib.suppress(FileNotFoundError):
            for path in (self._folder / f"{upload_id}.parts").iterdir():
                if _PART.fullmatch(path.name):
                    use.keep(path.name, path.stat().st_size)
                else:
                    path.unlink(missing_ok=True)
        return use

    def _check_disk(self, size: int) -> None:
        if shutil.disk_usage(self._folder.parent).free < size + SPARE_BYTES:
            raise InvalidArgumentError("file: the disk has no room for it", remedy="Free space on the data folder.")


def _too_large() -> InvalidArgumentError:
    return InvalidArgumentError(
        f"file: expected at most {MAX_FILE_BYTES} bytes over all of its parts, got more", remedy="Split it."
    )


def _device_full() -> InvalidArgumentError:
    return InvalidArgumentError(
        f"file: the files and uploads of a device may have {uploads.MAX_DEVICE_BYTES} bytes, these would have more",
        remedy="Have an operator delete files of the device, or wait until its open uploads are over.",
    )
