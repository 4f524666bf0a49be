# SPDX-License-Identifier: Apache-2.0
"""How much of a serial line's time a poll plan takes: the wire, not the processor, bounds a serial link.

Source: Modbus over Serial Line 1.02 §2.5.1.1 (3.5 characters of silence between frames), Modbus Application Protocol
1.1b3 §6.1 to §6.4 (lengths).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from armillary.guard.slots import PollBlock
from armillary.wire.equipment.modbus import reply_length
from armillary.wire.equipment.profile import ModbusRtu, Profile
from armillary.wire.equipment.request import ModbusRequest

_AROUND_PDU: Final = 3  # Unit and CRC
_SILENT_CHARACTERS: Final = 3.5
FAST_BAUD: Final = 19200  # Above it the silence is fixed
FAST_SILENCE_S: Final = 0.00175
TURNAROUND_S: Final = 0.005  # What ordinary equipment takes before it answers


def line_load(profile: Profile, blocks: Iterable[PollBlock]) -> float | None:
    """The share of the line's time that all reads take, 1.0 being all of it. None where the link is no serial poll."""
    link = profile.link
    if not isinstance(link, ModbusRtu):
        return None
    character_s = (1 + 8 + (link.parity != "N") + link.stop_bits) / link.baud
    silence_s = max(link.gap_s, FAST_SILENCE_S if link.baud > FAST_BAUD else _SILENT_CHARACTERS * character_s)
    load = 0.0
    for block in blocks:
        if isinstance(block.request, ModbusRequest):
            pdu = block.request.pdu
            characters = len(pdu) + reply_length(pdu) + 2 * _AROUND_PDU
            load += (characters * character_s + 2 * silence_s + TURNAROUND_S) / profile.groups[block.group]
    return load
