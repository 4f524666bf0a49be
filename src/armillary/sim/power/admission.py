# SPDX-License-Identifier: Apache-2.0
"""The checks of a bundle before anything of it is written, and of applications before they run: the product's own.

In the order of ``device/installation.py``: trust stores, then the OS, then the applications. Verdicts are remembered by
the bytes and keys that they are about (``supply.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from cryptography.x509 import Certificate

from armillary.device.applications.admission import Application, Board, admit
from armillary.device.boot.startup import Startup
from armillary.device.install.installer import Installer
from armillary.device.install.os_components import check_os
from armillary.device.install.trust_stores import Signers, signers_after
from armillary.engines.flash.port import Flash
from armillary.sim.power.supply import Supply
from armillary.update.install.component import os_region
from armillary.update.install.plan import InstallPlan
from armillary.update.install.record import SlotImage


class Admission:
    """What one device checks."""

    def __init__(self, supply: Supply, flash: Flash) -> None:
        self._supply = supply
        self._flash = flash

    def check(
        self,
        plan: InstallPlan,
        packages: Mapping[UUID, bytes],
        startup: Startup,
        minimums: Mapping[int, int],
        installer: Installer,
    ) -> None:
        """Check a bundle as it would run; InstallError if the device must not install it."""
        present = Signers(os=startup.configuration.os_signers, images=startup.configuration.image_signers)
        after = signers_after(plan, packages, present)
        self._check_os(plan, packages, after.os, minimums)
        for image in plan.result:
            if not image.kind.is_system:
                data = packages.get(image.image_id)
                self.admit(installer.package(image) if data is None else data, image, plan.os.abi)

    def admit(self, data: bytes, image: SlotImage, os_abi: int) -> Application | Board:
        """Check an application that is to run on an OS with this ABI; InstallError if it must not."""
        return self._supply.remembered(
            ("application", data, image.component_id, image.image_id, os_abi),
            lambda: admit(
                data,
                component_id=image.component_id,
                image_id=image.image_id,
                trusted=(self._supply.signer,),
                platform=self._supply.platform,
                os_abi=os_abi,
            ),
        )

    def _check_os(
        self,
        plan: InstallPlan,
        packages: Mapping[UUID, bytes],
        signers: Sequence[Certificate],
        minimums: Mapping[int, int],
    ) -> None:
        names = [component.name for component in self._supply.profile.boot_components]
        kept = tuple(self._flash.read(os_region(name, slot)) for name in names for slot in ("a", "b"))
        self._supply.remembered(
            ("os", plan.result, plan.restarts, tuple(packages.items()), kept, tuple(signers), tuple(minimums.items())),
            lambda: check_os(
                plan,
                packages,
                chip=self._supply.profile,
                flash=self._flash,
                signers=signers,
                minimums=minimums,
            ),
        )
