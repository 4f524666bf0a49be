# SPDX-License-Identifier: Apache-2.0
"""When authorities are renewed, which one of several is active, and who signed whom: decisions without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography import x509

from armillary.engines.records.certificate_rows import CertificateRecord

DAY_S: Final = 86_400
POLICY_LIFE_S: Final = 5 * 365 * DAY_S
CATALOG_LIFE_S: Final = 2 * 365 * DAY_S
CATALOG_RENEWAL_S: Final = 90 * DAY_S
CATALOG_TAKEOVER_S: Final = 45 * DAY_S
# A catalog authority that the active policy authority signs must fit into its life, renewals and take-over included.
POLICY_RENEWAL_S: Final = CATALOG_LIFE_S + CATALOG_RENEWAL_S
ISSUING_LIFE_S: Final = 90 * DAY_S
ISSUING_RENEWAL_S: Final = 30 * DAY_S


def is_due(records: Sequence[CertificateRecord], before_s: int, *, now: int, latest_end: int) -> bool:
    """Whether there is none, or the newest ends within ``before_s`` and a new one would end later.

    Args:
        records: Oldest first.
        before_s: Seconds.
        now: Unix seconds UTC, as is ``latest_end``.
        latest_end: The end of what would sign the new one: it cannot live longer.
    """
    if not records:
        return True
    ends = records[-1].not_after
    return ends - now < before_s and ends < latest_end


def signed_by(certificate: x509.Certificate, issuer_der: bytes) -> bool:
    """Whether ``issuer_der`` is the certificate's issuer, by name and key id (we made both)."""
    issuer = x509.load_der_x509_certificate(issuer_der)
    if certificate.issuer != issuer.subject:
        return False
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == own


def active_of(records: Sequence[CertificateRecord], now: int) -> CertificateRecord | None:
    """The newest that has had its time to become known; the oldest living one where none has."""
    living = [one for one in records if one.not_after > now and one.revoked_at is None]
    settled = [one for one in living if one.issued_at + CATALOG_TAKEOVER_S <= now]
    if settled:
        return settled[-1]
    return living[0] if living else None


def status_of(one: CertificateRecord, active: CertificateRecord | None, now: int) -> str:
    """Azure Sphere's word for the state of a catalog's authority."""
    if one.revoked_at is not None:
        return "Revoked"
    if one.not_after <= now:
        return "Expired"
    return "Active" if active is not None and one.serial == active.serial else "Inactive"
