# SPDX-License-Identifier: Apache-2.0
"""When authorities are renewed, which one of several is active, and who signed whom: decisions without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography import x509

from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.errors import ConflictError

DAY_S: Final = 86_400
POLICY_LIFE_S: Final = 5 * 365 * DAY_S
CATALOG_LIFE_S: Final = 2 * 365 * DAY_S
CATALOG_RENEWAL_S: Final = 90 * DAY_S
CATALOG_TAKEOVER_S: Final = 45 * DAY_S
# A catalog authority that the active policy authority signs must fit into its life, renewals and take-over included.
POLICY_RENEWAL_S: Final = CATALOG_LIFE_S + CATALOG_RENEWAL_S
YEAR_S: Final = 365 * DAY_S
ROOT_LIFE_S: Final = 20 * YEAR_S
# A successor takes over as the signer of server certificates after so long: until then devices that know only the old
# root get in, and learn of the new one when they do. So long a device may be switched off.
ROOT_TAKEOVER_S: Final = 5 * YEAR_S
# Whole policy authorities fit until the successor signs them, and a whole server certificate when it takes over.
ROOT_RENEWAL_S: Final = POLICY_LIFE_S + YEAR_S
# In its last days a root signs no server certificate any more, however young its successor.
ROOT_LAST_S: Final = 30 * DAY_S
SILICON_LIFE_S: Final = 20 * YEAR_S
# A device identity certificate ends with the authority that signed it: it is valid for at least so long.
SILICON_RENEWAL_S: Final = 10 * YEAR_S
# A device whose identity certificate ends within so long is given another by its device endpoint.
IDENTITY_RENEWAL_S: Final = 5 * YEAR_S
MAX_VALID: Final = 8  # of a kind, by hand: as many as a message of trust anchors holds
NEVER: Final = 1 << 62  # what signs itself is limited by nothing above
ISSUING_LIFE_S: Final = 90 * DAY_S
ISSUING_RENEWAL_S: Final = 30 * DAY_S


def is_due(records: Sequence[CertificateRecord], before_s: int, *, now: int, latest_end: int) -> bool:
    """Whether a new one is due: there is none, or the newest ends within ``before_s`` and a new one would end later.

    ``records`` are oldest first. ``latest_end`` is the end of what would sign the new one, which cannot live longer;
    times are Unix seconds UTC.
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


def active_of(
    records: Sequence[CertificateRecord], now: int, *, takeover_s: int | None = None
) -> CertificateRecord | None:
    """The newest that is at least ``takeover_s`` old (45 days when None), so that it is known; else the oldest valid.

    ``records`` are oldest first; ``now`` is in Unix seconds UTC.
    """
    wait_s = CATALOG_TAKEOVER_S if takeover_s is None else takeover_s
    valid = [one for one in records if one.not_after > now and one.revoked_at is None]
    settled = [one for one in valid if one.issued_at + wait_s <= now]
    if settled:
        return settled[-1]
    return valid[0] if valid else None


def check_settled(records: Sequence[CertificateRecord], *, now: int, takeover_s: int = CATALOG_TAKEOVER_S) -> None:
    """Raise ConflictError if the newest of several is younger than ``takeover_s``, or too many are valid.

    Relying parties would not know of the last renewal yet. ``records`` are the valid ones, oldest first.
    """
    settled_at = records[-1].issued_at + takeover_s if len(records) > 1 else now
    if now < settled_at:
        raise ConflictError(
            f"the last renewal was at {records[-1].issued_at}, the next can be from {settled_at} on (Unix seconds)",
            remedy="Wait: until then those who trust this service may not know of the last one.",
        )
    if len(records) >= MAX_VALID:
        raise ConflictError(f"{len(records)} of these live already", remedy="Wait until one of them has ended.")


def serving_root(roots: Sequence[CertificateRecord], now: int) -> CertificateRecord:
    """The root that signs server certificates: the old one as long as it can, for devices that know no other.

    ``roots`` has at least one, oldest first; ``now`` is in Unix seconds UTC.
    """
    usable = [one for one in roots if one.not_after - now > ROOT_LAST_S]
    return active_of(usable, now, takeover_s=ROOT_TAKEOVER_S) or roots[-1]


def status_of(one: CertificateRecord, active: CertificateRecord | None, now: int) -> str:
    """Azure Sphere's word for the state of a catalog's authority."""
    if one.revoked_at is not None:
        return "Revoked"
    if one.not_after <= now:
        return "Expired"
    return "Active" if active is not None and one.serial == active.serial else "Inactive"
