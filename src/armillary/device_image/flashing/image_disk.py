# SPDX-License-Identifier: Apache-2.0
"""The disk of a built image (``disk.img``), open from the first look at it until it is written.

A build may end meanwhile, or somebody may change the file. What is read stays the file that was opened, and whoever
reads all of it is told whether it was the one that was built: a look beforehand says nothing of a change behind it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.device_image.architecture.description import Description, not_as_built, not_readable, stated_digest
from armillary.device_image.disk import DATA
from armillary.errors import InvalidArgumentError, WireError
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_fitting import TABLE_BYTES, read_layout
from armillary.wire.disk.gpt_writing import Layout

FILE: Final = "disk.img"
# What is in memory of a disk at a time.
PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes, and where on the disk they go."""

    at: int
    content: bytes

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.content)


@dataclass(frozen=True, slots=True)
class ImageDisk:
    """An image's disk that is open: its layout, and the SHA-256 (hex) that was built."""

    path: Path
    descriptor: int
    layout: Layout
    sha256: str
    description: Description

    def pieces(self) -> Iterator[Piece]:
        """All of it, a mebibyte at a time. Nothing of it is verified before the last piece was taken.

        Raises:
            InvalidArgumentError: it cannot be read, or, after the last piece: it is not the file that was built.
        """
        digest, at = hashlib.sha256(), 0
        while content := self._read(at):
            digest.update(content)
            yield Piece(at, content)
            at += len(content)
        if digest.hexdigest() != self.sha256:
            raise not_as_built(self.path, self.sha256, digest.hexdigest(), self.description)

    def verify(self) -> None:
        """Read all of it; InvalidArgumentError if it is not the file that was built."""
        for _ in self.pieces():
            pass

    def _read(self, at: int) -> bytes:
        try:
            return os.pread(self.descriptor, PIECE_BYTES, at)
        except OSError as error:
            raise not_readable(self.path, error, self.description) from error


@contextlib.contextmanager
def image_disk(image: Path, description: Description) -> Iterator[ImageDisk]:
    """The disk of the image in a folder, open.

    Raises:
        InvalidArgumentError: it has no disk with a data partition at its end, or its description says nothing of it.
    """
    file = image / FILE
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _no_disk(file, error) from error
    try:
        layout = _layout(file, descriptor)
        yield ImageDisk(file, descriptor, layout, stated_digest(image, FILE, description), description)
    finally:
        os.close(descriptor)


def _layout(file: Path, descriptor: int) -> Layout:
    """What the partition table of an image's disk says, if all of it is there."""
    try:
        sectors = os.fstat(descriptor).st_size // SECTOR_BYTES
        layout = read_layout(os.pread(descriptor, TABLE_BYTES, 0), sectors=sectors)
    except (OSError, WireError) as error:
        raise _no_disk(file, error) from error
    last = layout.partitions[-1]
    if last.name != DATA:
        raise InvalidArgumentError(
            f"{file}: expected {DATA} as the last partition, got {last.name}",
            remedy="Build it again: armillary image build.",
        )
    end = last.first_lba + last.sectors
    if layout.sectors < end:
        raise InvalidArgumentError(
            f"{file}: expected at least {end * SECTOR_BYTES:,} bytes, as its partition table says, "
            f"got {layout.sectors * SECTOR_BYTES:,}",
            remedy="It was copied in part: copy it again, or build it.",
        )
    return layout


def _no_disk(file: Path, error: OSError | WireError) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{file}: expected the disk of a device image: {error}", remedy="Build it first: armillary image build."
    )
