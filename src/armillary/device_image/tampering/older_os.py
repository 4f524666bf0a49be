# SPDX-License-Identifier: Apache-2.0
"""Rollback from outside: an older OS, rightly signed, is put back onto the disk of a machine that runs a newer one.

The firmware starts it: its signature is good. What has to stop it is the TPM, which keeps the lowest security version
that may run, and which no disk brings back; or the service, which refuses what is below its own floor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from armillary.device.machine.words import RESTARTS_APART_S
from armillary.device_image.disk import ROOT, STARTED
from armillary.device_image.tampering.attacks import End, Outcome
from armillary.device_image.tampering.playing import ATTESTED, REFUSED_STARTS, Victim
from armillary.device_image.tools import run
from armillary.device_image.virtual_machine import DISK, running
from armillary.engines.flash.os_disk import read_partitions, slot_partition
from armillary.errors import HostError
from armillary.update.install.component import SLOTS
from armillary.wire.disk.gpt import SECTOR_BYTES

WHOLE: Final = "older OS: the whole disk of before an update, its data too"
SLOTS_ALONE: Final = "older OS: both slots of before an update, the data of now"
_BEGUN, _CONFIRMED = "update-started", "update-confirmed"


class OlderOs:
    """What an attacker has kept of a machine: its disk of before an update that raises the security version."""

    def __init__(self, victim: Victim, publish: Callable[[], None]) -> None:
        """``publish`` has the service offer an OS with a higher security version."""
        self._victim = victim
        self._publish = publish
        self._older = victim.settings.folder / "older.img"

    def take_update(self) -> None:
        """Copy the disk, and have the machine take the update until its TPM knows of it; HostError if it does not."""
        settings = self._victim.settings
        run(["cp", "--sparse=always", settings.folder / DISK, self._older])
        with running(settings) as machine:
            self._publish()
            # What an attack before left on trial may be confirmed first. The check-in after the update's confirmation
            # raises the lowest version; the one after that comes when it was kept.
            for wanted in (_BEGUN, _CONFIRMED, ATTESTED, ATTESTED):
                line, seen = machine.wait_for(wanted, within_s=2 * self._victim.within_s)
                if line is None:
                    raise HostError(f"no line with {wanted}: {' | '.join(seen[-3:])}", remedy="Look at what it says.")
            machine.pull_the_plug()
        self._victim.keep()

    def play(self, name: str) -> Outcome:
        """Put the older OS back, start the machine, and put it right again; accepted if it is attested."""
        begun, disk = time.monotonic(), self._victim.settings.folder / DISK
        now = disk.with_name("now.img")
        disk.rename(now)
        run(["cp", "--sparse=always", self._older if name == WHOLE else now, disk])
        if name == SLOTS_ALONE:
            self._place_slots(disk)
        # One whose data remember ten refused starts rests once before it has refused enough.
        end, lines = self._victim.start(within_s=REFUSED_STARTS / 2 * self._victim.within_s + RESTARTS_APART_S)
        now.replace(disk)  # all of it: a device that has refused the OS of both slots keeps that in its record
        self._victim.put_right()
        came_back = self._victim.start()[0] is End.ATTESTED
        return Outcome(name, end, end is End.ATTESTED, came_back, time.monotonic() - begun, lines)

    def _place_slots(self, disk: Path) -> None:
        wanted = {slot_partition(component, slot) for component in (STARTED, ROOT) for slot in SLOTS}
        with self._older.open("rb") as older, disk.open("r+b") as changed:
            for each in read_partitions(disk):
                if each.name in wanted:
                    older.seek(each.first_lba * SECTOR_BYTES)
                    changed.seek(each.first_lba * SECTOR_BYTES)
                    changed.write(older.read(each.sectors * SECTOR_BYTES))
