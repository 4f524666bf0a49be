# SPDX-License-Identifier: Apache-2.0
"""Certificates of hub devices and enrolment groups: read, found by thumbprint, and trusted by TLS of the hub."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection

from armillary.engines.records.queries import hub as hub_rows
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.wire.certificates.certificate import ORGANISATION

if TYPE_CHECKING:
    from armillary.engines.records.queries.hub import HubIdentity

MAX_CERTIFICATE_CHARS: Final = 16_384
_ORGANISATION_OID: Final = NameOID.ORGANIZATION_NAME
_THUMBPRINT: Final = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")  # SHA-1 or SHA-256


def load_certificate(pem: str) -> x509.Certificate:
    """A certificate given as PEM; InvalidArgumentError if it is none."""
    try:
        if len(pem) > MAX_CERTIFICATE_CHARS:
            raise ValueError(f"{len(pem)} characters")  # noqa: TRY301 - the same answer
        return x509.load_pem_x509_certificate(pem.encode("ascii"))
    except (ValueError, UnicodeEncodeError) as error:
        raise InvalidArgumentError(
            f"certificate: expected one in PEM ({str(error)[:80]})", remedy="Give the certificate, not its key."
        ) from error


def claim_names(connection: Connection, owner: str, *ders: bytes | None) -> None:
    """Record that TLS is to trust these certificates of an identity or enrolment, unless that locks out others.

    OpenSSL finds the issuer of a certificate by its name and tries one only: a second authority of the same name, ours
    or another catalog's, would make it refuse every device of the first one.

    ConflictError if a certificate with another key has this subject, or the subject is one that only this service may
    have.
    """
    names = []
    for der in ders:
        if der is None:
            continue
        certificate = x509.load_der_x509_certificate(der)
        if any(each.value == ORGANISATION for each in certificate.subject.get_attributes_for_oid(_ORGANISATION_OID)):
            raise ConflictError(
                f"certificate: no subject but ours has the organisation {ORGANISATION}", remedy="Use another subject."
            )
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        subject = sha256(certificate.subject.public_bytes()).digest()
        names.append(hub_rows.TrustedName(sha256(der).digest(), subject, sha256(key).digest()))
    if not hub_rows.claim_names(connection, owner, tuple({each.fingerprint: each for each in names}.values())):
        raise ConflictError(
            "certificate: another one with this subject and another key is registered here",
            remedy="Make a certificate with a subject of its own, such as the device id or the name of the factory.",
        )


def with_certificates(
    bare: HubIdentity, before: HubIdentity, certificates: tuple[str, str], thumbprints: tuple[str, str]
) -> HubIdentity:
    """The identity with these certificates (PEM), or thumbprints of certificates that it may have had before.

    InvalidArgumentError if none is given, or one is malformed.
    """
    ders: list[bytes | None] = []
    prints: list[str] = []
    known = {
        before.primary_thumbprint: before.primary_certificate,
        before.secondary_thumbprint: before.secondary_certificate,
    }
    for pem, thumbprint in zip(certificates, thumbprints, strict=True):
        if pem:
            der = load_certificate(pem).public_bytes(Encoding.DER)
            ders.append(der)
            prints.append(sha256(der).hexdigest())
            continue
        text = thumbprint.replace(":", "").lower()
        if text and _THUMBPRINT.fullmatch(text) is None:
            raise InvalidArgumentError(
                f"thumbprint: expected 40 or 64 hex digits, got {thumbprint!a:.80}", remedy="Use SHA-1 or SHA-256."
            )
        ders.append(known.get(text) if text else None)
        prints.append(text)
    if not any(prints):
        raise InvalidArgumentError("selfSigned: expected a certificate or its thumbprint", remedy="Give one.")
    return replace(
        bare,
        primary_thumbprint=prints[0],
        secondary_thumbprint=prints[1],
        primary_certificate=ders[0],
        secondary_certificate=ders[1],
    )
