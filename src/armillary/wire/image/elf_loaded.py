# SPDX-License-Identifier: Apache-2.0
"""An ELF file as it lies in the memory of a process (System V gABI, chapter 5): bias, build id, call frame index.

64-bit little-endian files alone: those of the machines of which crash dumps are made. The memory is that of an
application, which can have written anything there: every number is checked before it is used, and no more is read than
the limits say.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError

# Up to so many bytes from an address on; fewer where no more is mapped.
ReadMemory = Callable[[int, int], bytes]

MAX_HEADERS: Final = 64  # usual programs have about twelve
MAX_NOTES_BYTES: Final = 4096
_LOAD, _NOTE, _GNU_EH_FRAME = 1, 4, 0x6474E550
_HEADER: Final = struct.Struct("<HHIQQQIHHHHHH")  # from e_type on
_PROGRAM_HEADER: Final = struct.Struct("<IIQQQQQQ")
_NT_GNU_BUILD_ID: Final = 3
_ADDRESSES: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class LoadedElf:
    """What is known of a loaded file. ``bias`` plus an address of its symbol table is the address in memory."""

    bias: int
    build_id: bytes  # empty: it has none
    frame_index: int  # address of its .eh_frame_hdr in memory; 0: it has none


def read_loaded(begin: int, read: ReadMemory) -> LoadedElf:
    """The ELF file that begins at an address; raises WireError if there is none."""
    head = read(begin, 64)
    if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
        raise WireError("ELF file in memory", expected="64-bit little-endian ELF", got=f"{head[:6]!r}")
    fields = _HEADER.unpack_from(head, 16)
    place, size, count = fields[4], fields[8], fields[9]
    if size != _PROGRAM_HEADER.size or not 0 < count <= MAX_HEADERS:
        raise WireError(
            "ELF file in memory", expected=f"1 to {MAX_HEADERS} program headers", got=f"{count} of {size} bytes"
        )
    table = read(_wrapped(begin + place), size * count)
    if len(table) < size * count:
        raise WireError("ELF file in memory", expected="its program headers to be mapped", got=f"{len(table)} bytes")
    headers = [_PROGRAM_HEADER.unpack_from(table, index * size) for index in range(count)]
    first = next((one for one in headers if one[0] == _LOAD and one[2] == 0), None)
    if first is None:
        raise WireError("ELF file in memory", expected="a segment with its beginning", got="none")
    bias = _wrapped(begin - first[3])
    build_id, index = b"", 0
    for kind, _, _, address, _, file_size, _, _ in headers:
        if kind == _NOTE and not build_id:
            build_id = _build_id(read(_wrapped(bias + address), min(file_size, MAX_NOTES_BYTES)))
        elif kind == _GNU_EH_FRAME:
            index = _wrapped(bias + address)
    return LoadedElf(bias, build_id, index)


def _build_id(notes: bytes) -> bytes:
    place = 0
    while place + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, place)
        begin = place + 12 + (name_size + 3 & ~3)
        if kind == _NT_GNU_BUILD_ID and notes[place + 12 : place + 12 + name_size] == b"GNU\0":
            return notes[begin : begin + size]
        place = begin + (size + 3 & ~3)
    return b""


def _wrapped(address: int) -> int:
    return address % _ADDRESSES
