# SPDX-License-Identifier: Apache-2.0
"""A crash dump is read back as it was written, everything else is refused, and a scrubbed stack tells no data."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from tests.fixtures.cbor_items import items_of
from tests.fixtures.dumps import LIBRARY, PROGRAM, STACK_BEGIN, WORDS, dump

from armillary.errors import WireError
from armillary.wire.device import crash_dump as cd
from armillary.wire.device.crash_dump import CrashDump, MachineState, Module, Stack
from armillary.wire.device.crash_record import MAX_FRAMES, MAX_REGISTERS, Frame
from armillary.wire.encoding import cbor

WORD = st.integers(0, 2**64 - 1)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=16)
MODULES = st.lists(st.tuples(st.integers(0, 2**50), st.integers(1, 2**20)), max_size=5).map(
    lambda found: tuple(
        Module(f"m{index}", b"\1" * index, begin + index * 2**52, size, begin)
        for index, (begin, size) in enumerate(found)
    )
)
STACKS = st.builds(
    lambda begin, words, scrubbed: Stack(begin, scrubbed, struct.pack(f"<{len(words)}Q", *words)),
    st.integers(0, 2**63),
    st.lists(WORD, max_size=40),
    st.booleans(),
)
STATES = st.builds(
    MachineState,
    machine=st.sampled_from(sorted(cd.MACHINES)),
    signal=st.integers(0, 64),
    code=st.integers(-(2**31), 2**31 - 1),
    fault=st.sampled_from(sorted(cd.FAULTS)),
    registers=st.lists(st.tuples(st.sampled_from(["rip", "sp", "x0"]), WORD), min_size=1, max_size=40).map(tuple),
    modules=MODULES,
    frames=st.lists(st.builds(Frame, TEXT, st.binary(max_size=20), WORD, TEXT), max_size=MAX_FRAMES).map(tuple),
    stack=st.none() | STACKS,
)
DUMPS = st.builds(
    CrashDump,
    component_id=st.uuids(),
    image_id=st.uuids(),
    boot_count=st.integers(0, 2**48),
    at=st.integers(0, 2**33),
    state=STATES,
)


@given(DUMPS)
def test_a_dump_is_read_back_as_it_was_written(one: CrashDump) -> None:
    assert cd.parse_dump(cd.encode_dump(one)) == one


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        cd.parse_dump(data)


def test_a_dump_with_everything_at_its_limit_is_taken() -> None:
    modules = tuple(Module("m" * 128, b"b" * 64, index << 32, 1 << 31, 2**64 - 1) for index in range(cd.MAX_MODULES))
    largest = dump(
        registers=tuple((f"{'r' * 14}{number:02}", 2**64 - 1) for number in range(MAX_REGISTERS)),
        modules=modules,
        frames=(Frame("m" * 128, b"b" * 64, 2**64 - 1, "f" * 128),) * MAX_FRAMES,
        stack=Stack(2**60, scrubbed=False, content=b"s" * cd.MAX_STACK_BYTES),
    )
    data = cd.encode_dump(largest)
    assert cd.parse_dump(data) == largest
    assert len(data) <= cd.MAX_DUMP_BYTES
    assert items_of(cbor.decode(data, what="t", limit=len(data))) == 601 <= cd.MAX_DUMP_ITEMS


def test_more_items_than_any_dump_has_are_refused_before_they_are_made() -> None:
    with pytest.raises(WireError, match="at most 1024 items"):
        cd.parse_dump(cbor.encode([[]] * 60_000))


def changed(place: int, value: Any) -> bytes:
    fields = cbor.decode(cd.encode_dump(dump()), what="dump", limit=cd.MAX_DUMP_BYTES)
    fields[place] = value
    return cbor.encode_ordered(fields)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 2), (0, True), (1, b"short"), (2, None), (3, -1), (4, 2**60), (5, "z80"), (6, 65), (7, 2**31), (7, True),
        (8, "0xdeadbeef"), (9, []), (9, [["", 1]]), (9, [["r\x00", 1]]), (9, [["rip", -1]]), (9, [["rip", 1]] * 41),
        (10, [["m", b"", 0, 0, 0]]), (10, [["m", b"", 2**64 - 1, 2, 0]]), (10, [["m", b"", 0, 1, 0]] * 65),
        (10, [["a", b"", 0, 10, 0], ["b", b"", 5, 10, 0]]), (10, [["a", b"", 20, 1, 0], ["b", b"", 0, 1, 0]]),
        (11, [["m", b"", 1, ""]] * 17), (11, [[]]), (12, [0, False, b"1234567"]), (12, [0, 1, b"12345678"]),
        (12, [2**64 - 1, False, b"12345678"]), (12, [0, False, bytes(cd.MAX_STACK_BYTES + 8)]),
    ],
)  # fmt: skip
def test_a_field_out_of_its_limits_is_refused(place: int, value: Any) -> None:
    with pytest.raises(WireError):
        cd.parse_dump(changed(place, value))


def test_the_same_fields_unchanged_are_taken() -> None:
    assert cd.parse_dump(changed(3, 3)) == dump()


def test_no_byte_may_follow() -> None:
    with pytest.raises(WireError):
        cd.parse_dump(cd.encode_dump(dump()) + b"\0")
    with pytest.raises(WireError):
        cd.encode_dump(replace(dump(), at=-1, component_id=UUID(int=0)))


def test_of_a_scrubbed_stack_pointers_are_left() -> None:
    stack = dump().state.stack
    assert stack is not None
    found = cd.scrubbed(stack, (PROGRAM, LIBRARY))
    assert found.scrubbed
    assert [value for _, value in found.words()] == [WORDS[0], 0, STACK_BEGIN + 8, 0]


@given(STACKS, MODULES)
def test_a_scrubbed_stack_has_no_word_that_points_nowhere(stack: Stack, modules: tuple[Module, ...]) -> None:
    found = cd.scrubbed(stack, modules)
    assert (found.begin, len(found.content)) == (stack.begin, len(stack.content))
    for (_, before), (_, value) in zip(stack.words(), found.words(), strict=True):
        is_own = stack.begin <= before < stack.begin + len(stack.content)
        points = is_own or any(one.begin <= before < one.end for one in modules)
        assert value == (before if points else 0)
    assert cd.scrubbed(found, modules) == found
