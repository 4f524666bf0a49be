# SPDX-License-Identifier: Apache-2.0
"""Pairs of artifacts, and deltas between them, for tests."""

from __future__ import annotations

import random
from hashlib import sha256

from armillary.engines.delta.zstd import compress, decompress
from armillary.update.delta.making import LARGEST, Sizes, make_delta
from armillary.update.delta.reconstruction import Reconstruction
from armillary.wire.update.delta import ArtifactDigest

SMALL = Sizes(segment=64 << 10, window=128 << 10, copy_blocks=8)


def digest(data: bytes) -> ArtifactDigest:
    return ArtifactDigest(len(data), sha256(data).digest())


def delta(source: bytes, target: bytes, sizes: Sizes = LARGEST, *, level: int = 3) -> bytes:
    parts = make_delta(
        (digest(source), memoryview(source)),
        (digest(target), memoryview(target)),
        lambda data, window: compress(data, window, level=level),
        sizes=sizes,
    )
    return b"".join(parts)


def reconstruct(source: bytes, data: bytes, target: ArtifactDigest, *, block: int = 1 << 16) -> bytes:
    """What a device makes of a delta; DeltaError."""
    made = bytearray()
    reconstruction = Reconstruction(
        digest(source),
        target,
        read=lambda offset, size: source[offset : offset + size],
        decompress=decompress,
        write=made.extend,
    )
    for at in range(0, len(data), block):
        reconstruction.feed(data[at : at + block])
    assert reconstruction.finish() == target
    return bytes(made)


def noise(seed: int, size: int) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - repeatable on purpose


def text(seed: int, size: int) -> bytes:
    """Bytes that compress, but not to nothing: words of a small language."""
    source = random.Random(seed)  # noqa: S311 - repeatable on purpose
    words = [source.randbytes(source.randint(2, 9)) for _ in range(300)]
    made = bytearray()
    while len(made) < size:
        made += source.choice(words)
    return bytes(made[:size])


def edited(data: bytes, seed: int, edits: int) -> bytes:
    """A version of ``data`` with bytes changed, added, removed and moved in a few places."""
    source, made = random.Random(seed), bytearray(data)  # noqa: S311 - repeatable on purpose
    for _ in range(edits):
        at, length = source.randrange(len(made) + 1), source.randint(1, 5000)
        match source.randrange(4):
            case 0:
                made[at : at + 8] = source.randbytes(8)
            case 1:
                made[at:at] = source.randbytes(length)
            case 2:
                del made[at : at + length]
            case _:
                block = made[at : at + length]
                del made[at : at + length]
                other = source.randrange(len(made) + 1)
                made[other:other] = block
    return bytes(made) or b"x"
