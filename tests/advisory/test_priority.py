# SPDX-License-Identifier: Apache-2.0
"""Priorities: known exploited first, then likelihood, then severity; what is not known is not taken for good news."""

from __future__ import annotations

from datetime import date

import pytest

from armillary.advisory.priority import in_order, priority_of
from armillary.advisory.severity import score_of
from armillary.wire.advisory.epss import Scores
from armillary.wire.advisory.kev import Catalogue, Exploited
from armillary.wire.advisory.osv import Advisory, Affected, Severity

CRITICAL = Severity("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
LOW = Severity("CVSS_V3", "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N")


def exploited(cve: str, day: int) -> Exploited:
    return Exploited(cve=cve, added=date(2026, 1, day), due=None, ransomware=False, product="", name="")


KEV = Catalogue("2026.01.31", 5, {each.cve: each for each in (exploited("CVE-2026-1", 3), exploited("CVE-2026-2", 9))})
EPSS = Scores("v2026", 7, {"CVE-2026-3": (0.9, 0.99), "CVE-2026-4": (0.1, 0.5)})


def advisory(name: str, *aliases: str, severity: tuple[Severity, ...] = ()) -> Advisory:
    return Advisory(id=name, modified=1, aliases=aliases, severity=severity)


def test_exploited_then_likely_then_severe() -> None:
    given = [
        advisory("L", severity=(LOW,)),
        advisory("none"),
        advisory("C", severity=(CRITICAL,)),
        advisory("E4", "CVE-2026-4"),
        advisory("E3", "CVE-2026-3"),
        advisory("K1", "CVE-2026-1"),
        advisory("K2", "CVE-2026-2", severity=(LOW,)),
    ]
    ranked = in_order((each.id, priority_of(each, KEV, EPSS)) for each in given)
    assert ranked == ["K2", "K1", "E3", "E4", "C", "none", "L"]


def test_by_any_name_and_with_its_dates() -> None:
    found = priority_of(Advisory(id="DSA-1", modified=1, upstream=("CVE-2026-1", "CVE-2026-3")), KEV, EPSS)
    assert found.exploited is not None
    assert found.exploited.added == date(2026, 1, 3)
    assert (found.likelihood, found.percentile, found.likelihood_day) == (0.9, 0.99, 7)


def test_without_a_catalogue_nothing_is_said_not_to_be_exploited() -> None:
    found = priority_of(advisory("A", "CVE-2026-1"), None, None)
    assert (found.exploited, found.exploitation_known, found.likelihood, found.likelihood_day) == (
        None,
        False,
        None,
        None,
    )
    assert priority_of(advisory("A"), KEV, EPSS).exploitation_known


@pytest.mark.parametrize(
    ("severities", "score"),
    [
        ((CRITICAL,), 9.8),
        ((LOW, CRITICAL), 9.8),
        ((Severity("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H"), LOW), 10.0),
        ((Severity("CVSS_V2", "AV:N/AC:L/Au:N/C:P/I:P/A:P"),), 7.5),
        ((Severity("CVSS_V3", "CVSS:3.1/AV:X"), Severity("CVSS_V2", "AV:N/AC:L/Au:N/C:P/I:P/A:P")), 7.5),
        ((Severity("Ubuntu", "medium"),), None),
        ((Severity("CVSS_V3", "high"), Severity("CVSS_V3", "A" * 10_000)), None),
        ((), None),
    ],
)
def test_scores_are_cvss_and_odd_vectors_are_none(severities: tuple[Severity, ...], score: float | None) -> None:
    found = score_of(severities)
    assert (None if found is None else found.score) == score


def test_a_severity_of_one_package_counts_too() -> None:
    given = Advisory(id="A", modified=1, affected=(Affected(ecosystem="PyPI", name="x", severity=(CRITICAL,)),))
    found = priority_of(given, None, None).severity
    assert found is not None
    assert found.score == 9.8
