# SPDX-License-Identifier: Apache-2.0
"""The memory that a core starts with: the board's program (``image/cores/board.c``) and one firmware."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import Final

from armillary.device_image import tools
from armillary.device_image.recipe import recipe_folder
from armillary.engines.real_time.within.memory_map import TCM
from armillary.errors import WireError
from armillary.wire.image.firmware import Firmware, read_firmware

COMPILER: Final = {"arm-none-eabi-gcc": "gcc-arm-none-eabi", "arm-none-eabi-objcopy": "binutils-arm-none-eabi"}
# Where board.ld puts the program. Its first words: the firmware's vector table, then where exceptions go.
_PROGRAM: Final = 0x0020_0000
_ENTRIES: Final = struct.Struct("<4I")
# Exceptions of a vector table: NMI and HardFault, the others up to PendSV; SysTick, after them, is the firmware's own.
_EXCEPTIONS_FROM, _OTHERS = 2, 11
_TABLE_BYTES: Final = 16 * 4


def compile_board() -> bytes:
    """The board's program as it lies in memory, from address 0.

    Raises:
        HostError: the compiler is missing, or refuses.
    """
    tools.require(COMPILER)
    source = recipe_folder() / "cores"
    with tempfile.TemporaryDirectory(prefix="armillary-board-") as folder:
        linked, flat = Path(folder, "board.elf"), Path(folder, "board.bin")
        tools.run(
            [
                *("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-Os", "-std=c11", "-ffreestanding", "-nostdlib"),
                *("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-Wl,--build-id=none"),
                *("-T", source / "board.ld", source / "board.c", "-lgcc", "-o", linked),
            ]
        )
        tools.run(["arm-none-eabi-objcopy", "-O", "binary", linked, flat])
        return flat.read_bytes()


def checked_firmware(data: bytes) -> Firmware:
    """The firmware in an ELF file for the stand-in's cores, which have no memory but the TCM.

    Raises:
        WireError: it is none, does not fit, or its vector table is not all there.
    """
    firmware = read_firmware(data, (TCM,))
    end = firmware.vector_table + _TABLE_BYTES
    holding = (each for each in firmware.segments if each.address <= firmware.vector_table < end)
    if not any(end <= each.address + len(each.content) for each in holding):
        raise WireError("firmware", expected="a vector table of 16 words", got=f"less at {firmware.vector_table:#010x}")
    return firmware


def memory_with(board: bytes, firmware: Firmware) -> bytes:
    """What the core's memory holds at its start, from address 0."""
    memory = bytearray(board)
    for segment in firmware.segments:
        memory[segment.address : segment.address + len(segment.content)] = segment.content
    _, nmi, fault, other = _ENTRIES.unpack_from(memory, _PROGRAM)
    struct.pack_into("<I", memory, _PROGRAM, firmware.vector_table)
    place = firmware.vector_table + 4 * _EXCEPTIONS_FROM
    struct.pack_into(f"<{2 + _OTHERS}I", memory, place, nmi, fault, *[other] * _OTHERS)
    return bytes(memory)
