# SPDX-License-Identifier: Apache-2.0
"""Firmware is read strictly: what does not fit into a core is refused in one sentence."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, strategies as st
from tests.fixtures.core_images import CODE, CODE_OFFSET, STACK, elf, halting, vectors

from armillary.errors import WireError
from armillary.wire.image.firmware import Firmware, Memory, read_firmware

MEMORIES = (Memory("CODE", CODE, 1024 * 1024), Memory("TCM", 0x0010_0000, 192 * 1024))


def test_firmware_says_what_is_loaded_where_and_how_it_starts() -> None:
    code = vectors() + b"\xfe\xe7"
    found = read_firmware(elf([(CODE, code), (0x0010_0000, b"data"), (0x0010_0100, b"")]), MEMORIES)
    assert isinstance(found, Firmware)
    assert [(one.address, one.content) for one in found.segments] == [(CODE, code), (0x0010_0000, b"data")]
    assert (found.vector_table, found.stack_pointer, found.reset_vector) == (CODE, STACK, CODE + CODE_OFFSET + 1)


REFUSED: list[tuple[bytes, str]] = [
    (b"#!/bin/sh\n", "an ELF file"),
    (elf([(CODE, vectors())], ident=b"\x7fELF\x02\x01\x01"), "32 bits for ARM"),
    (elf([(CODE, vectors())], machine=62), "machine 62"),
    (elf([(CODE, vectors())], kind=1), "type 1"),
    (elf([]), "1 to 16 segments"),
    (elf([(CODE, vectors())] * 17), "17 of 32 bytes"),
    (elf([(CODE, vectors())])[:-1], "bytes are in the file"),
    (elf([(CODE + 1024 * 1024 - 4, bytes(8)), (CODE, vectors())]), "8 bytes at 0x100ffffc"),
    (elf([(0x2000_0000, vectors())]), "segments in CODE 0x10000000-0x100fffff, TCM"),
    (elf([(CODE, vectors())], entry=CODE + 4), "on a border of 128 bytes"),
    (elf([(CODE, vectors())], entry=CODE + 4096), "vector table"),
    (elf([(CODE, vectors()[:6])]), "vector table"),
    (elf([(CODE, vectors(stack=0x0010_0000))]), "a stack pointer in"),
    (elf([(CODE, vectors(reset=CODE + CODE_OFFSET))]), "Thumb code"),
    (elf([(CODE, vectors(reset=0x2000_0001))]), "Thumb code"),
]


@pytest.mark.parametrize(("data", "said"), REFUSED)
def test_what_does_not_fit_into_a_core_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(WireError) as caught:
        read_firmware(data, MEMORIES)
    assert said in caught.value.message
    assert "arm-none-eabi-gcc" in caught.value.remedy


@given(st.integers(0, len(halting()) - 1), st.binary(min_size=1, max_size=8), st.integers(0, 200))
def test_any_bytes_are_firmware_or_one_error(place: int, put: bytes, size: int) -> None:
    whole = halting()
    for data in (whole[:place] + put + whole[place + len(put) :], whole[:size], put * size):
        try:
            found = read_firmware(data, MEMORIES)
        except WireError:
            continue
        assert all(any(m.holds(s.address, len(s.content)) for m in MEMORIES) for s in found.segments)


def test_hostile_numbers_do_not_wrap() -> None:
    data = bytearray(halting())
    struct.pack_into("<I", data, 52 + 16, 0xFFFF_FFFF)  # bytes in the file
    with pytest.raises(WireError, match="bytes are in the file"):
        read_firmware(bytes(data), MEMORIES)
