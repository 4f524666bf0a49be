# SPDX-License-Identifier: Apache-2.0
"""Which libraries a program or library needs: its ELF file's interpreter and DT_NEEDED entries.

Only what the image is made of is read: 64 bits, little-endian. Specification: System V ABI, chapters 4 and 5.
"""

from __future__ import annotations

import struct
from typing import Final

from armillary.errors import WireError

MAGIC: Final = b"\x7fELF"
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _STRING_TABLE = 1, 5
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_ENTRY: Final = struct.Struct("<QQ")


def needs_of(data: bytes) -> tuple[str, ...]:
    """Names of needed libraries, and the path of the interpreter where there is one; nothing for what is no ELF.

    Raises:
        WireError: it is an ELF file that this reader does not know, or a damaged one.
    """
    if not data.startswith(MAGIC):
        return ()
    if data[4:6] != b"\x02\x01":
        raise WireError("elf", expected="64 bits, little-endian", got=data[4:6].hex(), offset=4)
    try:
        return _needs(data)
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise WireError("elf", expected="segments inside the file", got=str(error)) from error


def _needs(data: bytes) -> tuple[str, ...]:
    (at,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [_SEGMENT.unpack_from(data, at + index * size) for index in range(count)]
    loaded = [(address, length, offset) for kind, _, offset, address, _, length, _, _ in segments if kind == _LOAD]
    found: list[str] = []
    for kind, _, offset, _, _, length, _, _ in segments:
        if kind == _INTERPRETER:
            found.append(data[offset : offset + length].rstrip(b"\0").decode("ascii"))
        if kind == _DYNAMIC:
            entries = [_ENTRY.unpack_from(data, place) for place in range(offset, offset + length, _ENTRY.size)]
            table = next((value for tag, value in entries if tag == _STRING_TABLE), None)
            for tag, value in entries:
                if tag == _NEEDED and table is not None:
                    begin = _offset_of(table, loaded) + value
                    found.append(data[begin : data.index(b"\0", begin)].decode("ascii"))
    return tuple(found)


def _offset_of(address: int, loaded: list[tuple[int, int, int]]) -> int:
    for begin, length, offset in loaded:
        if begin <= address < begin + length:
            return address - begin + offset
    raise ValueError(f"address {address:#x} in no segment")
