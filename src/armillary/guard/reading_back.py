# SPDX-License-Identifier: Apache-2.0
"""Reading back: whether what was written stands, byte for byte.

Equipment may say yes to a write and keep another value. So what a permit wrote is read at the same place, and only the
same bytes count; the read is listed as every other.
"""

from __future__ import annotations

from armillary.guard.allow_list import COIL_VALUES, WRITE_COIL, WRITE_REGISTER, WRITE_REGISTERS, AllowList, ReadSpan
from armillary.guard.deciding import decide
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import GuardRefusedError, ReadBackError
from armillary.wire.equipment.request import (
    ModbusReply,
    ModbusRequest,
    NodesRead,
    NodeWrite,
    Reply,
    Request,
    ValuesReply,
)

LONG_DATA, SHORT_DATA, REPLY_DATA = 6, 3, 2  # Where the data of FC 16, of FC 5 and 6, and of a reply begins


def read_back(allow: AllowList, written: Permit[Request]) -> Permit[Request] | None:
    """Return the permit for the read of what a write wrote; None where nothing reads its place (frames, coils).

    Frames are read back by the point that shows the value (:func:`~armillary.wire.equipment.profile.standing_point`).
    """
    request = written.request
    read: Request
    if isinstance(request, ModbusRequest) and request.pdu[0] in (WRITE_COIL, WRITE_REGISTER, WRITE_REGISTERS):
        function, first = request.pdu[0], int.from_bytes(request.pdu[1:3], "big")
        count = int.from_bytes(request.pdu[3:5], "big") if function == WRITE_REGISTERS else 1
        read = ModbusRequest(request.unit, ReadSpan(1 if function == WRITE_COIL else 3, first, count).pdu)
    elif isinstance(request, NodeWrite):
        read = NodesRead((request.node,))
    else:
        return None
    try:
        return decide(allow, read)
    except GuardRefusedError:
        return None


def check_read_back(written: Permit[Request], reply: Reply) -> None:
    """Check that what stands is what was written.

    Raises:
        ReadBackError: it is something else.
    """
    request = written.request
    if isinstance(request, ModbusRequest) and isinstance(reply, ModbusReply):
        stands, expected = reply.pdu[REPLY_DATA:], _expected(request.pdu)
        if stands != expected:
            raise ReadBackError(f"{expected.hex()} was written for {written.command}, and {stands.hex()} stands")
        return
    if isinstance(request, NodeWrite) and isinstance(reply, ValuesReply):
        value = reply.values[0] if len(reply.values) == 1 else None
        if value is None or isinstance(value, bool) != isinstance(request.value, bool) or value != request.value:
            raise ReadBackError(f"{request.value!r:.40} was written for {written.command}, and {value!r:.40} stands")
        return
    raise ReadBackError(f"a {type(reply).__name__} does not show what was written for {written.command}")


def _expected(pdu: bytes) -> bytes:
    if pdu[0] == WRITE_REGISTERS:
        return pdu[LONG_DATA:]
    data = pdu[SHORT_DATA:]
    return bytes([data == COIL_VALUES[True]]) if pdu[0] == WRITE_COIL else data
