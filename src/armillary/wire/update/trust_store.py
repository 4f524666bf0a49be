# SPDX-License-Identifier: Apache-2.0
"""Payloads of the two images that change what a device trusts: the trusted key store and the certificate store.

The package around a payload (image types 19 and 22, ``wire/image/package.py``) carries the signature, by a key that
the device trusts already. Payload::

    magic 4: "AKS1" key store, "ACS1" certificate store | length u32, little endian | CBOR | padding, fewer than 4 zeros

    key-store         = { 1 => [ 1*8 certificate ],      ; who may sign boot components, trust stores, capability files
                          2 => [ 1*8 certificate ] }     ; who may sign applications
    certificate-store = [ 1*4 certificate ]              ; roots that the device endpoint's certificate may come from
    certificate       = bstr .size (1..4096)             ; X.509, DER

A device names what it trusts, however it came to it, by the SHA-256 of that CBOR with each list of certificates sorted
(:func:`trusted_digest`).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, InvalidVersion, load_der_x509_certificate

from armillary.errors import WireError
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_array, take_bytes, take_map

TRUST_FOLDER: Final = "trust"  # in the repository, beside the chips: os/trust/<image id>/<name>
MAX_SIGNERS: Final = 8  # the present key and the next of each maker; a rotation needs two
MAX_ROOTS: Final = 4  # as many as a device pins (``device/checkin/renewal.py``)
MAX_CERTIFICATE_BYTES: Final = 4096
MAX_PAYLOAD_BYTES: Final = 2 * MAX_SIGNERS * MAX_CERTIFICATE_BYTES + 1024

# A device has one store of each kind, so each kind is one component.
KEY_STORE_COMPONENT: Final = uuid.UUID("a5d3c7f0-0c3e-5b0e-9a51-7d1f00000019")
CERTIFICATE_STORE_COMPONENT: Final = uuid.UUID("a5d3c7f0-0c3e-5b0e-9a51-7d1f00000022")

STORE_NAMES: Final = {"keys": "trusted-key-store", "roots": "certificate-store"}  # in packages and in the repository

_KEY_STORE: Final = b"AKS1"
_CERTIFICATE_STORE: Final = b"ACS1"
_HEADER: Final = struct.Struct("<4sI")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStore:
    """Certificates whose keys may sign: what boots and what a device trusts, and what it runs."""

    os_signers: tuple[Certificate, ...]
    image_signers: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class CertificateStore:
    """Roots of the service."""

    roots: tuple[Certificate, ...]


def encode_key_store(store: KeyStore) -> bytes:
    """The payload of a trusted key store; WireError if it is over a limit."""
    return _framed(_KEY_STORE, {1: _der(store.os_signers), 2: _der(store.image_signers)}, parse_key_store)


def encode_certificate_store(store: CertificateStore) -> bytes:
    """The payload of a certificate store; WireError if it is over a limit."""
    return _framed(_CERTIFICATE_STORE, _der(store.roots), parse_certificate_store)


def parse_key_store(payload: bytes) -> KeyStore:
    """Read the payload of a trusted key store; its package has to be verified before. WireError if it is none."""
    what = "trusted key store"
    value = take_map(_content(payload, _KEY_STORE, what), (1, 2), what)
    return KeyStore(
        os_signers=_certificates(value[1], what, MAX_SIGNERS), image_signers=_certificates(value[2], what, MAX_SIGNERS)
    )


def parse_certificate_store(payload: bytes) -> CertificateStore:
    """Read the payload of a certificate store; its package has to be verified before. WireError if it is none."""
    what = "certificate store"
    return CertificateStore(_certificates(_content(payload, _CERTIFICATE_STORE, what), what, MAX_ROOTS))


def trusted_digest(store: KeyStore | CertificateStore) -> bytes:
    """SHA-256 that names what a device with this store trusts, whatever the order of the certificates."""
    if isinstance(store, CertificateStore):
        return sha256(cbor.encode(sorted(_der(store.roots)))).digest()
    content = {1: sorted(_der(store.os_signers)), 2: sorted(_der(store.image_signers))}
    return sha256(cbor.encode(content)).digest()


def _framed(magic: bytes, value: Any, check: Any) -> bytes:
    content = cbor.encode(value)
    payload = _HEADER.pack(magic, len(content)) + content
    check(payload)  # better refused here than by the device
    return payload


def _content(payload: bytes, magic: bytes, what: str) -> Any:
    if len(payload) > MAX_PAYLOAD_BYTES or len(payload) < _HEADER.size:
        expected = f"{_HEADER.size} to {MAX_PAYLOAD_BYTES} bytes"
        raise WireError(what, expected=expected, got=f"{len(payload)} bytes")
    found, length = _HEADER.unpack_from(payload)
    if found != magic:
        raise WireError(what, offset=0, expected=f"magic {magic.decode()}", got=repr(found))
    content, padding = payload[_HEADER.size : _HEADER.size + length], payload[_HEADER.size + length :]
    if len(content) != length or len(padding) > 3 or any(padding):
        raise WireError(
            what, offset=4, expected=f"{length} bytes and fewer than 4 zeros", got=f"{len(payload) - _HEADER.size}"
        )
    return cbor.decode(content, what=what, limit=MAX_PAYLOAD_BYTES)


def _certificates(value: Any, what: str, limit: int) -> tuple[Certificate, ...]:
    entries = take_array(value, what, limit=limit)
    if not entries:
        raise WireError(what, expected="at least one certificate", got="none")
    return tuple(_certificate(take_bytes(entry, what, limit=MAX_CERTIFICATE_BYTES), what) for entry in entries)


def _certificate(der: bytes, what: str) -> Certificate:
    try:
        certificate = load_der_x509_certificate(der)
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, InvalidVersion) as error:
        raise WireError(what, expected="X.509 certificates, DER", got=str(error)) from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise WireError(what, expected="certificates of EC keys", got=type(key).__name__)
    return certificate


def _der(certificates: Sequence[Certificate]) -> list[bytes]:
    return [certificate.public_bytes(Encoding.DER) for certificate in certificates]
