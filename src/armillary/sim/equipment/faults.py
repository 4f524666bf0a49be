# SPDX-License-Identifier: Apache-2.0
"""What simulated equipment does wrong when it is told to: the ways in which real equipment fails its partner."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Final

from armillary.errors import InvalidArgumentError
from armillary.wire.equipment.modbus import ExceptionCode, exception_reply
from armillary.wire.equipment.modbus_framing import UnitPdu, rtu_frame, tcp_frame

LATE_S: Final = 1.5  # longer than any shipped profile waits
REBOOT_S: Final = 2.0  # of silence
MOST_PLANNED: Final = 10_000


class Fault(StrEnum):
    """One way to fail a request."""

    SILENCE = "silence"  # no reply
    LATE = "late"  # the reply comes when nobody waits for it any more
    DAMAGED = "damaged"  # a wrong CRC; over TCP, which has none, a wrong protocol number
    FOREIGN = "foreign"  # of another transaction, unit or sequence number
    LENGTH = "length"  # the length that is announced is not that of what follows
    HALF = "half"  # the reply ends in its middle
    BUSY = "busy"  # an exception: server busy
    REBOOT = "reboot"  # the machine starts anew; connections end, nothing is answered for a while


class Faults:
    """The faults that are planned: each spoils one reply, in their order."""

    def __init__(self) -> None:
        self._planned: deque[Fault] = deque()

    def plan(self, kind: str, count: int = 1) -> None:
        """Spoil the next ``count`` replies. Raises InvalidArgumentError for an unknown kind or count."""
        if kind not in list(Fault):
            raise InvalidArgumentError(f"no fault {kind!r:.40}", remedy=f"Use one of: {', '.join(Fault)}.")
        if not 1 <= count <= MOST_PLANNED:
            raise InvalidArgumentError(f"{count} faults", remedy=f"Plan 1 to {MOST_PLANNED} at a time.")
        self._planned.extend([Fault(kind)] * count)

    def take(self) -> Fault | None:
        """The fault of the reply that is about to be sent."""
        return self._planned.popleft() if self._planned else None


def tcp_reply(request: UnitPdu, reply: bytes, fault: Fault | None) -> bytes:
    """The frame that answers over TCP."""
    transaction = request.transaction ^ 0x5555 if fault is Fault.FOREIGN else request.transaction
    frame = bytearray(tcp_frame(transaction, request.unit, _spoiled(request.pdu, reply, fault)))
    if fault is Fault.DAMAGED:
        frame[2] ^= 0xFF
    return _cut(bytes(frame), fault)


def rtu_reply(request: UnitPdu, reply: bytes, fault: Fault | None) -> bytes:
    """The frame that answers over a serial line."""
    unit = request.unit + 1 if fault is Fault.FOREIGN else request.unit
    frame = bytearray(rtu_frame(unit, _spoiled(request.pdu, reply, fault)))
    if fault is Fault.DAMAGED:
        frame[-1] ^= 0xFF
    return _cut(bytes(frame), fault)


def _spoiled(request: bytes, reply: bytes, fault: Fault | None) -> bytes:
    if fault is Fault.BUSY:
        return exception_reply(request[0], ExceptionCode.SERVER_BUSY)
    if fault is Fault.LENGTH and len(reply) > 1:
        return reply[:1] + bytes([reply[1] ^ 0x02]) + reply[2:]
    return reply


def _cut(frame: bytes, fault: Fault | None) -> bytes:
    return frame[: len(frame) // 2] if fault is Fault.HALF else frame
