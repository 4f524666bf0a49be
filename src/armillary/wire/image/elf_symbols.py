# SPDX-License-Identifier: Apache-2.0
"""The build id and the functions of an ELF file (System V gABI, chapters 4 and 5; GNU's note type 3).

Both classes and byte orders. The symbol table ``.symtab`` is read, else ``.dynsym``: a separate debug file has the
first, a stripped program the second. Everything that the file says about itself is checked before it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError
from armillary.wire.image.symbol_list import MAX_FUNCTIONS, MAX_NAME_BYTES, Function, SymbolList

MAX_ELF_BYTES: Final = 512 * 1024 * 1024  # debug files are large; only tables of it are looked at
MAX_SECTIONS: Final = 8192
MAX_NOTE_BYTES: Final = 64 * 1024
_SYMTAB, _STRTAB, _NOTE, _DYNSYM = 2, 3, 7, 11
_FUNCTION_TYPES: Final = frozenset({2, 10})  # STT_FUNC, STT_GNU_IFUNC
_MACHINES: Final = {3: "x86", 40: "arm", 62: "x86_64", 183: "arm64", 243: "riscv"}
_NT_GNU_BUILD_ID: Final = 3


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the structures of a class of ELF lie: formats without byte order."""

    header: str  # from e_type on
    section: str
    symbol: str
    wide: bool


_LAYOUTS: Final = {
    1: _Layout(header="HHIIIIIHHHHHH", section="IIIIIIIIII", symbol="IIIBBH", wide=False),
    2: _Layout(header="HHIQQQIHHHHHH", section="IIQQQQIIQQ", symbol="IBBHQQ", wide=True),
}


@dataclass(frozen=True, slots=True)
class _Section:
    kind: int
    offset: int
    size: int
    link: int
    entry: int


def read_elf(data: bytes) -> SymbolList:
    """The symbols of an ELF file by its build id.

    Raises WireError: it is no ELF file, has no build id or no functions, or a table lies outside of it.
    """
    layout, order = _class_of(data)
    machine, sections = _sections(data, layout, order)
    build_id = _build_id(data, sections, order)
    if not build_id:
        raise _fault("a GNU build id", "none", "Link with -Wl,--build-id, and upload the debug file of that build.")
    tables = sorted((one for one in sections if one.kind in (_SYMTAB, _DYNSYM)), key=lambda one: one.kind)
    for table in tables:
        functions = _functions(data, sections, table, layout, order)
        if functions:
            return SymbolList(build_id, _MACHINES.get(machine, f"machine {machine}"), functions)
    raise _fault("a symbol table with functions", "none", "Upload the file as it was before strip, or its debug file.")


def read_build_id(data: bytes) -> bytes:
    """The build id of an ELF file, empty where it has none; raises WireError for what is no ELF file."""
    layout, order = _class_of(data)
    _, sections = _sections(data, layout, order)
    return _build_id(data, sections, order)


def _class_of(data: bytes) -> tuple[_Layout, str]:
    if len(data) > MAX_ELF_BYTES:
        raise _fault(f"at most {MAX_ELF_BYTES} bytes", f"{len(data)} bytes")
    layout = _LAYOUTS.get(data[4]) if len(data) > 16 and data[:4] == b"\x7fELF" else None
    order = {1: "<", 2: ">"}.get(data[5]) if len(data) > 16 else None
    if layout is None or order is None:
        raise _fault("an ELF file", f"bytes that begin with {data[:6]!r}")
    return layout, order


def _sections(data: bytes, layout: _Layout, order: str) -> tuple[int, list[_Section]]:
    header = _unpack(order + layout.header, data, 16, "header")
    machine, place, size, count = header[1], header[5], header[10], header[11]
    wanted = struct.calcsize(order + layout.section)
    if not place or not count:
        raise _fault("section headers", "none", "Upload a file with sections: the build's output or its debug file.")
    if size != wanted or count > MAX_SECTIONS:
        raise _fault(f"at most {MAX_SECTIONS} section headers of {wanted} bytes", f"{count} of {size}")
    found = []
    for index in range(count):
        fields = _unpack(order + layout.section, data, place + index * wanted, f"section header {index}")
        kind, offset, length, link, entry = fields[1], fields[4], fields[5], fields[6], fields[9]
        found.append(_Section(kind, offset, length, link, entry))
    return machine, found


def _build_id(data: bytes, sections: list[_Section], order: str) -> bytes:
    return next((found for one in sections if one.kind == _NOTE for found in _build_ids(data, one, order)), b"")


def _build_ids(data: bytes, section: _Section, order: str) -> Iterator[bytes]:
    """Build ids in a section of notes."""
    notes = _bytes_of(data, section, MAX_NOTE_BYTES)
    place = 0
    while place + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from(order + "III", notes, place)
        name = notes[place + 12 : place + 12 + name_size]
        begin = place + 12 + _padded(name_size)
        if begin + size > len(notes):
            return
        if kind == _NT_GNU_BUILD_ID and name == b"GNU\0":
            yield notes[begin : begin + size]
        place = begin + _padded(size)


def _functions(
    data: bytes, sections: list[_Section], table: _Section, layout: _Layout, order: str
) -> tuple[Function, ...]:
    shape = struct.Struct(order + layout.symbol)
    if table.entry != shape.size or table.size % shape.size:
        raise _fault(f"symbols of {shape.size} bytes", f"{table.size} bytes of {table.entry} each")
    if table.size // shape.size > MAX_FUNCTIONS:
        raise _fault(f"at most {MAX_FUNCTIONS} symbols", f"{table.size // shape.size}")
    if table.link >= len(sections) or sections[table.link].kind != _STRTAB:
        raise _fault("a table of strings for the symbols", f"section {table.link}")
    names = _bytes_of(data, sections[table.link], MAX_ELF_BYTES)
    found: dict[int, Function] = {}
    for fields in shape.iter_unpack(_bytes_of(data, table, MAX_ELF_BYTES)):
        if layout.wide:
            at, info, _, section, address, size = fields
        else:
            at, address, size, info, _, section = fields
        if info & 15 not in _FUNCTION_TYPES or not section or not address:
            continue
        name = _name(names, at)
        if name and (address not in found or size > found[address].size):
            found[address] = Function(address, size, name)
    return tuple(found[address] for address in sorted(found))


def _name(names: bytes, at: int) -> str:
    end = names.find(b"\0", at, at + MAX_NAME_BYTES + 1)
    raw = names[at : end if end >= 0 else at + MAX_NAME_BYTES]
    return "".join(each if each.isprintable() and each != " " else "?" for each in raw.decode("utf-8", "replace"))


def _bytes_of(data: bytes, section: _Section, limit: int) -> bytes:
    if section.offset + section.size > len(data) or section.size > limit:
        raise _fault("a section within the file", f"bytes {section.offset} to {section.offset + section.size}")
    return data[section.offset : section.offset + section.size]


def _unpack(shape: str, data: bytes, offset: int, what: str) -> tuple[int, ...]:
    if offset + struct.calcsize(shape) > len(data):
        raise _fault(f"a {what} within the file", f"one at byte {offset} of {len(data)}")
    return struct.unpack_from(shape, data, offset)


def _padded(size: int) -> int:
    return size + 3 & ~3


def _fault(
    expected: str, got: str, remedy: str = "Upload the program as it was linked, or its debug file."
) -> WireError:
    return WireError("ELF file", expected=expected, got=got, remedy=remedy)
