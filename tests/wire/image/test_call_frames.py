# SPDX-License-Identifier: Apache-2.0
"""Call frame information of real programs gives rules, and whatever stands there gives rules or none, never a fault."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, strategies as st
from tests.fixtures.native_program import native_program

from armillary.errors import WireError
from armillary.wire.image.call_frames import MAX_INSTRUCTIONS, Expression, FromRegister, Saved, evaluate, rules_at
from armillary.wire.image.elf_loaded import ReadMemory, read_loaded
from armillary.wire.image.elf_symbols import read_elf

BEGIN = 0x10000


def memory(content: bytes, begin: int = BEGIN) -> ReadMemory:
    def read(address: int, size: int) -> bytes:
        place = address - begin
        return content[place : place + size] if 0 <= place < len(content) else b""

    return read


def loaded(data: bytes) -> bytes:
    """A program as it lies in memory: its segments at their addresses."""
    place, size, count = (*struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54))
    headers = [struct.unpack_from("<IIQQQQQQ", data, place + index * size) for index in range(count)]
    segments = [one for one in headers if one[0] == 1]
    image = bytearray(max(one[3] + one[6] for one in segments))
    for _, _, offset, address, _, length, _, _ in segments:
        image[address : address + length] = data[offset : offset + length]
    return bytes(image)


@pytest.fixture(scope="module")
def program() -> bytes:
    return loaded(native_program())


def test_a_program_is_known_by_what_lies_in_memory(program: bytes) -> None:
    found = read_loaded(BEGIN, memory(program))
    assert (found.bias, found.build_id) == (BEGIN, bytes.fromhex("c0ffee"))
    assert found.frame_index


def test_each_function_has_rules_from_its_first_to_its_last_byte(program: bytes) -> None:
    read = memory(program)
    elf = read_loaded(BEGIN, read)
    own = {"pump", "valve", "give_up", "deep", "main"}
    functions = [one for one in read_elf(native_program()).functions if one.name in own]
    assert {one.name for one in functions} == own
    for one in functions:
        for offset in (0, one.size // 2, one.size - 1):
            rules = rules_at(elf.frame_index, elf.bias + one.address + offset, read)
            assert rules is not None, one.name
            assert rules.return_register in (16, 30)
            assert isinstance(rules.frame_address, FromRegister)
    first = rules_at(elf.frame_index, elf.bias + functions[0].address, read)
    assert first is not None
    assert first.registers.get(16, Saved(-8)) == Saved(-8)


def test_an_address_of_no_function_has_no_rules(program: bytes) -> None:
    read = memory(program)
    elf = read_loaded(BEGIN, read)
    assert rules_at(elf.frame_index, BEGIN - 1, read) is None
    assert rules_at(elf.frame_index, BEGIN + len(program) + 4096, read) is None
    assert rules_at(0, BEGIN, read) is None


@given(st.data())
def test_information_that_was_written_over_is_rules_or_none(data: st.DataObject) -> None:
    program = loaded(native_program())
    elf = read_loaded(BEGIN, memory(program))
    place = elf.frame_index - BEGIN
    changed = bytearray(program)
    for _ in range(data.draw(st.integers(1, 20))):
        changed[data.draw(st.integers(place, min(place + 2048, len(changed) - 1)))] = data.draw(st.integers(0, 255))
    address = data.draw(st.integers(BEGIN, BEGIN + len(program)))
    rules_at(elf.frame_index, address, memory(bytes(changed)))


@given(st.binary(min_size=64, max_size=400))
def test_any_memory_is_a_program_or_refused(content: bytes) -> None:
    for candidate in (content, b"\x7fELF\x02\x01" + content[6:]):
        try:
            found = read_loaded(BEGIN, memory(candidate))
        except WireError:
            continue
        assert 0 <= found.bias < 2**64


@given(st.binary(max_size=60), st.dictionaries(st.integers(0, 31), st.integers(0, 2**64 - 1)))
def test_any_expression_has_a_value_or_is_refused(code: bytes, registers: dict[int, int]) -> None:
    try:
        value = evaluate(Expression(code), registers, memory(bytes(64)))
    except WireError:
        return
    assert 0 <= value < 2**64


def test_the_expression_of_a_signal_frame_is_evaluated() -> None:
    # What glibc writes for x86-64: the word at 160 above the stack pointer.
    read = memory(bytes(160) + (77).to_bytes(8, "little"))
    assert evaluate(Expression(b"\x77\xa0\x01\x06"), {7: BEGIN}, read) == 77
    with pytest.raises(WireError):
        evaluate(Expression(b"\x06"), {}, read)
    with pytest.raises(WireError):
        evaluate(Expression(b"\x77\x00"), {}, read)


def test_a_program_without_end_is_given_up() -> None:
    nops = bytes(MAX_INSTRUCTIONS + 8)
    shared = bytes(4) + b"\x01zR\0\x01\x78\x10\x01\x1b"
    cie = struct.pack("<I", len(shared)) + shared
    at = 64
    place = at + len(cie)
    for size, is_read in ((16, True), (MAX_INSTRUCTIONS - 64, True), (MAX_INSTRUCTIONS + 8, False)):
        body = struct.pack("<IiI", place + 4 - at, 4096, 256) + b"\0" + nops[:size]
        index = bytes((1, 0x1B, 3, 0x3B)) + bytes(4) + struct.pack("<Iii", 1, place + 8 + 4096, place)
        content = index.ljust(at, b"\0") + cie + struct.pack("<I", len(body)) + body
        found = rules_at(BEGIN, BEGIN + place + 8 + 4096, memory(content))
        assert (found is not None) == is_read
