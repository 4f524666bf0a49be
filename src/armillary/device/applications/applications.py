# SPDX-License-Identifier: Apache-2.0
"""Loads installed applications from flash: verifies them again, extracts them, makes their launch parameters.

What the board keeps for itself is known before them: no application gets a peripheral of a board configuration.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from cryptography.x509 import Certificate

from armillary.capability.device_addresses import LOOPBACK, DeviceAddresses
from armillary.capability.grant import Grant, PlatformLimits
from armillary.device.applications.admission import Application, Board, admit
from armillary.device.applications.storage_watch import is_over
from armillary.device.install.installer import Installer
from armillary.device.state.hub_address import HubAddress
from armillary.device.state.layout import DeviceFolder
from armillary.engines.sandbox.port import Launch
from armillary.engines.sandbox.storage.use import image_of
from armillary.engines.sandbox.within.image_root import extract_image
from armillary.errors import InstallError, NoRoomError
from armillary.update.install.component import Kind
from armillary.update.install.plan import InstallPlan
from armillary.update.install.record import InstallRecord, SlotImage


@dataclass(frozen=True, slots=True)
class LoadedSet:
    """The applications of an install record that may run.

    ``failures`` has (name, reason) of images that may not: their package or what they ask for is not acceptable here.
    """

    applications: tuple[Application, ...]
    failures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationStore:
    """Loads the applications of installed images.

    Their signers are ``trusted`` certificates; ``flash_limit_bytes`` is for all application packages together.
    """

    folder: DeviceFolder
    installer: Installer
    trusted: Sequence[Certificate]
    platform: PlatformLimits
    flash_limit_bytes: int
    device_id: str
    # Nodes for the serial ports of a grant; notes those that have none
    serial_ports: Callable[[Grant], Mapping[str, Path]] = lambda _: {}
    addresses: DeviceAddresses = LOOPBACK  # Where server ports are reached

    def load(self, record: InstallRecord) -> LoadedSet:
        """Verify every active image and say which may run."""
        admitted: list[Application | Board] = []
        failures: list[tuple[str, str]] = []
        for image in _board_first(record.applications):
            try:
                admitted.append(
                    self._admit(image, self.installer.package(image), admitted, self.trusted, record.os.abi)
                )
            except InstallError as error:
                failures.append((image.name, error.message))
        return LoadedSet(tuple(one for one in admitted if isinstance(one, Application)), tuple(failures))

    def check_room(self, plan: InstallPlan) -> None:
        """Raise NoRoomError for a set that the chip has no room for, before anything is fetched."""
        size = sum(image.size for image in plan.result if not image.kind.is_system)
        if size > self.flash_limit_bytes:
            raise NoRoomError(
                f"the set has {size} bytes: expected at most {self.flash_limit_bytes} on {self.platform.name}"
            )

    def admit_set(
        self, plan: InstallPlan, packages: Mapping[UUID, bytes], trusted: Sequence[Certificate] | None = None
    ) -> None:
        """Check all applications of the set as they would run: new packages as fetched, kept ones as installed.

        Their signers are those in force after the switch, where the set changes them. InstallError if one is not
        acceptable, alone, beside the others, on the set's OS or on the board that the set describes.
        """
        admitted: list[Application | Board] = []
        signers = self.trusted if trusted is None else trusted
        for image in _board_first(one for one in plan.result if not one.kind.is_system):
            fetched = packages.get(image.image_id)
            data = self.installer.package(image) if fetched is None else fetched
            admitted.append(self._admit(image, data, admitted, signers, plan.os.abi))

    def launch(self, application: Application, *, hub: HubAddress | None, device_authentication: Path) -> Launch:
        """Extract the image afresh and say how to start it.

        Raises:
            InstallError: the image cannot be extracted.
            OSError: the disk refuses.
        """
        root = self.folder.run / "images" / str(application.image_id)
        root.parent.mkdir(parents=True, exist_ok=True)
        if root.exists():
            shutil.rmtree(root)
        files = application.filesystem.files
        extract_image(
            {name: file.content for name, file in files.items()},
            [name for name, file in files.items() if file.executable],
            root,
        )
        environment = {"ARMILLARY_DEVICE_ID": self.device_id}
        if hub is not None:
            environment |= {"ARMILLARY_HUB_HOST": hub[0], "ARMILLARY_HUB_PORT": str(hub[1])}
        data = self._mutable(application)
        found = Launch(
            image_root=root,
            manifest=application.manifest,
            grant=application.grant,
            data=data,
            storage=None if data is None else image_of(data),
            temporary=self.folder.run,
            device_authentication=(None if application.grant.device_authentication is None else device_authentication),
            serial_ports=self.serial_ports(application.grant),
            addresses=self.addresses,
            environment=environment,
        )
        return replace(found, storage_full=is_over(found))

    def _mutable(self, application: Application) -> Path | None:
        """Folder of an application's mutable storage, made when missing; None when it has none."""
        if application.grant.mutable_storage_kb == 0:
            return None
        path = self.folder.mutable / str(application.component_id)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def _admit(
        self,
        image: SlotImage,
        data: bytes,
        others: Sequence[Application | Board],
        trusted: Sequence[Certificate],
        os_abi: int,
    ) -> Application | Board:
        found = admit(
            data,
            component_id=image.component_id,
            image_id=image.image_id,
            trusted=trusted,
            platform=self.platform,
            others=[one.grant for one in others],
            os_abi=os_abi,
        )
        if isinstance(found, Board) and any(isinstance(one, Board) for one in others):
            raise InstallError(
                f"board configuration {image.name} ({image.image_id}): the device has one already",
                remedy="Deploy one board configuration: a device is one board.",
            )
        return found


def _board_first(images: Iterable[SlotImage]) -> list[SlotImage]:
    """The images with the board configuration, which decides what is there for the others, before them."""
    return sorted(images, key=lambda image: image.kind is not Kind.BOARD_CONFIGURATION)
