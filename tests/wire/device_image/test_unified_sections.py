# SPDX-License-Identifier: Apache-2.0
"""Where the parts of a unified image are: systemd's stub where it is installed, a written one, and garbage."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.device_image.unified_sections import sections_of

STUB = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")


def program(*sections: tuple[bytes, int, int, int]) -> bytes:
    head = (
        b"MZ".ljust(60, b"\0")
        + struct.pack("<I", 64)
        + b"PE\0\0"
        + struct.pack("<HH12xHH", 0x8664, len(sections), 0, 0)
    )
    return head + b"".join(
        struct.pack("<8sIIII16x", name, in_memory, 0, in_file, place) for name, in_memory, in_file, place in sections
    )


def test_a_section_ends_where_its_content_does() -> None:
    image = program((b".cmdline", 30, 512, 4096), (b".linux", 600, 512, 8192))
    assert sections_of(image) == {".cmdline": (4096, 30), ".linux": (8192, 512)}


@pytest.mark.skipif(not STUB.exists(), reason="systemd's stub: sudo apt-get install systemd-boot-efi")
def test_the_stub_says_what_it_is() -> None:
    data = STUB.read_bytes()
    place, size = sections_of(data)[".sdmagic"]
    assert b"LoaderInfo: systemd-stub" in data[place : place + size]


@pytest.mark.parametrize("data", [b"", b"MZ" * 40, b"\x7fELF".ljust(200, b"\0")])
def test_what_is_no_program_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="unified-image"):
        sections_of(data)


@given(st.binary(max_size=300), st.integers(0, 140))
def test_a_damaged_program_is_read_or_refused_and_nothing_else(damage: bytes, at: int) -> None:
    whole = program((b".linux", 600, 512, 8192), (b".initrd", 5, 512, 9000))
    with contextlib.suppress(WireError):
        sections_of(whole[:at] + damage + whole[at + len(damage) :])
