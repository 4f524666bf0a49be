# SPDX-License-Identifier: Apache-2.0
"""Makes the install record anew where neither of its copies is readable: no power cut does that, a failing medium does.

Copies are damaged, or lost: ``e2fsck -y`` drops a folder that it cannot save. The record says which OS is wanted, what
is on trial and which applications run. Nothing of it can be guessed but the OS: it is the one that runs, if its
packages are in the slot that runs. The boot verifies them as ever, and the anti-rollback minimums stand elsewhere
(``device/boot/startup.py``). So the OS that runs stays, a trial is over, and the next check-in brings the applications.

A machine that runs from slot a and has lost a copy is left alone: without a record slot a is in force anyway, and a
device whose disk came with one OS begins without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from armillary.boot.profile import BootComponent
from armillary.device.boot.startup import chip_profile
from armillary.device.install.installer import RECORD_REGIONS, read_copies
from armillary.device.state.configuration import load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.status import read_status
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.os_disk import OsDisk
from armillary.engines.flash.port import Flash, store_region
from armillary.errors import DataFolderError, WireError
from armillary.update.install.component import SLOTS, os_region
from armillary.update.install.record import InstallRecord, OsVersion, SlotImage, choose, encode
from armillary.wire.image import package as image_package


def mend_record(folder: DeviceFolder, disk: OsDisk) -> str:
    """Make the record of the OS that runs where no copy is readable; a sentence if it was, empty if not.

    Raises:
        DataFolderError: the flash does not take it.
        HostError: the firmware does not say which slot runs.
    """
    flash = disk.flash(FileFlash(folder.flash))
    copies = read_copies(flash)
    damage = ""
    try:
        if choose(copies).is_from_copy:
            return ""
    except WireError as error:
        damage = error.message
    components = chip_profile(load_configuration(flash).chip).boot_components
    slots = _running_slots(components, disk)
    if not damage and set(slots.values()) == {SLOTS[0]}:
        return ""
    images = _images(flash, components, slots)
    is_gone = all(copy is None for copy in copies)
    if is_gone and not images:
        return ""  # a disk that came with one OS and has started the other slot: no record ever named what is there
    record = InstallRecord(active=images, os=OsVersion(_last_version(folder)) if images else OsVersion())
    store_region(flash, RECORD_REGIONS[0], encode(record, 1))
    if damage:
        found = f"both copies of the install record are damaged ({damage})"
    else:
        found = f"the install record is lost ({'both copies are' if is_gone else 'one copy is damaged, one'} missing)"
    kept = f"the OS in slot {slots[components[0].name]} stays" if record.active else "the OS in slot a is wanted"
    return f"{found}; it was made anew: {kept}, the next check-in brings the applications"


def _last_version(folder: DeviceFolder) -> str:
    """The OS version that the device said last; a wrong one is found by the service, which knows what was measured."""
    try:
        status = read_status(folder.status) or {}
    except DataFolderError:
        return ""
    version = status.get("os_version")
    return version if isinstance(version, str) else ""


def _running_slots(components: Sequence[BootComponent], disk: OsDisk) -> Mapping[str, str]:
    """Component -> slot that the machine runs it from: for one of which it does not say, what the firmware started."""
    booted = disk.slots.booted()
    return {
        each.name: next((slot for slot in SLOTS if disk.runs_from(os_region(each.name, slot))), booted)
        for each in components
    }


def _images(flash: Flash, components: Sequence[BootComponent], slots: Mapping[str, str]) -> tuple[SlotImage, ...]:
    """What is in these slots; none at all where one has no package, since then only slot a can be meant."""
    images = []
    for component in components:
        slot = slots[component.name]
        data = flash.read(os_region(component.name, slot)) or b""
        try:
            package = image_package.parse(data)
        except WireError:
            return ()
        images.append(
            SlotImage(
                component_id=component.component_id,
                image_id=package.image_id,
                image_type=component.image_type,
                name=component.name,
                slot=slot,
                size=len(data),
                sha256=sha256(data).digest(),
            )
        )
    return tuple(images)
