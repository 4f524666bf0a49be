# SPDX-License-Identifier: Apache-2.0
"""Where the variables of UEFI firmware stand in its flash, as EDK2 keeps them: to look at them, or to attack them.

::

    volume      zero 16, GUID 16, bytes u64, "_FVH", attributes u32, length of this header u16, ...
    store       GUID 16, bytes u32, 0x5A, 0xFE, zero 6
    variable    0x55AA u16, state u8, zero u8, attributes u32, count u64, time 16, key u32, bytes of the name u32, bytes
                of the content u32, vendor GUID 16, name UTF-16 with its end, content; begins at a multiple of 4

All integers are little endian. A variable that is in force has the state 0x3F; bits are cleared when it is replaced.
Specification: EDK2, MdeModulePkg/Include/Guid/VariableFormat.h; UEFI PI 1.8, volume 3, §3.2.1 (volume).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from armillary.errors import WireError

IN_FORCE: Final = 0x3F

_WHAT: Final = "variable-store"
_VOLUME: Final = struct.Struct("<16s16sQ4sIH")
_STORE: Final = struct.Struct("<16sIBB6x")
_VARIABLE: Final = struct.Struct("<HBBIQ16sIII16s")
_FIRST: Final = 0x55AA
_FORMATTED, _HEALTHY = 0x5A, 0xFE


@dataclass(frozen=True, slots=True)
class StoredVariable:
    """A variable in force: ``begins_at`` is where its header stands, ``at`` where its ``size`` bytes of content do."""

    name: str
    vendor: UUID
    begins_at: int
    at: int
    size: int


def variables_of(store: bytes) -> tuple[StoredVariable, ...]:
    """The variables in force, in the order of the flash; WireError unless it is such a store and all of it is there."""
    at = _first_variable(store)
    found = []
    while at + _VARIABLE.size <= len(store):
        begin, state, _, _, _, _, _, name_bytes, size, vendor = _VARIABLE.unpack_from(store, at)
        if begin != _FIRST:
            break
        content = at + _VARIABLE.size + name_bytes
        if content + size > len(store):
            raise WireError(_WHAT, offset=at, expected=f"a variable of {size} bytes", got="the end of the store")
        if state == IN_FORCE:
            name = store[at + _VARIABLE.size : content].decode("utf-16-le", "replace").rstrip("\0")
            found.append(StoredVariable(name, UUID(bytes_le=vendor), at, content, size))
        at = -(-(content + size) // 4) * 4
    return tuple(found)


def _first_variable(store: bytes) -> int:
    if len(store) < _VOLUME.size:
        raise WireError(_WHAT, expected="a volume", got=f"{len(store)} bytes")
    _, _, _, signature, _, header = _VOLUME.unpack_from(store)
    if signature != b"_FVH" or len(store) < header + _STORE.size:
        raise WireError(_WHAT, expected="a volume (_FVH) with a store", got=repr(signature))
    _, _, format_, state = _STORE.unpack_from(store, header)
    if (format_, state) != (_FORMATTED, _HEALTHY):
        raise WireError(
            _WHAT, offset=header, expected="a store that is formatted and healthy", got=f"{format_}, {state}"
        )
    return -(-(int(header) + _STORE.size) // 4) * 4
