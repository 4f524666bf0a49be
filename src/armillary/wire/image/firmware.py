# SPDX-License-Identifier: Apache-2.0
"""Firmware of a real-time application: an ELF file for a Cortex-M4, as a linker for bare metal writes it.

What is read of it (ELF for the Arm Architecture; System V gABI, chapter 5)::

    header    class 32, little endian, type EXEC, machine ARM; entry: the address of the vector table, as Azure
              Sphere's linker scripts have it (``ENTRY(ExceptionVectorTable)``)
    segments  PT_LOAD: bytes at their physical (load) address; those without bytes in the file are nobody's (.bss)

The vector table begins with the stack pointer and the reset vector (Armv7-M ARM, B1.5.3), on a border of 128 bytes.
Sections and symbols are not looked at.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError

# Segments of bare-metal firmware: code, data and perhaps a table or two.
MAX_SEGMENTS: Final = 16
# VTOR keeps bits 7 and up (Armv7-M ARM, B3.2.5).
VECTOR_TABLE_BORDER_BYTES: Final = 128
_HEADER: Final = struct.Struct("<4sBBB9xHHIIIIIHHHHHH")
_SEGMENT: Final = struct.Struct("<8I")
_CLASS_32, _LITTLE_ENDIAN, _EXEC, _ARM, _LOAD = 1, 1, 2, 40, 1
_VECTORS: Final = struct.Struct("<II")
_WHAT: Final = "firmware"
_REMEDY: Final = "Build it with arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb and docs/reference/real-time.md's memory map."


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory of a core that firmware may be loaded into."""

    name: str
    begin: int
    size: int

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.begin + self.size

    def holds(self, begin: int, size: int) -> bool:
        """Whether these bytes lie in it."""
        return self.begin <= begin and begin + size <= self.end


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes and the address they are loaded at."""

    address: int
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """Checked firmware: what is loaded where, and how it starts."""

    segments: tuple[Segment, ...]
    vector_table: int
    stack_pointer: int
    reset_vector: int  # with the Thumb bit


def read_firmware(data: bytes, memories: tuple[Memory, ...]) -> Firmware:
    """The firmware in an ELF file for a core with these memories.

    Raises:
        WireError: it is no ELF file for this core, or something of it lies outside of the memories.
    """
    entry, table, count = _header(data)
    segments = tuple(
        Segment(address, data[offset : offset + size])
        for kind, offset, _, address, size, _, _, _ in _rows(data, table, count)
        if kind == _LOAD and size
    )
    for segment in segments:
        if not any(one.holds(segment.address, len(segment.content)) for one in memories):
            raise _fault(f"segments in {_names(memories)}", f"{len(segment.content)} bytes at {segment.address:#010x}")
    begun = next((one for one in segments if _holds_table(one, entry)), None)
    if begun is None or entry % VECTOR_TABLE_BORDER_BYTES:
        raise _fault(
            f"an entry point that is the vector table, on a border of {VECTOR_TABLE_BORDER_BYTES} bytes",
            f"{entry:#010x}",
        )
    stack_pointer, reset_vector = _VECTORS.unpack_from(begun.content, entry - begun.address)
    if not any(one.begin < stack_pointer <= one.end for one in memories):
        raise _fault(f"a stack pointer in {_names(memories)}", f"{stack_pointer:#010x}")
    if not reset_vector & 1 or not any(one.holds(reset_vector - 1, 2) for one in memories):
        raise _fault("a reset vector to Thumb code in these memories", f"{reset_vector:#010x}")
    return Firmware(segments=segments, vector_table=entry, stack_pointer=stack_pointer, reset_vector=reset_vector)


def check_file(data: bytes) -> None:
    """Raise WireError if this is no ELF file for a core, whatever memories it has."""
    _, table, count = _header(data)
    _rows(data, table, count)


def _header(data: bytes) -> tuple[int, int, int]:
    """Entry point, offset of the segments' table, number of segments."""
    if len(data) < _HEADER.size or data[:4] != b"\x7fELF":
        raise _fault("an ELF file", f"{len(data)} bytes that begin with {data[:4]!r}")
    _, width, order, _, kind, machine, _, entry, table, _, _, _, size, count, _, _, _ = _HEADER.unpack_from(data)
    if (width, order, kind, machine) != (_CLASS_32, _LITTLE_ENDIAN, _EXEC, _ARM):
        raise _fault(
            "a linked ELF file of 32 bits for ARM, little endian",
            f"class {width}, order {order}, type {kind}, machine {machine}",
        )
    if not 1 <= count <= MAX_SEGMENTS or size != _SEGMENT.size or table + count * size > len(data):
        raise _fault(f"1 to {MAX_SEGMENTS} segments in the file", f"{count} of {size} bytes at {table}")
    return entry, table, count


def _rows(data: bytes, table: int, count: int) -> list[tuple[int, ...]]:
    rows = [_SEGMENT.unpack_from(data, table + index * _SEGMENT.size) for index in range(count)]
    for _, offset, _, _, size, _, _, _ in rows:
        if offset + size > len(data):
            raise _fault("segments whose bytes are in the file", f"{size} bytes at {offset} of {len(data)}")
    return rows


def _holds_table(segment: Segment, entry: int) -> bool:
    return segment.address <= entry and entry + _VECTORS.size <= segment.address + len(segment.content)


def _names(memories: tuple[Memory, ...]) -> str:
    return ", ".join(f"{one.name} {one.begin:#010x}-{one.end - 1:#010x}" for one in memories)


def _fault(expected: str, got: str) -> WireError:
    return WireError(_WHAT, expected=expected, got=got, remedy=_REMEDY)
