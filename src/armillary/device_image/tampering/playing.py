# SPDX-License-Identifier: Apache-2.0
"""Plays attacks on one machine that is a device: it is changed while it is off, switched on, and put right again.

Its disk and its variables as they were are kept beside it, and put back after each attack, but for its data: those go
on as its TPM does, since the service holds a device that comes back with older ones (step 17 of its appraisal).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from armillary.device.boot.slot_choice import TRIES
from armillary.device_image import disk
from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import architecture_of
from armillary.device_image.attacks import NOTHING_LEFT
from armillary.device_image.tampering.attacks import DeviceAttack, End, Outcome, Tools, is_accepted, refused_starts
from armillary.device_image.tampering.tables import Tables, foreign_place
from armillary.device_image.tools import run
from armillary.device_image.virtual_machine import DISK, MachineSettings, running
from armillary.errors import HostError
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_writing import encode_tables

_CHECKED_IN: Final = "check-in  verdict="
ATTESTED: Final = f"{_CHECKED_IN}attested"
# UEFI firmware that has tried all that it knows, or that stops at a fault of its own for good (on x86-64 and on
# arm64), and a machine whose data cannot be read.
_NOTHING_LEFT: Final = (
    *NOTHING_LEFT,
    "No bootable option or device was found",
    "!!!! X64 Exception Type",
    "Synchronous Exception at 0x",
    "are out of reach",
)
# A machine that refuses its OS starts again, and its other slot gets its turn; a slot that does not come up is tried
# TRIES times before it is given up. One that has refused both so often, and once more, has nothing else to try.
REFUSED_STARTS: Final = 2 * TRIES + 1


class Victim:
    """A machine that is off, and was attested; ``image`` is what it was made of, ``within_s`` bounds two starts."""

    def __init__(self, settings: MachineSettings, image: Path, *, within_s: float) -> None:
        self.settings = settings
        self._image = image
        self.within_s = within_s
        self._disk = settings.folder / DISK
        self._variables = settings.folder / HARDWARE[settings.machine].kept
        self._good = settings.folder / "good"
        self._layout = disk.layout()
        self._signed = (image / "unified.efi").read_bytes()
        self._root = (image / "root.img").read_bytes()

    def keep(self) -> None:
        """Keep the machine as it is now: what every attack is undone to."""
        self._good.mkdir(exist_ok=True)
        run(["cp", "--sparse=always", self._disk, self._good / DISK])
        shutil.copyfile(self._variables, self._good / self._variables.name)

    def play(self, attack: DeviceAttack) -> Outcome:
        """Change the machine, switch it on, put it right, and switch it on once more."""
        begun = time.monotonic()
        try:
            self._change(attack)
            end, lines = self.start()
        finally:
            self.put_right()
        came_back = self.start()[0] is End.ATTESTED
        accepted = is_accepted(attack, end, lines)
        return Outcome(attack.name, end, accepted, came_back, time.monotonic() - begun, lines)

    def start(self, *, within_s: float | None = None) -> tuple[End, tuple[str, ...]]:
        """Switch it on until it is clear what comes of it; other seconds than usual for what takes more starts."""
        seen, end = list[str](), End.NOT_CLEAR
        with running(self.settings) as machine:
            for line in machine.lines(within_s=within_s or self.within_s):
                seen.append(line)
                if _CHECKED_IN in line:
                    end = End.ATTESTED if ATTESTED in line else End.NOT_ATTESTED
                    break
                if any(text in line for text in _NOTHING_LEFT) or refused_starts(seen) == REFUSED_STARTS:
                    end = End.NOTHING
                    break
            machine.pull_the_plug()
        return end, tuple(seen)

    def put_right(self) -> None:
        """Undo an attack: all but the data is as it was kept."""
        shutil.copyfile(self._good / self._variables.name, self._variables)
        data = self._layout.partition(disk.DATA)
        begin, behind = (sector * SECTOR_BYTES for sector in (data.first_lba, data.first_lba + data.sectors))
        with (self._good / DISK).open("rb") as good, self._disk.open("r+b") as changed:
            changed.truncate(self._layout.sectors * SECTOR_BYTES)
            disk.copy_changed(good.fileno(), changed.fileno(), begin)
            rest = self._layout.sectors * SECTOR_BYTES - behind
            disk.copy_changed(good.fileno(), changed.fileno(), rest, begin=behind, to=behind)

    def _change(self, attack: DeviceAttack) -> None:
        with tempfile.TemporaryDirectory(prefix="armillary-attack-") as folder:
            tools = Tools(architecture_of(self._image), self._signed, self._root, Path(folder))
            if attack.store is not None:
                self._variables.write_bytes(attack.store(self._variables.read_bytes(), tools))
            foreign = b"" if attack.foreign is None else attack.foreign(tools)
        if attack.table is None:
            return
        begin, end = attack.table(self._layout, Tables(*encode_tables(self._layout)))
        with self._disk.open("r+b") as changed:
            if foreign:
                changed.truncate(_disk_bytes(begin))
                changed.seek(foreign_place(self._layout) * SECTOR_BYTES)
                changed.write(foreign)
            changed.seek(0)
            changed.write(begin)
            changed.seek(-len(end), os.SEEK_END)
            changed.write(end)


def play_all(victim: Victim, attacks: Iterable[DeviceAttack]) -> Iterator[Outcome]:
    """One attack after the other, each outcome as it comes.

    Raises:
        HostError: the machine is not attested before any attack: then no outcome would say anything.
    """
    end, lines = victim.start()
    if end is not End.ATTESTED:
        last = " | ".join(lines[-3:])
        raise HostError(f"the machine is not attested before any attack: {last}", remedy="Look at what it says.")
    victim.keep()
    for attack in attacks:
        yield victim.play(attack)


def _disk_bytes(begin: bytes) -> int:
    """How large a disk is by the header of its first table, which names the sector of the other one."""
    return (int.from_bytes(begin[SECTOR_BYTES + 32 : SECTOR_BYTES + 40], "little") + 1) * SECTOR_BYTES
