# SPDX-License-Identifier: Apache-2.0
r"""Flash of a device image: the OS slots are partitions of the disk, which the firmware starts; the rest are files.

A package lies at the start of its partition as it is, so that its payload (a file system) begins where the firmware or
the kernel looks for it. The last sector says how long it is::

    "armillary slot\0\0", length u64, CRC-32 of the 24 bytes before u32; the rest of the sector is zero

``rename`` to a partition is a copy, and the source is removed once it was read back: after a power cut the target may
be torn, and the source is still there. The installer gives it only slots that nothing runs from, by its record; the
disk, which knows what was started, refuses those that the machine runs from (``OsDisk.before_write``), and the kernel
to open one that a mapping (dm-verity) holds. Into one that the machine runs from goes nothing but what follows the
payload that is there.
"""

from __future__ import annotations

import contextlib
import os
import struct
from binascii import crc32
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from armillary.engines.flash.port import Flash, store_region
from armillary.errors import DataFolderError, FlashFullError, WireError
from armillary.wire.disk.gpt import SECTOR_BYTES

_MAGIC: Final = b"armillary slot\0\0"
_LENGTH: Final = struct.Struct("<16sQ")
_SUM: Final = struct.Struct("<I")
# The end of what is in a partition is looked for in pieces of so many bytes, from behind.
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is in a partition: a package of ``length`` bytes, or else other content, with only zeros after it."""

    length: int
    is_package: bool


@dataclass(frozen=True, slots=True)
class PartitionFlash:
    """``partitions`` are the device nodes of regions that have one; all other regions are in ``files``.

    ``before_write`` is told of each of those before its first byte is overwritten, and may refuse it. ``runs_from``
    says which the machine runs from. ``ahead`` are packages that were read before anybody asked, by region: who reads
    one first gets it; what is written meanwhile is read anew.
    """

    files: Flash
    partitions: Mapping[str, Path]
    before_write: Callable[[str], None] = lambda _region: None
    runs_from: Callable[[str], bool] = lambda _region: False
    ahead: dict[str, Future[bytes | None]] = field(default_factory=dict)

    def read(self, region: str) -> bytes | None:
        """The package in ``region``, or None where there is none."""
        node, ahead = self.partitions.get(region), self.ahead.pop(region, None)
        if node is None:
            return self.files.read(region)
        return read_package(node) if ahead is None else ahead.result()

    def write(self, region: str, data: bytes) -> None:
        """Make ``region`` hold ``data``; FlashFullError if its partition is too small.

        Where the machine runs from it, only what follows the payload is written; ``before_write`` refuses another one.
        """
        node = self.partitions.get(region)
        if node is None:
            self.files.write(region, data)
            return
        if self.runs_from(region) and (payload_bytes := _payload_that_is_there(node, data)):
            self.complete(region, data[payload_bytes:], payload_bytes)
            return
        self.ahead.pop(region, None)
        self.before_write(region)
        with _opened(node, os.O_WRONLY | os.O_EXCL) as descriptor:
            _check_room(region, descriptor, len(data))
            _write_at(descriptor, 0, data)
            _write_at(descriptor, _room(descriptor), _last_sector(len(data)))

    def complete(self, region: str, tail: bytes, payload_bytes: int) -> None:
        """Make a package of a payload that is in its partition already, and in use: only what follows it is written.

        Its length first: a partition without one has nothing but its payload, whenever the power is cut
        (:func:`extent`). FlashFullError if it does not fit. The caller has verified what comes of it.
        """
        self.ahead.pop(region, None)
        with _opened(self.partitions[region], os.O_RDWR) as descriptor:
            length = payload_bytes + len(tail)
            _check_room(region, descriptor, length)
            _write_at(descriptor, _room(descriptor), _last_sector(length))
            os.fsync(descriptor)
            _write_at(descriptor, payload_bytes, tail)
            os.fsync(descriptor)

    def sync(self, region: str) -> None:
        """Make what was written durable; what is read next comes from the medium."""
        node = self.partitions.get(region)
        if node is None:
            self.files.sync(region)
            return
        with _opened(node, os.O_RDONLY) as descriptor:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def rename(self, source: str, target: str) -> None:
        """Put ``source`` in the place of ``target``; see the module for what a partition is given."""
        if source not in self.partitions and target not in self.partitions:
            self.files.rename(source, target)
            return
        data = self.read(source)
        if data is None:
            raise DataFolderError(f"flash region {source}: expected a package, got nothing")
        store_region(self, target, data)
        self.remove(source)

    def remove(self, region: str) -> None:
        """Remove ``region`` durably: one sector of a partition says that it is empty.

        One that the machine runs from stays as it is.
        """
        node = self.partitions.get(region)
        if node is None:
            self.files.remove(region)
            return
        if self.runs_from(region):
            return
        self.ahead.pop(region, None)
        with _opened(node, os.O_WRONLY) as descriptor:
            _write_at(descriptor, _room(descriptor), bytes(SECTOR_BYTES))
            os.fsync(descriptor)

    def room(self, region: str) -> int | None:
        """How many bytes a package in ``region`` may have, by its partition; None where it has none."""
        node = self.partitions.get(region)
        if node is None:
            return self.files.room(region)
        with _opened(node, os.O_RDONLY) as descriptor:
            return _room(descriptor)

    def regions(self, prefix: str) -> tuple[str, ...]:
        """Names of the regions that begin with ``prefix`` and hold something, sorted."""
        names = [*self.files.regions(prefix)]
        for region, node in self.partitions.items():
            if region.startswith(prefix):
                with _opened(node, os.O_RDONLY) as descriptor:
                    names += [] if _length(descriptor) is None else [region]
        return tuple(sorted(names))


def read_package(node: Path) -> bytes | None:
    """The package that is in a partition now, or None where there is none; DataFolderError if it cannot be read."""
    with _opened(node, os.O_RDONLY) as descriptor:
        length = _length(descriptor)
        if length is None:
            return None
        os.posix_fadvise(descriptor, 0, length, os.POSIX_FADV_WILLNEED)  # in large pieces
        return _read(descriptor, length)


def read_beginning(node: Path, length: int) -> bytes:
    """The first bytes of a partition, whatever it holds; fewer where it is smaller."""
    with _opened(node, os.O_RDONLY) as descriptor:
        return _read(descriptor, min(length, _room(descriptor)))


def extent(node: Path) -> Extent:
    """How much is in a partition."""
    with _opened(node, os.O_RDONLY) as descriptor:
        length = _length(descriptor)
        return Extent(_content_bytes(descriptor), False) if length is None else Extent(length, True)


def _payload_that_is_there(node: Path, package: bytes) -> int:
    """How long the payload of a package is, if the partition begins with it; 0 if not, or where this is no package."""
    from armillary.wire.image.package import parse  # noqa: PLC0415 - a start reads slots before it needs this

    try:
        payload = parse(package).payload
    except WireError:
        return 0
    return len(payload) if read_beginning(node, len(payload)) == payload else 0


@contextlib.contextmanager
def _opened(node: Path, flags: int) -> Iterator[int]:
    try:
        descriptor = os.open(node, flags | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DataFolderError(
            f"{node}: {error.strerror or error}",
            remedy="Check that the disk is there and that nothing runs from this partition.",
        ) from error


def _room(descriptor: int) -> int:
    """How many bytes a package may have: all but the last sector."""
    return os.lseek(descriptor, 0, os.SEEK_END) - SECTOR_BYTES


def _check_room(region: str, descriptor: int, length: int) -> None:
    room = _room(descriptor)
    if length > room:
        raise FlashFullError(
            f"{region}: expected at most {room} bytes, which its partition has room for, got {length}",
            remedy="Build a smaller image, or flash the device with a larger partition.",
        )


def _last_sector(length: int) -> bytes:
    head = _LENGTH.pack(_MAGIC, length)
    return (head + _SUM.pack(crc32(head))).ljust(SECTOR_BYTES, b"\0")


def _length(descriptor: int) -> int | None:
    """How long the package is; None where the partition holds none."""
    room = os.lseek(descriptor, -SECTOR_BYTES, os.SEEK_END)
    last = os.read(descriptor, _LENGTH.size + _SUM.size)
    if len(last) < _LENGTH.size + _SUM.size:
        return None
    magic, length = _LENGTH.unpack_from(last)
    (total,) = _SUM.unpack_from(last, _LENGTH.size)
    return length if magic == _MAGIC and total == crc32(last[: _LENGTH.size]) and length <= room else None


def _content_bytes(descriptor: int) -> int:
    """Where the zeros before the last sector begin; 0 where there is nothing else."""
    end = _room(descriptor)
    while end:
        begin = max(0, end - _PIECE_BYTES)
        if found := os.pread(descriptor, end - begin, begin).rstrip(b"\0"):
            return begin + len(found)
        end = begin
    return 0


def _read(descriptor: int, length: int) -> bytes:
    """So many bytes from the start; fewer where the disk has become smaller: the reader finds no whole package."""
    parts: list[bytes] = []
    left = length
    while left:
        part = os.pread(descriptor, left, length - left)  # all at once, as a rule: a package has tens of MB
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _write_at(descriptor: int, offset: int, data: bytes) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
