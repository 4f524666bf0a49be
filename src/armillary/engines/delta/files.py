# SPDX-License-Identifier: Apache-2.0
"""Deltas between files: made from two mapped files, and applied in bounded memory."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from armillary.engines.delta.zstd import LEVEL, compress, decompress
from armillary.errors import DeltaError
from armillary.update.delta.making import LARGEST, Sizes, make_delta
from armillary.update.delta.reconstruction import Reconstruction
from armillary.wire.update.delta import ArtifactDigest

# Read of a delta at a time, bytes: little beside a segment.
READ_BYTES: Final = 64 << 10


def digest_of(path: Path) -> ArtifactDigest:
    """Size and SHA-256 of a file; OSError if it cannot be read."""
    digest, size = sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return ArtifactDigest(size, digest.digest())


def write_delta(
    source: tuple[ArtifactDigest, Path],
    target: tuple[ArtifactDigest, Path],
    write: Callable[[bytes], object],
    *,
    level: int = LEVEL,
    sizes: Sizes = LARGEST,
) -> None:
    """Make the delta between two files and ``write`` its parts in order.

    Raises:
        DeltaError: a file is empty, too large for a delta, or not of its size.
        OSError: a file cannot be read.
    """
    with _mapped(source[1]) as old, _mapped(target[1]) as new:
        for part in make_delta((source[0], old), (target[0], new), partial(compress, level=level), sizes=sizes):
            write(part)


def apply_delta(
    source: tuple[ArtifactDigest, BinaryIO],
    target: ArtifactDigest,
    delta: BinaryIO,
    write: Callable[[bytes | bytearray], object],
) -> None:
    """Make ``target`` out of the file ``source`` and a delta, and ``write`` its parts in order.

    DeltaError, with which everything that was written is to be thrown away, unless the result has the digest of
    ``target``. Memory is one window, its copy and one segment, however large the files are.
    """
    file = source[1]

    def read(offset: int, size: int) -> bytes:
        file.seek(offset)
        return file.read(size)

    made = Reconstruction(source[0], target, read=read, decompress=decompress, write=write)
    while block := delta.read(READ_BYTES):
        made.feed(block)
    made.finish()


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    """The bytes of a file, read as they are used."""
    with path.open("rb") as file:
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file cannot be mapped
            raise DeltaError("delta", expected="artifacts of 1 byte and more", got="0") from error
        with mapped, memoryview(mapped) as view:
            yield view
