# SPDX-License-Identifier: Apache-2.0
"""What discovery may send: reads of the four tables, and of the device identification. A person has asked for it.

A guardian's own requests are decided by its profile (``guard/deciding.py``); where there is none yet, this is all.
"""

from __future__ import annotations

from typing import Final

from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.modbus import ADDRESSES, MAX_READ_BITS, MAX_READ_REGISTERS, Function
from armillary.wire.equipment.request import ModbusRequest

# Modbus over Serial Line 1.02 §2.2: 0 is broadcast, 248 and above are reserved.
UNITS: Final = range(1, 248)
_LIMITS: Final = {1: MAX_READ_BITS, 2: MAX_READ_BITS, 3: MAX_READ_REGISTERS, 4: MAX_READ_REGISTERS}
_READ_BYTES: Final = 5
# Function, MEI type; read codes 1 to 4; any object. §6.21.
_IDENTIFICATION: Final = bytes([Function.READ_IDENTIFICATION, 14])
_IDENTIFICATION_BYTES: Final = 4


def permit_look(request: ModbusRequest) -> Permit[ModbusRequest]:
    """Return the permit for a request that reads.

    Raises:
        GuardRefusedError: it does anything else; ``rule`` is ``unit``, ``function``, ``length``, ``count`` or ``span``.
    """
    pdu = request.pdu
    if request.unit not in UNITS:
        raise GuardRefusedError("unit", f"unit {request.unit} is none that answers")
    if pdu[:2] == _IDENTIFICATION:
        if len(pdu) != _IDENTIFICATION_BYTES or pdu[2] not in (1, 2, 3, 4):
            raise GuardRefusedError(
                "length", "a request for the device identification has 4 bytes and read code 1 to 4"
            )
        return Permit(request)
    limit = _LIMITS.get(pdu[0]) if pdu else None
    if limit is None:
        raise GuardRefusedError("function", "discovery reads, and does nothing else")
    if len(pdu) != _READ_BYTES:
        raise GuardRefusedError("length", f"a read has {_READ_BYTES} bytes, not {len(pdu)}")
    address, count = int.from_bytes(pdu[1:3]), int.from_bytes(pdu[3:5])
    if not 1 <= count <= limit:
        raise GuardRefusedError("count", f"function {pdu[0]} reads 1 to {limit} values, not {count}")
    if address + count > ADDRESSES:
        raise GuardRefusedError("span", f"{address} + {count} is beyond the table")
    return Permit(request)
