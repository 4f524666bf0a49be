# SPDX-License-Identifier: Apache-2.0
"""What the registers of a core that stopped say, in the words that emulated cores have (Armv7-M ARM, B3.2.15 f.)."""

from __future__ import annotations

import re
from typing import Final

from armillary.errors import WireError
from armillary.wire.device.core_channel import FAULT
from armillary.wire.device.core_fault import CoreFault
from armillary.wire.image.firmware import Firmware

_HARD_FAULT, _SVC = 3, 11
_FETCH = 1 << 0 | 1 << 8  # CFSR: IACCVIOL, IBUSERR
_USAGE = 0xFFFF_0000
_BREAKPOINT: Final = 0xBE  # first half of BKPT
_REGISTER: Final = re.compile(r"R(13|14|15)=([0-9a-f]{8})")


def fault_of(body: bytes, firmware: Firmware) -> CoreFault:
    """The fault in the body of a FAULT frame.

    Raises:
        WireError: it has another length.
    """
    if len(body) != FAULT.size:
        raise WireError("core fault", expected=f"{FAULT.size} bytes", got=f"{len(body)}")
    exception, why, _, has_address, address, pc, lr, sp = FAULT.unpack(body)
    where = f" {address:#010x}" if has_address else ""
    if exception == _SVC:
        kind, reason = "UsageFault", "SVC, which the core does not serve"
    elif exception != _HARD_FAULT:
        kind, reason = "HardFault", f"exception {exception}, which the core does not serve"
    elif why & _USAGE:
        kind, reason = "UsageFault", "an instruction that a Cortex-M4 does not have"
    elif why & _FETCH:
        kind, reason = "BusFault", f"jump to memory that is not executed {pc:#010x}"
    elif why:
        kind, reason = "BusFault", f"access to an address where nothing is, or not so{where}"
    elif _code_at(firmware, pc) == _BREAKPOINT:
        kind, reason = "Breakpoint", "BKPT without a debugger"
    else:
        kind, reason = "HardFault", "a fault without a reason"
    return CoreFault(kind=kind, reason=reason, address=address if has_address else None, pc=pc, lr=lr, sp=sp)


def ended_by_itself(reason: str, said: str = "") -> CoreFault:
    """A core whose QEMU has ended, or had to be ended; ``said`` is what QEMU printed, with registers or without."""
    registers = {name: int(value, 16) for name, value in _REGISTER.findall(said)}
    return CoreFault(
        kind="HardFault",
        reason=reason,
        address=None,
        pc=registers.get("15", 0),
        lr=registers.get("14", 0),
        sp=registers.get("13", 0),
    )


def _code_at(firmware: Firmware, address: int) -> int | None:
    """The upper byte of a Thumb instruction of the firmware as it was loaded."""
    for each in firmware.segments:
        place = address + 1 - each.address
        if 0 < place < len(each.content):
            return each.content[place]
    return None
