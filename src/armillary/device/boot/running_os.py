# SPDX-License-Identifier: Apache-2.0
"""Which OS runs on the disk of a device image, as it is in its slots: what no install record has to say.

The firmware tells which slot it started. A component that is mounted may be in the other slot: an update that brought
the kernel alone leaves the root file system where it was, and the first program takes the one that fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from armillary.boot.profile import BootComponent
from armillary.device.boot.known_versions import known_version
from armillary.engines.flash.os_disk import OsDisk
from armillary.engines.flash.port import Flash, read_or_none
from armillary.errors import WireError
from armillary.update.install.component import SLOTS, os_region
from armillary.update.install.record import SlotImage, WayBack
from armillary.wire.image import package as image_package


@dataclass(frozen=True, slots=True)
class RunningOs:
    """The OS that runs from a disk, with the chip's boot ``components`` in boot order."""

    flash: Flash
    components: Sequence[BootComponent]
    disk: OsDisk

    def slots(self) -> Mapping[str, str]:
        """Component -> slot that the machine runs it from: of one of which it does not tell, what the firmware started.

        HostError if the firmware does not say which slot it started.
        """
        booted = self.disk.slots.booted()
        return {
            each.name: next((slot for slot in SLOTS if self.disk.runs_from(os_region(each.name, slot))), booted)
            for each in self.components
        }

    def images(self) -> tuple[SlotImage, ...]:
        """Its packages, unverified, in boot order; none at all where one is missing or damaged.

        HostError as of :meth:`slots`.
        """
        slots, images = self.slots(), []
        for component in self.components:
            slot = slots[component.name]
            data = read_or_none(self.flash, os_region(component.name, slot)) or b""
            try:
                package = image_package.parse(data)
            except WireError:
                return ()  # or read wrongly: then the next start that asks reads it again
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

    def os(self) -> WayBack | None:
        """Its packages, and which version it is if it was attested before; None where a package is missing or damaged.

        HostError as of :meth:`slots`.
        """
        images = self.images()
        return WayBack(images, known_version(self.flash, [image.sha256 for image in images])) if images else None
