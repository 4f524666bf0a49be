# SPDX-License-Identifier: Apache-2.0
"""Makes a release's component packages of a built device image: what is in a slot, and what it is.

The packages are signed by a key that is made for it and thrown away: what counts is the signature of the service that
releases them (``armillary release sign``), which replaces it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from uuid import uuid5

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from armillary.boot.profile import ChipProfile
from armillary.device_image.architecture.description import Description, not_built, read_description, verified
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.disk import ROOT, STARTED, STARTED_FILE
from armillary.device_image.reference.document import FILE as REFERENCE
from armillary.device_image.tools import MADE_AT
from armillary.errors import InvalidArgumentError
from armillary.wire.image import package as image_package
from armillary.wire.image.section import SECURITY_VERSION_LIMIT

# Boot component -> file of a built image with its payload.
PAYLOADS: Final[Mapping[str, str]] = {STARTED: STARTED_FILE, ROOT: "root.img"}
CHIPS: Final[Mapping[str, str]] = {each.name: each.chip for each in ARCHITECTURES.values()}


def write_packages(
    image: Path,
    chip: ChipProfile,
    *,
    security_version: int,
    allow_development: bool = False,
    into: Path | None = None,
) -> Mapping[str, Path]:
    """Write the packages of a built image beside it, or into another folder; returns component -> file.

    The image id of a package follows from its payload and its security version: the same image is the same release.
    What a catalog will demand of the release, the image's reference values, is looked at, too, where it is there.

    Raises:
        InvalidArgumentError: there is no built image, it is for another chip, a file of it is not what was built, the
            chip has other components, one is too large for its place, the security version is out of range, or the
            image is one for development and nobody allowed that.
    """
    if not 0 <= security_version <= SECURITY_VERSION_LIMIT:
        raise InvalidArgumentError(
            f"security version: expected 0 to {SECURITY_VERSION_LIMIT}, got {security_version}",
            remedy="Raise it by one when an older OS must not start any more.",
        )
    names = [component.name for component in chip.boot_components]
    if names != [*PAYLOADS]:
        raise InvalidArgumentError(
            f"chip {chip.name}: expected the boot components {', '.join(PAYLOADS)}, found {', '.join(names)}",
            remedy=f"Name a chip that the device image is for: {', '.join(CHIPS.values())}.",
        )
    about = _description(image, chip)
    if about.development and not allow_development:
        raise InvalidArgumentError(
            f"{image}: a development image is no release: whoever is at its console has a shell",
            remedy="Take the release image (armillary image build); --allow-development is for devices of your own.",
        )
    payloads = {name: _payload(image, name, about) for name in PAYLOADS.values()}
    if REFERENCE in about.sha256 and (image / REFERENCE).exists():  # older builds name no digest of it
        verified(image, REFERENCE, about)
    key, certificate = _throw_away_key()
    written = {}
    for component in chip.boot_components:
        name = PAYLOADS[component.name]
        package = image_package.build(
            payloads[name],
            sections=image_package.standard_sections(
                image_type=component.image_type,
                component_id=component.component_id,
                image_id=uuid5(component.component_id, f"{about.sha256[name]} {security_version}"),
                name=component.name,
                built=MADE_AT,
                security_version=security_version,
            ),
            key=key,
            certificate=certificate,
        )
        if len(package) > component.size_limit_bytes:
            raise InvalidArgumentError(
                f"{component.name}: expected at most {component.size_limit_bytes:,} bytes, got {len(package):,}",
                remedy="Leave something out of the image: image/image.toml.",
            )
        written[component.name] = (into or image) / f"{component.name}.package"
        written[component.name].write_bytes(package)
    return written


def _description(image: Path, chip: ChipProfile) -> Description:
    """What a built image says of itself, if it is for this chip."""
    own = next((name for name, each in CHIPS.items() if each == chip.name), None)
    about = read_description(image, wanted=own)
    if not about.architecture:
        raise not_built(image, "its description names no architecture", wanted=own)
    if about.architecture != own:
        raise InvalidArgumentError(
            f"{image}: expected an image for {own or chip.name}, found one for {about.architecture!r:.40}",
            remedy="Name the architecture of this image (--arch), or the folder of the other one (--image).",
        )
    return about


def _payload(image: Path, name: str, about: Description) -> bytes:
    """A file of a built image, as it was built."""
    payload = verified(image, name, about).read_bytes()
    if not payload:
        raise InvalidArgumentError(
            f"{image / name}: expected a payload, got an empty file",
            remedy="Build the image again: a release has all of it.",
        )
    return payload


def _throw_away_key() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Armillary unsigned component")])
    begin = dt.datetime.fromtimestamp(MADE_AT, dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return key, certificate
