# SPDX-License-Identifier: Apache-2.0
"""The format of deltas: what is written is read, in pieces of any size; every limit is one clear error."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.errors import DeltaError
from armillary.wire.update.delta import (
    HEADER_BYTES,
    MAX_ARTIFACT_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_RANGES,
    MAX_SEGMENT_BYTES,
    MAX_WINDOW_BYTES,
    ArtifactDigest,
    DeltaHeader,
    DeltaParser,
    Segment,
    SourceRange,
    encode_header,
    encode_segment,
    parse_header,
)

SOURCE = ArtifactDigest(100_000, b"s" * 32)
MEBIBYTE = 1 << 20


def delta_of(segments: list[Segment], source: ArtifactDigest = SOURCE) -> bytes:
    target = ArtifactDigest(sum(segment.size for segment in segments), b"t" * 32)
    header = encode_header(DeltaHeader(source, target, len(segments)))
    return header + b"".join(encode_segment(segment, source.size) for segment in segments)


def parsed(data: bytes, block: int = 1 << 16) -> list[Segment]:
    parser, found = DeltaParser(), []
    for at in range(0, len(data), block):
        found += parser.feed(data[at : at + block])
    parser.finish()
    return found


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    offset = st.integers(0, SOURCE.size - 5000)
    window = []
    for _ in range(draw(st.integers(0, 3))):
        first = draw(offset)
        window.append(SourceRange(first, draw(st.integers(4096, 5000))))
    total = sum(one.size for one in window)
    if total and draw(st.booleans()):
        return Segment(total, tuple(window), b"")
    return Segment(draw(st.integers(4096, 20_000)), tuple(window), draw(st.binary(min_size=1, max_size=50)))


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(segments(), min_size=1, max_size=4), st.integers(1, 300))
def test_what_is_written_is_read_in_pieces_of_any_size(made: list[Segment], block: int) -> None:
    assert parsed(delta_of(made), block) == made


def test_every_cut_and_every_byte_more_is_refused() -> None:
    data = delta_of([Segment(10, (SourceRange(5, 10),), b""), Segment(5000, (), b"payload")])
    assert len(parsed(data)) == 2
    for end in range(len(data)):
        with pytest.raises(DeltaError, match=r"its end|header"):
            parsed(data[:end])
    with pytest.raises(DeltaError, match="end after the last segment, got 1 bytes more"):
        parsed(data + b"x")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (DeltaHeader(replace(SOURCE, size=0), SOURCE, 1), "sizes of 1 to"),
        (DeltaHeader(replace(SOURCE, size=MAX_ARTIFACT_BYTES + 1), SOURCE, 1), "sizes of 1 to"),
        (DeltaHeader(SOURCE, replace(SOURCE, size=0), 1), "sizes of 1 to"),
        (DeltaHeader(SOURCE, replace(SOURCE, size=MAX_ARTIFACT_BYTES + 1), 1025), "sizes of 1 to"),
        (DeltaHeader(SOURCE, SOURCE, 0), "1 to 25 segments for 100000 bytes, got 0"),
        (DeltaHeader(SOURCE, SOURCE, 26), "1 to 25 segments for 100000 bytes, got 26"),
        (DeltaHeader(SOURCE, replace(SOURCE, size=9 * MEBIBYTE), 2), "3 to 2307 segments"),
    ],
)
def test_headers_out_of_their_limits_are_refused(header: DeltaHeader, message: str) -> None:
    with pytest.raises(DeltaError, match=message):
        encode_header(header)


@pytest.mark.parametrize("at", [0, 5])
def test_another_format_or_version_is_refused(at: int) -> None:
    data = bytearray(encode_header(DeltaHeader(SOURCE, SOURCE, 1)))
    data[at] ^= 1
    with pytest.raises(DeltaError, match="ADLT version 1"):
        parse_header(bytes(data))


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (Segment(0, (), b"x"), "a segment of 1 to"),
        (Segment(MAX_SEGMENT_BYTES + 1, (), b"x"), "a segment of 1 to"),
        (Segment(10, (), bytes(MAX_PAYLOAD_BYTES + 1)), "a payload of at most"),
        (Segment(10, (SourceRange(0, 1),) * (MAX_RANGES + 1), b"x"), "at most 512 ranges"),
        (Segment(10, (SourceRange(0, 0),), b"x"), "ranges within the source"),
        (Segment(10, (SourceRange(SOURCE.size, 1),), b"x"), "ranges within the source"),
        (Segment(10, (SourceRange(SOURCE.size - 5, 6),), b"x"), "ranges within the source"),
        (Segment(10, (SourceRange(0, 9),), b""), "a window of the 10 bytes to copy, got 9"),
        (Segment(10, (), b""), "a window of the 10 bytes to copy, got 0"),
    ],
)
def test_segments_out_of_their_limits_are_refused(segment: Segment, message: str) -> None:
    with pytest.raises(DeltaError, match=message):
        encode_segment(segment, SOURCE.size)


def test_a_window_larger_than_a_device_holds_is_refused() -> None:
    source = ArtifactDigest(64 * MEBIBYTE, b"s" * 32)
    half = SourceRange(0, MAX_WINDOW_BYTES // 2)
    assert encode_segment(Segment(10, (half, half), b"x"), source.size)
    with pytest.raises(DeltaError, match=f"a window of at most {MAX_WINDOW_BYTES} bytes"):
        encode_segment(Segment(10, (half, half, SourceRange(0, 1)), b"x"), source.size)


def test_short_segments_with_large_windows_are_refused_in_all() -> None:
    """Else a delta of a few kilobytes would have a device read its flash for hours."""
    source = ArtifactDigest(8 * MEBIBYTE, b"s" * 32)
    whole = (SourceRange(0, source.size),)
    data = delta_of([Segment(MEBIBYTE, whole, b"x")] * 8, source)
    assert len(parsed(data)) == 8, "8 times the target in all"
    data = delta_of([Segment(MEBIBYTE // 2, whole, b"x")] * 16, source)
    with pytest.raises(DeltaError, match="windows of 8 times the target's size and one more in all"):
        parsed(data)


@pytest.mark.parametrize("sizes", [(5000, 4999), (5000, 5001), (5001, 5000, 4999), (10_000, 1)])
def test_lengths_that_do_not_add_up_are_refused(sizes: tuple[int, ...]) -> None:
    header = encode_header(DeltaHeader(SOURCE, ArtifactDigest(10_000, b"t" * 32), 2))
    data = header + b"".join(encode_segment(Segment(size, (), b"x"), SOURCE.size) for size in sizes)
    with pytest.raises(DeltaError, match="segments of"):
        parsed(data)


def test_a_length_that_lies_takes_no_memory() -> None:
    """What is announced and never comes is not waited for with memory, and what is too long is refused at once."""
    parser = DeltaParser()
    parser.feed(encode_header(DeltaHeader(SOURCE, SOURCE, 1)))
    with pytest.raises(DeltaError, match="a payload of at most"):
        parser.feed(struct.pack(">IIH", SOURCE.size, 0xFFFFFFFF, 0))
    assert HEADER_BYTES == 90
