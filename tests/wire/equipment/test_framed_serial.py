# SPDX-License-Identifier: Apache-2.0
"""Frames of serial lines: the published checksum, transparency, damage that is dropped and counted."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.errors import WireError
from armillary.wire.equipment.framed_serial import (
    ACKNOWLEDGED,
    REFUSED,
    FrameDecoder,
    acknowledgement,
    check_specials,
    encode_frame,
    refusal,
)
from armillary.wire.equipment.request import Frame

frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=32))
# Bytes that are special, or look so, more often than chance has them.
awkward = st.lists(st.sampled_from([0x7E, 0x7D, 0x5E, 0x5D, 0x00]), max_size=32).map(bytes)
SAMPLE = Frame(1, 7, b"\x7e\x7d\x20")


def decoder() -> FrameDecoder:
    return FrameDecoder(max_payload=32)


def checksum(data: bytes) -> int:
    """CRC-16/IBM-3740, bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def test_a_frame_as_it_is_on_the_line():
    assert checksum(b"123456789") == 0x29B1  # The published check value
    head = bytes.fromhex("00 32 33")
    assert encode_frame(Frame(0x32, 0x33, b"")) == b"\x7e" + head + checksum(head).to_bytes(2) + b"\x7e"
    body = bytes.fromhex("03 01 07") + SAMPLE.payload
    ending = checksum(body).to_bytes(2) + b"\x7e"
    assert encode_frame(SAMPLE) == bytes.fromhex("7e 03 01 07 7d5e 7d5d 20") + ending


@settings(max_examples=examples(300))
@given(st.lists(frames | st.builds(Frame, st.just(0x7D), st.just(0x7E), awkward), max_size=5), st.lists(st.integers(0)))
def test_frames_survive_any_pieces(sent: list[Frame], places: list[int]):
    stream = b"".join(map(encode_frame, sent))
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    reading = decoder()
    found = [each for begin, end in pairwise(edges) for each in reading.feed(stream[begin:end])]
    assert found == sent
    assert reading.damaged == 0


@given(st.lists(frames, min_size=1, max_size=4))
def test_one_flag_between_two_frames_is_enough(sent: list[Frame]):
    stream = b"\x7e" + b"".join(encode_frame(each)[1:] for each in sent)
    assert decoder().feed(stream) == sent


@settings(max_examples=examples(300))
@given(frames, st.data())
def test_no_frame_with_a_changed_bit_is_taken_for_the_frame(sent: Frame, data: st.DataObject):
    stream = bytearray(encode_frame(sent))
    place = data.draw(st.integers(0, len(stream) - 1))
    stream[place] ^= 1 << data.draw(st.integers(0, 7))
    reading = decoder()
    assert sent not in reading.feed(bytes(stream)) or place in (0, len(stream) - 1)
    # In step again at the next flag.
    assert reading.feed(b"\x7e" + encode_frame(SAMPLE))[-1:] == [SAMPLE]


@settings(max_examples=examples(300))
@given(st.lists(st.binary(max_size=60), max_size=10))
def test_whatever_comes_little_is_held_and_the_next_frame_is_read(pieces: list[bytes]):
    reading = decoder()
    for piece in pieces:
        reading.feed(piece)
        assert len(reading._rest) <= 2 * (32 + 5)
    assert reading.feed(b"\x7e" + encode_frame(SAMPLE))[-1:] == [SAMPLE]


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (encode_frame(Frame(1, 1, bytes(33))), "longer than the link's frames"),
        (b"\x7e\x01\x32\x33" + checksum(b"\x01\x32\x33").to_bytes(2) + b"\x7e", "a length that lies"),
        (bytes.fromhex("7e 00 32 33 a95c 7e"), "a wrong checksum"),
        (bytes.fromhex("7e 00 32 33 7d 7e"), "given up by its sender"),
        (b"\x7e" + bytes(80), "no flag for too long"),
        (b"\x7e\x01\x7e", "too short"),
    ],
)
def test_what_is_damaged_is_counted(stream: bytes, why: str):
    reading = decoder()
    assert reading.feed(stream) == []
    assert reading.damaged == 1, why


def test_what_comes_before_the_first_flag_is_neither_a_frame_nor_damage():
    reading = decoder()
    assert reading.feed(b"the end of an earlier one" + encode_frame(SAMPLE)) == [SAMPLE]
    assert reading.damaged == 0


def test_answers_have_the_number_of_what_they_answer():
    assert acknowledgement(SAMPLE, b"v") == Frame(ACKNOWLEDGED, 7, b"v")
    assert refusal(SAMPLE, 3) == Frame(REFUSED, 7, b"\x03")


@pytest.mark.parametrize("frame", [Frame(256, 0, b""), Frame(0, -1, b""), Frame(0, 0, bytes(256))])
def test_no_frame_is_written_that_is_none(frame: Frame):
    with pytest.raises(WireError):
        encode_frame(frame)


@pytest.mark.parametrize(("flag", "escape"), [(1, 1), (0x5D, 0x7D), (256, 1), (1, -1)])
def test_flags_and_escapes_that_cannot_be_told_apart_are_refused(flag: int, escape: int):
    with pytest.raises(WireError):
        check_specials(flag, escape)


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=32))
def test_any_other_flag_and_escape_work(flag: int, escape: int, payload: bytes):
    try:
        check_specials(flag, escape)
    except WireError:
        return
    sent = Frame(escape, flag, payload)
    stream = encode_frame(sent, flag=flag, escape=escape)
    assert FrameDecoder(max_payload=32, flag=flag, escape=escape).feed(stream) == [sent]
