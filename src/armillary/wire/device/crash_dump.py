# SPDX-License-Identifier: Apache-2.0
"""A crash dump: the registers, modules and, where the device's group wants them, stack of a crashed native application.

A device makes one only while its group has consented, and sends it to ``POST /v1/crash-dump`` after a check-in.

::

    crash-dump = [
        version : 1,
        component-id : bstr .size 16, image-id : bstr .size 16,
        boot-count : uint, at : uint,                   ; Unix seconds UTC
        machine : "aarch64" / "x86_64",
        signal : uint .le 64, code : int32,             ; si_signo and si_code of sigaction(2)
        fault : "mapped" / "module" / "none" / "null" / "stack" / "unmapped",   ; where the fault address lies
        registers : [1*40 [name : tstr .size (1..16), value : uint]],
        modules : [0*64 module],                        ; by rising address
        frames : [0*16 frame],                          ; crash_record.py; innermost first
        stack : [begin : uint, scrubbed : bool, bytes : bstr .size (0..32768)] / null
    ]
    module = [
        name : tstr .size (0..128), build-id : bstr .size (0..64),
        begin : uint, size : uint,                      ; where it was mapped
        bias : uint                                     ; begin of the addresses that its symbol table counts
    ]

Of a *scrubbed* stack only words that point into a module or into the stack itself are left; all others are zero. So it
tells who called whom, and nothing of what the application worked on.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from armillary.errors import WireError
from armillary.wire.device.crash_record import (
    MAX_BUILD_ID_BYTES,
    MAX_FRAMES,
    MAX_MODULE_BYTES,
    MAX_REGISTER_NAME_BYTES,
    MAX_REGISTERS,
    MAX_SIGNAL,
    Frame,
    frame_fields,
    frame_from_fields,
)
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import (
    take_array,
    take_bytes,
    take_choice,
    take_text,
    take_time,
    take_uint,
    take_uuid,
)

DUMP_VERSION: Final = 1
MACHINES: Final = frozenset({"aarch64", "x86_64"})
FAULTS: Final = frozenset({"mapped", "module", "none", "null", "stack", "unmapped"})
MAX_MODULES: Final = 64  # a program with its libraries; the endpoint takes bodies of 64 KiB, so that all must fit
MAX_STACK_BYTES: Final = 32 * 1024
MAX_DUMP_BYTES: Final = 60 * 1024  # with everything at its limit it has 57,000
MAX_DUMP_ITEMS: Final = 1024  # of CBOR: with everything at its limit it has 601
MAX_RECEIPT_BYTES: Final = 64  # an array and an id
WORD_BYTES: Final = 8  # both machines
_UINT64: Final = 2**64 - 1
_INT32: Final = 2**31


@dataclass(frozen=True, slots=True)
class Module:
    """A mapped file: the program, or a library. ``bias`` is added to what its symbol table counts."""

    name: str
    build_id: bytes
    begin: int
    size: int
    bias: int

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.begin + self.size


@dataclass(frozen=True, slots=True)
class Stack:
    """Bytes from the stack pointer on."""

    begin: int
    scrubbed: bool
    content: bytes

    def words(self) -> list[tuple[int, int]]:
        """Address and value of each whole word, both machines being little-endian."""
        count = len(self.content) // WORD_BYTES
        values = struct.unpack_from(f"<{count}Q", self.content)
        return [(self.begin + index * WORD_BYTES, value) for index, value in enumerate(values)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineState:
    """What was captured of the thread that crashed, at the moment of its signal."""

    machine: str  # word of MACHINES
    signal: int
    code: int  # si_code: why the kernel sent the signal
    fault: str  # word of FAULTS: where the address lies that could not be used
    registers: tuple[tuple[str, int], ...]
    modules: tuple[Module, ...]
    frames: tuple[Frame, ...]
    stack: Stack | None

    def module_at(self, address: int) -> Module | None:
        """The module that has an address."""
        return module_at(self.modules, address)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashDump:
    """A dump as it is sent: of which application, and when."""

    component_id: UUID
    image_id: UUID
    boot_count: int
    at: int  # Unix seconds UTC
    state: MachineState


def module_at(modules: tuple[Module, ...], address: int) -> Module | None:
    """The module among those of rising address that has an address."""
    index = bisect_right(modules, address, key=lambda one: one.begin) - 1
    return modules[index] if index >= 0 and address < modules[index].end else None


def scrubbed(stack: Stack, modules: tuple[Module, ...]) -> Stack:
    """A stack without what the application worked on: of its words only those into modules or into itself are left."""
    end = stack.begin + len(stack.content)
    kept = [
        value if stack.begin <= value < end or module_at(modules, value) is not None else 0
        for _, value in stack.words()
    ]
    return Stack(stack.begin, scrubbed=True, content=struct.pack(f"<{len(kept)}Q", *kept))


def encode_dump(dump: CrashDump) -> bytes:
    """Encode a dump; raises WireError above :data:`MAX_DUMP_BYTES` or for a field out of its limits."""
    state = dump.state
    stack = state.stack
    data = cbor.encode_ordered(
        [
            DUMP_VERSION,
            dump.component_id.bytes,
            dump.image_id.bytes,
            dump.boot_count,
            dump.at,
            state.machine,
            state.signal,
            state.code,
            state.fault,
            [[name, value] for name, value in state.registers],
            [[one.name, one.build_id, one.begin, one.size, one.bias] for one in state.modules],
            [frame_fields(one) for one in state.frames],
            None if stack is None else [stack.begin, stack.scrubbed, stack.content],
        ]
    )
    parse_dump(data)  # a crash is rare: better refused here than by the service
    return data


def parse_dump(data: bytes) -> CrashDump:
    """A dump from its bytes; raises WireError if it is not of the form above. It is the device's word, nothing more."""
    value = cbor.decode(data, what="crash dump", limit=MAX_DUMP_BYTES, items=MAX_DUMP_ITEMS)
    fields = take_array(value, "crash dump", limit=13, size=13)
    if type(fields[0]) is not int or fields[0] != DUMP_VERSION:
        raise WireError("crash dump", expected=f"version {DUMP_VERSION}", got=f"{fields[0]!r:.20}")
    modules = tuple(_module(one) for one in take_array(fields[10], "dump modules", limit=MAX_MODULES))
    if any(low.end > high.begin for low, high in pairwise(modules)):
        raise WireError("dump modules", expected="modules by rising address that do not overlap", got="others")
    registers = take_array(fields[9], "dump registers", limit=MAX_REGISTERS)
    if not registers:
        raise WireError("dump registers", expected="at least one", got="none")
    return CrashDump(
        component_id=take_uuid(fields[1], "dump component id"),
        image_id=take_uuid(fields[2], "dump image id"),
        boot_count=take_uint(fields[3], "dump boot count", limit=2**48),
        at=take_time(fields[4], "dump time"),
        state=MachineState(
            machine=take_choice(fields[5], MACHINES, "dump machine"),
            signal=take_uint(fields[6], "dump signal", limit=MAX_SIGNAL),
            code=_code(fields[7]),
            fault=take_choice(fields[8], FAULTS, "dump fault"),
            registers=tuple(_register(one) for one in registers),
            modules=modules,
            frames=tuple(frame_from_fields(one) for one in take_array(fields[11], "dump frames", limit=MAX_FRAMES)),
            stack=None if fields[12] is None else _stack(fields[12]),
        ),
    )


