# SPDX-License-Identifier: Apache-2.0
"""The device's certificate store, in flash: what EAP-TLS and applications authenticate with, and whom they trust.

Azure Sphere's rules: 24 KiB for all, certificates and keys of at most 8 KiB, ids of 1 to 16 characters, two types. Ids
are of the whole device, and a new certificate takes the place of the one that has its id. Nothing gives a private key
back. It stands unencrypted in the region ``device/certificates``, which nobody but the device's user can read.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from armillary.device.state.kept_region import keep_region
from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.flash.port import Flash
from armillary.errors import DataFolderError, WireError
from armillary.wire.certificates.key_cost import MAX_RSA_BITS, check_cost, check_rsa
from armillary.wire.device import azure_error
from armillary.wire.encoding import cbor

REGION: Final = "device/certificates"
STORE_BYTES: Final = 24 * 1024
EMPTY_SPACE_BYTES: Final = 24_514  # what Azure Sphere's store says while it is empty
MAX_PART_BYTES: Final = 8 * 1024
MAX_PASSWORD_BYTES: Final = 256
CLIENT, ROOT = "client", "rootca"
TYPES: Final = (CLIENT, ROOT)
ID: Final = re.compile(r"[A-Za-z0-9._-]+")
MAX_ID_CHARACTERS: Final = 16
_VERSION: Final = 1  # 1: 2026-11-29, first
_ENCRYPTED: Final = re.compile(
    r"-----BEGIN ENCRYPTED PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END ENCRYPTED PRIVATE KEY-----"
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCertificate:
    """One certificate of the store; ``key`` is DER (PKCS #8), empty for a root authority's."""

    kind: str  # ``client`` or ``rootca``
    certificate: x509.Certificate
    pem: bytes
    key: bytes = field(default=b"", repr=False)


class _Kept(NamedTuple):
    """A certificate as the region has it, which nobody has looked into."""

    kind: str
    pem: bytes
    key: bytes

    @property
    def size(self) -> int:
        """Bytes that it takes of the store."""
        return len(self.pem) + len(self.key)


class CertificateStore:
    """The certificates of one device; every change is durable, whole or not at all, when the call returns.

    Nothing is kept in memory: whoever else has the same flash sees the same.
    """

    def __init__(self, flash: Flash) -> None:
        self._flash = flash

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The ids, sorted."""
        return tuple(sorted(_load(self._flash)))

    @property
    def available_bytes(self) -> int:
        """Bytes that are left."""
        return EMPTY_SPACE_BYTES - sum(len(name) + each.size for name, each in _load(self._flash).items())

    @staticmethod
    def check_id(name: str) -> None:
        """RequestRefusedError unless it is an id."""
        if len(name) > MAX_ID_CHARACTERS:
            raise _refused(
                azure_error.CERTIFICATE_ID_TOO_LONG, f"certificate id: expected 1 to {MAX_ID_CHARACTERS} characters"
            )
        if ID.fullmatch(name) is None:
            raise _refused(
                azure_error.CERTIFICATE_ID_INVALID, f"certificate id: expected letters, digits and .-_, got {name!r}"
            )

    def get(self, name: str) -> StoredCertificate:
        """The certificate of an id; RequestRefusedError if there is none, or it is kept and cannot be read."""
        kept = self._kept(name)
        try:
            certificate = _read_through(x509.load_pem_x509_certificate(kept.pem))
        except (ValueError, UnsupportedAlgorithm) as error:  # an older version took it, or the flash fails
            raise RequestRefusedError(
                azure_error.CERTIFICATE_INVALID,
                f"certificate {name!r} of the store cannot be read",
                remedy=f"Delete it, and add another: armillary device certificate delete --cert-id {name}.",
            ) from error
        return StoredCertificate(kind=kept.kind, certificate=certificate, pem=kept.pem, key=kept.key)

    def add(self, name: str, certificate: StoredCertificate) -> None:
        """Keep a certificate; RequestRefusedError if there is no room or the id is none."""
        self.check_id(name)
        made = _Kept(certificate.kind, certificate.pem, certificate.key)
        others = {known: each for known, each in _load(self._flash).items() if known != name}
        taken = sum(len(known) + each.size for known, each in others.items())
        if taken + len(name) + made.size > EMPTY_SPACE_BYTES:
            raise RequestRefusedError(
                azure_error.STORE_FULL,
                f"the store has {EMPTY_SPACE_BYTES - taken} bytes left, {name!r} needs {len(name) + made.size}",
                remedy="Delete a certificate that nothing uses.",
            )
        self._keep({**others, name: made})

    def remove(self, name: str) -> None:
        """Forget a certificate, also one that cannot be read; RequestRefusedError if there is none of this id."""
        self._kept(name)
        self._keep({known: each for known, each in _load(self._flash).items() if known != name})

    def _kept(self, name: str) -> _Kept:
        self.check_id(name)
        found = _load(self._flash).get(name)
        if found is None:
            raise RequestRefusedError(
                azure_error.CERTIFICATE_UNKNOWN,
                f"no certificate {name!r} in the store",
                remedy="List them: armillary device certificate list.",
            )
        return found

    def _keep(self, found: Mapping[str, _Kept]) -> None:
        value = {name: list(each) for name, each in found.items()}
        keep_region(
            self._flash, REGION, {1: _VERSION, 2: value}, limit_bytes=2 * STORE_BYTES, number=azure_error.STORE_FULL
        )


def read_certificate(kind: str, public: str, key: str | None, password: str | None) -> StoredCertificate:
    """A certificate as it was sent: PEM texts, and the password of an encrypted key.

    RequestRefusedError with Azure Sphere's number of what is wrong with it. Opening a key is work of up to a second.
    """
    if kind not in TYPES:
        raise _refused(azure_error.CERTIFICATE_TYPE_INVALID, f"type: expected client or rootca, got {kind!r:.40}")
    if len(public.encode()) > MAX_PART_BYTES:
        raise _refused(azure_error.CERTIFICATE_TOO_LONG, f"the certificate has more than {MAX_PART_BYTES} bytes")
    certificate = _certificate(public)
    pem = certificate.public_bytes(Encoding.PEM)
    if kind == ROOT:
        if key is not None:
            raise _refused(azure_error.KEY_NOT_ALLOWED, "a root authority's certificate comes without its key")
        if password is not None:
            raise _refused(azure_error.PASSWORD_NOT_ALLOWED, "a root authority's certificate has no password")
        return StoredCertificate(kind=kind, certificate=certificate, pem=pem)
    private = _private_key(key or "", password, certificate)
    return StoredCertificate(kind=kind, certificate=certificate, pem=pem, key=private)


def _certificate(text: str) -> x509.Certificate:
    try:
        found = x509.load_pem_x509_certificates(text.encode())
        if len(found) != 1:
            raise _refused(azure_error.CERTIFICATE_INVALID, f"expected one certificate, got {len(found)}")
        key = _read_through(found[0]).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused(azure_error.CERTIFICATE_INVALID, "the certificate is no PEM of an X.509 certificate") from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size > MAX_RSA_BITS:
        raise _refused(azure_error.CERTIFICATE_INVALID, f"its RSA key has more than {MAX_RSA_BITS} bits")
    return found[0]


def _read_through(certificate: x509.Certificate) -> x509.Certificate:
    """The certificate, after all that is ever asked of it was read: the library looks at each part only when asked.

    ValueError or UnsupportedAlgorithm where a part cannot be read.
    """
    for name in (certificate.subject, certificate.issuer):
        name.rfc4514_string()
    certificate.public_key()
    for moment in (certificate.not_valid_before_utc, certificate.not_valid_after_utc):
        moment.timestamp()
    return certificate


def _private_key(text: str, password: str | None, certificate: x509.Certificate) -> bytes:
    """The key as DER, after it was found to be the certificate's."""
    if len(text.encode()) > MAX_PART_BYTES:
        raise _refused(azure_error.PRIVATE_KEY_TOO_LONG, f"the private key has more than {MAX_PART_BYTES} bytes")
    if password is not None and len(password.encode()) > MAX_PASSWORD_BYTES:
        raise _refused(azure_error.PASSWORD_TOO_LONG, f"the password has more than {MAX_PASSWORD_BYTES} bytes")
    key = _opened(text, password)
    if _spki(key) != certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise _refused(azure_error.KEY_OF_ANOTHER, "the private key is not the certificate's")
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            check_rsa(key.private_numbers())
        load_der_private_key(der, None)  # its parts fit together
    except (WireError, ValueError) as error:
        raise _refused(azure_error.KEY_INVALID, "the parts of the private key do not fit together") from error
    return der


def _opened(text: str, password: str | None) -> PrivateKey:
    secret = None if password is None else password.encode()
    try:
        if "ENCRYPTED PRIVATE" in text:
            encrypted = _ENCRYPTED.fullmatch(text.strip())
            if encrypted is None:
                raise _refused(azure_error.KEY_INVALID, "the encrypted private key is not the whole text")
            check_cost(base64.b64decode(encrypted[1]))
        key = load_pem_private_key(text.encode(), secret, unsafe_skip_rsa_key_validation=True)
    except WireError as error:
        raise _refused(azure_error.KEY_INVALID, error.message) from error
    except TypeError as error:  # cryptography's word for a password that is missing or too much
        if secret is None:
            raise _refused(azure_error.KEY_INVALID, "the private key is encrypted: it needs its password") from error
        raise _refused(azure_error.PASSWORD_NOT_NEEDED, "a password was given, and the key is not encrypted") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused(azure_error.KEY_INVALID, "the private key is no PEM, or its password is another") from error
    if not isinstance(key, PrivateKey):
        raise _refused(azure_error.KEY_INVALID, "the private key is neither RSA, nor of a curve, nor Ed25519")
    return key


def _spki(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _refused(number: int, message: str) -> RequestRefusedError:
    return RequestRefusedError(number, message, remedy="Nothing was changed.")


def _load(flash: Flash) -> dict[str, _Kept]:
    data = flash.read(REGION)
    if data is None:
        return {}
    try:
        value: Any = cbor.decode(data, what="certificate store", limit=2 * STORE_BYTES)
        return {
            str(name): _Kept(str(kind), b"".join([pem]), b"".join([key]))  # which take bytes alone
            for name, (kind, pem, key) in value[2].items()
        }
    except (WireError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataFolderError(
            "the device's certificate store is damaged", remedy=f"Remove flash/{REGION} and add the certificates again."
        ) from error
