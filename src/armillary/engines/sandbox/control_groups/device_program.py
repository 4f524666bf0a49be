# SPDX-License-Identifier: Apache-2.0
"""Version 2's list of devices: a program of the kernel's virtual machine that is asked at each opening of a node.

Sources: bpf(2), linux/bpf.h (BPF_PROG_TYPE_CGROUP_DEVICE), the kernel's Documentation/bpf/standardization.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
SYSTEM_CALL = {"x86_64": 321, "aarch64": 280, "armv7l": 386}
# linux/bpf.h
PROG_LOAD, PROG_ATTACH = 5, 8
TYPE_CGROUP_DEVICE, ATTACH_CGROUP_DEVICE, ALLOW_MULTI = 15, 6, 2
BLOCK, CHARACTER = 1, 2  # low half of the first word that the program is given
MAKE_NODE = 1  # of what is asked, the high half
# Operations: load a word, move, and, shift right, jump (always; if a bit is set; if not equal), end
LOAD, MOVE, SET, AND, SHIFT, JUMP, JUMP_IF_BIT, JUMP_UNLESS, EXIT = 0x61, 0xBF, 0xB7, 0x57, 0x77, 0x05, 0x45, 0x55, 0x95
RESULT, GIVEN, KIND, ASKED, MAJOR, MINOR = range(6)  # registers


def program(rules: Iterable[str]) -> bytes:
    """Instructions that let nodes of these rules (``c 1:3 rw``) be opened, and refuse all others and making nodes."""
    code = [
        _word(LOAD, KIND, GIVEN, 0),
        _word(MOVE, ASKED, KIND),
        _word(AND, KIND, value=0xFFFF),
        _word(SHIFT, ASKED, value=16),
        _word(LOAD, MAJOR, GIVEN, 4),
        _word(LOAD, MINOR, GIVEN, 8),
    ]
    tests = [_numbers(rule) for rule in rules]
    # each rule is three comparisons and a jump to the end, which lets it pass
    end = 4 * len(tests)
    code.append(_word(JUMP_IF_BIT, ASKED, offset=end, value=MAKE_NODE))
    for position, (kind, major, minor) in enumerate(tests):
        code += [
            _word(JUMP_UNLESS, KIND, offset=3, value=kind),
            _word(JUMP_UNLESS, MAJOR, offset=2, value=major),
            _word(JUMP_UNLESS, MINOR, offset=1, value=minor),
            _word(JUMP, offset=end - 4 * position - 4 + 2),
        ]
    code += [_word(SET, RESULT, value=0), _word(EXIT)]
    if tests:  # the kernel takes no instruction that is never reached
        code += [_word(SET, RESULT, value=1), _word(EXIT)]
    return b"".join(code)


def attach(group: Path, rules: Iterable[str]) -> None:
    """Hold a group of version 2 to these rules for as long as it is there; raises OSError where the kernel refuses."""
    with _loaded(program(rules)) as loaded:
        directory = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _call(PROG_ATTACH, struct.pack("=IIII", directory, loaded, ATTACH_CGROUP_DEVICE, ALLOW_MULTI))
        finally:
            os.close(directory)


@cache
def can_load() -> bool:
    """Whether this process may give the kernel such a program."""
    try:
        with _loaded(program(())):
            return True
    except OSError:
        return False


def _numbers(rule: str) -> tuple[int, int, int]:
    kind, numbers, _ = rule.split(" ")
    major, _, minor = numbers.partition(":")
    return (BLOCK if kind == "b" else CHARACTER), int(major), int(minor)


def _word(operation: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhi", operation, target | source << 4, offset, value)


@contextlib.contextmanager
def _loaded(code: bytes) -> Iterator[int]:
    """A descriptor of the program, which the kernel keeps while a group has it."""
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    asked = struct.pack(
        "=IIQQ", TYPE_CGROUP_DEVICE, len(code) // 8, ctypes.addressof(instructions), ctypes.addressof(licence)
    )
    descriptor = _call(PROG_LOAD, asked)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _call(command: int, asked: bytes) -> int:
    number = SYSTEM_CALL.get(platform.machine())
    if number is None:
        raise OSError(0, f"no number of bpf(2) is known for {platform.machine()}")
    buffer = ctypes.create_string_buffer(asked.ljust(128, b"\0"), 128)
    result = int(LIBC.syscall(ctypes.c_long(number), ctypes.c_int(command), buffer, ctypes.c_uint(128)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
