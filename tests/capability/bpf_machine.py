# SPDX-License-Identifier: Apache-2.0
"""A classic BPF machine as seccomp(2) runs it, to prove what a filter decides without a kernel."""

from __future__ import annotations

import struct
from collections.abc import Sequence

LOAD, AND, JUMP, EQUAL, GREATER_EQUAL, RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06


def run(program: bytes, *, number: int, architecture: int, arguments: Sequence[int] = ()) -> int:
    """The action a program returns for one call; fails on what the kernel's checker would refuse."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *(value & 0xFFFFFFFFFFFFFFFF for value in padded))
    instructions = list(struct.iter_unpack("=HBBI", program))
    assert 0 < len(instructions) <= 4096
    accumulator, position = 0, 0
    while True:
        code, jump_true, jump_false, k = instructions[position]
        position += 1
        if code == LOAD:
            assert k % 4 == 0
            assert k <= len(data) - 4
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif code == AND:
            accumulator &= k
        elif code == JUMP:
            position += k
        elif code == EQUAL:
            position += jump_true if accumulator == k else jump_false
        elif code == GREATER_EQUAL:
            position += jump_true if accumulator >= k else jump_false
        elif code == RETURN:
            return int(k)
        else:
            raise AssertionError(f"instruction {code:#x}")
