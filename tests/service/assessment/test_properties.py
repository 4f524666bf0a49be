# SPDX-License-Identifier: Apache-2.0
"""What each of the seven properties says of the facts: nothing is present by default."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from armillary.engines.records.schema.rows import HEALTHS
from armillary.service.assessment.properties import (
    ABSENT,
    MAX_GROWTH_PERCENT,
    OUT_OF_SCOPE,
    PRESENT,
    PROPERTIES,
    STALE,
    STATES,
    Answer,
    Facts,
    TrustedSoftware,
    assess,
)

GOOD = Facts(
    tier="tpm",
    health="attested",
    os_version="26.11",
    sandbox="linux",
    enforcement={"landlock": "enforced", "network-namespace": "enforced"},
    base=TrustedSoftware(size=1_000_000, before=(990_000, "26.10"), in_force=True),
    has_certificate=True,
    updates_os=True,
    takes_directives=True,
)
BY_NAME = {each.name: each for each in PROPERTIES}


def answers(facts: Facts) -> dict[str, Answer]:
    return {each.name: assess(each, facts) for each in PROPERTIES}


def test_a_device_with_all_of_it_shows_all_seven() -> None:
    assert len(PROPERTIES) == len(BY_NAME) == 7
    assert {each.state for each in answers(GOOD).values()} == {PRESENT}


GROWN = TrustedSoftware(size=1_100_001, before=(1_000_000, "26.10"), in_force=True)
# One fact made worse, what it takes away, as what, and a word of the reason.
WORSE = (
    ({"tier": "software"}, {"hardware-root-of-trust": ABSENT}, "file"),
    ({"tier": "simulated"}, {"hardware-root-of-trust": ABSENT}, "simulator"),
    ({"sandbox": "process"}, {"defence-in-depth": ABSENT, "dynamic-compartments": ABSENT}, "contain"),
    ({"enforcement": {}}, {"defence-in-depth": ABSENT, "dynamic-compartments": ABSENT}, "contain"),
    (
        {"enforcement": {"landlock": "missing: the kernel has none", "user": "enforced"}},
        {"defence-in-depth": ABSENT, "dynamic-compartments": ABSENT},
        "landlock",
    ),
    ({"base": None}, {"small-trusted-computing-base": ABSENT}, "not known"),
    ({"base": GROWN}, {"small-trusted-computing-base": ABSENT}, f"{MAX_GROWTH_PERCENT} %"),
    ({"base": replace(GROWN, size=1_100_000)}, {}, ""),
    ({"base": replace(GROWN, before=None)}, {}, ""),
    ({"base": replace(GROWN, size=9_000_000)}, {"small-trusted-computing-base": ABSENT}, f"{MAX_GROWTH_PERCENT} %"),
    ({"base": replace(GROWN, size=548_000_000)}, {}, ""),
    ({"base": replace(GROWN, before=(0, "26.10"))}, {}, ""),
    ({"has_certificate": False}, {"certificate-based-authentication": STALE}, "ended"),
    ({"base": TrustedSoftware(size=1, before=None, in_force=False)}, {"renewable-security": ABSENT}, "withdrawn"),
    ({"updates_os": False}, {"renewable-security": ABSENT}, "over the air"),
    ({"takes_directives": False}, {}, ""),
)


@pytest.mark.parametrize(("change", "lost", "reason"), WORSE, ids=lambda value: str(value)[:40])
def test_each_fact_takes_away_what_rests_on_it(change: dict[str, object], lost: dict[str, str], reason: str) -> None:
    found = answers(replace(GOOD, **change))
    assert {name: each.state for name, each in found.items() if each.state != PRESENT} == lost
    assert not lost or any(reason in found[name].says for name in lost)


@given(
    tier=st.sampled_from(("simulated", "software", "tpm", "silicon")),
    health=st.sampled_from(HEALTHS),
    sandbox=st.sampled_from(("", "process", "linux", "reduced")),
    enforcement=st.dictionaries(st.text(max_size=5), st.sampled_from(("enforced", "missing: x")), max_size=3),
    base=st.none() | st.builds(
        TrustedSoftware,
        size=st.integers(0, 10**9),
        before=st.none() | st.tuples(st.integers(0, 10**9), st.just("1")),
        in_force=st.booleans(),
    ),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)  # fmt: skip
def test_only_an_attested_device_shows_anything(
    tier: str,
    health: str,
    sandbox: str,
    enforcement: dict[str, str],
    base: TrustedSoftware | None,
    flags: tuple[bool, bool, bool],
) -> None:
    facts = Facts(
        tier=tier,
        health=health,
        os_version="1",
        sandbox=sandbox,
        enforcement=enforcement,
        base=base,
        has_certificate=flags[0],
        updates_os=flags[1],
        takes_directives=flags[2],
    )
    found = answers(facts)
    assert all(each.state in STATES and each.says for each in found.values())
    if health != "attested":
        assert PRESENT not in {each.state for each in found.values()}
    if health == "silent":
        assert {each.state for each in found.values()} == {STALE}
    if health in ("revoked", "unattested"):
        assert {each.state for each in found.values()} == {OUT_OF_SCOPE}


def test_a_release_that_is_no_whole_os_is_not_compared_with() -> None:
    base = TrustedSoftware(size=548_000_000, before=(1_000_000, "26.50"), in_force=True)
    says = answers(replace(GOOD, base=base))["small-trusted-computing-base"].says
    assert "548,000,000 bytes; it is not compared with 26.50, whose 1,000,000 bytes" in says
    assert "%" not in says
