# SPDX-License-Identifier: Apache-2.0
"""Frames of a core's channel: whole ones come back, whatever they hold; what is none is an error and the stream goes on."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.device.core_channel import (
    FRAME_LIMIT_BYTES,
    Frame,
    FrameReader,
    Kind,
    encode,
    pack_letter,
    parse_letter,
    text_of,
)

SESSION = bytes(range(8))
FRAMES = st.builds(Frame, st.sampled_from(Kind), st.binary(max_size=64), st.binary(min_size=8, max_size=8))


@given(st.lists(FRAMES, max_size=5), st.integers(1, 9))
def test_frames_come_back_however_the_stream_is_cut(frames: list[Frame], step: int) -> None:
    stream, reader, found = b"".join(map(encode, frames)), FrameReader(sessions=True), []
    for place in range(0, len(stream), step):
        found += reader.feed(stream[place : place + step])
    assert found == frames


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_errors_and_the_next_frame_is_read(data: bytes) -> None:
    reader = FrameReader(sessions=True)
    reader.feed(data + b"\xc0")
    good = Frame(Kind.STILL, session=SESSION)
    assert reader.feed(encode(good)) == [good]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x99" + SESSION + b"\xc0", "expected a kind of frame, got 0x99"),
        (b"\x05\x00\xc0", "expected 9 to 4105 bytes, got 2"),
        (b"\x05\xdb\x00" + SESSION + b"\xc0", "expected an escape of SLIP, got 0xdb before 00"),
        (b"\x05" + SESSION + b"\xdb\xc0", "got 0xdb before the end"),
        (b"x" * (FRAME_LIMIT_BYTES + 1) + b"\xc0", "got 4106"),
    ],
)
def test_what_is_no_frame_is_an_error_that_says_why(data: bytes, said: str) -> None:
    (found,) = FrameReader(sessions=True).feed(data)
    assert isinstance(found, WireError)
    assert said in found.message


def test_a_frame_without_an_end_takes_no_memory() -> None:
    reader = FrameReader(sessions=True)
    found = [each for _ in range(100) for each in reader.feed(b"x" * 1000)]
    assert found
    assert all(isinstance(each, WireError) for each in found)


@pytest.mark.parametrize("body", [b"", bytes(16), bytes(16 + 1025)])
def test_a_letter_without_a_message_or_with_too_much_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match="1 to 1024 bytes"):
        parse_letter(body)


def test_a_letter_comes_back_and_a_text_is_printable() -> None:
    sender = UUID(int=5)
    assert parse_letter(pack_letter(sender, b"hello")) == (sender, b"hello")
    assert text_of(b"a\x1b[31m\xff\n" + b"x" * 2000) == "a?[31m\N{REPLACEMENT CHARACTER}?" + "x" * 1016
