# SPDX-License-Identifier: Apache-2.0
"""Keys of secure boot for images that are made here: platform key, key exchange key, and the one that signs images.

They are **test keys**: made by the first build, kept in the output folder (0600), never in the repository. A product
has its own, in an HSM.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from armillary.device_image.tools import MADE_AT
from armillary.errors import InvalidArgumentError

NAMES: Final = ("platform", "exchange", "signing")
_YEARS: Final = 20
# What the names of keys have that sign development images, and no others.
_DEVELOPMENT: Final = "DEVELOPMENT"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Files of a key and its certificate, both PEM."""

    key: Path
    certificate: Path


def secure_boot_keys(folder: Path, *, development: bool = False) -> dict[str, KeyPair]:
    """The keys in a folder; those that are not there yet are made.

    Keys of development images are called so, and are others: firmware with a release's keys does not start those.

    Raises:
        InvalidArgumentError: the folder has keys of the other kind of image, or a certificate that is none.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = _pairs(folder)
    for name, pair in found.items():
        if not (pair.key.exists() and pair.certificate.exists()):
            _make(f"Armillary {_DEVELOPMENT if development else 'TEST'} {name} key (never for products)", pair)
        else:
            _refuse_other_kind(pair.certificate, development=development)
    return found


def keys_of(folder: Path, *, development: bool = False) -> dict[str, KeyPair]:
    """The keys of another build, in its folder of keys; none is made.

    Raises:
        InvalidArgumentError: one is not there, they are of the other kind of image, or a certificate is none.
    """
    found = _pairs(folder)
    for pair in found.values():
        for file in (pair.key, pair.certificate):
            if not file.is_file():
                raise InvalidArgumentError(
                    f"{folder}: expected the keys of a build, there is no {file.name}",
                    remedy="Name the folder keys that is beside a built image's disk.img: --keys .image/x86_64/keys.",
                )
        _refuse_other_kind(pair.certificate, development=development)
    return found


def _pairs(folder: Path) -> dict[str, KeyPair]:
    return {name: KeyPair(folder / f"{name}.key", folder / f"{name}.pem") for name in NAMES}


def _refuse_other_kind(certificate: Path, *, development: bool) -> None:
    if _is_development(certificate) != development:
        raise InvalidArgumentError(
            f"{certificate}: expected a key of a {'development' if development else 'release'} image, "
            "got one of the other kind",
            remedy="Build into another folder (--image DIR), or with other keys (--keys DIR): firmware that starts one "
            "kind must not start the other.",
        )


def _is_development(certificate: Path) -> bool:
    """Whether a key is one of development images: its certificate says so."""
    try:
        subject = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
    except ValueError as error:
        raise InvalidArgumentError(
            f"{certificate}: expected a certificate in PEM: {error}", remedy="Restore it, or remove it with its key."
        ) from error
    return _DEVELOPMENT in subject.rfc4514_string()


def _make(name: str, pair: KeyPair) -> None:
    """RSA-2048: what every firmware with secure boot verifies."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = dt.datetime.fromtimestamp(MADE_AT, dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pair.key.unlink(missing_ok=True)
    descriptor = os.open(pair.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - the descriptor carries the mode
        file.write(text)
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
