# SPDX-License-Identifier: Apache-2.0
"""Firmware of real-time applications: any bytes are firmware that fits into a core, or WireError."""

from __future__ import annotations

import struct

from armillary.errors import WireError
from armillary.wire.image.firmware import Memory, read_firmware

CODE = Memory("CODE", 0x1000_0000, 4096)


def seeds() -> list[bytes]:
    code = struct.pack("<16I", CODE.end, CODE.begin + 65, *[0] * 14) + b"\x30\xbf\xfd\xe7"
    header = struct.pack(
        "<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 40, 1, CODE.begin, 52, 0, 0, 52, 32, 1, 40, 0, 0
    )
    table = struct.pack("<8I", 1, 84, CODE.begin, CODE.begin, len(code), len(code), 5, 4)
    return [header + table + code, header]


def fuzz(data: bytes) -> None:
    try:
        found = read_firmware(data, (CODE,))
    except WireError:
        return
    assert found.segments
    assert all(CODE.holds(each.address, len(each.content)) for each in found.segments)
