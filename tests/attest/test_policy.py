# SPDX-License-Identifier: Apache-2.0
"""What a catalog demands: each demand in words, when it starts to hold, and that security versions never fall."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.attest import policy as rules
from armillary.attest.judgement import Judgement
from armillary.attest.policy import DAY_S, AttestationPolicy, PolicyInForce, from_json, judge, revised, to_json
from armillary.attest.reference import FOREVER, ReferenceValues, ReleaseStanding, Verdict
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.identity.issue import TRUST_TIERS
from armillary.wire.attestation.mechanisms import MECHANISMS
from armillary.wire.encoding.cbor_fields import MAX_TIME

DAY = 1_790_000_000
REFERENCE = ReferenceValues(
    [],
    standings=[
        ReleaseStanding(chip="mt3620", os_version="26.11", published_at=DAY),
        ReleaseStanding(chip="mt3620", os_version="26.12", published_at=DAY + 10 * DAY_S),
        ReleaseStanding(chip="mt3620", os_version="27.01-trial", published_at=DAY + 20 * DAY_S, retail=False),
        ReleaseStanding(chip="mt3620", os_version="27.02", published_at=DAY + 30 * DAY_S, withdrawn="It hangs."),
    ],
)


def boot(*releases: str, versions: dict[int, int] | None = None) -> Judgement:
    return Judgement((), {}, releases, versions or {7: 2})


def fault(policy: AttestationPolicy, judgement: Judgement, *, tier: str = "software", now: int = DAY) -> str:
    return PolicyInForce(policy).fault(tier, "mt3620", judgement, REFERENCE, now)


def test_the_default_demands_nothing():
    assert AttestationPolicy().demands_nothing
    assert fault(AttestationPolicy(), boot("26.11"), tier="simulated", now=FOREVER - 1) == ""


@pytest.mark.parametrize(
    ("tier", "demanded", "good"),
    [
        ("software", "tpm", False),
        ("simulated", "software", False),
        ("tpm", "silicon", False),
        ("software", "software", True),
        ("silicon", "tpm", True),
    ],
)
def test_the_tier_that_a_catalog_demands(tier: str, demanded: str, good: bool):
    said = fault(AttestationPolicy(minimum_tier=demanded), boot("26.11"), tier=tier)
    expected = f"This catalog demands tier {demanded}; this device proves tier {tier} (its enrolment record)."
    assert said == ("" if good else expected)


def test_the_chips_that_a_catalog_accepts():
    assert fault(AttestationPolicy(chips=("imx8mp", "mt3620")), boot("26.11")) == ""
    said = fault(AttestationPolicy(chips=("imx8mp",)), boot("26.11"))
    assert said == "This catalog accepts the chips imx8mp; this device is enrolled as a mt3620."


def test_the_security_versions_that_a_catalog_demands():
    assert fault(AttestationPolicy(minimum_security_versions={7: 2, 9: 5}), boot("26.11")) == ""
    said = fault(AttestationPolicy(minimum_security_versions={7: 3}), boot("26.11"))
    assert said == "This catalog demands security version 3 of image type 7; this boot has 2."


def test_an_older_release_is_good_until_a_date():
    policy = AttestationPolicy(older_releases_until=DAY + 100)
    assert fault(policy, boot("26.11"), now=DAY + 99) == ""
    said = fault(policy, boot("26.11"), now=DAY + 100)
    assert "older than 26.12 until 2026-09-21" in said
    # Neither a trial release nor a withdrawn one makes another old.
    assert fault(policy, boot("26.12"), now=FOREVER - 1) == ""


def test_a_release_has_a_maximum_age():
    policy = AttestationPolicy(maximum_release_age_days=3)
    assert fault(policy, boot("26.11"), now=DAY + 3 * DAY_S - 1) == ""
    said = fault(policy, boot("26.11"), now=DAY + 3 * DAY_S)
    assert said == "This catalog accepts releases for 3 days; 26.11 was published on 2026-09-21 14:13 UTC."


def test_a_clock_that_ran_ahead_and_was_set_back_does_no_lasting_harm():
    force = PolicyInForce(AttestationPolicy(maximum_release_age_days=3))
    assert force.fault("software", "mt3620", boot("26.11"), REFERENCE, DAY + 4 * DAY_S)
    assert force.fault("software", "mt3620", boot("26.11"), REFERENCE, DAY) == ""


def test_of_releases_that_are_equal_the_strictest_counts():
    policy = AttestationPolicy(maximum_release_age_days=3)
    assert "26.11" in fault(policy, boot("26.11", "26.12"), now=DAY + 11 * DAY_S)


def test_all_that_is_missing_is_said():
    policy = AttestationPolicy(minimum_tier="tpm", chips=("imx8mp",), minimum_security_versions={7: 3})
    said = fault(policy, boot("26.11"))
    assert [word in said for word in ("tier tpm", "imx8mp", "security version 3")] == [True] * 3


def test_without_a_known_release_tier_and_chip_are_judged_and_nothing_else():
    policy = AttestationPolicy(minimum_tier="tpm", minimum_security_versions={7: 9}, maximum_release_age_days=1)
    assert fault(policy, boot(), now=FOREVER - 1).startswith("This catalog demands tier tpm")
    assert fault(policy, boot(), tier="tpm", now=FOREVER - 1) == ""


def test_a_new_release_makes_the_others_old_at_once():
    force = PolicyInForce(AttestationPolicy(older_releases_until=0))
    assert force.fault("software", "mt3620", boot("26.12"), REFERENCE, DAY) == ""
    newer = ReleaseStanding(chip="mt3620", os_version="27.03", published_at=DAY + 40 * DAY_S)
    more = ReferenceValues([], standings=[*REFERENCE_STANDINGS, newer])
    assert "27.03" in force.fault("software", "mt3620", boot("26.12"), more, DAY)


REFERENCE_STANDINGS = [
    found for version in ("26.11", "26.12") if (found := REFERENCE.standing("mt3620", version)) is not None
]


def test_what_was_worked_out_is_not_worked_out_again_and_is_bounded(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def counted(*arguments: Any) -> Verdict:
        asked.append(arguments[2])
        return judge(*arguments)

    monkeypatch.setattr(rules, "judge", counted)
    force = PolicyInForce(AttestationPolicy(minimum_tier="tpm"))
    for _ in range(3):
        force.fault("software", "mt3620", boot("26.11"), REFERENCE, DAY)
    assert asked == ["mt3620"]
    for number in range(rules.MAX_KNOWN + 10):
        force.fault("software", f"chip{number}", boot("26.11"), REFERENCE, DAY)
    assert len(force._known) == rules.MAX_KNOWN


versions = st.dictionaries(st.integers(0, 0xFFFF), st.integers(0, 31), max_size=6)
policies = st.builds(
    AttestationPolicy,
    minimum_tier=st.sampled_from(TRUST_TIERS),
    chips=st.sets(st.sampled_from(("a", "b", "c"))).map(lambda chips: tuple(sorted(chips))),
    minimum_security_versions=versions,
    older_releases_until=st.none() | st.integers(0, MAX_TIME),
    maximum_release_age_days=st.none() | st.integers(1, rules.MAX_AGE_DAYS),
    firmware_log=st.booleans(),
    mechanisms=st.sets(st.sampled_from(sorted(MECHANISMS))).map(lambda names: tuple(sorted(names))),
)


@given(policies)
def test_every_policy_survives_its_json(policy: AttestationPolicy):
    assert from_json(to_json(policy)) == policy


# What a change asks of a minimum that holds: a range for each, so that every case occurs in every run.
CHANGES = {
    "none at all": lambda _: (0, 0),
    "lower": lambda holds: (0, holds - 1),
    "equal": lambda holds: (holds, holds),
    "higher": lambda holds: (holds + 1, 31),
}


@pytest.mark.parametrize("case", CHANGES)
@settings(max_examples=examples(60))
@given(policies, st.dictionaries(st.integers(0, 0xFFFF), st.integers(1, 30), min_size=1, max_size=6), st.data())
def test_no_change_lowers_a_minimum(case: str, policy: AttestationPolicy, holds: dict[int, int], data: st.DataObject):
    kind = data.draw(st.sampled_from(sorted(holds)))
    others = {other: version for other, version in data.draw(versions).items() if other not in holds}
    asked = {**others, kind: data.draw(st.integers(*CHANGES[case](holds[kind])))}
    policy = replace(policy, minimum_security_versions=holds)
    change = {"minimum_security_versions": {str(one): version for one, version in asked.items()}}
    if case in ("none at all", "lower"):
        with pytest.raises(ConflictError, match="would lower it"):
            revised(policy, change)
    else:
        assert dict(revised(policy, change).minimum_security_versions) == {**holds, **asked}


def test_a_change_leaves_the_rest_alone():
    policy = AttestationPolicy(minimum_tier="tpm", chips=("a",), maximum_release_age_days=5)
    made = revised(policy, {"maximum_release_age_days": None})
    assert (made.minimum_tier, made.chips, made.maximum_release_age_days) == ("tpm", ("a",), None)


@pytest.mark.parametrize(
    "document",
    [
        {"minimum_tier": "hardware"},
        {"minimum_tier": 3},
        {"chips": "mt3620"},
        {"chips": [f"chip{number}" for number in range(65)]},
        {"minimum_security_versions": {"7": 32}},
        {"minimum_security_versions": {"7": True}},
        {"minimum_security_versions": {"-1": 1}},
        {"minimum_security_versions": {"99999": 1}},
        {"minimum_security_versions": [7]},
        {"minimum_security_versions": {str(kind): 1 for kind in range(65)}},
        {"older_releases_until": -1},
        {"older_releases_until": "tomorrow"},
        {"maximum_release_age_days": 0},
        {"maximum_release_age_days": 1.5},
        {"firmware_log": 1},
        {"mechanisms": "landlock"},
        {"mechanisms": ["landlok"]},
        {"minimum_teir": "tpm"},
    ],
)
def test_what_is_no_policy_is_refused_by_name(document: dict[str, Any]):
    with pytest.raises(
        InvalidArgumentError, match=r"minimum|chip|image type|older|maximum|firmware|mechanisms|policy field"
    ) as caught:
        from_json(document)
    assert "appraisal.md" in caught.value.remedy
