# SPDX-License-Identifier: Apache-2.0
"""Makes a release's component packages of a built device image: what is in a slot, and what it is.

The packages are signed by a key that is made for it and thrown away: what counts is the signature of the service that
releases them (``armillary release sign``), which replaces it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from uuid import uuid5

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from armillary.boot.profile import ChipProfile
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.disk import ROOT, STARTED, STARTED_FILE
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

    Raises:
        InvalidArgumentError: there is no built image, the chip has other components, one is too large for its place,
            the security version is out of range, or the image is one for development and nobody allowed that.
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
    digests = _digests(image, allow_development=allow_development)
    key, certificate = _throw_away_key()
    written = {}
    for component in chip.boot_components:
        payload = (image / PAYLOADS[component.name]).read_bytes()
        digest = digests[PAYLOADS[component.name]]
        package = image_package.build(
            payload,
            sections=image_package.standard_sections(
                image_type=component.image_type,
                component_id=component.component_id,
                image_id=uuid5(component.component_id, f"{digest} {security_version}"),
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


def _digests(image: Path, *, allow_development: bool) -> Mapping[str, str]:
    """SHA-256 of the files of a built image, as its description has them."""
    try:
        about = json.loads((image / "image.json").read_bytes())
        digests = {name: str(about["sha256"][name]) for name in PAYLOADS.values()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidArgumentError(
            f"{image}: expected a built device image, found none ({type(error).__name__}: {error})",
            remedy="Build it first: armillary image build.",
        ) from error
    if about.get("development") and not allow_development:
        raise InvalidArgumentError(
            f"{image}: a development image is no release: whoever is at its console has a shell",
            remedy="Take the release image (armillary image build); --allow-development is for devices of your own.",
        )
    return digests


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
