# SPDX-License-Identifier: Apache-2.0
"""Which operating system a feed gives to a chip, and which devices need no other."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

import pytest

from armillary.engines.records.schema.rows import OsComponent, OsRelease, SecurityFloor
from armillary.rollout.ended import Left
from armillary.service.updates.os_feeds import (
    Follows,
    WantedOs,
    comes_before,
    feeds_given,
    given_to,
    newest_given,
    newest_of_feeds,
    system_of,
)
from armillary.wire.attestation.event_log import BootEvent

NOW = 1_800_000_000
LOADER, KERNEL = UUID(int=1), UUID(int=2)


def release(
    version: str, feed: str = "Retail", *, chip: str = "mt3620", security: int = 1, **changes: Any
) -> OsRelease:
    components = tuple(
        OsComponent(
            name=name, image_type=kind, component_id=component, image_id=uuid4(), size=10, security_version=security,
            digest=f"{chip} {version} {name}".encode().ljust(32),
        )
        for name, kind, component in (("loader", 1, LOADER), ("kernel", 3, KERNEL))
    )  # fmt: skip
    fields = {"release_id": uuid4(), "created_at": NOW, "published_at": NOW, "signed_at": NOW, **changes}
    return OsRelease(chip=chip, version=version, feed=feed, components=components, **fields)


def measured(one: OsRelease, *, but: str = "") -> list[BootEvent]:
    return [
        BootEvent(
            part.name,
            part.image_type,
            part.component_id,
            part.image_id,
            bytes(32) if part.name == but else part.digest,
            1,
        )
        for part in one.components
    ]


def given(
    *releases: OsRelease,
    feed: str = "Retail",
    floors: tuple[SecurityFloor, ...] = (),
    follows: Follows = MappingProxyType({"Retail": None, "RetailEval": "Retail"}),
) -> WantedOs | None:
    return newest_of_feeds(releases, floors, follows=follows, now=NOW).get((feed, "mt3620"))


def version_of(found: WantedOs | None) -> str:
    return "" if found is None else found.version


def test_evaluation_comes_first_and_everybody_gets_what_is_for_everybody() -> None:
    old, tried = release("27.1"), release("27.2", "RetailEval")
    assert version_of(given(old, tried)) == "27.1"
    assert version_of(given(old, tried, feed="RetailEval")) == "27.2"
    newer = release("27.3")
    assert version_of(given(old, tried, newer, feed="RetailEval")) == "27.3"
    assert given(release("27.1", chip="imx8mp")) is None


@pytest.mark.parametrize(
    "changes",
    [{"withdrawn_at": NOW}, {"expires_at": NOW}, {"imported_from": "a corim"}],
)
def test_what_is_not_in_force_or_not_here_is_given_to_nobody(changes: dict[str, Any]) -> None:
    old, gone = release("27.1"), release("27.2", **changes)
    assert version_of(given(old, gone)) == "27.1"
    assert given(gone) is None


def test_what_is_below_a_floor_is_given_to_nobody() -> None:
    floor = SecurityFloor(chip="mt3620", image_type=3, minimum=2, changed_at=NOW)
    assert given(release("27.1", security=1), floors=(floor,)) is None
    assert version_of(given(release("27.1", security=2), release("27.2", security=1), floors=(floor,))) == "27.1"


STAND_IN = {"is_stand_in": True}


@pytest.mark.parametrize(
    ("releases", "everybody", "evaluation"),
    [
        pytest.param((release("27.1", **STAND_IN),), "27.1", "27.1", id="stand-ins alone"),
        pytest.param(
            (release("27.1", **STAND_IN), release("27.2", imported_from="a corim")), "27.1", "27.1", id="and values"
        ),
        pytest.param(
            (release("27.1", **STAND_IN), release("27.2", chip="imx8mp")), "27.1", "27.1", id="another chip's"
        ),
        pytest.param((release("27.1", **STAND_IN), release("27.2")), "27.2", "27.2", id="a real one"),
        pytest.param((release("27.1"), release("27.2", **STAND_IN)), "27.1", "27.1", id="a real one before"),
        pytest.param((release("27.1", **STAND_IN), release("27.2", "RetailEval")), "", "27.2", id="evaluated"),
        pytest.param((release("27.1", **STAND_IN), release("27.2", withdrawn_at=NOW)), "", "", id="withdrawn"),
        pytest.param((release("27.1", **STAND_IN), release("27.2", expires_at=NOW)), "", "", id="over"),
    ],
)
def test_stand_ins_are_given_until_there_was_a_real_release(
    releases: tuple[OsRelease, ...], everybody: str, evaluation: str
) -> None:
    found = [version_of(given(*releases, feed=feed)) for feed in ("Retail", "RetailEval")]
    assert found == [everybody, evaluation]


@pytest.mark.parametrize("feed", ["Retail", "RetailEval", "Nowhere"])
@pytest.mark.parametrize(
    "releases",
    [
        pytest.param((), id="none"),
        pytest.param((release("27.1", security=3), release("27.2", security=2)), id="two"),
        pytest.param((release("27.1"), release("27.2", "RetailEval", security=3)), id="evaluated"),
        pytest.param((release("27.1", security=3), release("27.2")), id="below a floor"),
        pytest.param((release("27.1", "RetailEval"),), id="below a floor, and evaluated"),
        pytest.param((release("27.1", security=3), release("27.2", imported_from="a corim", security=3)), id="values"),
        pytest.param((release("27.1", security=3), release("27.2", security=3, withdrawn_at=NOW)), id="withdrawn"),
        pytest.param(
            (release("27.1", security=3, **STAND_IN), release("27.2", "RetailEval", security=3)), id="stand-in"
        ),
    ],
)
def test_the_newest_alone_is_what_the_whole_order_gives(releases: tuple[OsRelease, ...], feed: str) -> None:
    follows = {"Retail": None, "RetailEval": "Retail"}
    floors = [SecurityFloor(chip="mt3620", image_type=1, minimum=2, changed_at=1)]
    newest = newest_given(releases, floors, feed, follows=follows, now=NOW)
    expected = newest_of_feeds(releases, floors, follows=follows, now=NOW).get((feed, "mt3620"))
    assert (newest and newest.release_id) == (expected and expected.release_id)


def test_a_roll_out_of_stand_ins_ends_with_the_first_real_release() -> None:
    """It is offered to nobody from then on, like one whose release is over."""
    follows, tried = {"Retail": None, "RetailEval": "Retail"}, release("27.2", "RetailEval", **STAND_IN)
    before = [release("27.1", **STAND_IN), tried]
    for releases, there in ((before, True), ([*before, release("27.3", "RetailEval")], False)):
        found = system_of(releases, tried.release_id, "Retail", follows=follows, now=NOW)
        assert (found is not None) == there


def test_a_device_has_a_release_when_it_measured_every_component() -> None:
    old, new = release("27.1"), release("27.2")
    wanted = given(old, new)
    assert wanted is not None
    assert wanted.runs(measured(new))
    assert not wanted.runs(measured(old))
    assert not wanted.runs(measured(new, but="kernel"))
    assert not wanted.runs(measured(new)[:1])
    assert not wanted.runs([]), "a log that does not replay measures nothing"


def test_a_device_with_a_newer_release_is_left_alone_until_that_is_revoked() -> None:
    old, tried = release("27.1"), release("27.2", "RetailEval")
    wanted = given(old, tried)
    assert wanted is not None
    assert wanted.runs(measured(tried))
    assert wanted.is_enough("27.2")
    assert not wanted.runs(measured(tried, but="kernel"))
    revoked = given(old, release("27.2", "RetailEval", withdrawn_at=NOW))
    assert revoked is not None
    assert not revoked.runs(measured(tried))
    assert not revoked.is_enough("27.2")


def test_what_was_taken_back_is_left_unless_a_device_cannot_leave_it() -> None:
    old, tried, raised = release("27.1"), release("27.2", "RetailEval"), release("27.3", "RetailEval", security=2)
    taken = Left(taken=frozenset((one.release_id, "Retail") for one in (tried, raised)))
    follows = {"Retail": None, "RetailEval": "Retail", "Stable": "Retail"}
    found = newest_of_feeds([old, tried, raised], (), follows=follows, now=NOW, left=taken)
    for feed in ("Retail", "Stable"):
        wanted = found[feed, "mt3620"]
        assert (wanted.version, set(wanted.newer)) == ("27.1", {"27.3"}), "a security version is never left again"
    assert found["RetailEval", "mt3620"].version == "27.3"


def test_a_release_of_another_feed_is_given_where_a_rollout_of_the_catalogs_own_brought_it() -> None:
    old, tried, imported = release("27.1"), release("27.2", "RetailEval"), release("27.3", imported_from="a corim")
    own = Left(given=frozenset({(tried.release_id, "Retail"), (imported.release_id, "Retail")}))
    follows = {"Retail": None, "RetailEval": "Retail", "Stable": "Retail"}
    found = newest_of_feeds([old, tried, imported], (), follows=follows, now=NOW, left=own)
    assert {feed: found[feed, "mt3620"].version for feed in follows} == dict.fromkeys(follows, "27.2")


def test_a_newer_imported_release_is_left_alone_too() -> None:
    built, imported = release("27.1"), release("27.2", imported_from="a corim")
    wanted = given(built, imported)
    assert wanted is not None
    assert (wanted.version, wanted.runs(measured(imported))) == ("27.1", True)


TREE: Follows = MappingProxyType({"Retail": None, "RetailEval": "Retail", "Canary": "RetailEval", "Stable": "Retail"})


def test_a_feed_gets_its_releases_and_those_of_the_feeds_that_it_follows() -> None:
    assert given_to("Canary", TREE) == ("Canary", "RetailEval", "Retail")
    assert given_to("Stable", TREE) == ("Stable", "Retail")
    assert feeds_given("Retail", TREE) == tuple(TREE)
    assert feeds_given("RetailEval", TREE) == ("RetailEval", "Canary")
    releases = (release("27.1"), release("27.2", "RetailEval"), release("27.3", "Canary"))
    found = {feed: version_of(given(*releases, feed=feed, follows=TREE)) for feed in TREE}
    assert found == {"Retail": "27.1", "RetailEval": "27.2", "Canary": "27.3", "Stable": "27.1"}
    newer = release("27.4")
    assert {version_of(given(*releases, newer, feed=feed, follows=TREE)) for feed in TREE} == {"27.4"}


@pytest.mark.parametrize(
    ("there", "version", "feed", "before"),
    [
        (("26.20 Retail", "26.30 RetailEval"), "26.20.1", "Retail", "26.30"),
        (("26.20 Retail", "26.30 RetailEval", "26.31 Canary"), "26.20.1", "Retail", "26.30"),
        (("26.20 Retail", "26.30 RetailEval", "26.31 Canary"), "26.30.1", "RetailEval", "26.31"),
        (("26.20 Retail", "26.30 RetailEval"), "26.31", "Retail", ""),
        (("26.20 Retail", "26.30-rc1 RetailEval"), "26.30", "Retail", ""),
        (("26.20 Retail", "26.30 Stable"), "26.25", "RetailEval", "26.30"),  # none of the two follows the other
        (("26.20 Retail", "26.30 RetailEval"), "26.10", "RetailEval", ""),  # meant to be older: what its own feed gives
        (("26.20 Retail", "26.21 Retail", "26.30 RetailEval"), "26.20.1", "Retail", "26.30"),
        (("26.20 Retail", "26.30 RetailEval", "26.40 Retail"), "26.35", "Retail", ""),
        (("26.20 Retail", "of a maker RetailEval"), "26.20.1", "Retail", ""),  # does not sort
        (("26.20 Retail", "26.30 RetailEval imported"), "26.20.1", "Retail", ""),
        (("26.20 Retail", "26.30 RetailEval", "27.1 Retail imported"), "26.20.1", "Retail", "26.30"),
        (("26.20 Retail", "26.30 RetailEval", "26.31 Retail withdrawn"), "26.20.1", "Retail", "26.30"),
        (("26.20 Retail", "26.30 RetailEval", "26.31 Retail over"), "26.20.1", "Retail", "26.30"),
        (("26.20 Retail", "26.30 RetailEval", "26.31 Retail below"), "26.20.1", "Retail", "26.30"),
        (("26.20 Retail", "26.30 RetailEval withdrawn"), "26.20.1", "Retail", ""),
        (("26.20 Retail", "26.40 RetailEval", "26.30 Stable"), "26.35", "Retail", "26.40"),
        (("26.20 Retail", "26.40 RetailEval", "26.30 Canary withdrawn"), "26.35", "Retail", "26.40"),
        (("26.20 Retail", "26.30 RetailEval", "26.10 RetailEval"), "26.20.1", "Retail", ""),  # it was set back itself
        (("26.20 Retail", "26.25 RetailEval", "26.30 RetailEval"), "26.28", "Retail", "26.30"),
        ((), "26.20", "Retail", ""),
    ],
)
def test_what_is_ahead_in_feeds_that_a_group_does_not_get_stays_ahead(
    there: tuple[str, ...], version: str, feed: str, before: str
) -> None:
    said: dict[str, dict[str, Any]] = {
        "imported": {"imported_from": "a corim"}, "withdrawn": {"withdrawn_at": NOW}, "over": {"expires_at": NOW},
        "below": {"security": 0},
    }  # fmt: skip
    releases = []
    for name, of, *more in (one.replace("of a maker", "maker").split() for one in there):
        releases.append(release(name, of, **(said[more[0]] if more else {})))
    others = [release("29.1", "RetailEval", chip="imx8mp")]
    floors = (SecurityFloor(chip="mt3620", image_type=3, minimum=1, changed_at=NOW),)
    found = comes_before([*releases, *others], release(version, feed), floors, follows=TREE, now=NOW)
    assert next((one.version for one in releases if one.release_id == found), "") == before


def test_feeds_that_follow_each_other_in_a_circle_end() -> None:
    assert given_to("a", {"a": "b", "b": "a"}) == ("a", "b")
