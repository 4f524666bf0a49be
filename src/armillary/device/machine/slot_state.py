# SPDX-License-Identifier: Apache-2.0
"""Makes the install record anew where neither of its copies is readable: no power cut does that, a failing medium does.

Copies are damaged, or lost: ``e2fsck -y`` drops a folder that it cannot save. The record says which OS is wanted, what
is on trial and which applications run. Nothing of it can be guessed but the OS: it is the one that runs, if its
packages are in the slot that runs. The boot verifies them as ever, and the anti-rollback minimums stand elsewhere
(``device/boot/startup.py``). So the OS that runs stays, a trial is over, and the next check-in brings the applications.

A machine that runs from slot a and has lost a copy is left alone: without a record slot a is in force anyway, and a
device whose disk came with one OS begins without one. The start names the OS (``device/boot/startup.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from armillary.boot.profile import BootComponent
from armillary.device.boot.running_os import RunningOs
from armillary.device.boot.startup import chip_profile
from armillary.device.install.installer import RECORD_REGIONS, read_copies
from armillary.device.state.configuration import load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.status import read_status
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.os_disk import OsDisk
from armillary.engines.flash.port import Flash, store_region
from armillary.errors import DataFolderError, WireError
from armillary.update.install.component import SLOTS
from armillary.update.install.record import ChosenRecord, InstallRecord, OsVersion, choose, encode, os_of


def mend_record(folder: DeviceFolder, disk: OsDisk) -> str:
    """Make the record of the OS that runs where no copy is readable; a sentence if it was, empty if not.

    Raises:
        DataFolderError: the flash does not take it.
        HostError: the firmware does not say which slot runs.
    """
    flash = disk.flash(FileFlash(folder.flash))
    chip = chip_profile(load_configuration(flash).chip)
    return mend_in_flash(flash, chip.boot_components, disk, lambda: _last_version(folder))


def mend_in_flash(
    flash: Flash, components: Sequence[BootComponent], disk: OsDisk, last_version: Callable[[], str]
) -> str:
    """As :func:`mend_record`, of a chip with these boot components; ``last_version`` is what the device said last."""
    copies = read_copies(flash)
    damage, running = "", RunningOs(flash, components, disk)
    try:
        chosen = choose(copies)
        if chosen.is_from_copy:
            return _complete(flash, running, chosen)
    except WireError as error:
        damage = error.message
    slots = running.slots()
    if not damage and set(slots.values()) == {SLOTS[0]}:
        return ""
    found_os = running.os()
    images = found_os.images if found_os is not None else ()
    is_gone = all(copy is None for copy in copies)
    if is_gone and not images:
        return ""  # a disk that came with one OS and has started the other slot: no record ever named what is there
    record = InstallRecord()
    if found_os is not None:
        known = found_os.os if found_os.os != OsVersion() else OsVersion(last_version())
        record = InstallRecord(active=found_os.images, os=known)
    store_region(flash, RECORD_REGIONS[0], encode(record, 1))
    if damage:
        found = f"both copies of the install record are damaged ({damage})"
    else:
        found = f"the install record is lost ({'both copies are' if is_gone else 'one copy is damaged, one'} missing)"
    kept = f"the OS in slot {slots[components[0].name]} stays" if record.active else "the OS in slot a is wanted"
    return f"{found}; it was made anew: {kept}, the next check-in brings the applications"


def _complete(flash: Flash, running: RunningOs, chosen: ChosenRecord) -> str:
    """Name what runs where a record names no OS, so that slot a is meant, and not all that runs is there.

    Such a record was made anew where what ran had no whole packages.
    """
    record, first = chosen.record, SLOTS[0]
    if record.trial is not None or os_of(record.active):
        return ""
    slots = running.slots()
    started = slots[running.components[0].name]
    if started != first or set(slots.values()) == {first} or (found := running.os()) is None:
        return ""
    active = tuple(sorted((*found.images, *record.active), key=lambda image: image.kind))
    whole = replace(record, active=active, os=found.os)
    store_region(flash, RECORD_REGIONS[chosen.next_copy], encode(whole, chosen.next_sequence))
    return f"the install record named no OS; the one that runs, which slot {started} has started, is in force"


def _last_version(folder: DeviceFolder) -> str:
    """The OS version that the device said last; a wrong one is found by the service, which knows what was measured."""
    try:
        status = read_status(folder.status) or {}
    except DataFolderError:
        return ""
    version = status.get("os_version")
    return version if isinstance(version, str) else ""
