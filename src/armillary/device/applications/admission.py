# SPDX-License-Identifier: Apache-2.0
"""Checks of an application package before it is staged, repeated every time it is started.

(1) It is an image package, and the one that was offered.           prevents: parsing tricks, mixed-up images
(2) A certificate this device trusts signed it.                     prevents: software of anybody else; the SDK's
                                                                    public test key is none of them
(3) Its payload is a file system, its manifest follows every rule.  prevents: ambiguous or hidden requests
(4) The OS has an ABI that the image works on.                      prevents: an application over a foreign OS
(5) The chip can give what the manifest asks for.                   prevents: finding out at run time
(6) The program of a real-time application is firmware.             prevents: the same

Of a board configuration, after (1) and (2): it is one (3), and for this chip (5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from cryptography.x509 import Certificate

from armillary.capability.grant import Grant, PlatformLimits, board_grant, grant
from armillary.capability.image_checks import ImageFault, firmware_fault, size_fault
from armillary.errors import DoesNotFitError, InstallError, ManifestError, SignatureError, WireError
from armillary.wire.image import board_configuration, package as image_package
from armillary.wire.image.app_manifest import AppManifest
from armillary.wire.image.board_configuration import BoardConfiguration
from armillary.wire.image.package import ImagePackage
from armillary.wire.image.section import APPLICATIONS, CUSTOMER_BOARD_CONFIG

if TYPE_CHECKING:
    from armillary.wire.image.asxipfs import Filesystem

_INSTALLABLE = (APPLICATIONS, CUSTOMER_BOARD_CONFIG)


@dataclass(frozen=True, slots=True)
class Board:
    """A verified board configuration of this device; ``grant`` is what no application gets."""

    configuration: BoardConfiguration
    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A verified application that this device may run."""

    component_id: UUID
    image_id: UUID
    name: str
    manifest: AppManifest
    grant: Grant
    filesystem: Filesystem = field(repr=False)


def admit(
    data: bytes,
    *,
    component_id: UUID,
    image_id: UUID,
    trusted: Sequence[Certificate],
    platform: PlatformLimits,
    others: Iterable[Grant] = (),
    os_abi: int = 0,
) -> Application | Board:
    """Check the package of an offered image by the steps above, beside the grants of the ``others``.

    ``os_abi`` is the ABI number of the OS that it runs on, 0 where the OS names none: there only images that ask for
    none run.

    Returns the application, or the board that an image describes, which is not run. InstallError says which step
    failed.
    """
    package = _verified(data, component_id, image_id, trusted)
    if package.image_type == CUSTOMER_BOARD_CONFIG:
        return _board(package, platform)
    _refuse(image_id, size_fault(len(data), platform))
    from armillary.wire.image.application import needed_os, open_application  # noqa: PLC0415 - with the first one

    try:
        content = open_application(package)  # (3)
        wanted = needed_os(package)  # (4)
        if wanted is not None and os_abi not in wanted:
            raise DoesNotFitError(f"image {image_id} works on OS ABI {wanted}: this OS has {os_abi or 'none'}")
        granted = grant(content.manifest, platform, others=others)  # (5)
    except (WireError, ManifestError) as error:
        raise InstallError(f"image {image_id}: {error.message}", remedy=error.remedy) from error
    _refuse(image_id, firmware_fault(content.manifest, content.filesystem))  # (6)
    return Application(
        component_id=component_id,
        image_id=image_id,
        name=content.manifest.name,
        manifest=content.manifest,
        grant=granted,
        filesystem=content.filesystem,
    )


def _refuse(image_id: UUID, fault: ImageFault | None) -> None:
    if fault is not None:
        raise InstallError(f"image {image_id}: {fault}", remedy=fault.remedy)


def _board(package: ImagePackage, platform: PlatformLimits) -> Board:
    """Steps (3) and (5) of a board configuration."""
    try:
        found = board_configuration.of_package(package)
        return Board(found, board_grant(found, platform))
    except ManifestError as error:
        raise InstallError(
            f"board configuration {package.name} ({package.image_id}): {error.message}", remedy=error.remedy
        ) from error


def _verified(data: bytes, component_id: UUID, image_id: UUID, trusted: Sequence[Certificate]) -> ImagePackage:
    """Steps (1) and (2), and the type."""
    try:
        package = image_package.verify(image_package.parse(data), trusted)
    except SignatureError as error:
        raise InstallError(
            f"image {image_id} is not signed by a key this device trusts: {error.message}",
            remedy="Upload the image to the service: it signs what it gives to devices. On a device for development "
            "name who signed it: armillary device sideload deploy --signing-certificate FILE.",
        ) from error
    except WireError as error:
        raise InstallError(f"image {image_id}: {error.message}", remedy=error.remedy) from error
    if (package.component_id, package.image_id) != (component_id, image_id):
        raise InstallError(
            f"expected image {image_id} of component {component_id}, "
            f"got {package.image_id} of component {package.component_id}",
            remedy="Upload the image again.",
        )
    if package.image_type not in _INSTALLABLE:
        raise InstallError(
            f"image {image_id} has type {package.image_type}: expected an application or a board configuration",
            remedy="Deploy applications only; the OS comes with its own releases.",
        )
    return package
