# SPDX-License-Identifier: Apache-2.0
"""Links to equipment: whatever bytes come, in whatever pieces, are frames or one LinkError, and little is held."""

from __future__ import annotations

from tests.wire.equipment.modbus_bank import MemoryBank

from armillary.wire.equipment import modbus
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.framed_serial import FrameDecoder, acknowledgement, encode_frame
from armillary.wire.equipment.modbus_framing import (
    MAX_RTU_FRAME_BYTES,
    MAX_TCP_FRAME_BYTES,
    RtuReply,
    RtuRequests,
    TcpFrames,
    rtu_frame,
    tcp_frame,
)
from armillary.wire.equipment.profile import Table
from armillary.wire.equipment.request import Frame

READ = modbus.read_request(Table.HOLDING, 0, 2)
MAX_PAYLOAD = 32
BANK = MemoryBank()


def seeds() -> list[bytes]:
    """The first byte chooses decoder and piece size; the rest is the stream."""
    good = bytes.fromhex("03 04 0001 0002")
    requests = [
        READ,
        modbus.write_coil_request(1, on=True),
        modbus.write_registers_request(1, b"abcd"),
        modbus.write_coils_request(1, [True] * 9),
        modbus.identification_request(3, 0),
    ]
    frame = Frame(1, 7, b"\x7e\x7d payload")
    streams = [
        b"".join(tcp_frame(number, 1, pdu) for number, pdu in enumerate((good, b"\x83\x02", *requests))),
        rtu_frame(2, good) + rtu_frame(1, good),
        # The last is of a function whose length nobody knows: silence ends it.
        b"".join(rtu_frame(1, pdu) for pdu in (*requests, b"\x41\x01\x02")),
        encode_frame(frame) + encode_frame(acknowledgement(frame, b"v")),
    ]
    heads = [bytes([kind | size << 2]) + stream for kind, stream in enumerate(streams) for size in (0, 6, 63)]
    return [*heads, bytes([2]) + rtu_frame(1, b"\x11")]  # A function that is not known: silence ends it


def fuzz(data: bytes) -> None:
    head, stream = (data[0], data[1:]) if data else (0, b"")
    step = (head >> 2) + 1
    pieces = [stream[start : start + step] for start in range(0, len(stream), step)]
    (_tcp, _reply, _requests, _framed)[head & 3](pieces)


def _tcp(pieces: list[bytes]) -> None:
    frames = TcpFrames()
    for piece in pieces:
        try:
            found = frames.feed(piece)
        except LinkError:
            return
        assert len(frames._rest) < MAX_TCP_FRAME_BYTES  # noqa: SLF001 - what is held is bounded
        for frame in found:
            assert len(tcp_frame(*frame)) <= MAX_TCP_FRAME_BYTES
            _served(frame.pdu)


def _served(request: bytes) -> None:
    """The server side answers any request with a reply or an exception, and a client tells which."""
    reply = modbus.answer(request, BANK)
    assert 2 <= len(reply) <= modbus.MAX_PDU_BYTES
    if reply[0] == request[0] | modbus.EXCEPTION_BIT:
        assert len(reply) == 2
    else:
        assert modbus.check_reply(request, reply) == reply


def _reply(pieces: list[bytes]) -> None:
    waiting = RtuReply(1, READ)
    for piece in pieces:
        try:
            found = waiting.feed(piece)
        except LinkError:
            return
        if found is not None:
            assert (len(found), found[:2]) == (6, b"\x03\x04")
            return


def _requests(pieces: list[bytes]) -> None:
    decoder = RtuRequests()
    for piece in pieces:
        for request in decoder.feed(piece):
            _served(request.pdu)
        assert len(decoder._rest) <= MAX_RTU_FRAME_BYTES + len(piece)  # noqa: SLF001
    for request in decoder.silence():
        _served(request.pdu)
    (after,) = decoder.feed(rtu_frame(9, READ))
    assert (after.unit, after.pdu) == (9, READ)


def _framed(pieces: list[bytes]) -> None:
    decoder = FrameDecoder(max_payload=MAX_PAYLOAD)
    for piece in pieces:
        for frame in decoder.feed(piece):
            assert FrameDecoder(max_payload=MAX_PAYLOAD).feed(encode_frame(frame)) == [frame]
        assert len(decoder._rest) <= 2 * (MAX_PAYLOAD + 5)  # noqa: SLF001
    last = Frame(1, 2, b"after")
    assert decoder.feed(b"\x7e" + encode_frame(last))[-1:] == [last]
