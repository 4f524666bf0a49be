# SPDX-License-Identifier: Apache-2.0
"""Where a core's memories and registers are.

Memories and the serial line lie where firmware that is linked for an MT3620 expects them (Azure Sphere's real-time
linker scripts; MediaTek's MT3620 M4 datasheet). The mailbox is Armillary's own form, at an address where an MT3620 has
nothing: firmware that uses the chip's own mailbox, timers or pins stops with a BusFault and does not run on by chance.
"""

from __future__ import annotations

from typing import Final

from armillary.wire.image.firmware import Memory

# Flash that is executed in place: as much as all application packages of the chip have together.
CODE: Final = Memory("CODE", 0x1000_0000, 1024 * 1024)
# Each core's own: Azure Sphere gives a real-time application 192 KiB tightly coupled memory and 64 KiB system RAM.
TCM: Final = Memory("TCM", 0x0010_0000, 192 * 1024)
SYSRAM: Final = Memory("SYSRAM", 0x2200_0000, 64 * 1024)
MEMORIES: Final = (CODE, TCM, SYSRAM)

# A page of registers each: what the emulator can map.
PAGE_BYTES: Final = 0x1000
# Serial line for debugging, as a 16550 has it: writes to THR are output, LSR says that there is always room.
UART_BASE: Final = 0x2104_0000
UART_THR: Final = 0x00
UART_LSR: Final = 0x14
LSR_EMPTY: Final = 0x60  # transmitter and its register empty

MAILBOX_BASE: Final = 0x5000_0000
RX_SIZE: Final = 0x00  # read: bytes of the waiting message with its sender's id; 0 when none waits
RX_DATA: Final = 0x04  # read: its next four bytes
RX_DONE: Final = 0x08  # write: drop what is left of it
TX_ROOM: Final = 0x10  # read: messages that can be sent now
TX_DATA: Final = 0x14  # write: the next four bytes of a message: receiver's id first
TX_SEND: Final = 0x18  # write: the number of bytes of the message
TX_RESULT: Final = 0x1C  # read: error number of the last message that was settled (Linux's); 0 delivered

# System control space (Armv7-M ARM, B3.2): SysTick and the few registers that start-up code writes.
SYSTEM_BASE: Final = 0xE000_E000
# SysTick counts the processor's clock; an MT3620's real-time cores run at up to 200 MHz.
CLOCK_HZ: Final = 200_000_000
