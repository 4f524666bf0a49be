# SPDX-License-Identifier: Apache-2.0
"""Writes an image to a target and reads back what was written; a disk has a partition table when all else is right."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from armillary.device_image.disk import DATA, ENROLMENT_FILE, FEATURES
from armillary.device_image.flashing.image_disk import PIECE_BYTES, ImageDisk, Piece
from armillary.device_image.flashing.medium import Medium, explained
from armillary.device_image.flashing.unfinished import work_folder
from armillary.device_image.tools import run
from armillary.errors import HostError
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_fitting import TABLE_BYTES, fitted
from armillary.wire.disk.gpt_writing import Layout, encode_tables

_BLOCK: Final = 4096
_BLKFLSBUF: Final = 0x1261  # linux/fs.h: forget what is kept in memory of a block device
_BLKRRPART: Final = 0x125F  # linux/fs.h: read the partition table again

# Told of every step that is done.
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Written:
    """So many bytes at a place of the disk, and what they have to be when they are read back (SHA-256)."""

    at: int
    size: int
    digest: bytes


def write(
    image: ImageDisk,
    medium: Medium,
    *,
    guids: Callable[[], UUID],
    progress: Progress = lambda _: None,
    loader: Piece | None = None,
    enrolment: bytes | None = None,
) -> Layout:
    """Write the disk of an image and verify what was written; returns the layout that the medium has.

    ``guids`` gives a new GUID at each call; ``loader`` stands between table and first partition, where a processor
    looks for it; ``enrolment`` is a file of the data partition that the first start reads. Both partition tables, at
    the beginning and at the end, are erased first and written when all else was read back: a disk that is not as the
    image that was built has none.

    Raises:
        ConflictError: another disk is there than was looked at; nothing was written.
        HostError: the medium cannot be written, or gives back something else.
        InvalidArgumentError: the image's disk is not the file that was built.
    """
    target, layout = medium.target, image.layout
    made = fitted(layout, sectors=target.sectors, guids=[guids() for _ in range(len(layout.partitions) + 1)])
    begin, end = encode_tables(made)
    tables = [Piece(0, begin), Piece(target.sectors * SECTOR_BYTES - len(end), end)]
    erased = [Piece(table.at, bytes(table.size)) for table in tables]
    data = made.partition(DATA)
    first = data.first_lba * SECTOR_BYTES
    with work_folder(_roomy()) as folder:
        files = folder / "data"
        _file_system(files, data.sectors * SECTOR_BYTES, guids(), enrolment)
        medium.refuse_another()
        with explained(target), contextlib.ExitStack() as unless_whole:
            unless_whole.callback(_erase, medium.descriptor, erased)
            written = _write(medium.descriptor, erased)
            written += _write(medium.descriptor, _of_image(image, first, loader, whole=target.is_disk))
            written += _write(medium.descriptor, _extents(files, first))
            progress(f"written: {sum(each.size for each in written) / 1e6:,.0f} MB")
            _verify(medium, written)
            _verify(medium, _write(medium.descriptor, tables))
            unless_whole.pop_all()
        progress("read back: it is what was written")
        if target.is_disk:
            with contextlib.suppress(OSError):  # the kernel's view of the new partitions; the next plug-in gives it
                fcntl.ioctl(medium.descriptor, _BLKRRPART)
    return made


def _of_image(image: ImageDisk, end: int, loader: Piece | None, *, whole: bool) -> Iterator[Piece]:
    """What stands in an image behind the table and before the data, with a loader in its place.

    ``whole`` has zeros written, too, where a used disk has something else. The rest of the image is read as well: only
    all of it tells whether it is the one that was built.
    """
    for piece in image.pieces():
        begin = max(piece.at, TABLE_BYTES)
        content = piece.content[begin - piece.at : max(0, end - piece.at)]
        if loader is not None:
            content = _with(loader, begin, content)
        if content and (whole or content != bytes(len(content))):
            yield Piece(begin, content)


def _with(loader: Piece, at: int, content: bytes) -> bytes:
    """What stands at a place of the disk, with as much of the loader as belongs there."""
    begin, end = max(at, loader.at), min(at + len(content), loader.at + loader.size)
    if begin >= end:
        return content
    return content[: begin - at] + loader.content[begin - loader.at : end - loader.at] + content[end - at :]


def _write(descriptor: int, pieces: Iterable[Piece]) -> list[_Written]:
    """Write pieces; they are on the medium when it returns."""
    written = []
    for piece in pieces:
        _write_all(descriptor, piece)
        written.append(_Written(piece.at, piece.size, hashlib.sha256(piece.content).digest()))
    os.fsync(descriptor)
    return written


def _write_all(descriptor: int, piece: Piece) -> None:
    view, at = memoryview(piece.content), piece.at
    while view:
        done = os.pwrite(descriptor, view, at)
        view, at = view[done:], at + done


def _erase(descriptor: int, tables: list[Piece]) -> None:
    """Leave no partition table on a disk that failed, as far as it lets us."""
    with contextlib.suppress(OSError):
        _write(descriptor, tables)


def _verify(medium: Medium, written: list[_Written]) -> None:
    """Read everything again, from the medium as far as the kernel lets us; HostError if something differs."""
    os.posix_fadvise(medium.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    if medium.target.is_disk:
        with contextlib.suppress(OSError):
            fcntl.ioctl(medium.descriptor, _BLKFLSBUF)
    for each in written:
        if hashlib.sha256(os.pread(medium.descriptor, each.size, each.at)).digest() != each.digest:
            raise HostError(
                f"{medium.target.path}: expected what was written at byte {each.at:,}, read something else",
                remedy="The medium is broken, or smaller than it says: take another.",
            )


def _extents(file: Path, at: int) -> Iterator[Piece]:
    """What a sparse file has, for the disk from ``at`` on."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        place, end = 0, os.fstat(descriptor).st_size
        while place < end:
            try:
                place = os.lseek(descriptor, place, os.SEEK_DATA)
                hole = os.lseek(descriptor, place, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                    return
                raise
            while place < hole:
                content = os.pread(descriptor, min(PIECE_BYTES, hole - place), place)
                yield Piece(at + place, content)
                place += len(content)
    finally:
        os.close(descriptor)


def _file_system(file: Path, size: int, guid: UUID, enrolment: bytes | None) -> None:
    """A new file system for the data, in a sparse file; the device makes its tables whole at its first start."""
    content = file.with_name("content")
    try:
        content.mkdir()
        if enrolment is not None:
            descriptor = os.open(content / ENROLMENT_FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as told:  # noqa: PTH123 - the descriptor carries the mode: it has a token
                told.write(enrolment)
        with file.open("wb") as made:
            made.truncate(size)
    except OSError as error:
        raise HostError(
            f"{file.parent.parent}: expected room for the file system of the data, a sparse file of {size:,} bytes: "
            f"{error.strerror}",
            remedy="Name another folder for temporary files, on a disk whose files may be so large: TMPDIR=DIR.",
        ) from error
    words = ("mke2fs", "-q", "-F", "-L", "data", "-m", "1", "-U", str(guid), "-b", str(_BLOCK), "-I", "256")
    options = f"hash_seed={guid},lazy_itable_init=1,lazy_journal_init=0,nodiscard,root_owner=0:0"
    run([*words, "-O", FEATURES, "-E", options, "-d", content, file], environment={"MKE2FS_CONFIG": "/dev/null"})


def _roomy() -> Path:
    """Where a sparse file may be as large as a disk: not in memory."""
    return Path(os.environ.get("TMPDIR", "/var/tmp"))  # noqa: S108 - a folder of ours is made in it
