# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from armillary.errors import AppraisalError
from armillary.identity import issue
from armillary.wire.certificates import certificate
from armillary.wire.device import checkin

NOW = 1_790_000_000


def test_attested_earns_a_client_certificate_for_a_day():
    terms = issue.terms_for("attested", "software", now=NOW)
    assert terms == issue.CertificateTerms("client", "software", NOW - 300, NOW + 86_400)


def test_update_only_earns_a_short_update_certificate():
    assert issue.terms_for("update-only", "tpm", now=NOW) == issue.CertificateTerms(
        "update", "tpm", NOW - 300, NOW + 3600
    )
    assert issue.terms_for("update-only", "tpm", now=NOW, lifetime_s=60).not_after == NOW + 60


@pytest.mark.parametrize(
    ("verdict", "tier"), [("refused", "software"), ("", "software"), ("attested", "hardware"), ("attested", "")]
)
def test_nothing_else_earns_one(verdict: str, tier: str):
    with pytest.raises(AppraisalError):
        issue.terms_for(verdict, tier, now=NOW)


@pytest.mark.parametrize("lifetime_s", [0, -1, issue.MAX_LIFETIME_S + 1])
def test_lifetime_limits(lifetime_s: int):
    with pytest.raises(ValueError, match="lifetime"):
        issue.terms_for("attested", "software", now=NOW, lifetime_s=lifetime_s)


def test_words_are_the_wires():
    assert set(issue.PURPOSE) == checkin.VERDICTS
    assert set(issue.PURPOSE.values()) == checkin.PURPOSES == certificate.PURPOSES
    assert set(issue.TRUST_TIERS) == certificate.TRUST_TIERS
