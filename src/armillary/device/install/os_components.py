# SPDX-License-Identifier: Apache-2.0
"""Checks of the OS of a bundle before anything of it is written: each component would boot on this device.

The checks are those of the boot itself (``boot.chain``, (1) to (5)): size, format, signature, place, security version.
A release below the anti-rollback minimum, for another chip or by another maker ends here, and nothing has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from cryptography.x509 import Certificate

from armillary.boot.chain import verify_component
from armillary.boot.profile import ChipProfile
from armillary.engines.flash.port import Flash
from armillary.errors import BootRefusedError, InstallError
from armillary.update.install.component import SLOTS, os_region
from armillary.update.install.plan import InstallPlan


def check_os(
    plan: InstallPlan,
    packages: Mapping[UUID, bytes],
    *,
    chip: ChipProfile,
    flash: Flash,
    signers: Sequence[Certificate],
    minimums: Mapping[int, int],
) -> None:
    """Check every OS component of the set that would run: new ones as fetched (by image id), kept ones as in flash.

    ``signers`` are those in force with the set; ``minimums`` is image type -> lowest security version that may boot.

    Raises:
        InstallError: the chain would be refused; names the component and the check.
    """
    if not plan.restarts:
        return
    images = {image.component_id: image for image in plan.result}
    for component in chip.boot_components:
        image = images.get(component.component_id)
        fetched = None if image is None else packages.get(image.image_id)
        region = os_region(component.name, SLOTS[0]) if image is None else image.region
        data = (flash.read(region) or b"") if fetched is None else fetched
        try:
            package = verify_component(
                component,
                data,
                trusted=signers,
                minimum_security_version=minimums.get(component.image_type, 0),
            )
        except BootRefusedError as error:
            raise InstallError(
                f"OS {plan.os.version} would not boot here: {error.message}",
                remedy="Offer a release for this chip, signed by its maker, at or above the device's minimum.",
            ) from error
        if image is not None and package.image_id != image.image_id:
            raise InstallError(
                f"{image.name}: expected image {image.image_id}, got {package.image_id}",
                remedy="Make the release again.",
            )
