# SPDX-License-Identifier: Apache-2.0
"""The key that ``image-package pack-application`` signs with when no other is named.

A development signature says that a package is whole, not that anyone vouches for it: no device trusts this key. The
service signs with its own key at upload. Azure Sphere's SDK ships one public key for this purpose; Armillary makes one
per user, so that a certificate can be named when it matters who packed something.

The key lies in ``$XDG_DATA_HOME/armillary/development-signing/`` (``~/.local/share/...``), readable by its owner.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from armillary.cli.terminal.output import note
from armillary.errors import DataFolderError, InvalidArgumentError
from armillary.wire.image import package as image_package
from armillary.wire.image.package import ImagePackage, UnverifiedImagePackage

COMMON_NAME = "Armillary development"
# A development signature must outlive the packages in a shelf of prototypes; nothing trusts it by date.
LIFETIME = dt.timedelta(days=20 * 365)

SigningPair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def development_folder() -> Path:
    """Where this user's key lies."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "armillary" / "development-signing"


def signing_pair(key: Path | None, certificate: Path | None) -> SigningPair:
    """The pair named on the command line, else this user's development key, made when first needed.

    Raises:
        InvalidArgumentError: only one of the two files is named, or one cannot be read.
        DataFolderError: the folder of the development key cannot be written.
    """
    if (key is None) != (certificate is None):
        raise InvalidArgumentError(
            "expected --signing-key and --signing-certificate together, got one of them",
            remedy="Name both PEM files, or neither to use the development key.",
        )
    if key is not None and certificate is not None:
        return load_pair(key, certificate)
    folder = development_folder()
    if not (folder / "signing.pem").exists():
        note(f"Making a development signing key in {folder}.")
    return pair_in(folder)


def pair_in(folder: Path) -> SigningPair:
    """The development key in ``folder``, made if there is none. Raises DataFolderError if that fails."""
    if not (folder / "signing.pem").exists():
        _make(folder)
    return load_pair(folder / "signing.pem", folder / "signing.pem")


def load_pair(key: Path, certificate: Path) -> SigningPair:
    """Read an unencrypted EC private key and a certificate from PEM. Raises InvalidArgumentError."""
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(key, "an unencrypted private key in PEM", error) from error
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise _unreadable(key, "an EC private key", type(private).__name__)
    return private, load_certificate(certificate)


def load_certificate(path: Path) -> x509.Certificate:
    """Read a certificate from PEM. Raises InvalidArgumentError if the file cannot be read or holds none."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unreadable(path, "a certificate in PEM", error) from error


def verify_own(package: UnverifiedImagePackage) -> ImagePackage | None:
    """The package, verified; None if it names another key. Raises SignatureError if it was changed since."""
    own = development_folder() / "signing.pem"
    if not own.exists():
        return None
    certificate = load_certificate(own)
    if certificate.fingerprint(hashes.SHA1()) != package.signing_key.thumbprint:  # noqa: S303 - the format's choice
        return None
    return image_package.verify(package, [certificate])


def _unreadable(path: Path, expected: str, got: object) -> InvalidArgumentError:
    return InvalidArgumentError(f"{path}: expected {expected}, got {got}", remedy="Check the path and the file.")


def _make(folder: Path) -> None:
    """Write key and certificate as one file, so that no interruption can leave one without the other."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=folder)  # mode 0600
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        Path(temporary).replace(folder / "signing.pem")
    except OSError as error:
        raise DataFolderError(
            f"{folder}: expected a folder to write the development key to, got {error.strerror}",
            remedy="Make it writable, set XDG_DATA_HOME, or name --signing-key and --signing-certificate.",
        ) from error
