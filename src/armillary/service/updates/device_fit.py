# SPDX-License-Identifier: Apache-2.0
"""Whether the images of a deployment fit devices: an OS for each application, the board, and what each of them owns.

Of applications the ABI range against the releases in force and the peripherals that two of them ask for, of a board
configuration the chip, its peripherals, and what the applications beside it ask for. A device checks the same for the
bundle that it is offered. Here a deployment that could run nowhere ends before any device hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from armillary.engines.records.queries import releases as release_rows
from armillary.engines.records.schema.rows import Image
from armillary.errors import InvalidArgumentError, ManifestError, NotFoundError
from armillary.service.context.chips import Chips
from armillary.wire.image import application as application_package, board_configuration, package as image_package
from armillary.wire.image.application import needed_os
from armillary.wire.image.package import UnverifiedImagePackage
from armillary.wire.image.section import APPLICATIONS, CUSTOMER_BOARD_CONFIG

if TYPE_CHECKING:
    from armillary.capability.grant import Grant


def check_os_fit(
    connection: Connection, chips: Iterable[str], images: Sequence[Image], read: Callable[[bytes], bytes], *, now: int
) -> None:
    """Check ``images`` for devices of these chips; ``read`` gives the package of a SHA-256, ``now`` is Unix seconds.

    Raises:
        InvalidArgumentError: no release of a chip that is in force at ``now`` has an ABI number that an image asks for.
    """
    needs = [(image, needed_os(image_package.parse(read(image.sha256)))) for image in images]
    ranged = [(image, needed) for image, needed in needs if needed is not None]
    if not ranged:
        return
    releases = [
        one
        for one in release_rows.every(connection)
        if one.withdrawn_at is None and (one.expires_at is None or now < one.expires_at)
    ]
    for chip in chips:
        there = sorted({one.os_abi for one in releases if one.chip == chip and one.os_abi})
        for image, needed in ranged:
            if not any(abi in needed for abi in there):
                raise InvalidArgumentError(
                    f"image {image.name} works on OS ABI {needed}: the releases for {chip} have "
                    f"{', '.join(map(str, there)) or 'none'}",
                    remedy="Publish a release with this ABI first, or build the application for one that is there.",
                )


def check_board(package: UnverifiedImagePackage, chips: Chips) -> str:
    """Check the package of a board configuration for itself; returns the architecture of its chip.

    Raises:
        InvalidArgumentError: it is none, is for a chip that is not known here, or names what the chip does not have.
    """
    from armillary.capability.grant import board_grant, platform_limits  # noqa: PLC0415 - memory: few have a board

    try:
        found = board_configuration.of_package(package)
        profile = chips.get(found.chip)
        board_grant(found, platform_limits(profile))
    except (ManifestError, NotFoundError) as error:
        raise InvalidArgumentError(
            f"board configuration {package.name}: {error.message}",
            remedy=f"Pack it again, for {' or '.join(chips.names)}: armillary image-package pack-board-config.",
        ) from error
    return profile.architecture


def check_board_fit(
    names: Iterable[str], images: Sequence[Image], read: Callable[[bytes], bytes], chips: Chips
) -> None:
    """Check the board configuration among ``images`` for devices of these chips, with the applications beside it.

    ``read`` gives the package of a SHA-256.

    Raises:
        InvalidArgumentError: there are two, a chip is not the board's, or an application asks for a peripheral that the
            board keeps.
    """
    boards = [image for image in images if image.image_type == CUSTOMER_BOARD_CONFIG]
    if not boards:
        return
    if len(boards) > 1:
        raise InvalidArgumentError(
            f"images: expected one board configuration, got {' and '.join(image.name for image in boards)}",
            remedy="Deploy one: a device is one board.",
        )
    from armillary.capability.grant import board_grant, grant, platform_limits  # noqa: PLC0415 - see check_board

    package = image_package.parse(read(boards[0].sha256))
    check_board(package, chips)  # it may be of before, when nobody looked into it
    found = board_configuration.of_package(package)
    what = f"board configuration {found.name}"
    for name in sorted(names) or [found.chip]:
        platform = platform_limits(chips.get(name))
        try:
            kept = board_grant(found, platform)
            for image in (one for one in images if one.image_type == APPLICATIONS):
                what = f"image {image.name} beside board configuration {found.name}"
                manifest = application_package.open_unverified(image_package.parse(read(image.sha256))).manifest
                grant(manifest, platform, others=[kept])
        except ManifestError as error:
            raise InvalidArgumentError(
                f"{what}: {error.message}",
                remedy="Deploy it to a group of devices of that board, or change what the application asks for.",
            ) from error


def check_owners(names: Iterable[str], images: Sequence[Image], read: Callable[[bytes], bytes], chips: Chips) -> None:
    """Check that the applications among ``images`` fit beside each other on devices of these chips.

    ``read`` gives the package of a SHA-256. What one application alone asks for is not judged here.

    Raises:
        InvalidArgumentError: two of them ask for one peripheral, or for peripherals on one pin.
    """
    applications = [image for image in images if image.image_type == APPLICATIONS]
    if len(applications) < 2:
        return
    from armillary.capability.grant import PERIPHERAL_TAKEN, grant, platform_limits  # noqa: PLC0415 - see check_board

    opened = [application_package.open_unverified(image_package.parse(read(one.sha256))) for one in applications]
    for name in sorted(names):
        platform = platform_limits(chips.get(name))
        beside: list[Grant] = []
        for image, manifest in zip(applications, (one.manifest for one in opened), strict=True):
            try:
                beside.append(grant(manifest, platform, others=beside))
            except ManifestError as error:
                if error.error_id != PERIPHERAL_TAKEN:
                    continue
                owners = ", ".join(one.name for one in applications if str(one.component_id) in error.got)
                raise InvalidArgumentError(
                    f"image {image.name} beside {owners}: {error.message}",
                    remedy="Deploy one of the two, or change which peripherals it asks for in its app_manifest.json.",
                ) from error
