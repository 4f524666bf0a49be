# SPDX-License-Identifier: Apache-2.0
"""Which slot of the disk the firmware started, and which it starts next: the contract, and UEFI's boot entries.

UEFI keeps this in variables. ``BootNext`` is started once, and forgotten before it is started; ``BootOrder`` says what
is started else, and what follows where Secure Boot refuses one. So a slot gives way without a boot loader of ours:

* ``BootOrder`` has the settled slot (its OS is no trial) first: a kernel on trial that panics leads back to it.
* The first program of the image (``image/init``) names the *other* slot in ``BootNext`` as soon as it runs, and the
  device process the wanted one again: whatever stops in between leads to the other slot, which does the same. So two
  slots that both stop are tried in turns, and a slot that never comes up holds up nothing for good.

The boot entry of a slot is found by the partition that it starts, and made where a reset of the variables has lost it.
Specification: UEFI 2.10, §3.1 (boot manager), §3.3 (variables); the partition of the slot that runs is told by the boot
stub (Boot Loader Interface, ``LoaderDevicePartUUID``).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

from armillary.errors import HostError, WireError
from armillary.update.install.component import SLOTS, other_slot
from armillary.wire.disk.gpt import Partition
from armillary.wire.disk.load_option import decode_load_option, encode_load_option

EFI_VARIABLES: Final = Path("/sys/firmware/efi/efivars")
# What firmware starts, by what the kernel calls the machine (uname -m): UEFI 2.10, §3.5.1.1.
LOADERS: Final[Mapping[str, str]] = {
    "x86_64": "\\EFI\\BOOT\\BOOTX64.EFI",
    "aarch64": "\\EFI\\BOOT\\BOOTAA64.EFI",
}
LOADER: Final = LOADERS.get(os.uname().machine, LOADERS["x86_64"])

_GLOBAL: Final = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
_LOADER_INTERFACE: Final = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
# Non-volatile, for boot services and at run time.
_ATTRIBUTES: Final = struct.pack("<I", 7)
_NUMBER: Final = struct.Struct("<H")
_ENTRIES: Final = 0x10000  # numbers of boot entries


class BootSlots(Protocol):
    """What a device asks of the firmware; ``a`` and ``b`` are the slots."""

    def booted(self) -> str:
        """The slot that runs; HostError if the firmware does not say, or names another partition."""

    def start_next(self, slot: str, *, settled: str) -> None:
        """Start ``slot`` at the next start, ``settled`` where it does not come up; durable when it returns."""


@dataclass(frozen=True, slots=True)
class EfiBootSlots:
    """The slots of a machine with UEFI; ``partitions`` are those that the firmware starts, by slot.

    ``lost`` gets a sentence for each boot entry that was missing and is made again.
    """

    partitions: Mapping[str, Partition]
    variables: Path = EFI_VARIABLES
    loader: str = LOADER
    lost: Callable[[str], None] = lambda _sentence: None

    def booted(self) -> str:
        """See :class:`BootSlots`."""
        said = self._read("LoaderDevicePartUUID", _LOADER_INTERFACE)
        text = "" if said is None else said.decode("utf-16-le", "replace").rstrip("\0")
        for slot, partition in self.partitions.items():
            if str(partition.guid) == text.lower():
                return slot
        raise HostError(
            f"the firmware started partition {text or '(it does not say)'}, expected slot a or b of this device",
            remedy="Start the device from its own disk.",
        )

    def start_next(self, slot: str, *, settled: str) -> None:
        """See :class:`BootSlots`. A cut between the two writes leaves the slot that was next before."""
        entries = self._entries()
        order = [entries[each] for each in (settled, other_slot(settled))]
        self._write("BootOrder", b"".join(_NUMBER.pack(number) for number in order))
        self._write("BootNext", _NUMBER.pack(entries[slot]))

    def _entries(self) -> Mapping[str, int]:
        """The number of each slot's boot entry; missing ones are made."""
        slots = {partition.guid: slot for slot, partition in self.partitions.items()}
        found: dict[str, int] = {}
        taken = set()
        for path in sorted(self.variables.glob(f"Boot[0-9A-F][0-9A-F][0-9A-F][0-9A-F]-{_GLOBAL}")):
            number = int(path.name[4:8], 16)
            taken.add(number)
            slot = slots.get(self._starts(self._entry(path.name[:8])))
            if slot is not None:
                found.setdefault(slot, number)
        for slot in SLOTS:
            if slot not in found:
                found[slot] = next(number for number in range(1, _ENTRIES) if number not in taken)
                taken.add(found[slot])
                option = encode_load_option(f"Armillary slot {slot}", self.partitions[slot], self.loader)
                self._write(f"Boot{found[slot]:04X}", option)
                self.lost(f"the firmware had no boot entry that starts slot {slot}; it was made")
        return found

    def _entry(self, name: str) -> bytes:
        """A boot entry; empty where the firmware does not give it: then it is none of ours, and the device starts."""
        try:
            return self._read(name) or b""
        except HostError:
            return b""

    def _starts(self, option: bytes) -> UUID:
        """The partition on which a boot entry starts our loader; the zero GUID for any other entry."""
        try:
            found = decode_load_option(option)
        except WireError:
            return UUID(int=0)
        is_ours = found.is_active and found.path.upper() == self.loader.upper()  # FAT knows no case
        return found.partition if is_ours and found.partition is not None else UUID(int=0)

    def _read(self, name: str, vendor: str = _GLOBAL) -> bytes | None:
        """A variable without its attributes; None where there is none."""
        path = self.variables / f"{name}-{vendor}"
        try:
            return path.read_bytes()[len(_ATTRIBUTES) :]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(path, error) from error

    def _write(self, name: str, value: bytes) -> None:
        """Set a variable of UEFI itself, unless it has this value already: its flash wears out."""
        if self._read(name) == value:
            return
        path = self.variables / f"{name}-{_GLOBAL}"
        try:
            with path.open("wb", buffering=0) as file:
                file.write(_ATTRIBUTES + value)  # one write is one variable
        except OSError as error:
            raise _failed(path, error) from error


def _failed(path: Path, error: OSError) -> HostError:
    return HostError(
        f"{path}: {error.strerror or error}",
        remedy="The firmware's variables are full or read-only; reset them in its set-up.",
    )