def encode_receipt(dump_id: UUID) -> bytes:
    """What answers a dump that is kept: ``[dump-id : bstr .size 16]``."""
    return cbor.encode_ordered([dump_id.bytes])


def parse_receipt(data: bytes) -> UUID:
    """The id in a receipt; raises WireError."""
    fields = take_array(
        cbor.decode(data, what="crash dump receipt", limit=MAX_RECEIPT_BYTES), "receipt", limit=1, size=1
    )
    return take_uuid(fields[0], "receipt dump id")


def _code(value: Any) -> int:
    if type(value) is not int or not -_INT32 <= value < _INT32:
        raise WireError("dump signal code", expected="an integer of 32 bits", got=f"{value!r:.20}")
    return value


def _register(value: Any) -> tuple[str, int]:
    fields = take_array(value, "dump register", limit=2, size=2)
    name = take_text(fields[0], "dump register name", limit=MAX_REGISTER_NAME_BYTES)
    if not name.isprintable() or not name:
        raise WireError("dump register name", expected="printable characters", got=f"{name!r:.40}")
    return name, take_uint(fields[1], "dump register value", limit=_UINT64)


def _module(value: Any) -> Module:
    fields = take_array(value, "dump module", limit=5, size=5)
    found = Module(
        name=take_text(fields[0], "dump module name", limit=MAX_MODULE_BYTES),
        build_id=take_bytes(fields[1], "dump module build id", limit=MAX_BUILD_ID_BYTES),
        begin=take_uint(fields[2], "dump module begin", limit=_UINT64),
        size=take_uint(fields[3], "dump module size", limit=_UINT64),
        bias=take_uint(fields[4], "dump module bias", limit=_UINT64),
    )
    if not found.size or found.end > _UINT64:
        raise WireError("dump module", expected="a size within the address space", got=f"{found.size}")
    return found


def _stack(value: Any) -> Stack:
    fields = take_array(value, "dump stack", limit=3, size=3)
    if type(fields[1]) is not bool:
        raise WireError("dump stack", expected="whether it is scrubbed", got=f"{fields[1]!r:.20}")
    content = take_bytes(fields[2], "dump stack bytes", limit=MAX_STACK_BYTES)
    begin = take_uint(fields[0], "dump stack begin", limit=_UINT64)
    if begin + len(content) > _UINT64 or len(content) % WORD_BYTES:
        raise WireError("dump stack", expected="whole words within the address space", got=f"{len(content)} bytes")
    return Stack(begin, scrubbed=fields[1], content=content)
