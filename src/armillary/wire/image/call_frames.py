# SPDX-License-Identifier: Apache-2.0
"""How to find the caller of a place in code: call frame information as it lies in memory with a program.

``.eh_frame_hdr`` finds the entry of an address by a sorted table, the entry (FDE) and what it shares with others (CIE)
hold a program that is run up to the address (LSB Core 5.0 §10.6; DWARF 5 §6.4.2 for instructions, §2.5 for
expressions). Encodings and instructions that compilers for the two machines write are read; with any other the search
ends, as it does where anything lies outside of what is mapped. The memory is an application's, and may hold anything.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from armillary.errors import WireError
from armillary.wire.image.elf_loaded import ReadMemory

MAX_ENTRY_BYTES: Final = 4096  # of one FDE or CIE; those of the largest functions have some hundred
MAX_ENTRIES: Final = 1 << 22  # a browser has a million functions
MAX_INSTRUCTIONS: Final = 4096
MAX_REMEMBERED: Final = 16
MAX_REGISTER: Final = 95  # DWARF's number; aarch64 has vector registers up to there
_ADDRESSES: Final = 1 << 64
# Encodings of pointers (LSB Core 5.0 §10.5): what follows the program counter, and what counts from the index.
_PCREL_SDATA4, _UDATA4, _DATAREL_SDATA4 = 0x1B, 0x03, 0x3B
_INDEX_HEAD: Final = bytes((1, _PCREL_SDATA4, _UDATA4, _DATAREL_SDATA4))


@dataclass(frozen=True, slots=True)
class Expression:
    """A DWARF expression over registers and memory."""

    code: bytes


@dataclass(frozen=True, slots=True)
class FromRegister:
    """The value of a register plus an offset."""

    register: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Saved:
    """A register was saved in memory: at an offset from the frame's address, or where an expression says."""

    at: int | Expression


# What a register had in the caller: saved in memory, another register, the frame's address plus a number, or (None)
# nothing that is known.
Rule = Saved | FromRegister | int | None


@dataclass(frozen=True, slots=True)
class FrameRules:
    """How the caller's registers follow from a frame. A register without a rule has the same value in the caller."""

    frame_address: FromRegister | Expression = FromRegister(-1)
    registers: dict[int, Rule] = field(default_factory=dict)
    return_register: int = 0
    is_signal: bool = False  # the caller was interrupted: its address is exact, and no return address


@dataclass(frozen=True, slots=True)
class _Shared:
    """A CIE."""

    code_factor: int
    data_factor: int
    return_register: int
    has_data: bool
    is_signal: bool
    program: bytes


def rules_at(index: int, address: int, read: ReadMemory) -> FrameRules | None:
    """The rules at an address by the ``.eh_frame_hdr`` at ``index``; None if it has none that can be read."""
    try:
        place = _entry_of(index, address, read)
        return None if place is None else _rules(place, address, read)
    except WireError:
        return None


def _entry_of(index: int, address: int, read: ReadMemory) -> int | None:
    """Where the FDE is that may have an address: that of the last function that begins at or before it."""
    head = read(index, 12)
    if len(head) < 12 or head[:4] != _INDEX_HEAD:
        raise _fault("an index with a sorted table")
    count = int.from_bytes(head[8:12], "little")
    if not 0 < count <= MAX_ENTRIES:
        raise _fault(f"1 to {MAX_ENTRIES} entries")
    low, high, found = 0, count, None
    while low < high:
        middle = (low + high) // 2
        row = read(index + 12 + middle * 8, 8)
        if len(row) < 8:
            raise _fault("a table that is mapped")
        begin, entry = struct.unpack("<ii", row)
        if (index + begin) % _ADDRESSES <= address:
            low, found = middle + 1, (index + entry) % _ADDRESSES
        else:
            high = middle
    return found


def _rules(place: int, address: int, read: ReadMemory) -> FrameRules | None:
    body = _entry(place, read)
    back = int.from_bytes(body[:4], "little")
    if len(body) < 12 or not back:
        raise _fault("an entry of a function")
    shared = _shared(_entry((place + 4 - back) % _ADDRESSES, read))
    begin = (place + 8 + int.from_bytes(body[4:8], "little", signed=True)) % _ADDRESSES
    if not 0 <= address - begin < int.from_bytes(body[8:12], "little"):
        return None
    reader = _Reader(body, 12)
    if shared.has_data:
        reader.skip(reader.unsigned())
    first = FrameRules(return_register=shared.return_register, is_signal=shared.is_signal)
    machine = _Machine(shared, first, first)
    machine.run(_Reader(shared.program), _ADDRESSES)
    machine = _Machine(shared, machine.now, machine.now)
    machine.run(reader, address - begin)
    return machine.now


