# SPDX-License-Identifier: Apache-2.0
"""The certificate by which a guardian shows itself to OPC UA servers, made at its first use and kept.

OPC UA servers trust clients one by one: the certificate is moved into the server's list of trusted ones once, so it
stays the same for as long as the guardian has its data. Its validity is fixed and long: a guardian may make it before
its clock was ever set.

Source: OPC UA part 6 §6.2.2 (application instance certificates).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from armillary.wire.equipment.faults import LinkError

FILE = "opcua-client.pem"
KEY_BITS = 2048  # What all three policies take
VALID_FROM, VALID_UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """A guardian's key and certificate for OPC UA."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def uri(self) -> str:
        """The application URI that the certificate names; servers compare it with what the client says."""
        names = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.UniformResourceIdentifier)[0]

    @property
    def sha256(self) -> str:
        """SHA-256 of the certificate, 64 hex digits: what an operator compares before the server trusts it."""
        return sha256(self.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def client_identity(folder: Path) -> ClientIdentity:
    """Read the identity that the folder keeps, or make it. Takes up to a second the first time.

    Raises:
        LinkError: what is kept cannot be read, or nothing can be written.
    """
    file = folder / FILE
    try:
        kept = file.read_bytes()
    except FileNotFoundError:
        made = _made()
        try:
            _write(file, made)
        except OSError as error:
            raise LinkError("unreachable", f"{file} cannot be written: {error.strerror}") from error
        return made
    except OSError as error:
        raise LinkError("unreachable", f"{file} cannot be read: {error.strerror}") from error
    try:
        key = serialization.load_pem_private_key(kept, None)
        identity = ClientIdentity(_rsa(key), x509.load_pem_x509_certificate(kept))
        matches = identity.certificate.public_key() == identity.key.public_key() and identity.uri
    except (ValueError, TypeError, LookupError, x509.ExtensionNotFound) as error:
        raise _damaged(file) from error
    if not matches:
        raise _damaged(file)
    return identity


def _damaged(file: Path) -> LinkError:
    message = f"{file} is damaged: remove it, and have the server trust the certificate that is made then"
    return LinkError("unreachable", message)


def _rsa(key: object) -> rsa.RSAPrivateKey:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("no RSA key")
    return key


def _made() -> ClientIdentity:
    key = rsa.generate_private_key(65537, KEY_BITS)
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Armillary guardian {serial:040x}"[:64])])
    uri = x509.UniformResourceIdentifier(f"urn:armillary:guardian:{serial:040x}")
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,  # Self-signed ones are checked as their own authority by some servers
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(serial)
        .public_key(key.public_key())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return ClientIdentity(key, certificate)


def _write(file: Path, identity: ClientIdentity) -> None:
    """Write key and certificate as one file, whole or not at all, readable by the guardian only."""
    pem = serialization.Encoding.PEM
    content = identity.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    content += identity.certificate.public_bytes(pem)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_suffix(".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
