# SPDX-License-Identifier: Apache-2.0
"""The page before U-Boot: a Linux kernel's head, whose first instruction jumps to the next page."""

from __future__ import annotations

import struct

from armillary.device_image.uboot.hand_over import PAGE_BYTES, TEXT_OFFSET, with_hand_over


def test_the_page_is_a_kernels_head_and_jumps_over_itself() -> None:
    uboot = b"uboot" * 1000
    made = with_hand_over(uboot)
    assert made[PAGE_BYTES:] == uboot
    instruction, _, offset, size, flags = struct.unpack_from("<IIQQQ", made)
    assert instruction >> 26 == 0b000101  # b
    assert (instruction & 0x3FFFFFF) * 4 == PAGE_BYTES
    assert offset + PAGE_BYTES == TEXT_OFFSET
    assert size > len(made)
    assert flags & 1 == 0  # little-endian
    assert made[56:60] == b"ARM\x64"
