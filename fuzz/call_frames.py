# SPDX-License-Identifier: Apache-2.0
"""Call frame information in memory that an application wrote: rules, or none; never an error, never without end."""

from __future__ import annotations

import struct

from armillary.errors import WireError
from armillary.wire.image import call_frames, elf_loaded

_CODE = 4096  # where the function of the seed begins, from its entry on


def _entry(instructions: bytes) -> bytes:
    shared = bytes(4) + b"\x01zR\0\x01\x78\x10\x01\x1b" + b"\x0c\x07\x08\x90\x01"
    cie = struct.pack("<I", len(shared)) + shared
    place = 16 + 8 + len(cie)
    body = struct.pack("<IiI", place + 4 - 24, _CODE - place - 8, 256) + b"\0" + instructions
    index = bytes((1, 0x1B, 3, 0x3B)) + bytes(4) + struct.pack("<Iii", 1, _CODE, place)
    return index.ljust(24, b"\0") + cie + struct.pack("<I", len(body)) + body


def seeds() -> list[bytes]:
    expression = b"\x0f\x04\x77\xa0\x01\x06\x10\x06\x02\x77\x78"
    return [_entry(b"\x41\x0e\x10\x86\x02\x0a\x43\x0d\x06\x0b\x0c\x07\x08\xc6"), _entry(expression)]


def fuzz(data: bytes) -> None:
    def read(address: int, size: int) -> bytes:
        return data[address : address + size] if 0 <= address < len(data) else b""

    for address in (_CODE, _CODE + 20):
        rules = call_frames.rules_at(0, address, read)
        if rules is None:
            continue
        if isinstance(rules.frame_address, call_frames.Expression):
            try:
                assert call_frames.evaluate(rules.frame_address, {7: 0}, read) >= 0
            except WireError:
                continue
        assert all(0 <= number <= call_frames.MAX_REGISTER for number in rules.registers)
    try:
        elf_loaded.read_loaded(0, read)
    except WireError:
        return
