# SPDX-License-Identifier: Apache-2.0
"""Writes an image to a target and reads back what was written."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from armillary.device_image.disk import DATA, ENROLMENT_FILE, FEATURES
from armillary.device_image.flashing.target import Target
from armillary.device_image.flashing.unfinished import new_file, work_folder
from armillary.device_image.tools import run
from armillary.errors import ConflictError, HostError, InvalidArgumentError, WireError
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_fitting import TABLE_BYTES, fitted, read_layout
from armillary.wire.disk.gpt_writing import Layout, encode_tables

_CHUNK: Final = 1 << 20
_BLOCK: Final = 4096
_BLKFLSBUF: Final = 0x1261  # linux/fs.h: forget what is kept in memory of a block device
_BLKRRPART: Final = 0x125F  # linux/fs.h: read the partition table again

# Told of every step that is done.
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a file (``source``, from ``start``) or a few of their own, and where on the disk they go."""

    at: int
    source: Path | bytes
    start: int = 0
    length: int = 0

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.source) if isinstance(self.source, bytes) else self.length

    def chunks(self) -> Iterator[bytes]:
        """The bytes, a mebibyte at a time."""
        if isinstance(self.source, bytes):
            yield self.source
            return
        with self.source.open("rb") as file:
            file.seek(self.start)
            left = self.length
            while left > 0:
                block = file.read(min(left, _CHUNK))
                yield block
                left -= len(block)


