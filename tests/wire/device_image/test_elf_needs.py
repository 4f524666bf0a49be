# SPDX-License-Identifier: Apache-2.0
"""What programs need, by their own word: the interpreter of these tests, text, and garbage."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from armillary.errors import WireError
from armillary.wire.device_image.elf_needs import needs_of

PROGRAM = Path(os.path.realpath(sys.executable)).read_bytes()


def test_this_interpreter_needs_the_c_library_and_its_loader() -> None:
    needed = needs_of(PROGRAM)
    assert "libc.so.6" in needed
    assert any("/ld-linux" in name for name in needed)


@pytest.mark.parametrize("data", [b"", b"#!/usr/bin/env python3\n", b"\0" * 64])
def test_what_is_no_program_needs_nothing(data: bytes) -> None:
    assert needs_of(data) == ()


def test_a_library_of_32_bits_says_what_it_needs() -> None:
    strings = b"\0libffi.so.8\0libc.so.6\0"
    dynamic = struct.pack("<8I", 1, 1, 1, 13, 5, 0x1000 + 0x200, 0, 0)  # two needed, the table of strings, the end
    segments = [(1, 0, 0x1000, 0, 0x400, 0x400, 5, 0x1000), (2, 0x100, 0x1100, 0, len(dynamic), len(dynamic), 4, 4)]
    head = b"\x7fELF\x01\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIIIIIHHHHHH", 3, 40, 1, 0, 52, 0, 0, 52, 32, 2, 0, 0, 0
    )
    file = bytearray(0x400)
    for place, content in ((0, head + b"".join(struct.pack("<8I", *each) for each in segments)), (0x100, dynamic)):
        file[place : place + len(content)] = content
    file[0x200 : 0x200 + len(strings)] = strings
    assert needs_of(bytes(file)) == ("libffi.so.8", "libc.so.6")


@pytest.mark.parametrize("kind", [b"\x03\x01", b"\x01\x02", b"\x02\x02"])
def test_another_word_length_or_byte_order_is_refused(kind: bytes) -> None:
    with pytest.raises(WireError, match="64 or 32 bits"):
        needs_of(b"\x7fELF" + kind + bytes(100))


@example(at=39, byte=128, cut=0)  # a table of segments behind all that an offset can say
@given(at=st.integers(0, 4096), byte=st.integers(0, 255), cut=st.integers(0, 4096))
def test_a_damaged_program_is_read_or_refused_and_nothing_else(at: int, byte: int, cut: int) -> None:
    damaged = bytearray(PROGRAM[: 8192 - cut])
    damaged[min(at, len(damaged) - 1)] = byte
    with contextlib.suppress(WireError):
        needs_of(bytes(damaged))
