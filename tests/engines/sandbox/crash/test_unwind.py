# SPDX-License-Identifier: Apache-2.0
"""Stacks of both machines by frame pointers and link register, and hostile ones: the walk ends, with what was there."""

from __future__ import annotations

import os
import struct
from itertools import pairwise

from hypothesis import given, strategies as st

from armillary.engines.sandbox.crash.memory_map import MappedModule, mapping_at, mappings, modules
from armillary.engines.sandbox.crash.unwind import MACHINES, walk
from armillary.wire.device.crash_dump import Module
from armillary.wire.device.crash_record import MAX_FRAMES
from armillary.wire.image.elf_loaded import ReadMemory

STACK = 0x7000
CODE = MappedModule(Module("app", b"", 0x1000, 0x1000, 0x1000), None)


def stack(words: list[int]) -> ReadMemory:
    content = struct.pack(f"<{len(words)}Q", *words)

    def read(address: int, size: int) -> bytes:
        place = address - STACK
        return content[place : place + size] if 0 <= place < len(content) else b""

    return read


def registers(machine: str, **given: int) -> dict[str, int]:
    known = MACHINES[machine]
    return {**dict.fromkeys((*known.numbers, known.pc), 0), **given}


def test_on_arm_the_caller_is_in_the_link_register_and_the_others_in_the_chain() -> None:
    # x29 -> [saved x29, return address]; the signature in the upper bits of an address is cut off.
    words = [STACK + 32, 0x00C3_0000_0000_1300, 0, 0, 0, 0x1400]
    found = registers("aarch64", pc=0x1100, sp=STACK - 16, x29=STACK, x30=0x1200)
    assert walk(MACHINES["aarch64"], found, [CODE], stack(words)) == (0x1100, 0x11FF, 0x12FF, 0x13FF)


def test_on_x86_a_call_of_nothing_left_its_caller_on_the_stack() -> None:
    words = [0x1200, 0, STACK + 32, 0x1300, 0, 0]
    found = registers("x86_64", rip=0, rsp=STACK, rbp=STACK + 16)
    assert walk(MACHINES["x86_64"], found, [CODE], stack(words)) == (0, 0x11FF, 0x12FF)


def test_a_chain_that_leads_back_ends() -> None:
    words = [0x1200, STACK + 8, 0x1300, STACK + 8, 0x1300]
    found = registers("x86_64", rip=0x1100, rsp=STACK, rbp=STACK + 8)
    assert len(walk(MACHINES["x86_64"], found, [CODE], stack(words))) <= 4


@given(
    st.sampled_from(sorted(MACHINES)),
    st.lists(st.integers(STACK, STACK + 400) | st.integers(0x1000, 0x2000) | st.integers(0, 2**64 - 1), max_size=50),
    st.integers(0, 2**64 - 1),
    st.integers(STACK - 64, STACK + 400),
)
def test_any_stack_is_walked_to_an_end(machine: str, words: list[int], pc: int, pointer: int) -> None:
    known = MACHINES[machine]
    found = registers(machine, **{known.pc: pc})
    for name, number in known.numbers.items():
        if number in (known.sp, known.fp):
            found[name] = pointer
    frames = walk(known, found, [CODE], stack(words))
    assert 1 <= len(frames) <= MAX_FRAMES
    assert frames[0] == pc


def test_the_modules_of_this_process_are_found() -> None:
    found = mappings(os.getpid())
    assert mapping_at(found, found[0].begin) == found[0]
    assert mapping_at(found, 1) is None
    loaded = modules(found, stack([]))
    assert any(one.module.name.startswith("libc") for one in loaded)
    assert all(low.module.end <= high.module.begin for low, high in pairwise(loaded))
