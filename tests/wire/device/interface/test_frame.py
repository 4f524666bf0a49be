# SPDX-License-Identifier: Apache-2.0
"""Frames of the application interface: what is written is read again, however it arrives; nothing else is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.device.interface.frame import DEPTH_LIMIT, FRAME_LIMIT_BYTES, FrameReader, encode_frame

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)


def read(data: bytes, step: int) -> list[object]:
    reader, found = FrameReader(), []
    for start in range(0, len(data), step):
        found += reader.feed(data[start : start + step])
    return found


@given(st.lists(OBJECTS, max_size=4), st.integers(1, 40))
def test_what_is_written_is_read_again_however_it_is_cut(messages: list[dict[str, object]], step: int) -> None:
    assert read(b"".join(map(encode_frame, messages)), step) == messages


@given(st.binary(max_size=200))
def test_any_bytes_are_objects_or_one_error(data: bytes) -> None:
    try:
        found = list(FrameReader().feed(data))
    except WireError:
        return
    assert all(isinstance(each, dict) for each in found)


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0",
        b"\0\0\0\x01{",
        (FRAME_LIMIT_BYTES + 1).to_bytes(4, "big"),
        b"\xff\xff\xff\xff{}",
        b"GET / HTTP/1.1\r\n\r\n",
        framed(b"[]"),
        framed(b'"x"'),
        framed(b"{} {}"),
        framed(b'{"a": NaN}'),
        framed(b'{"a": -Infinity}'),
        framed(b'{"a": ' + b"9" * 5000 + b"}"),
        framed(b'{"a": "\xff"}'),
        framed(b"[" * 30_000 + b"]" * 30_000),
        framed(b'{"a": ' + b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT + b"}"),
    ],
)
def test_hostile_frames_are_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="frame"):
        list(FrameReader().feed(data))


def test_the_deepest_that_is_read() -> None:
    body = b'{"a":' + b"[" * (DEPTH_LIMIT - 1) + b"]" * (DEPTH_LIMIT - 1) + b"}"
    assert list(FrameReader().feed(framed(body))) == [json.loads(body)]


def test_the_largest_frame_and_one_byte_more() -> None:
    largest = {"a": "x" * (FRAME_LIMIT_BYTES - len('{"a":""}'))}
    assert list(FrameReader().feed(encode_frame(largest))) == [largest]
    with pytest.raises(WireError, match=f"at most {FRAME_LIMIT_BYTES} bytes"):
        encode_frame({"a": largest["a"] + "x"})


def test_a_lone_surrogate_is_written_as_its_escape() -> None:
    assert list(FrameReader().feed(encode_frame({"a": "\ud800"}))) == [{"a": "\ud800"}]
