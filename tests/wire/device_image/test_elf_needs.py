# SPDX-License-Identifier: Apache-2.0
"""What programs need, by their own word: the interpreter of these tests, text, and garbage."""

from __future__ import annotations

import contextlib
import os
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


def test_another_word_length_is_refused() -> None:
    with pytest.raises(WireError, match="64 bits"):
        needs_of(b"\x7fELF\x01\x01" + bytes(100))


@example(at=39, byte=128, cut=0)  # a table of segments behind all that an offset can say
@given(at=st.integers(0, 4096), byte=st.integers(0, 255), cut=st.integers(0, 4096))
def test_a_damaged_program_is_read_or_refused_and_nothing_else(at: int, byte: int, cut: int) -> None:
    damaged = bytearray(PROGRAM[: 8192 - cut])
    damaged[min(at, len(damaged) - 1)] = byte
    with contextlib.suppress(WireError):
        needs_of(bytes(damaged))
