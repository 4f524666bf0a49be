# SPDX-License-Identifier: Apache-2.0
"""A device and a delta that is damaged, cut short, hostile or of other artifacts: one clear error, never other bytes."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import replace

import pytest
import zstandard
from tests.fixtures.effort import effort
from tests.update.delta.pairs import SMALL, delta, digest, edited, reconstruct, text

from armillary.engines.delta.zstd import decompress
from armillary.errors import DeltaError
from armillary.update.delta.reconstruction import Reconstruction
from armillary.wire.update.delta import (
    HEADER_BYTES,
    MAX_SEGMENT_BYTES,
    DeltaHeader,
    Segment,
    SourceRange,
    encode_header,
    encode_segment,
)

SOURCE = text(1, 300_000)
TARGET = edited(SOURCE, 2, 12)
DELTA = delta(SOURCE, TARGET, SMALL)


def test_positive_control() -> None:
    assert reconstruct(SOURCE, DELTA, digest(TARGET)) == TARGET
    assert reconstruct(SOURCE, DELTA, digest(TARGET), block=7) == TARGET


def test_no_flipped_bit_makes_other_bytes() -> None:
    """Of every byte one bit, at random: the target, whole, or one DeltaError."""
    chance, refused = random.Random(3), 0  # noqa: S311 - repeatable on purpose
    for at in range(0, len(DELTA), effort(max(1, len(DELTA) // 300), 1)):
        damaged = bytearray(DELTA)
        damaged[at] ^= 1 << chance.randrange(8)
        try:
            made = reconstruct(SOURCE, bytes(damaged), digest(TARGET))
        except DeltaError:
            refused += 1
        else:
            assert made == TARGET, f"byte {at}"  # a window may have spare bytes
    assert refused > 100


def test_a_delta_that_ends_early_is_refused() -> None:
    for end in range(0, len(DELTA), 97):
        with pytest.raises(DeltaError, match="its end"):
            reconstruct(SOURCE, DELTA[:end], digest(TARGET))


def test_another_source_is_refused_by_name_or_by_the_digest() -> None:
    other = bytearray(SOURCE)
    other[150_000] ^= 1
    with pytest.raises(DeltaError, match="expected the source"):
        reconstruct(bytes(other), DELTA, digest(TARGET))
    header = encode_header(DeltaHeader(digest(bytes(other)), digest(TARGET), int.from_bytes(DELTA[86:90], "big")))
    with pytest.raises(DeltaError, match=f"SHA-256 {digest(TARGET).sha256.hex()}"):
        reconstruct(bytes(other), header + DELTA[HEADER_BYTES:], digest(TARGET))


def test_another_target_is_refused_before_anything_is_written() -> None:
    with pytest.raises(DeltaError, match="expected the target"):
        reconstruct(SOURCE, DELTA, replace(digest(TARGET), sha256=bytes(32)))
    with pytest.raises(DeltaError, match="expected the target"):
        reconstruct(SOURCE, DELTA, replace(digest(TARGET), size=len(TARGET) + 1))


def one_segment(segment: Segment, target: bytes, source: bytes = SOURCE) -> bytes:
    """A delta of one segment; the attacker is not held by what our encoder refuses."""
    return encode_header(DeltaHeader(digest(source), digest(target), 1)) + encode_segment(segment, len(source))


def test_a_delta_that_makes_other_bytes_is_refused() -> None:
    payload = zstandard.ZstdCompressor().compress(b"evil" * 250)
    with pytest.raises(DeltaError, match="expected an artifact with SHA-256"):
        reconstruct(SOURCE, one_segment(Segment(1000, (), payload), b"good" * 250), digest(b"good" * 250))


@pytest.mark.parametrize("declared", [True, False])
def test_a_bomb_takes_no_more_memory_than_its_segment_says(declared: bool) -> None:
    """A payload of a kilobyte that would make 256 MiB, and says so, or does not say how much it makes."""
    compressor = zstandard.ZstdCompressor(write_content_size=declared).compressobj(
        **({"size": 256 << 20} if declared else {})
    )
    payload = b"".join([compressor.compress(bytes(1 << 20)) for _ in range(256)]) + compressor.flush()
    assert len(payload) < 50_000
    bomb = one_segment(Segment(MAX_SEGMENT_BYTES, (), payload), bytes(MAX_SEGMENT_BYTES))
    tracemalloc.start()
    try:
        with pytest.raises(DeltaError, match=f"a frame of {MAX_SEGMENT_BYTES} bytes"):
            reconstruct(SOURCE, bomb, digest(bytes(MAX_SEGMENT_BYTES)))
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_SEGMENT_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("made", [b"", b"x" * 99, b"x" * 101])
def test_a_decompressor_that_makes_other_lengths_is_not_believed(made: bytes) -> None:
    """Ours makes none; a segment of another length would shift all that follows it before the digest is compared."""
    written = bytearray()
    reconstruction = Reconstruction(
        digest(SOURCE),
        digest(b"x" * 100),
        read=lambda offset, size: SOURCE[offset : offset + size],
        decompress=lambda _payload, _window, _size: made,
        write=written.extend,
    )
    with pytest.raises(DeltaError, match="a segment of 100 bytes"):
        reconstruction.feed(one_segment(Segment(100, (), b"frame"), b"x" * 100))
    assert not written


def test_a_frame_that_lies_about_its_length_is_refused() -> None:
    honest = zstandard.ZstdCompressor().compress(bytes(1000))
    parameters = zstandard.get_frame_parameters(honest)
    assert parameters.content_size == 1000
    for size in (999, 1001):
        with pytest.raises(DeltaError, match=f"a frame of {size} bytes"):
            reconstruct(SOURCE, one_segment(Segment(size, (), honest), bytes(size)), digest(bytes(size)))
    two = honest + honest
    with pytest.raises(DeltaError, match="unused data"):
        reconstruct(SOURCE, one_segment(Segment(1000, (), two), bytes(1000)), digest(bytes(1000)))


@pytest.mark.parametrize("payload", [b"no frame at all", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"])
def test_what_is_no_frame_is_refused(payload: bytes) -> None:
    with pytest.raises(DeltaError, match="delta payload"):
        reconstruct(SOURCE, one_segment(Segment(1000, (), payload), bytes(1000)), digest(bytes(1000)))


def test_a_frame_that_asks_for_another_dictionary_is_refused() -> None:
    dictionary = zstandard.train_dictionary(4096, [text(seed, 4000) for seed in range(50)])
    payload = zstandard.ZstdCompressor(dict_data=dictionary).compress(bytes(1000))
    window = (SourceRange(0, 5000),)
    with pytest.raises(DeltaError, match="no dictionary id"):
        reconstruct(SOURCE, one_segment(Segment(1000, window, payload), bytes(1000)), digest(bytes(1000)))


def test_a_window_that_begins_as_a_trained_dictionary_is_raw_content_all_the_same() -> None:
    """Else bytes of an old image would be taken for entropy tables."""
    source = zstandard.train_dictionary(8192, [text(seed, 4000) for seed in range(50)]).as_bytes()
    target = source[:3000] + b"new" + source[3000:]
    assert reconstruct(source, delta(source, target), digest(target)) == target


def test_a_source_that_ends_before_its_size_is_refused() -> None:
    """The flash gives fewer bytes than the record says."""
    made = Reconstruction(
        digest(SOURCE), digest(TARGET), read=lambda *_: b"", decompress=decompress, write=lambda _: None
    )
    with pytest.raises(DeltaError, match="one that ends before"):
        made.feed(DELTA)
