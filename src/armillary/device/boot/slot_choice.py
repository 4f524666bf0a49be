# SPDX-License-Identifier: Apache-2.0
"""Keeps the firmware and the install record of one mind about the slot that the device runs from.

The install record says which OS is wanted, the firmware which one came up. They differ after an update (the new one
has to be started) and when the wanted one did not come up: it panicked, or Secure Boot refused it, and the firmware
started the other. Then it is tried again, :data:`TRIES` times in all, since a power cut in the first seconds of a start
looks the same. After that the record takes it back, as it does with an OS that it has itself refused. Where the record
names no other OS that may boot, because it was lost or that one is damaged, the one that runs takes the place if it may
boot itself (``running_os.py``): a slot with a whole OS is enough, whatever the record knows of it. What takes the place
of a settled OS is on trial, with that one to go back to.

The first program has named the other slot, and an OS names its own again only when its start is counted and its boot
chain verified (:meth:`SlotChoice.boot`). So what ends before, a process or the machine, leads to the other slot, where
it is counted: an OS on trial is started in vain at most :data:`TRIES` times in a row, and uses up one of its own starts
whenever it gets further; one that was settled gives way as well.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from armillary.device.boot.running_os import RunningOs
from armillary.device.boot.startup import BootRom, Startup, chip_profile, start_up, verify_chain
from armillary.device.install.installer import Installer, Verify
from armillary.device.state.configuration import DeviceConfiguration
from armillary.device.state.journal import Journal
from armillary.engines.flash.boot_slots import BootSlots
from armillary.engines.flash.os_disk import OsDisk
from armillary.engines.flash.port import Flash, read_or_none, replace_region
from armillary.engines.root_of_trust.port import RootOfTrust
from armillary.errors import ArmillaryError, BootRefusedError, HostError, WireError
from armillary.update.install.record import InstallRecord
from armillary.wire.encoding import cbor

TRIES: Final = 3
_REGION: Final = "device/slot-tries"
_MAX_BYTES: Final = 64


class SlotChoice:
    """The slot that a machine runs from, and what the firmware is told to start next.

    ``component`` is what the firmware starts. ``verify`` verifies the boot chain that a record names; it raises
    BootRefusedError where that may not boot. ``tell_refused`` is told where nothing may boot that comes up.
    """

    def __init__(
        self,
        slots: BootSlots,
        flash: Flash,
        component: str,
        verify: Verify,
        running: RunningOs,
        journal: Journal,
        tell_refused: Callable[[BootRefusedError], None],
    ) -> None:
        self._slots = slots
        self._flash = flash
        self._component = component
        self._verify = verify
        self._running = running
        self._journal = journal
        self._tell_refused = tell_refused

    def runs(self, record: InstallRecord) -> bool:
        """Whether the slot that runs is the one that ``record`` wants; HostError if the firmware does not say."""
        return record.os_slot(self._component) == self._slots.booted()

    def is_wanted(self, installer: Installer) -> bool:
        """Whether the slot that runs is the wanted one; else that is next, and the machine has to start again.

        What was started in vain too often is given up first, if the OS before it may boot, or else the one that runs.
        Durable when it returns.

        Raises:
            BootRefusedError: the wanted OS does not come up, and there is no other one that may boot; it is next, and
                is tried again.
            HostError: the firmware does not say which slot runs, or does not take what is next.
        """
        if not self.runs(installer.record):
            wanted = installer.record.os_slot(self._component)
            tries = self._tries(wanted)
            if tries < TRIES:
                replace_region(self._flash, _REGION, cbor.encode([wanted, tries + 1]))
            else:
                self._give_up(installer, wanted)
        if self.runs(installer.record):
            return True
        self._journal.write("restarting", slot=installer.record.os_slot(self._component))
        self._name(installer.record)
        return False

    def boot(
        self,
        flash: Flash,
        configuration: DeviceConfiguration,
        root_of_trust: RootOfTrust,
        boot_rom: BootRom,
        installer: Installer,
    ) -> Startup:
        """Start up (:func:`~armillary.device.boot.startup.start_up`), then have the firmware start this slot again.

        Where that fails it is a fault of the machine, and stops none that runs.
        """
        try:
            startup = start_up(flash, configuration, root_of_trust, boot_rom, installer, self.runs)
        except ArmillaryError as error:
            # Not its OS but its root of trust or its data: the other slot would fail alike, and get its turn in vain.
            if not isinstance(error, BootRefusedError) and not installer.record.os_on_trial:
                with contextlib.suppress(HostError):
                    self._name(installer.record)
            raise
        try:
            self._flash.remove(_REGION)
            self._name(installer.record)
        except HostError as error:  # of the firmware, or of the flash
            self._journal.write("slot-not-named", reason=error.message)
            return replace(startup, fault=f"the next start may be of the other slot: {error.message}")
        return startup

    def _name(self, record: InstallRecord) -> None:
        wanted, settled = record.os_slot(self._component), record.settled_os_slot(self._component)
        self._slots.start_next(wanted, settled=settled)

    def _give_up(self, installer: Installer, wanted: str) -> None:
        """Have the OS before the wanted one in force, or the one that runs; BootRefusedError if neither may boot.

        Then all is as it was.
        """
        reason = f"slot {wanted} was started {TRIES} times and did not come up, slot {self._slots.booted()} did"
        given_up = BootRefusedError(reason, remedy="Write the device image to the disk again.")
        try:
            installer.boot_refused(given_up, self._verify, self._running.os)
        except BootRefusedError as error:
            self._tell_refused(error)
            self._name(installer.record)
            raise
        self._journal.write("update-reverted", reason=reason)

    def _tries(self, slot: str) -> int:
        """How often this slot was started in vain; a damaged count is none."""
        try:
            data = read_or_none(self._flash, _REGION) or b"\x80"
            value: Any = cbor.decode(data, what="slot tries", limit=_MAX_BYTES)
        except WireError:
            return 0
        match value:
            case [str(named), int(count)] if named == slot:
                return count
        return 0


def slot_choice(
    disk: OsDisk,
    flash: Flash,
    configuration: DeviceConfiguration,
    root_of_trust: RootOfTrust,
    boot_rom: BootRom,
    journal: Journal,
    tell_refused: Callable[[BootRefusedError], None],
) -> SlotChoice:
    """Of a device; NotFoundError if this version has no profile of its chip."""
    components = chip_profile(configuration.chip).boot_components
    verify = functools.partial(verify_chain, flash, configuration, root_of_trust, boot_rom)
    running = RunningOs(flash, components, disk)
    return SlotChoice(disk.slots, flash, components[0].name, verify, running, journal, tell_refused)