def image_layout(disk: Path) -> Layout:
    """The layout of an image's disk; InvalidArgumentError if it is none with a data partition at its end."""
    try:
        with disk.open("rb") as file:
            layout = read_layout(file.read(TABLE_BYTES), sectors=disk.stat().st_size // SECTOR_BYTES)
    except (OSError, WireError) as error:
        raise InvalidArgumentError(
            f"{disk}: expected the disk of a device image: {error}", remedy="Build it first: armillary image build."
        ) from error
    if layout.partitions[-1].name != DATA:
        raise InvalidArgumentError(
            f"{disk}: expected {DATA} as the last partition, got {layout.partitions[-1].name}",
            remedy="Build it again: armillary image build.",
        )
    end = layout.partitions[-1].first_lba + layout.partitions[-1].sectors
    if layout.sectors < end:
        raise InvalidArgumentError(
            f"{disk}: expected at least {end * SECTOR_BYTES:,} bytes, as its partition table says, "
            f"got {layout.sectors * SECTOR_BYTES:,}",
            remedy="It was copied in part: copy it again, or build it.",
        )
    return layout


def write(
    disk: Path,
    target: Target,
    *,
    guids: Callable[[], UUID],
    progress: Progress = lambda _: None,
    loader: Piece | None = None,
    enrolment: bytes | None = None,
) -> Layout:
    """Write the disk of an image to a target and verify it; returns the layout that the target has.

    ``guids`` gives a new GUID at each call; ``loader`` stands between table and first partition, where a processor
    looks for it; ``enrolment`` is a file of the data partition that the first start reads. The partition table is
    written last: a disk that was not written to its end has none.

    Raises:
        ConflictError: something has begun to use the disk, or another flash writes the file.
        HostError: the target cannot be written, or gives back something else.
    """
    layout = image_layout(disk)
    made = fitted(layout, sectors=target.sectors, guids=[guids() for _ in range(len(layout.partitions) + 1)])
    data = made.partition(DATA)
    with work_folder(_roomy()) as folder:
        files = folder / "data"
        _file_system(files, data.sectors * SECTOR_BYTES, guids(), enrolment)
        begin, end = encode_tables(made)
        first = data.first_lba * SECTOR_BYTES
        content = [*_of_image(disk, first, loader, whole=target.is_disk)]
        content += _extents(files, first, 0, data.sectors * SECTOR_BYTES)
        tables = [Piece(0, begin), Piece(target.sectors * SECTOR_BYTES - len(end), end)]
        with _opened(target) as descriptor, _explained(target):
            _write(descriptor, [Piece(0, bytes(TABLE_BYTES)), *content])
            _write(descriptor, tables)
            progress(f"written: {sum(piece.size for piece in content) / 1e6:,.0f} MB")
            _verify(descriptor, [*content, *tables], target)
            progress("read back: it is what was written")
            if target.is_disk:
                with contextlib.suppress(OSError):  # the kernel's view of the new partitions; the next plug-in gives it
                    fcntl.ioctl(descriptor, _BLKRRPART)
    return made


def _of_image(disk: Path, end: int, loader: Piece | None, *, whole: bool) -> Iterator[Piece]:
    """What stands in an image behind the table and before the data, with a loader in its place.

    ``whole`` has zeros written, too, where a used disk has something else.
    """
    begin = TABLE_BYTES
    if loader is not None:
        yield from _between(disk, begin, loader.at, whole=whole)
        yield loader
        begin = loader.at + loader.size
    yield from _between(disk, begin, end, whole=whole)


def _between(disk: Path, begin: int, end: int, *, whole: bool) -> Iterator[Piece]:
    """What a disk has between two places."""
    if whole:
        yield Piece(begin, disk, begin, end - begin)
    else:
        yield from _extents(disk, begin, begin, end)


def _write(descriptor: int, pieces: list[Piece]) -> None:
    """Write pieces; they are on the medium when it returns."""
    for piece in pieces:
        at = piece.at
        for block in piece.chunks():
            _write_all(descriptor, block, at)
            at += len(block)
    os.fsync(descriptor)


def _write_all(descriptor: int, block: bytes, at: int) -> None:
    view = memoryview(block)
    while view:
        done = os.pwrite(descriptor, view, at)
        view, at = view[done:], at + done


def _verify(descriptor: int, pieces: list[Piece], target: Target) -> None:
    """Read everything again, from the medium as far as the kernel lets us; HostError if something differs."""
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    if target.is_disk:
        with contextlib.suppress(OSError):
            fcntl.ioctl(descriptor, _BLKFLSBUF)
    for piece in pieces:
        at = piece.at
        for block in piece.chunks():
            if hashlib.sha256(os.pread(descriptor, len(block), at)).digest() != hashlib.sha256(block).digest():
                raise HostError(
                    f"{target.path}: expected what was written at byte {at:,}, read something else",
                    remedy="The medium is broken, or smaller than it says: take another.",
                )
            at += len(block)


def _extents(file: Path, at: int, begin: int, end: int) -> Iterator[Piece]:
    """What a sparse file has between two places, for the disk from ``at`` on."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        place = begin
        while place < end:
            try:
                data = os.lseek(descriptor, place, os.SEEK_DATA)
                hole = min(os.lseek(descriptor, data, os.SEEK_HOLE), end)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                    return
                raise
            if data < end:
                yield Piece(at + data - begin, file, data, hole - data)
            place = hole
    finally:
        os.close(descriptor)


def _file_system(file: Path, size: int, guid: UUID, enrolment: bytes | None) -> None:
    """A new file system for the data, in a sparse file; the device makes its tables whole at its first start."""
    content = file.with_name("content")
    content.mkdir()
    if enrolment is not None:
        descriptor = os.open(content / ENROLMENT_FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as told:  # noqa: PTH123 - the descriptor carries the mode: it has a token
            told.write(enrolment)
    with file.open("wb") as made:
        made.truncate(size)
    words = ("mke2fs", "-q", "-F", "-L", "data", "-m", "1", "-U", str(guid), "-b", str(_BLOCK), "-I", "256")
    options = f"hash_seed={guid},lazy_itable_init=1,lazy_journal_init=0,nodiscard,root_owner=0:0"
    run([*words, "-O", FEATURES, "-E", options, "-d", content, file], environment={"MKE2FS_CONFIG": "/dev/null"})


def _roomy() -> Path:
    """Where a sparse file may be as large as a disk: not in memory."""
    return Path(os.environ.get("TMPDIR", "/var/tmp"))  # noqa: S108 - a folder of ours is made in it


@contextlib.contextmanager
def _opened(target: Target) -> Iterator[int]:
    """The target, opened for us alone if it is a disk; a file is there under its name only when it is whole."""
    if target.is_disk:
        try:
            descriptor = os.open(target.path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise ConflictError(
                    f"{target.path}: something has begun to use it", remedy="Unmount it: lsblk shows by whom."
                ) from error
            raise HostError(f"{target.path}: {error.strerror}", remedy="Writing to a disk needs root: sudo.") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        return
    with _explained(target), new_file(target.path) as descriptor:
        os.ftruncate(descriptor, target.sectors * SECTOR_BYTES)
        yield descriptor


@contextlib.contextmanager
def _explained(target: Target) -> Iterator[None]:
    """HostError with what is to be done for an OSError of the target."""
    remedy = "The medium is full or broken, or was pulled out: take another."
    if not target.is_disk:
        remedy = "Make room on its disk, or name a file on another one that you may write to."
    try:
        yield
    except OSError as error:
        raise HostError(f"{target.path}: {error.strerror}", remedy=remedy) from error
