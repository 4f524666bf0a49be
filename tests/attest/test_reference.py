# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from armillary.attest.reference import FOREVER, ReferenceValues, ReleaseStanding
from armillary.sim.device.prover import release

FIRST, SECOND = release(1), release(2)


def test_lookup_is_per_chip_component_and_digest():
    values = [c.reference("mt3620", "26.11") for c in FIRST] + [
        c.reference("mt3620", "26.12") for c in (FIRST[0], *SECOND[1:])
    ]
    reference = ReferenceValues(values)
    event = FIRST[0].event
    assert [v.os_version for v in reference.lookup("mt3620", event.component_id, event.digest)] == ["26.11", "26.12"]
    assert reference.lookup("imx8mp", event.component_id, event.digest) == ()
    assert reference.lookup("mt3620", UUID(int=99), event.digest) == ()
    assert reference.lookup("mt3620", event.component_id, bytes(32)) == ()
    assert reference.components("mt3620", "26.12") == tuple(c.component_id for c in FIRST)
    assert reference.components("mt3620", "1.0") == ()


def test_minimum_security_version():
    reference = ReferenceValues([], {("mt3620", 7): 3})
    assert reference.minimum_security_version("mt3620", 7) == 3
    assert reference.minimum_security_version("mt3620", 8) == 0
    assert reference.minimum_security_version("imx8mp", 7) == 0


def test_a_release_is_old_when_a_newer_one_in_force_was_published_to_everybody():
    def standing(version: str, at: int, **changes: object) -> ReleaseStanding:
        return ReleaseStanding(chip="mt3620", os_version=version, published_at=at, **changes)  # type: ignore[arg-type]

    reference = ReferenceValues(
        [], standings=[standing("3", 20, retail=False), standing("2", 10), standing("1", 10), standing("4", 30)]
    )
    assert [reference.newer("mt3620", version, 0) for version in "1234"] == ["4", "4", "4", ""]
    trial = ReferenceValues([], standings=[standing("1", 10), standing("2", 20, retail=False)])
    assert trial.newer("mt3620", "1", 0) == ""
    taken_back = ReferenceValues([], standings=[standing("1", 10), standing("2", 20, withdrawn="It hangs.")])
    assert taken_back.newer("mt3620", "1", 0) == ""
    assert taken_back.newer("imx8mp", "1", 0) == ""
    assert taken_back.standing("imx8mp", "1") is None


def test_a_release_that_is_over_or_below_a_minimum_makes_no_other_one_old():
    """Nobody can come to it: who demands the newest release would have none that is good."""
    standings = [
        ReleaseStanding(chip="mt3620", os_version=version, published_at=at, expires_at=end)
        for version, at, end in (("1", 10, None), ("2", 20, 100), ("3", 30, 90))
    ]
    reference = ReferenceValues([], standings=standings)
    assert [reference.newer("mt3620", "1", now) for now in (89, 90, 99, 100)] == ["3", "2", "2", ""]
    assert [reference.unchanged(now) for now in (0, 89, 90, 100)] == [
        range(90),
        range(90),
        range(90, 100),
        range(100, FOREVER),
    ]
    old = FIRST[0].reference("mt3620", "2")
    lowered = ReferenceValues([old], {("mt3620", old.image_type): old.security_version + 1}, standings=standings[:2])
    assert lowered.newer("mt3620", "1", 0) == ""


@pytest.mark.parametrize(
    ("published", "newer"),
    [
        pytest.param([("27.1", 1), ("27.2", 1)], "27.2", id="the same"),
        pytest.param([("27.1", 1), ("27.2", 2)], "27.2", id="higher"),
        pytest.param([("27.1", 2), ("26.12", 1)], "", id="an older one, on purpose"),
        pytest.param([("27.1", 2), ("26.13", 2), ("26.12", 1)], "26.13", id="the newest that it takes"),
        pytest.param([("27.1", 2), ("26.12", 1), ("27.2", 2)], "27.2", id="one after it"),
    ],
)
def test_a_release_with_a_lower_security_version_makes_no_other_one_old(published: list[tuple[str, int]], newer: str):
    """A device that has confirmed the first one refuses it: it could not come to what its catalog demands."""
    values = [
        replace(FIRST[0].reference("mt3620", version), security_version=security) for version, security in published
    ]
    standings = [
        ReleaseStanding(chip="mt3620", os_version=version, published_at=10, publication=place)
        for place, (version, _) in enumerate(published)
    ]
    assert ReferenceValues(values, standings=standings).newer("mt3620", "27.1", 0) == newer
