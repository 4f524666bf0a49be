# SPDX-License-Identifier: Apache-2.0
"""An installation by hand: what a person loads beside what is installed, checked as an update is, without a trial.

The service is told nothing; its next deployment takes the place of what was loaded, unless a capability file for
development holds deployments back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from armillary.device.applications.applications import ApplicationStore
from armillary.device.install.installer import Installer
from armillary.errors import ConflictError, InstallError, NotFoundError
from armillary.update.install.component import kind_of
from armillary.update.install.plan import InstallPlan, plan_install
from armillary.update.install.record import SlotImage
from armillary.wire.device.checkin import Offer, OfferedImage
from armillary.wire.image import package as image_package
from armillary.wire.image.package import UnverifiedImagePackage


@dataclass(frozen=True, slots=True)
class Load:
    """Packages by image id, and the plan that installs them."""

    plan: InstallPlan
    packages: Mapping[UUID, bytes] = field(repr=False)


def parse_application(data: bytes) -> UnverifiedImagePackage:
    """The package of an application or board configuration.

    Raises:
        WireError: it is no image package.
        InstallError: it is part of the OS, which nobody loads by hand.
    """
    package = image_package.parse(data)
    if kind_of(package.image_type).is_system:
        raise InstallError(
            f"image {package.image_id} has type {package.image_type}: expected an application",
            remedy="OS components and trust stores come with an update of the service.",
        )
    return package


def plan_load(installer: Installer, packages: Sequence[bytes]) -> Load:
    """Plan to install packages; earlier images of their components are replaced.

    Raises:
        WireError, InstallError: as :func:`parse_application`.
        ConflictError: all of them are installed already.
    """
    parsed = {package.component_id: (package, data) for package, data in ((parse_application(d), d) for d in packages)}
    kept = (_offered(one) for one in installer.record.applications if one.component_id not in parsed)
    wanted = (_wanted(package, data) for package, data in parsed.values())
    plan = plan_install(installer.record, _offer((*kept, *wanted)))
    if plan is None:
        names = ", ".join(str(package.image_id) for package, _ in parsed.values())
        raise ConflictError(f"image {names} is installed already", remedy="Nothing needs to be done.")
    return Load(plan, {package.image_id: data for package, data in parsed.values()})


def plan_removal(installer: Installer, component_id: UUID) -> tuple[SlotImage, InstallPlan]:
    """The application of a component and the plan that removes it; NotFoundError if there is none."""
    removed = next((one for one in installer.record.applications if one.component_id == component_id), None)
    if removed is None:
        raise NotFoundError(f"component {component_id} is not installed", remedy="List them: armillary device status.")
    plan = plan_install(
        installer.record, _offer(tuple(_offered(one) for one in installer.record.applications if one is not removed))
    )
    if plan is None:
        raise AssertionError("a removal is always a plan")
    return removed, plan


def check_load(store: ApplicationStore, load: Load) -> None:
    """Raise InstallError unless the whole set would run; nothing was changed."""
    store.check_room(load.plan)
    store.admit_set(load.plan, load.packages)


def keep_packages(installer: Installer, load: Load) -> None:
    """Write the packages to flash, beside what is in force."""
    for staged in load.plan.fetch:
        installer.keep(staged.target, load.packages[staged.target.image_id])


def install_now(installer: Installer, plan: InstallPlan) -> None:
    """Put a plan whose packages are kept into force, for good, and tell the service nothing: it offered none of it."""
    installer.stage(plan)
    installer.switch(plan)
    if installer.record.trial is not None:
        installer.confirm()
    installer.acknowledge(installer.record.outcomes)


def _wanted(package: UnverifiedImagePackage, data: bytes) -> OfferedImage:
    return OfferedImage(
        component_id=package.component_id,
        image_id=package.image_id,
        image_type=package.image_type,
        name=package.name,
        size=len(data),
        sha256=package.digest,
    )


def _offer(images: tuple[OfferedImage, ...]) -> Offer:
    return Offer(offer_id=uuid4(), deployment_id=None, images=images)


def _offered(image: SlotImage) -> OfferedImage:
    return OfferedImage(
        component_id=image.component_id,
        image_id=image.image_id,
        image_type=image.image_type,
        name=image.name,
        size=image.size,
        sha256=image.sha256,
    )
