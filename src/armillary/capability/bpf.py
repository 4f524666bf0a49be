# SPDX-License-Identifier: Apache-2.0
"""Classic BPF as seccomp(2) runs it: a small assembler from cases to a program.

One instruction is eight bytes in host byte order (linux/filter.h, ``struct sock_filter``)::

    code u16 | jump if true u8 | jump if false u8 | k u32

The program reads ``struct seccomp_data``: ``nr`` u32 at 0, ``arch`` u32 at 4, instruction pointer u64 at 8 and
six arguments u64 at 16 + 8*i. Classic BPF loads 32 bits at a time, so every check names the half it looks at.
That matters: the kernel takes many arguments (an ``ioctl`` request, ``socket`` family, ``clone`` flags) as 32
bits and ignores the rest, and a filter that compares 64 bits is passed by setting a high bit
(CVE-2019-10063, CVE-2019-7303). :class:`Check` therefore compares one half and never both at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

# linux/bpf_common.h and linux/filter.h
LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP = 0x05  # BPF_JMP | BPF_JA
JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_GREATER_EQUAL = 0x35  # BPF_JMP | BPF_JGE | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K

# linux/seccomp.h
RET_KILL_PROCESS = 0x80000000
RET_ERRNO = 0x00050000
RET_USER_NOTIFICATION = 0x7FC00000
RET_LOG = 0x7FFC0000
RET_ALLOW = 0x7FFF0000

OFFSET_NUMBER = 0
OFFSET_ARCHITECTURE = 4
OFFSET_ARGUMENTS = 16

# BPF_MAXINSNS: the kernel refuses longer programs.
INSTRUCTION_LIMIT = 4096
# The offset of a jump that depends on something has eight bits.
JUMP_LIMIT = 255


class Half(Enum):
    """Which 32 bits of a 64-bit argument a check looks at (both architectures are little endian)."""

    LOW = 0
    HIGH = 4


@dataclass(frozen=True, slots=True)
class Check:
    """``argument & mask == value`` on one half of one argument.

    Attributes:
        argument: Index of the system call's argument, 0 to 5.
        mask: Bits that count.
    """

    argument: int
    value: int
    mask: int = 0xFFFFFFFF
    half: Half = Half.LOW


@dataclass(frozen=True, slots=True)
class Case:
    """An action for a call whose arguments pass all checks; no checks always passes.

    Attributes:
        action: A ``RET_`` value.
    """

    action: int
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to one system call: the first case that holds, else the filter's default.

    Attributes:
        number: System-call number on the filter's architecture.
    """

    number: int
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction."""

    code: int
    jump_true: int
    jump_false: int
    k: int

    def encode(self) -> bytes:
        """Its eight bytes."""
        return struct.pack("=HBBI", self.code, self.jump_true, self.jump_false, self.k)


def failure(number: int) -> int:
    """The action "return -1 with this errno"."""
    return RET_ERRNO | number


def assemble(
    rules: Iterable[Rule],
    *,
    architecture: int,
    default: int,
    foreign_architecture: int = RET_KILL_PROCESS,
    number_limit: int | None = None,
) -> bytes:
    """Build a filter program.

    Args:
        rules: One per system call; the order does not change the meaning.
        architecture: ``AUDIT_ARCH_`` value the numbers belong to.
        default: Action for calls without a rule or without a case that holds.
        foreign_architecture: Action for calls made through another calling convention.
        number_limit: Numbers from here up get the default before any rule (x32 calls on x86_64).

    Raises:
        ValueError: two rules for one number, or a program the kernel would refuse: a fault of the caller's table.
    """
    ordered = sorted(rules, key=lambda rule: rule.number)
    numbers = [rule.number for rule in ordered]
    if len(set(numbers)) != len(numbers):
        raise ValueError("two rules for one system-call number")
    program = [
        Instruction(LOAD_WORD, 0, 0, OFFSET_ARCHITECTURE),
        Instruction(JUMP_EQUAL, 1, 0, architecture),
        Instruction(RETURN, 0, 0, foreign_architecture),
        Instruction(LOAD_WORD, 0, 0, OFFSET_NUMBER),
    ]
    if number_limit is not None:
        program += [Instruction(JUMP_GREATER_EQUAL, 0, 1, number_limit), Instruction(RETURN, 0, 0, default)]
    program += _search(_stretches(ordered, default))
    if len(program) > INSTRUCTION_LIMIT:
        raise ValueError(f"{len(program)} instructions, the kernel takes {INSTRUCTION_LIMIT}")
    return b"".join(instruction.encode() for instruction in program)


# The first of a stretch of numbers, and what decides about all of them.
_Stretch = tuple[int, list[Instruction]]


def _stretches(ordered: Sequence[Rule], default: int) -> list[_Stretch]:
    """All numbers from 0 on, in as few stretches as decide alike, of rules in the order of their numbers."""
    unnamed = [Instruction(RETURN, 0, 0, default)]
    found: list[_Stretch] = []
    following = 0
    for rule in ordered:
        if rule.number > following:
            found.append((following, unnamed))
        found.append((rule.number, _body(rule.cases, default)))
        following = rule.number + 1
    found.append((following, unnamed))
    return [found[0], *(later for earlier, later in pairwise(found) if later[1] != earlier[1])]


def _search(stretches: Sequence[_Stretch]) -> list[Instruction]:
    """Instructions that find a number by halves: the kernel tries every number when it takes a filter."""
    if len(stretches) == 1:
        return stretches[0][1]
    middle = len(stretches) // 2
    first = stretches[middle][0]
    below, above = _search(stretches[:middle]), _search(stretches[middle:])
    if len(below) <= JUMP_LIMIT:
        return [Instruction(JUMP_GREATER_EQUAL, len(below), 0, first), *below, *above]
    return [Instruction(JUMP_GREATER_EQUAL, 0, 1, first), Instruction(JUMP, 0, 0, len(below)), *below, *above]


def _body(cases: Sequence[Case], default: int) -> list[Instruction]:
    """Instructions that always end in a return: cases in order, then the default."""
    body: list[Instruction] = []
    for case in cases:
        block: list[Instruction] = []
        for index, check in enumerate(case.checks):
            block.append(Instruction(LOAD_WORD, 0, 0, OFFSET_ARGUMENTS + 8 * check.argument + check.half.value))
            if check.mask != 0xFFFFFFFF:
                block.append(Instruction(AND, 0, 0, check.mask))
            # To the end of this case's block: the checks that follow and the return.
            remaining = sum(2 + (later.mask != 0xFFFFFFFF) for later in case.checks[index + 1 :]) + 1
            if remaining > JUMP_LIMIT:
                raise ValueError(f"a case of {len(case.checks)} checks: a jump reaches {JUMP_LIMIT} instructions")
            block.append(Instruction(JUMP_EQUAL, 0, remaining, check.value))
        block.append(Instruction(RETURN, 0, 0, case.action))
        body += block
        if not case.checks:
            return body
    body.append(Instruction(RETURN, 0, 0, default))
    return body
