# SPDX-License-Identifier: Apache-2.0
"""Keys of secure boot for images that are made here: platform key, key exchange key, and the one that signs images.

They are **test keys**: made by the first build, kept in the output folder (0600), never in the repository. A product
has its own: files as these, without a password, whose certificates' names do not say TEST (``--keys``). A key that does
not leave an HSM signs nothing here.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from armillary.device_image.tools import MADE_AT
from armillary.errors import InvalidArgumentError

# The key that signs images.
SIGNING: Final = "signing"
NAMES: Final = ("platform", "exchange", SIGNING)
# RSA of this length is what every firmware with secure boot verifies.
KEY_BITS: Final = 2048
_YEARS: Final = 20
# What the names of keys have that sign development images, and no others.
_DEVELOPMENT: Final = "DEVELOPMENT"
_TEST: Final = "TEST"
# A name with one of these words is that of a key for trying things, whoever made it.
_NEVER_SHIPPED: Final = re.compile(rf"\b({_TEST}|{_DEVELOPMENT})\b")
_RESTORE: Final = (
    "Restore the file, or remove key and certificate: the next build makes others, which no machine with these starts."
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Files of a key and its certificate, both PEM."""

    key: Path
    certificate: Path


def secure_boot_keys(folder: Path, *, development: bool = False) -> dict[str, KeyPair]:
    """The keys in a folder; those that are not there yet are made.

    Keys of development images are called so, and are others: firmware with a release's keys does not start those.

    Raises:
        InvalidArgumentError: the folder has keys of the other kind of image, a certificate that is not its key's, or a
            file that is none of both.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = _pairs(folder)
    for name, pair in found.items():
        if not (pair.key.exists() and pair.certificate.exists()):
            _make(f"Armillary {_DEVELOPMENT if development else _TEST} {name} key (never for products)", pair)
        else:
            _check(pair, development=development)
    return found


def keys_of(folder: Path, *, development: bool = False) -> dict[str, KeyPair]:
    """The keys of another build, in its folder of keys; none is made.

    Raises:
        InvalidArgumentError: one is not there, they are of the other kind of image, a certificate is not its key's, or
            a file is none of both.
    """
    found = _pairs(folder)
    for pair in found.values():
        for file in (pair.key, pair.certificate):
            if not file.is_file():
                raise InvalidArgumentError(
                    f"{folder}: expected the keys of a build, there is no {file.name}",
                    remedy="Name the folder keys that is beside a built image's disk.img: --keys .image/x86_64/keys.",
                )
        _check(pair, development=development)
    return found


def are_test_keys(keys: Mapping[str, KeyPair]) -> bool:
    """Whether one of the keys is for trying things, as its certificate's name says: no product has what it signed."""
    return any(_NEVER_SHIPPED.search(certificate_of(pair).subject.rfc4514_string()) for pair in keys.values())


def certificate_of(pair: KeyPair) -> x509.Certificate:
    """The certificate of a key; InvalidArgumentError if the file is none."""
    try:
        return x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    except ValueError as error:
        raise InvalidArgumentError(f"{pair.certificate}: expected a certificate in PEM", remedy=_RESTORE) from error


def _pairs(folder: Path) -> dict[str, KeyPair]:
    return {name: KeyPair(folder / f"{name}.key", folder / f"{name}.pem") for name in NAMES}


def _check(pair: KeyPair, *, development: bool) -> None:
    """InvalidArgumentError unless the two are a pair for this kind of image."""
    certificate = certificate_of(pair)
    if (_DEVELOPMENT in certificate.subject.rfc4514_string()) != development:
        raise InvalidArgumentError(
            f"{pair.certificate}: expected a key of a {'development' if development else 'release'} image, "
            "got one of the other kind",
            remedy="Build into another folder (--image DIR), or with other keys (--keys DIR): firmware that starts one "
            "kind must not start the other.",
        )
    try:
        key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidArgumentError(
            f"{pair.key}: expected a private key in PEM, without a password", remedy=_RESTORE
        ) from error
    if key.public_key() != certificate.public_key():
        raise InvalidArgumentError(
            f"{pair.certificate}: expected the certificate of {pair.key.name}, got that of another key", remedy=_RESTORE
        )


def _make(name: str, pair: KeyPair) -> None:
    """A key of :data:`KEY_BITS`. Cut short, it leaves a pair, or one file alone."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
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
    _write(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    _write(pair.key, text, mode=0o600)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - the descriptor carries the mode
            file.write(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
