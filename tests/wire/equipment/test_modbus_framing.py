# SPDX-License-Identifier: Apache-2.0
"""Modbus frames: headers of TCP, CRCs of serial lines, and how both are cut out of a stream."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.modbus import identification_request, read_request, write_registers_request
from armillary.wire.equipment.modbus_framing import (
    MAX_RTU_FRAME_BYTES,
    RtuReply,
    RtuRequests,
    TcpFrames,
    UnitPdu,
    crc16,
    rtu_frame,
    tcp_frame,
)
from armillary.wire.equipment.profile import Table

pdus = st.binary(min_size=1, max_size=253)
READ = read_request(Table.HOLDING, 0, 2)
REPLY = bytes.fromhex("03 04 0001 0002")


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]


def test_the_crc_is_the_published_one():
    assert crc16(b"123456789") == 0x4B37  # The check value of CRC-16/MODBUS
    assert rtu_frame(1, bytes.fromhex("03 0000 000A")) == bytes.fromhex("01 03 0000 000A C5CD")
    assert crc16(rtu_frame(17, REPLY)) == 0


def test_a_tcp_frame_is_the_one_of_the_specification():
    # Modbus Messaging on TCP/IP 1.0b §3.1.3: the header counts unit and PDU.
    assert tcp_frame(0x1501, 0xFF, bytes.fromhex("03 0004 0001")) == bytes.fromhex("1501 0000 0006 FF 03 0004 0001")


@settings(max_examples=examples(200))
@given(
    st.lists(st.builds(UnitPdu, st.integers(0, 65535), st.integers(0, 255), pdus), max_size=5), st.lists(st.integers(0))
)
def test_tcp_frames_survive_any_pieces(frames: list[UnitPdu], places: list[int]):
    decoder = TcpFrames()
    stream = b"".join(tcp_frame(*frame) for frame in frames)
    assert [each for piece in cut(stream, places) for each in decoder.feed(piece)] == frames
    assert not decoder.begun


@pytest.mark.parametrize("header", ["0001 0001 0006 01", "0001 0000 0001 01", "0001 0000 0000 01", "0001 0000 00FF 01"])
def test_no_header_ends_the_stream(header: str):
    with pytest.raises(LinkError) as caught:
        TcpFrames().feed(bytes.fromhex(header))
    assert caught.value.reason == "damaged"


@settings(max_examples=examples(200))
@given(st.lists(st.integers(0)), st.integers(1, 247), st.integers(0, 60000), st.integers(1, 125), st.data())
def test_a_serial_reply_is_found_in_any_pieces_behind_foreign_ones(
    places: list[int], unit: int, address: int, count: int, data: st.DataObject
):
    waiting = RtuReply(unit, read_request(Table.HOLDING, address, count))
    good = bytes([3, 2 * count]) + data.draw(st.binary(min_size=2 * count, max_size=2 * count))
    foreign = [
        rtu_frame(unit % 247 + 1, good),  # Another unit
        rtu_frame(unit, b"\x04" + good[1:]),  # Another function
        rtu_frame(unit, bytes([3, 2 * count + 2]) + good[2:] + b"ab"),  # Another length: late
        rtu_frame(unit, b"\x86\x02"),  # An exception of another function
        rtu_frame(unit, bytes.fromhex("2B 0E 01 81 00 00 01 00 01 41")),
    ][: data.draw(st.integers(0, 5))]
    if count == 125:
        foreign = []  # A longer one would not fit a frame
    found = [waiting.feed(piece) for piece in cut(b"".join(foreign) + rtu_frame(unit, good), places)]
    assert [each for each in found if each is not None] == [good]
    assert waiting.foreign == len(foreign)


def test_a_wrong_crc_is_damaged_and_says_what_came():
    frame = bytearray(rtu_frame(1, REPLY))
    frame[4] ^= 1
    with pytest.raises(LinkError, match="wrong CRC") as caught:
        RtuReply(1, READ).feed(bytes(frame))
    assert caught.value.reason == "damaged"


def test_the_line_that_echoes_is_named():
    with pytest.raises(LinkError, match="set echo"):
        RtuReply(1, READ).feed(rtu_frame(1, READ))


def test_an_exception_on_a_serial_line_is_a_refusal():
    with pytest.raises(LinkError) as caught:
        RtuReply(1, READ).feed(rtu_frame(1, b"\x83\x06"))
    assert (caught.value.reason, caught.value.refusal) == ("refused", 6)


def test_a_frame_that_announces_more_than_a_frame_can_have_is_damaged():
    with pytest.raises(LinkError):
        RtuReply(1, READ).feed(b"\x01\x03\xff" + bytes(10))
    with pytest.raises(LinkError):
        RtuReply(1, identification_request()).feed(b"\x01\x2b\x0e\x01\x81\x00\x00\xff" + bytes(300))


@settings(max_examples=examples(400))
@given(st.lists(st.binary(max_size=80), max_size=12))
def test_whatever_comes_a_serial_reply_is_right_or_a_link_error(pieces: list[bytes]):
    waiting = RtuReply(1, READ)
    held = 0
    for piece in pieces:
        try:
            found = waiting.feed(piece)
        except LinkError:
            break
        held += len(piece)
        assert found is None or (len(found) == 6 and found[:2] == REPLY[:2])
    assert waiting.longest == 9


requests = st.one_of(
    st.builds(read_request, st.sampled_from(list(Table)), st.integers(0, 60000), st.integers(1, 125)),
    st.integers(1, 123).flatmap(
        lambda count: st.builds(
            write_registers_request, st.integers(0, 60000), st.binary(min_size=2 * count, max_size=2 * count)
        )
    ),
    st.just(identification_request()),
)


@settings(max_examples=examples(200))
@given(st.lists(st.tuples(st.integers(1, 247), requests), max_size=4), st.lists(st.integers(0)))
def test_a_server_cuts_requests_out_of_any_pieces(sent: list[tuple[int, bytes]], places: list[int]):
    decoder = RtuRequests()
    stream = b"".join(rtu_frame(unit, pdu) for unit, pdu in sent)
    found = [each for piece in cut(stream, places) for each in decoder.feed(piece)]
    assert [(each.unit, each.pdu) for each in found] == sent
    assert decoder.damaged == 0


def test_a_server_hears_unknown_functions_at_the_silence_and_is_in_step_after_damage():
    decoder = RtuRequests()
    assert decoder.feed(rtu_frame(1, b"\x11")) == []
    assert decoder.silence() == [UnitPdu(0, 1, b"\x11")]
    assert decoder.feed(rtu_frame(1, READ)[:-1] + b"\0") == []
    assert decoder.damaged == 1
    assert decoder.feed(rtu_frame(1, READ)[:5]) == []
    assert decoder.silence() == []
    assert decoder.damaged == 2
    assert decoder.feed(rtu_frame(1, READ)) == [UnitPdu(0, 1, READ)]
    assert decoder.feed(b"\x01\x64" + bytes(MAX_RTU_FRAME_BYTES)) == []
    assert decoder.damaged == 3
    assert decoder.feed(rtu_frame(1, READ)) == [UnitPdu(0, 1, READ)]


@settings(max_examples=examples(200))
@given(st.lists(st.binary(max_size=100), max_size=8))
def test_a_server_is_in_step_after_silence_whatever_came(pieces: list[bytes]):
    decoder = RtuRequests()
    for piece in pieces:
        decoder.feed(piece)
    decoder.silence()
    assert decoder.feed(rtu_frame(9, READ)) == [UnitPdu(0, 9, READ)]
