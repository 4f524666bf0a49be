# SPDX-License-Identifier: Apache-2.0
"""Deltas: any bytes make the target that was asked for or a DeltaError, whoever wrote them."""

from __future__ import annotations

from hashlib import sha256

from armillary.engines.delta.zstd import compress, decompress
from armillary.errors import DeltaError
from armillary.update.delta.making import Sizes, make_delta
from armillary.update.delta.reconstruction import Reconstruction
from armillary.wire.update.delta import ArtifactDigest

SOURCE = b"".join(sha256(bytes([number])).digest() for number in range(250)) * 4
TARGET = SOURCE[:9000] + b"new" * 50 + SOURCE[9500:30_000] + bytes(5000)


def artifact(data: bytes) -> ArtifactDigest:
    return ArtifactDigest(len(data), sha256(data).digest())


def seeds() -> list[bytes]:
    found = []
    for sizes in (Sizes(), Sizes(segment=8192, window=16_384, copy_blocks=1)):
        parts = make_delta(
            (artifact(SOURCE), memoryview(SOURCE)),
            (artifact(TARGET), memoryview(TARGET)),
            lambda data, window: compress(data, window, level=3),
            sizes=sizes,
        )
        found.append(b"".join(parts))
    return found


def fuzz(data: bytes) -> None:
    made = bytearray()
    reconstruction = Reconstruction(
        artifact(SOURCE),
        artifact(TARGET),
        read=lambda offset, size: SOURCE[offset : offset + size],
        decompress=decompress,
        write=made.extend,
    )
    try:
        for at in range(0, len(data), 100):
            reconstruction.feed(data[at : at + 100])
        reconstruction.finish()
    except DeltaError:
        return
    assert made == TARGET
