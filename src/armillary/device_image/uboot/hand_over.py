# SPDX-License-Identifier: Apache-2.0
"""What QEMU starts in place of the chip's first loader and Trusted Firmware-A: one page that jumps to U-Boot.

QEMU starts a Linux kernel as firmware does: in the exception level EL2, with PSCI. The page looks like one, wants to be
in memory right before U-Boot's first page, and its first instruction jumps over itself. U-Boot is the same bytes as on
a board. Specification: Linux, ``Documentation/arch/arm64/booting.rst``.
"""

from __future__ import annotations

import struct
from typing import Final

# Where U-Boot's program is made for (CONFIG_TEXT_BASE), from the beginning of memory.
TEXT_OFFSET: Final = 0x200000
PAGE_BYTES: Final = 0x1000
_HEAD: Final = struct.Struct("<IIQQQ24x4sI")
_JUMP: Final = 0x14000000 | PAGE_BYTES // 4  # b +PAGE_BYTES
_FLAGS: Final = 0b1010  # little-endian, pages of 4 KiB, anywhere in memory
# What U-Boot uses behind its last byte before it moves to the end of memory.
_BEHIND_BYTES: Final = 0x100000


def with_hand_over(uboot: bytes) -> bytes:
    """The page and U-Boot."""
    size = PAGE_BYTES + len(uboot) + _BEHIND_BYTES
    return _HEAD.pack(_JUMP, 0, TEXT_OFFSET - PAGE_BYTES, size, _FLAGS, b"ARM\x64", 0).ljust(PAGE_BYTES, b"\0") + uboot
