# SPDX-License-Identifier: Apache-2.0
"""Which libraries a program or library needs: its ELF file's interpreter and DT_NEEDED entries.

Only what images are made of is read: little-endian, of 64 bits or of 32. Specification: System V ABI, chapters 4 and 5.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError

MAGIC: Final = b"\x7fELF"
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _STRING_TABLE = 1, 5


@dataclass(frozen=True, slots=True)
class _Form:
    """Where a file of a word length has its table of segments, and what a segment and an entry consist of.

    ``order`` is where a segment has what :func:`_needs` reads: kind, offset, address, length in the file.
    """

    table: struct.Struct
    table_at: int
    sizes_at: int
    segment: struct.Struct
    order: tuple[int, int, int, int]
    entry: struct.Struct


# By the file's class (EI_CLASS) and byte order.
_FORMS: Final = {
    b"\x01\x01": _Form(struct.Struct("<I"), 28, 42, struct.Struct("<IIIIIIII"), (0, 1, 2, 4), struct.Struct("<II")),
    b"\x02\x01": _Form(struct.Struct("<Q"), 32, 54, struct.Struct("<IIQQQQQQ"), (0, 2, 3, 5), struct.Struct("<QQ")),
}


def needs_of(data: bytes) -> tuple[str, ...]:
    """Names of needed libraries, and the path of the interpreter where there is one; nothing for what is no ELF.

    Raises:
        WireError: it is an ELF file that this reader does not know, or a damaged one.
    """
    if not data.startswith(MAGIC):
        return ()
    form = _FORMS.get(bytes(data[4:6]))
    if form is None:
        raise WireError("elf", expected="64 or 32 bits, little-endian", got=data[4:6].hex(), offset=4)
    try:
        return _needs(data, form)
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise WireError("elf", expected="segments inside the file", got=str(error)) from error


def _needs(data: bytes, form: _Form) -> tuple[str, ...]:
    (at,) = form.table.unpack_from(data, form.table_at)
    size, count = struct.unpack_from("<HH", data, form.sizes_at)
    whole = [form.segment.unpack_from(data, at + index * size) for index in range(count)]
    segments = [tuple(each[place] for place in form.order) for each in whole]
    loaded = [(address, length, offset) for kind, offset, address, length in segments if kind == _LOAD]
    found: list[str] = []
    for kind, offset, _, length in segments:
        if kind == _INTERPRETER:
            found.append(data[offset : offset + length].rstrip(b"\0").decode("ascii"))
        if kind == _DYNAMIC:
            entries = [form.entry.unpack_from(data, place) for place in range(offset, offset + length, form.entry.size)]
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
