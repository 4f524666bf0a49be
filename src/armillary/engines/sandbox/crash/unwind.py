# SPDX-License-Identifier: Apache-2.0
"""The call stack of a stopped thread: from frame to frame by call frame information, else by frame pointers.

Where code has no information (a call of a null pointer, code made at run time) the caller is taken from where the
machine's call puts it: the top of the stack or the link register, then the chain of frame pointers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from armillary.engines.sandbox.crash.memory_map import MappedModule
from armillary.errors import WireError
from armillary.wire.device.crash_record import MAX_FRAMES
from armillary.wire.image.call_frames import Expression, FrameRules, FromRegister, Rule, Saved, evaluate, rules_at
from armillary.wire.image.elf_loaded import ReadMemory

_ADDRESSES: Final = 1 << 64
_ADDRESS_BITS: Final = (1 << 48) - 1  # above, arm64 may keep a signature of the return address


@dataclass(frozen=True, slots=True)
class Machine:
    """DWARF's numbers of a machine's registers by name, and those with a part in calls."""

    numbers: dict[str, int]
    pc: str
    sp: int
    fp: int
    link: int | None  # the register with the return address, where a call puts it in one


_X86_64: Final = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16)))
MACHINES: Final = {
    "x86_64": Machine({name: number for number, name in enumerate(_X86_64)}, "rip", sp=7, fp=6, link=None),
    "aarch64": Machine({**{f"x{number}": number for number in range(31)}, "sp": 31}, "pc", sp=31, fp=29, link=30),
}


def walk(machine: Machine, found: dict[str, int], modules: Sequence[MappedModule], read: ReadMemory) -> tuple[int, ...]:
    """Addresses of the frames, innermost first: where each is, of callers the place of the call."""
    registers = {number: found[name] for name, number in machine.numbers.items()}
    pc, exact = found[machine.pc], True
    frames: list[int] = []
    while len(frames) < MAX_FRAMES and (pc or not frames):
        place = pc if exact or not pc else pc - 1  # a return address may lie behind a function that does not return
        frames.append(place)
        module = next((one for one in modules if one.module.begin <= place < one.module.end), None)
        rules = None if module is None or module.elf is None else rules_at(module.elf.frame_index, place, read)
        before = registers[machine.sp]
        try:
            if rules is not None:
                pc, exact = _by_rules(rules, registers, read, machine), rules.is_signal
            else:
                pc, exact = _without_rules(registers, read, machine, innermost=len(frames) == 1), False
        except WireError:
            break
        pc &= _ADDRESS_BITS
        if registers[machine.sp] <= before and len(frames) > 1:  # a stack grows down: anything else is made up
            break
    return tuple(frames)


def _by_rules(rules: FrameRules, registers: dict[int, int], read: ReadMemory, machine: Machine) -> int:
    """Make registers those of the caller, and return where it goes on."""
    at = rules.frame_address
    if isinstance(at, Expression):
        address = evaluate(at, registers, read)
    else:
        address = (_known(registers, at.register) + at.offset) % _ADDRESSES
    caller = dict(registers)
    for number, rule in rules.registers.items():
        value = _value(rule, address, registers, read)
        if value is None:
            caller.pop(number, None)
        else:
            caller[number] = value
    caller[machine.sp] = caller[machine.sp] if machine.sp in rules.registers else address
    registers.clear()
    registers |= caller
    return registers.pop(rules.return_register, 0) if machine.link is None else registers.get(rules.return_register, 0)


def _value(rule: Rule, address: int, registers: dict[int, int], read: ReadMemory) -> int | None:
    if rule is None:
        return None
    if isinstance(rule, FromRegister):
        return (_known(registers, rule.register) + rule.offset) % _ADDRESSES
    if isinstance(rule, Saved):
        if isinstance(rule.at, Expression):
            return _word(evaluate(rule.at, registers, read, address), read)
        return _word(address + rule.at, read)
    return (address + rule) % _ADDRESSES


def _without_rules(registers: dict[int, int], read: ReadMemory, machine: Machine, *, innermost: bool) -> int:
    """The caller of code without information: of a function that has done nothing yet, or by frame pointer."""
    if innermost and machine.link is not None:
        return registers[machine.link]
    if innermost:
        stack = registers[machine.sp]
        registers[machine.sp] = stack + 8
        return _word(stack, read)
    frame = _known(registers, machine.fp)
    saved, back = _word(frame, read), _word(frame + 8, read)
    registers[machine.fp], registers[machine.sp] = saved, frame + 16
    return back


def _known(registers: dict[int, int], number: int) -> int:
    if number not in registers:
        raise WireError("call stack", expected="a register that is known", got=f"register {number}")
    return registers[number]


def _word(address: int, read: ReadMemory) -> int:
    content = read(address % _ADDRESSES, 8)
    if len(content) < 8:
        raise WireError("call stack", expected="a stack that is mapped", got=f"address {address:#x}")
    return int.from_bytes(content, "little")
