# SPDX-License-Identifier: Apache-2.0
"""Frames that carry Modbus PDUs: over TCP with the MBAP header, over serial lines (RTU) with a CRC.

Sources: Modbus Messaging on TCP/IP 1.0b §3.1.3::

    2  transaction identifier: the reply has the request's
    2  protocol identifier, 0
    2  length: unit and PDU, 2 to 254
    1  unit identifier
    n  PDU

Modbus over Serial Line 1.02 §2.5.1 (``unit PDU CRC``, the CRC low byte first, §6.2.2)::

    1  unit address, 1 to 247
    n  PDU
    2  CRC-16 of all before: polynomial 0xA001 reflected, start 0xFFFF

Frames of RTU are told apart by silence. A kernel does not hand silences of 2 ms on, so frames are cut here by the
lengths that their functions have, checked by the CRC, and silence only ends what could not be cut.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.modbus import EXCEPTION_BIT, MAX_PDU_BYTES, WRITES, Function, check_reply, reply_length

_HEAD: Final = struct.Struct(">HHHB")
MAX_TCP_FRAME_BYTES: Final = 6 + 1 + MAX_PDU_BYTES
MAX_RTU_FRAME_BYTES: Final = 1 + MAX_PDU_BYTES + 2
# The shortest frame: unit, an exception's two bytes, CRC.
_SHORTEST_RTU: Final = 5


class UnitPdu(NamedTuple):
    """A PDU and where it goes to or comes from."""

    transaction: int  # 0 on serial lines, which have none
    unit: int
    pdu: bytes


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """A frame for TCP; ``transaction`` 0 to 65535."""
    return _HEAD.pack(transaction, 0, len(pdu) + 1, unit) + pdu


class TcpFrames:
    """Cuts what comes over one TCP connection into frames."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def begun(self) -> bool:
        """Whether a part of a frame is here."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[UnitPdu]:
        """Take bytes; return the frames that are whole now.

        Raises:
            LinkError: ``damaged``: what came is no header, so that nothing behind it can be cut; disconnect.
        """
        rest = self._rest + data if self._rest else data
        frames: list[UnitPdu] = []
        place, size = 0, len(rest)
        while size - place >= _HEAD.size:
            transaction, protocol, length, unit = _HEAD.unpack_from(rest, place)
            if protocol or not 2 <= length <= MAX_PDU_BYTES + 1:
                self._rest = b""
                raise LinkError("damaged", f"no Modbus header: protocol {protocol}, length {length}")
            if size - place < 6 + length:
                break
            frames.append(UnitPdu(transaction, unit, rest[place + 7 : place + 6 + length]))
            place += 6 + length
        self._rest = rest[place:]
        return frames


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC_TABLE: Final = _crc_table()


def crc16(data: bytes) -> int:
    """The CRC of serial frames; over a whole frame with its CRC it is 0."""
    crc, table = 0xFFFF, _CRC_TABLE
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """A frame for a serial line."""
    body = bytes([unit]) + pdu
    return body + crc16(body).to_bytes(2, "little")


def _length_of_reply(start: bytes) -> int:
    """Bytes of the RTU frame of a reply that begins so; 0: not known yet, -1: never, its function is none of ours."""
    function = start[1]
    if function & EXCEPTION_BIT:
        return 5
    if function <= Function.READ_INPUT_REGISTERS:
        return 5 + start[2] if len(start) > 2 else 0
    if function in WRITES:
        return 8
    if function == Function.READ_IDENTIFICATION:
        return _length_of_identification(start)
    return -1


def _length_of_identification(start: bytes) -> int:
    if len(start) < 8:
        return 0
    place = 8
    for _ in range(start[7]):
        if place + 1 >= len(start):
            return 0
        place += 2 + start[place + 1]
    return place + 2


class RtuReply:
    """Waits in what comes over a serial line for the reply to one request."""

    def __init__(self, unit: int, request: bytes) -> None:
        self.foreign = 0  # Frames that were whole, and replies to something else
        self._unit, self._request = unit, request
        self._rest = b""

    @property
    def begun(self) -> bool:
        """Whether a part of a frame is here."""
        return bool(self._rest)

    @property
    def longest(self) -> int:
        """Bytes that the reply's frame may have."""
        return 3 + (reply_length(self._request) or MAX_PDU_BYTES)

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; return the PDU of the reply when it is whole, None before.

        Raises:
            LinkError: ``damaged``: what came can be cut no more; wait for silence. ``refused``: by the equipment.
        """
        self._rest += data
        while len(self._rest) >= _SHORTEST_RTU:
            length = _length_of_reply(self._rest)
            if length == 0 and len(self._rest) < MAX_RTU_FRAME_BYTES:
                return None
            if not _SHORTEST_RTU <= length <= MAX_RTU_FRAME_BYTES:
                raise self._damaged("no frame begins so")
            if len(self._rest) < length:
                return None
            frame = self._rest[:length]
            if crc16(frame):
                raise self._damaged("wrong CRC")
            self._rest = self._rest[length:]
            if frame[0] == self._unit:
                try:
                    return check_reply(self._request, frame[1:-2])
                except LinkError as error:
                    if error.reason == "refused":
                        raise
            self.foreign += 1  # Of another unit or function, or of another length than was asked for: late
        return None

    def _damaged(self, why: str) -> LinkError:
        if self._rest.startswith(rtu_frame(self._unit, self._request)):
            why = "the line gives back what is sent: set echo in the link's settings"
        return LinkError("damaged", f"{why} ({self._rest[:8].hex(' ')} ...)")


def _length_of_request(start: bytes) -> int:
    """Bytes of the RTU frame of a request that begins so; 0: not known yet, -1: its function is none of ours."""
    function = start[1]
    if 1 <= function <= Function.WRITE_REGISTER:
        return 8
    if function in (Function.WRITE_COILS, Function.WRITE_REGISTERS):
        return 9 + start[6] if len(start) > 6 else 0
    if function == Function.READ_IDENTIFICATION:
        return 7
    return -1


class RtuRequests:
    """The server side: cuts what comes over a serial line into requests.

    What has a wrong CRC is dropped with all that came with it; so is, at the end of the line's silence, what is no
    frame of a function that is spoken here. Such a frame with a right CRC is a request still, for a server refuses
    unknown functions by an exception.
    """

    def __init__(self) -> None:
        self.damaged = 0  # Frames that were dropped
        self._rest = b""

    def feed(self, data: bytes) -> list[UnitPdu]:
        """Take bytes; return the requests that are whole now."""
        self._rest += data
        requests = []
        while len(self._rest) > 2:
            length = _length_of_request(self._rest)
            if length < 0 and len(self._rest) <= MAX_RTU_FRAME_BYTES:
                break  # Whole when silence says so
            if length == 0 or 0 < len(self._rest) < length <= MAX_RTU_FRAME_BYTES:
                break
            if length < 0 or length > MAX_RTU_FRAME_BYTES or crc16(self._rest[:length]):
                self.damaged += 1
                self._rest = b""
                break
            requests.append(UnitPdu(0, self._rest[0], self._rest[1 : length - 2]))
            self._rest = self._rest[length:]
        return requests

    def silence(self) -> list[UnitPdu]:
        """The line was silent for more than 3.5 characters: what is here ends now."""
        frame, self._rest = self._rest, b""
        if not frame:
            return []
        if len(frame) < 4 or len(frame) > MAX_RTU_FRAME_BYTES or crc16(frame):
            self.damaged += 1
            return []
        return [UnitPdu(0, frame[0], frame[1:-2])]
