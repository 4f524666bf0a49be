# SPDX-License-Identifier: Apache-2.0
"""Makes the slots that OS components run from those that the install record names.

A kernel takes the root file system of its own slot where that is the one that its command line names, else the other
slot's (``image/init``). So after an update of the kernel alone, or of metadata alone, a machine may run from a root
file system that is the recorded one, byte by byte, but lies in the other slot, with other metadata behind it or none.
Before an update takes the place of the way back, the one that runs becomes whole.
"""

from __future__ import annotations

from armillary.device.install.fetched import is_package
from armillary.engines.flash.port import Flash, read_or_none, store_region
from armillary.errors import DataFolderError, WireError
from armillary.update.install.component import SLOTS
from armillary.update.install.plan import InstallPlan
from armillary.update.install.record import InstallRecord, SlotImage
from armillary.wire.image import package as image_package


def settle(flash: Flash, record: InstallRecord, plan: InstallPlan) -> tuple[SlotImage, ...]:
    """The active images, each OS component in the slot that it runs from, whole; what the plan keeps stays, too.

    What follows a component's payload is written behind the payload that runs, if that is the same.

    Raises:
        DataFolderError: a component to be replaced runs with another payload, or the flash does not take it.
    """
    moved = {image.component_id: image for image in plan.moved}
    replaced = {staged.target.region for staged in plan.fetch}
    active = []
    for image in record.active:
        running = moved.get(image.component_id)
        settled: SlotImage | None = image
        if running is not None:
            try:
                settled = _settled(flash, record, image, running)
            except DataFolderError:
                if image.region in replaced:
                    raise
        if settled is not None:
            active.append(settled)
    return tuple(active)


def _settled(flash: Flash, record: InstallRecord, recorded: SlotImage, running: SlotImage) -> SlotImage | None:
    """The image in the slot that runs, whole; None for slot ``a`` of a component that no list of images names.

    Where another payload runs, a release was made whose kernel names another root file system than the one beside it.
    Then what runs is that of the way back.
    """
    data, found = flash.read(recorded.region) or b"", read_or_none(flash, running.region) or b""
    if found == data:
        return running
    if record.way_back is not None and _may_stand_for(found, data):
        known = {image.component_id: image for image in record.way_back.images}.get(running.component_id)
        if known is None and running.slot == SLOTS[0]:
            return None
        if known is not None and known.slot == running.slot and is_package(known, found):
            return known
    store_region(flash, running.region, data)
    return running


def _may_stand_for(found: bytes, recorded: bytes) -> bool:
    """Whether a package has another payload, and no lower security version than the recorded one."""
    try:
        there, wanted = image_package.parse(found), image_package.parse(recorded)
    except WireError:
        return False
    return there.payload != wanted.payload and there.security_version >= wanted.security_version
