# SPDX-License-Identifier: Apache-2.0
"""Offers of made-up bundles, the packages that they name, and a pretended chip that boots them."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

from armillary.device.install.installer import Installer, Verify
from armillary.errors import BootRefusedError
from armillary.update.install.component import OsPlace, os_region
from armillary.update.install.plan import plan_install
from armillary.update.install.record import InstallRecord, SlotImage
from armillary.update.install.transaction import InstallState
from armillary.wire.device.checkin import Offer, OfferedImage

COMPONENTS = [uuid.UUID(int=i) for i in (1, 2, 3)]
OS_COMPONENTS = {"kernel": uuid.UUID(int=4), "root-fs": uuid.UUID(int=5)}
OS_TYPES = {"kernel": 7, "root-fs": 8}
NOW = 1_800_000_000


def package(component: int, version: int) -> bytes:
    return f"component {component} version {version} ".encode() * 20


def os_package(name: str, version: int) -> bytes:
    """The kernel changes with every version, the root file system with every second."""
    changed = version if name == "kernel" else version // 2
    return f"{name} version {changed} ".encode() * 20


def offer(number: int, *versions: tuple[int, int], os: int = 0) -> Offer:
    """An offer of (component index, version) pairs and OS version ``os`` (0: none); deployment id from ``number``."""
    images = [
        _offered(COMPONENTS[c], uuid.UUID(int=1000 * (c + 1) + v), 10, f"app{c}", package(c, v)) for c, v in versions
    ]
    images += os_images(os) if os else []
    return Offer(
        offer_id=uuid.UUID(int=number << 8),
        deployment_id=uuid.UUID(int=number),
        images=tuple(images),
        os_version=f"26.{os}" if os else "",
        os_abi=os,
    )


def os_images(version: int) -> list[OfferedImage]:
    return [
        _offered(component, _image_id(name, version), OS_TYPES[name], name, os_package(name, version))
        for name, component in OS_COMPONENTS.items()
    ]


def _image_id(name: str, version: int) -> uuid.UUID:
    return uuid.uuid5(OS_COMPONENTS[name], os_package(name, version).decode())


def _offered(component: uuid.UUID, image: uuid.UUID, kind: int, name: str, data: bytes) -> OfferedImage:
    return OfferedImage(
        component_id=component,
        image_id=image,
        image_type=kind,
        name=name,
        size=len(data),
        sha256=hashlib.sha256(data).digest(),
    )


STORE = {uuid.UUID(int=1000 * (c + 1) + v): package(c, v) for c in range(3) for v in range(5)} | {
    _image_id(name, v): os_package(name, v) for name in OS_COMPONENTS for v in range(1, 9)
}
WHOLE_OS = {os_package(name, v) for name in OS_COMPONENTS for v in range(1, 9)}


@dataclass(frozen=True, slots=True)
class Booted:
    """A pretended device after its boot: what its boot measured, and its installer."""

    installer: Installer
    places: tuple[OsPlace, ...]
    os: dict[str, bytes]
    dropped: tuple[SlotImage, ...]
    verify: Verify

    @property
    def system(self) -> tuple[bytes, bytes]:
        return self.os["kernel"], self.os["root-fs"]

    def install(self, wanted: Offer) -> bool:
        """One round of what the device does with an offer; returns whether it switched."""
        installer = self.installer
        if installer.state in (InstallState.CONFIRMED, InstallState.REVERTED):
            installer.acknowledge(installer.record.outcomes)
        plan = plan_install(installer.record, wanted, self.places)
        if plan is None:
            return False
        for staged in installer.missing(plan):
            installer.keep(staged.target, STORE[staged.target.image_id])
        installer.stage(plan)
        installer.switch(plan)
        return True


def made(version: int = 1) -> dict[str, bytes]:
    """Flash of a device as manufactured: OS components in slot a, no record."""
    return {os_region(name, "a"): os_package(name, version) for name in OS_COMPONENTS}


def boot(flash: Any, *, refused: frozenset[bytes] = frozenset()) -> Booted:
    """Start the device as the boot does: count, verify what the record names, try what it names instead.

    A component that is not whole, or one of ``refused``, stops the chain; BootRefusedError when nothing boots.
    """
    installer = Installer(flash, lambda: NOW)

    def verify(record: InstallRecord) -> dict[str, bytes]:
        found = {name: flash.read(os_region(name, record.os_slot(name))) or b"" for name in OS_COMPONENTS}
        bad = [name for name, data in found.items() if data not in WHOLE_OS or data in refused]
        if bad:
            raise BootRefusedError(f"boot stopped at {bad[0]}")
        return found

    installer.count_start(verify)
    try:
        found = verify(installer.record)
    except BootRefusedError as error:
        found = installer.boot_refused(error, verify)
    dropped = installer.check_images(verify)
    places = tuple(
        OsPlace(
            component_id=OS_COMPONENTS[name],
            image_type=OS_TYPES[name],
            name=name,
            size_limit_bytes=4096,
            digest=hashlib.sha256(data).digest(),
        )
        for name, data in found.items()
    )
    return Booted(installer, places, found, dropped, verify)