def _entry(place: int, read: ReadMemory) -> bytes:
    """An entry without its length."""
    size = int.from_bytes(read(place, 4), "little")
    if not 4 <= size <= MAX_ENTRY_BYTES:
        raise _fault(f"an entry of at most {MAX_ENTRY_BYTES} bytes")
    body = read(place + 4, size)
    if len(body) < size:
        raise _fault("an entry that is mapped")
    return body


def _shared(body: bytes) -> _Shared:
    if body[:4] != bytes(4):
        raise _fault("what entries share")
    reader = _Reader(body, 4)
    version = reader.byte()
    letters = reader.text()
    if version not in (1, 3) or letters.lstrip("zRPLSB") or (letters and not letters.startswith("z")):
        raise _fault("version 1 or 3 and a known augmentation")
    code_factor, data_factor = reader.unsigned(), reader.signed()
    return_register = reader.byte() if version == 1 else reader.unsigned()
    if letters:
        data = _Reader(reader.take(reader.unsigned()))
        for letter in letters[1:]:
            if letter == "R" and data.byte() != _PCREL_SDATA4:
                raise _fault("addresses of 4 bytes relative to their place")
            if letter == "P":
                data.skip({0x0: 8, 0xB: 4, 0x3: 4, 0xC: 8, 0x4: 8}.get(data.byte() & 0xF, MAX_ENTRY_BYTES))
            if letter == "L":
                data.byte()
    return _Shared(code_factor, data_factor, return_register, bool(letters), "S" in letters, reader.rest())


@dataclass(slots=True)
class _Reader:
    """Takes values from bytes; WireError past their end."""

    data: bytes
    place: int = 0

    @property
    def is_done(self) -> bool:
        return self.place >= len(self.data)

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.place:
            raise _fault("an entry with all its values")
        self.place += size
        return self.data[self.place - size : self.place]

    def skip(self, size: int) -> None:
        self.take(size)

    def rest(self) -> bytes:
        return self.data[self.place :]

    def byte(self) -> int:
        return self.take(1)[0]

    def text(self) -> str:
        end = self.data.find(b"\0", self.place, self.place + 16)
        if end < 0:
            raise _fault("a short augmentation")
        return self.take(end - self.place + 1)[:-1].decode("latin-1")

    def unsigned(self) -> int:
        """LEB128 of at most 64 bits."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        raise _fault("numbers of 64 bits")

    def signed(self) -> int:
        begin = self.place
        value = self.unsigned()
        bits = 7 * (self.place - begin)
        return value - (1 << bits) if value >> (bits - 1) & 1 else value

    def register(self) -> int:
        number = self.unsigned()
        if number > MAX_REGISTER:
            raise _fault(f"registers up to {MAX_REGISTER}")
        return number

    def expression(self) -> Expression:
        return Expression(self.take(self.unsigned()))


@dataclass(slots=True)
class _Machine:
    """Runs instructions: ``now`` are the rules so far, ``initial`` those that a function begins with."""

    shared: _Shared
    initial: FrameRules
    now: FrameRules
    remembered: list[FrameRules] = field(default_factory=list)

    def run(self, reader: _Reader, offset: int) -> None:
        """Run until the rules hold for the place ``offset`` bytes into the function."""
        at = 0
        for _ in range(MAX_INSTRUCTIONS):
            if reader.is_done:
                return
            code = reader.byte()
            high, low = code & 0xC0, code & 0x3F
            if high == 0x40 or code in _ADVANCES:
                step = low if high else int.from_bytes(reader.take(_ADVANCES[code]), "little")
                at += step * self.shared.code_factor
                if at > offset:
                    return
            elif high == 0x80:
                self.save(low, reader.unsigned())
            elif high == 0xC0:
                self.restore(low)
            elif code in _INSTRUCTIONS:
                operands, act = _INSTRUCTIONS[code]
                act(self, *[_OPERANDS[kind](reader) for kind in operands])
            else:
                raise _fault("instructions that compilers write")
        raise _fault(f"at most {MAX_INSTRUCTIONS} instructions")

    def nothing(self, *ignored: int) -> None:
        """What follows changes no rule that is looked at."""

    def save(self, register: int, factored: int) -> None:
        """A register was saved at an offset from the frame's address."""
        self.rule(register, Saved(factored * self.shared.data_factor))

    def rule(self, register: int, rule: Rule) -> None:
        """A register follows a rule from here on."""
        self.now = replace(self.now, registers={**self.now.registers, register: rule})

    def restore(self, register: int) -> None:
        """A register has the rule that it had at first."""
        kept = {number: rule for number, rule in self.now.registers.items() if number != register}
        if register in self.initial.registers:
            kept[register] = self.initial.registers[register]
        self.now = replace(self.now, registers=kept)

    def remember(self) -> None:
        """Keep the rules for later."""
        if len(self.remembered) >= MAX_REMEMBERED:
            raise _fault(f"at most {MAX_REMEMBERED} remembered states")
        self.remembered.append(self.now)

    def recall(self) -> None:
        """Have the rules that were kept last."""
        if not self.remembered:
            raise _fault("a state that was remembered")
        self.now = self.remembered.pop()

    def frame(self, address: FromRegister | Expression) -> None:
        """The frame's address is another."""
        self.now = replace(self.now, frame_address=address)

    def reframe(self, **changes: int) -> None:
        """The frame's address has another register or offset."""
        if not isinstance(self.now.frame_address, FromRegister):
            raise _fault("a frame address by register")
        self.frame(replace(self.now.frame_address, **changes))


