# SPDX-License-Identifier: Apache-2.0
"""Slots of a machine that U-Boot starts: its environment says which is next, the signed command line which one runs.

``boot_next`` is started once, else the first slot of ``boot_order``. Before U-Boot starts a slot it names the *other*
one in ``boot_next`` (``image/uboot/imx8mp.env``), and the device process the wanted one again: whatever stops in
between leads to the other slot, as ``boot_slots.py`` says of UEFI. Where no copy of the environment is whole, U-Boot
starts slot A, and slot B if A is not signed or does not come up.

Of what is stored U-Boot takes these two variables and no other: who writes here chooses between the slots, no more.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.errors import HostError
from armillary.update.install.component import other_slot
from armillary.wire.device_image.command_line import slot_of
from armillary.wire.disk import uboot_environment
from armillary.wire.disk.uboot_environment import COPY_BYTES, Copy

COMMAND_LINE: Final = Path("/proc/cmdline")
# The partition with both copies, and where the second one begins: they share no erase block of a flash.
PARTITION: Final = "uboot-environment"
SECOND_COPY_BYTES: Final = 0x80000
NEXT, ORDER = "boot_next", "boot_order"
BEGUN_ANEW: Final = (
    "both copies of U-Boot's environment were damaged: it started slot a, and wrote the environment anew"
)


@dataclass(frozen=True, slots=True)
class UBootSlots:
    """The slots of such a machine; ``node`` is the partition with the environment."""

    node: Path
    command_line: Path = COMMAND_LINE

    def booted(self) -> str:
        """See :class:`~armillary.engines.flash.boot_slots.BootSlots`."""
        slot = slot_of(self.command_line.read_text("utf-8", "replace"))
        if slot is None:
            raise HostError(
                "the command line does not say which slot was started",
                remedy="Start the device from its own disk, by its own U-Boot.",
            )
        return slot

    def was_begun_anew(self) -> bool:
        """Whether U-Boot found no whole copy of its environment at this start; False as well if it cannot be read."""
        try:
            with self.node.open("rb", buffering=0) as disk:
                return uboot_environment.was_begun_anew(*_copies(disk.fileno()))
        except OSError:
            return False  # whoever writes it says why

    def start_next(self, slot: str, *, settled: str) -> None:
        """See :class:`~armillary.engines.flash.boot_slots.BootSlots`. A cut leaves what was next before."""
        wanted = {NEXT: slot, ORDER: f"{settled} {other_slot(settled)}"}
        try:
            with self.node.open("r+b", buffering=0) as disk:
                found = uboot_environment.newest(*_copies(disk.fileno()))
                number, copy = (1, Copy(uboot_environment.LAST_FLAG, {})) if found is None else found
                if wanted.items() <= copy.variables.items():  # the flash wears out
                    return
                data = uboot_environment.encode_copy(Copy(uboot_environment.next_flag(copy.flag), wanted))
                os.pwrite(disk.fileno(), data, 0 if number else SECOND_COPY_BYTES)
                os.fsync(disk.fileno())
        except OSError as error:
            raise HostError(
                f"{self.node}: {error.strerror or error}",
                remedy="The disk with U-Boot's environment cannot be written: look whether it is failing.",
            ) from error


def _copies(disk: int) -> tuple[bytes, bytes]:
    return os.pread(disk, COPY_BYTES, 0), os.pread(disk, COPY_BYTES, SECOND_COPY_BYTES)
