# SPDX-License-Identifier: Apache-2.0
"""Which certificate a device gets for an appraisal result: purpose, tier and validity, as a table.

Azure Sphere gives two certificates: an update certificate for the OS and a client certificate for applications
and only where the boot is trusted. Here a check-in gives the one the verdict earns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from armillary.errors import AppraisalError

# A device whose clock is behind must not find its new certificate "not yet valid": measured, +5 min is refused.
BACKDATE_S: Final = 5 * 60
LIFETIME_S: Final = 24 * 3600  # Azure Sphere's daily certificate
MAX_LIFETIME_S: Final = 7 * 24 * 3600  # a longer one would outlive every decision to shut a device out
UPDATE_LIFETIME_S: Final = 3600  # long enough for a slow OS download, renewed by the next check-in

TRUST_TIERS: Final = ("simulated", "software", "tpm", "silicon")  # weakest first

# verdict -> purpose of the certificate. A verdict that is not listed earns none.
PURPOSE: Final = {"attested": "client", "update-only": "update"}


@dataclass(frozen=True, slots=True)
class CertificateTerms:
    """What goes into the certificate besides key and device id; times in Unix seconds UTC."""

    purpose: str
    tier: str
    not_before: int
    not_after: int


@lru_cache(maxsize=64)  # check-ins of one second share theirs
def terms_for(verdict: str, trust_tier: str, *, now: int, lifetime_s: int = LIFETIME_S) -> CertificateTerms:
    """The terms of the certificate this verdict earns.

    Args:
        verdict: ``attested`` or ``update-only``.
        trust_tier: From the enrolment record, never from the device's word.
        now: Unix seconds UTC.
        lifetime_s: Life of a client certificate, at most :data:`MAX_LIFETIME_S`.

    Raises:
        AppraisalError: a verdict or tier that earns no certificate.
        ValueError: the lifetime is out of its limits.
    """
    purpose = PURPOSE.get(verdict)
    if purpose is None or trust_tier not in TRUST_TIERS:
        raise AppraisalError(
            f"certificate: expected a verdict and trust tier that earn one, got {verdict}, {trust_tier}"
        )
    if not 0 < lifetime_s <= MAX_LIFETIME_S:
        raise ValueError(f"certificate lifetime: 1 to {MAX_LIFETIME_S} seconds, got {lifetime_s}")
    life = lifetime_s if purpose == "client" else min(lifetime_s, UPDATE_LIFETIME_S)
    return CertificateTerms(purpose, trust_tier, not_before=now - BACKDATE_S, not_after=now + life)
