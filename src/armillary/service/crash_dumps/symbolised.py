# SPDX-License-Identifier: Apache-2.0
"""A dump as people read it: what its addresses are called, by the symbols that were uploaded for the builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from armillary.detect.crashes import Resolve, how_ended, normal_name
from armillary.wire.device.crash_dump import MachineState

# Pointers into modules on the stack that are shown; what is further out was left by calls long before.
MAX_POINTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Place:
    """An address, and what is there: ``at`` is ``app!pump``, ``app+0x1234`` or empty outside of modules."""

    name: str  # of a register; empty elsewhere
    address: int
    value: int
    at: str


@dataclass(frozen=True, slots=True)
class SymbolisedFrame:
    """A frame of the call stack. ``function`` is empty where no symbol is known."""

    module: str
    build_id: bytes
    offset: int
    function: str


@dataclass(frozen=True, slots=True)
class Symbolised:
    """What a dump says, with names."""

    cause: str
    frames: tuple[SymbolisedFrame, ...]
    registers: tuple[Place, ...]
    pointers: tuple[Place, ...]  # words of the stack that lead into a module, from the stack pointer on


def symbolised(state: MachineState, resolve: Resolve) -> Symbolised:
    """Names for the addresses of a dump."""
    frames = tuple(
        SymbolisedFrame(
            one.module, one.build_id, one.offset, one.function or _function(one.build_id, one.offset, resolve)
        )
        for one in state.frames
    )
    registers = tuple(Place(name, 0, value, _at(state, value, resolve)) for name, value in state.registers)
    words = () if state.stack is None else state.stack.words()
    leading = [(address, value) for address, value in words if state.module_at(value) is not None]
    pointers = tuple(Place("", address, value, _at(state, value, resolve)) for address, value in leading[:MAX_POINTERS])
    return Symbolised(how_ended(state.signal, None), frames, registers, pointers)


def _at(state: MachineState, address: int, resolve: Resolve) -> str:
    module = state.module_at(address)
    if module is None:
        return ""
    offset = (address - module.bias) % (1 << 64)
    function = _function(module.build_id, offset, resolve)
    return f"{module.name}!{function}" if function else f"{module.name}+{offset:#x}"


def _function(build_id: bytes, offset: int, resolve: Resolve) -> str:
    return normal_name(resolve(build_id, offset)) if build_id else ""
