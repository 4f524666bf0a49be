# SPDX-License-Identifier: Apache-2.0
"""A boot chain for virtual devices.

**The payloads are stand-ins, not firmware.** A virtual device has no processor that would run a boot loader, so each
component holds a line that says so and filler that depends on chip, component and OS version. Everything around them
is real: package format, signatures, security versions, measurements. A release for real hardware replaces the
payloads and nothing else.

All is deterministic: the same profile, version and key give the same packages, so two services that publish the same
version agree on its reference values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from uuid import UUID, uuid5

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.boot.profile import BootComponent, ChipProfile
from armillary.wire.image import package as image_package
from armillary.wire.image.metadata import OneBlBlock
from armillary.wire.image.section import ONE_BL

# Large enough that a flipped bit or cut write lands in it, small enough that a fleet of thousands starts quickly.
FILLER_BYTES = 2048
_BEGINNING = "Armillary virtual boot component"


def payload(profile: ChipProfile, component: BootComponent, os_version: str) -> bytes:
    """The stand-in for one component: a line of text, a zero byte, then filler; about 2.2 KiB."""
    line = (
        f"{_BEGINNING} {component.name} for {profile.name}, OS {os_version}. "
        "A stand-in for measuring and verifying; it contains no firmware."
    ).encode()
    return line + b"\0" + hashlib.shake_256(line).digest(FILLER_BYTES)


def is_stand_in(package: bytes) -> bool:
    """Whether a package, which begins with its payload, is a stand-in, by whomever it was made and signed."""
    return package.startswith(f"{_BEGINNING} ".encode())


def image_id(component: BootComponent, os_version: str) -> UUID:
    """The image id of a component in an OS version: a name-based UUID (RFC 9562 §5.5) under the component's id."""
    return uuid5(component.component_id, os_version)


def build(
    profile: ChipProfile,
    os_version: str,
    *,
    built: int,
    security_version: int,
    key: ec.EllipticCurvePrivateKey,
    certificate: x509.Certificate,
) -> Mapping[str, bytes]:
    """Package and sign the chain of an OS version; returns component name -> package, in boot order.

    Every package carries ``built`` (Unix seconds) and the ``security_version`` (0 to 31). The version is part of every
    payload, so that versions measure differently.

    Raises:
        WireError: a security version out of range.
        SignatureError: the certificate is not of this key.
    """
    packages: dict[str, bytes] = {}
    for component in profile.boot_components:
        block = OneBlBlock((0, 0, 0), 0, (0, 0, 0), security_version) if component.image_type == ONE_BL else None
        packages[component.name] = image_package.build(
            payload(profile, component, os_version),
            sections=image_package.standard_sections(
                image_type=component.image_type,
                component_id=component.component_id,
                image_id=image_id(component, os_version),
                name=component.name,
                built=built,
                security_version=security_version,
            ),
            key=key,
            certificate=certificate,
            one_bl=block,
        )
    return packages