_ADVANCES: Final = {0x02: 1, 0x03: 2, 0x04: 4}  # bytes of the step
_OPERANDS: Final[Mapping[str, Callable[[_Reader], Any]]] = {
    "r": lambda reader: reader.register(),
    "u": lambda reader: reader.unsigned(),
    "s": lambda reader: reader.signed(),
    "e": lambda reader: reader.expression(),
}
# DWARF 5 table 7.29: operands (register, unsigned, signed, expression) and meaning of each instruction that is read.
_INSTRUCTIONS: Final[Mapping[int, tuple[str, Callable[..., None]]]] = {
    0x00: ("", _Machine.nothing),  # nop
    0x05: ("ru", _Machine.save),  # offset_extended
    0x06: ("r", _Machine.restore),  # restore_extended
    0x07: ("r", lambda machine, register: machine.rule(register, None)),  # undefined
    0x08: ("r", lambda machine, register: machine.rule(register, FromRegister(register))),  # same_value
    0x09: ("rr", lambda machine, register, other: machine.rule(register, FromRegister(other))),  # register
    0x0A: ("", _Machine.remember),  # remember_state
    0x0B: ("", _Machine.recall),  # restore_state
    0x0C: ("ru", lambda machine, register, offset: machine.frame(FromRegister(register, offset))),  # def_cfa
    0x0D: ("r", lambda machine, register: machine.reframe(register=register)),  # def_cfa_register
    0x0E: ("u", lambda machine, offset: machine.reframe(offset=offset)),  # def_cfa_offset
    0x0F: ("e", _Machine.frame),  # def_cfa_expression
    0x10: ("re", lambda machine, register, where: machine.rule(register, Saved(where))),  # expression
    0x11: ("rs", _Machine.save),  # offset_extended_sf
    0x12: (  # def_cfa_sf
        "rs",
        lambda machine, register, factored: machine.frame(
            FromRegister(register, factored * machine.shared.data_factor)
        ),
    ),
    0x13: ("s", lambda machine, factored: machine.reframe(offset=factored * machine.shared.data_factor)),  # ..._sf
    0x14: ("ru", lambda machine, register, n: machine.rule(register, n * machine.shared.data_factor)),  # val_offset
    0x15: ("rs", lambda machine, register, n: machine.rule(register, n * machine.shared.data_factor)),  # ..._sf
    0x2D: ("", _Machine.nothing),  # AARCH64_negate_ra_state: who uses the address cuts its signature off
    0x2E: ("u", _Machine.nothing),  # GNU_args_size
}


def evaluate(expression: Expression, registers: dict[int, int], read: ReadMemory, *begin: int) -> int:
    """The value of an expression; ``begin`` is on the stack before. Raises WireError for one that cannot be had."""
    reader, stack = _Reader(expression.code), list(begin)
    while not reader.is_done:
        code = reader.byte()
        if 0x70 <= code <= 0x8F:  # breg: a register and an offset
            if code - 0x70 not in registers:
                raise _fault("registers that are known")
            stack.append(registers[code - 0x70] + reader.signed())
        elif 0x30 <= code <= 0x4F:  # lit
            stack.append(code - 0x30)
        elif code == 0x06:  # deref
            content = read(_pop(stack) % _ADDRESSES, 8)
            if len(content) < 8:
                raise _fault("an expression over mapped memory")
            stack.append(int.from_bytes(content, "little"))
        elif code == 0x23:  # plus_uconst
            stack.append(_pop(stack) + reader.unsigned())
        elif code in _BINARY:
            second, first = _pop(stack), _pop(stack)
            stack.append(_BINARY[code](first, second))
        else:
            raise _fault("operations that compilers write")
    return _pop(stack) % _ADDRESSES


_BINARY: Final[Mapping[int, Callable[[int, int], int]]] = {
    0x1A: lambda a, b: a & b,
    0x1C: lambda a, b: a - b,
    0x22: lambda a, b: a + b,
    0x24: lambda a, b: a << min(b % _ADDRESSES, 64),
    0x2A: lambda a, b: int(a >= b),
}


def _pop(stack: list[int]) -> int:
    if not stack:
        raise _fault("an expression with its operands")
    return stack.pop()


def _fault(expected: str) -> WireError:
    return WireError("call frame information", expected=expected, got="something else")
