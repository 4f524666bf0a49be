# SPDX-License-Identifier: Apache-2.0
"""What a floor would leave feeds without, and which minimums what they give does not meet: tables, without a service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from tests.service.updates.test_os_feeds import NOW, release

from armillary.engines.records.queries.releases import RunningRelease
from armillary.engines.records.schema.rows import OsRelease, SecurityFloor
from armillary.rollout.ended import PastRollout
from armillary.service.updates.os_feeds import Systems, systems_under
from armillary.service.verifier.reachable import (
    GivenSystem,
    Unmet,
    beside_imported,
    emptied,
    given_to_chip,
    imported_alone,
    remedy_beside,
    stranded,
    ungiven,
    unmet,
)

CHIP, CONTOSO = "mt3620", UUID(int=7)
FOLLOWS = {"Retail": None, "RetailEval": "Retail", "Lab": "Retail"}
LOADER, KERNEL = 1, 3  # image types


def systems(*releases: OsRelease, past: tuple[PastRollout, ...] = (), floors: Any = ()) -> Systems:
    return systems_under(floors, releases=releases, past=past, follows=FOLLOWS, now=NOW)


def floor(minimum: int, *, kind: int = LOADER, chip: str = CHIP) -> SecurityFloor:
    return SecurityFloor(chip=chip, image_type=kind, minimum=minimum, changed_at=NOW)


def with_versions(version: str, loader: int, kernel: int, feed: str = "Retail") -> OsRelease:
    made = release(version, feed)
    components = tuple(
        replace(part, security_version=loader if part.image_type == LOADER else kernel) for part in made.components
    )
    return replace(made, components=components)


def lost(*releases: OsRelease, minimum: int, floors: tuple[SecurityFloor, ...] = ()) -> list[str]:
    """The feeds that a floor for the loader would leave without anything, and what they give now."""
    found = emptied(systems(*releases, floors=floors), [*floors, floor(minimum)], CHIP)
    return [f"{one.feed} {one.version}" for one in found]


OLD, NEW = release("26.11"), release("26.12", security=3)


@pytest.mark.parametrize(
    ("releases", "minimum", "feeds"),
    [
        pytest.param((OLD,), 1, [], id="what is given has it"),
        pytest.param((OLD,), 2, ["Retail 26.11", "RetailEval 26.11", "Lab 26.11"], id="nothing has it"),
        pytest.param((OLD, NEW), 3, [], id="the newest has it"),
        pytest.param((NEW, release("26.13")), 3, [], id="an older one has it, and is given then"),
        pytest.param((OLD, release("26.12", "RetailEval", security=3)), 1, [], id="evaluated, and not asked for"),
        pytest.param(
            (OLD, release("26.12", "RetailEval", security=3)), 3, ["Retail 26.11", "Lab 26.11"], id="evaluated alone"
        ),
        pytest.param(
            (OLD, release("26.12", "Lab", security=3)), 2, ["Retail 26.11", "RetailEval 26.11"], id="an own feed's"
        ),
        pytest.param(
            (release("26.12", "RetailEval", security=3),), 3, [], id="Retail gives nothing, before and afterwards"
        ),
        pytest.param(
            (OLD, release("99.1", security=7, imported_from="corim")),
            2,
            ["Retail 26.11", "RetailEval 26.11", "Lab 26.11"],
            id="imported, without packages",
        ),
        pytest.param(
            (OLD, replace(NEW, withdrawn_at=NOW)), 3, ["Retail 26.11", "RetailEval 26.11", "Lab 26.11"], id="withdrawn"
        ),
        pytest.param(
            (OLD, replace(NEW, expires_at=NOW)), 3, ["Retail 26.11", "RetailEval 26.11", "Lab 26.11"], id="over"
        ),
        pytest.param((OLD, release("26.12", chip="imx8mp", security=3)), 1, [], id="of another chip"),
    ],
)
def test_what_a_floor_leaves_feeds_without(releases: tuple[OsRelease, ...], minimum: int, feeds: list[str]) -> None:
    assert lost(*releases, minimum=minimum) == feeds


def test_floors_count_together_and_of_one_component_the_last() -> None:
    """Each floor has a release that is above it; there is none above both."""
    one, other = with_versions("26.12", 2, 1), with_versions("26.13", 1, 2)
    assert lost(one, other, minimum=2) == []
    assert lost(one, other, minimum=2, floors=(floor(2, kind=KERNEL),))[0] == "Retail 26.13"
    assert lost(one, other, minimum=2, floors=(floor(9), floor(1))) == []


def test_a_catalog_apart_counts_by_itself() -> None:
    """It had a roll-out for itself alone: it is given what nobody else is."""
    evaluated = release("26.12", "RetailEval", security=3)
    past = PastRollout(
        rollout_id=UUID(int=1),
        release_id=evaluated.release_id,
        feed="Retail",
        catalog_id=CONTOSO,
        state="completed",
        from_feed=None,
    )
    now = systems(OLD, evaluated, past=(past,))
    assert GivenSystem(CONTOSO, "Retail", "26.12") in given_to_chip(now, CHIP)
    found = [(one.catalog_id, one.feed) for one in emptied(now, [floor(3)], CHIP)]
    assert found == [(None, "Retail"), (None, "Lab")], "everybody else is not given what Contoso has"
    everywhere = emptied(now, [floor(4)], CHIP)
    assert {one.catalog_id for one in everywhere} == {None, CONTOSO}
    assert [one.version for one in everywhere if one.catalog_id == CONTOSO] == ["26.12"] * 3
    assert emptied(now, [floor(1)], CHIP) == ()


CROSSING = with_versions("26.12", 2, 1), with_versions("26.13", 1, 2)


@pytest.mark.parametrize(
    ("releases", "minimum", "kind", "expected"),
    [
        pytest.param((OLD, NEW), 3, LOADER, None, id="the newest has no lower one"),
        pytest.param(CROSSING, 2, LOADER, ("26.13", "Retail", "26.12"), id="a floor: an older one is given, lower"),
        pytest.param(CROSSING, 2, KERNEL, ("26.12", "Retail", "26.13"), id="a floor: the newest one is lower"),
        pytest.param((*CROSSING, release("26.14", security=2)), 2, LOADER, None, id="one that has both"),
        pytest.param(
            (CROSSING[0], replace(CROSSING[1], withdrawn_at=NOW)), 2, LOADER, None, id="whoever runs it is asked for"
        ),
        pytest.param(
            (CROSSING[0], replace(CROSSING[1], feed="Lab")), 2, LOADER, ("26.13", "Retail", "26.12"), id="a lab"
        ),
        pytest.param(
            (*CROSSING, release("26.14", "Lab", security=2)),
            2,
            LOADER,
            ("26.13", "Retail", "26.12"),
            id="both, in a lab alone",
        ),
        pytest.param(
            (CROSSING[0], replace(CROSSING[1], feed="RetailEval"), release("26.14", "RetailEval", security=2)),
            2,
            LOADER,
            ("26.13", "Retail", "26.12"),
            id="a group that left the evaluation",
        ),
        pytest.param((CROSSING[0], replace(CROSSING[1], chip="imx8mp")), 2, LOADER, None, id="another chip's"),
        pytest.param(
            (CROSSING[0], replace(CROSSING[1], imported_from="corim")), 2, LOADER, None, id="comes by another way"
        ),
    ],
)
def test_which_devices_are_stranded_by_a_floor(
    releases: tuple[OsRelease, ...], minimum: int, kind: int, expected: tuple[str, str, str] | None
) -> None:
    found = stranded(
        systems(*releases),
        systems(*releases, floors=(floor(minimum, kind=kind),)),
        None,
        CHIP,
        lambda one: any(part.image_type == kind and part.security_version < minimum for part in one.components),
    )
    assert found == expected


def test_a_minimum_strands_devices_that_are_given_what_misses_it_as_well() -> None:
    """Feeds go on: who runs 26.12 refuses 26.13 and so keeps 26.12, which does not meet it."""
    found = stranded(systems(*CROSSING), systems(*CROSSING), None, CHIP, lambda one: one.version == "26.12")
    assert found == ("26.12", "Retail", "26.12")
    assert stranded(systems(*CROSSING), systems(*CROSSING), None, CHIP, lambda _: False) is None
    assert stranded(systems(*CROSSING), systems(*CROSSING), None, CHIP, lambda _: True, ["Lab"]) == (
        "26.12",
        "Lab",
        "26.12",
    )
    assert stranded(systems(*CROSSING), systems(*CROSSING), None, CHIP, lambda _: True, []) is None


ONE, OTHER = with_versions("26.12", 3, 1), with_versions("26.12", 1, 3)  # of two chips
LONE = replace(ONE, components=ONE.components[:1])  # of a chip that boots a loader alone


@pytest.mark.parametrize(
    ("given", "minimums", "of_all", "of_some"),
    [
        pytest.param((ONE,), {LOADER: 3}, None, None, id="met"),
        pytest.param((ONE,), {LOADER: 4}, ("a", LOADER, 3), ("a", LOADER, 3), id="above what is given"),
        pytest.param((ONE,), {LOADER: 3, KERNEL: 2}, ("a", KERNEL, 1), ("a", KERNEL, 1), id="one of two is not met"),
        pytest.param((ONE, OTHER), {LOADER: 3}, ("b", LOADER, 1), None, id="one of two chips"),
        pytest.param((ONE, OTHER), {LOADER: 4}, ("b", LOADER, 1), ("a", LOADER, 3), id="neither chip: the nearer one"),
        pytest.param((ONE, OTHER), {LOADER: 3, KERNEL: 3}, ("a", KERNEL, 1), ("a", KERNEL, 1), id="no chip has both"),
        pytest.param((LONE, OTHER), {KERNEL: 4}, ("b", KERNEL, 3), ("b", KERNEL, 3), id="met only by not having it"),
        pytest.param((LONE, OTHER), {KERNEL: 3}, None, None, id="not everybody has it"),
        pytest.param((ONE,), {}, None, None, id="nothing is demanded"),
    ],
)
def test_what_stands_in_the_way_of_minimums(
    given: tuple[OsRelease, ...],
    minimums: dict[int, int],
    of_all: tuple[str, int, int] | None,
    of_some: tuple[str, int, int] | None,
) -> None:
    """For a catalog with devices of all these chips, and for one with none of them."""
    places = {("Retail", chip): one for chip, one in zip("ab", given, strict=False)}
    for expected, by_all in ((of_all, True), (of_some, False)):
        found = unmet(places, minimums, minimums, by_all=by_all)
        assert found == (None if expected is None else Unmet("Retail", *expected)), by_all


def test_a_minimum_of_before_is_met_as_well() -> None:
    """Only one is raised, and what is given meets that one alone."""
    assert unmet({("Retail", "a"): ONE}, {LOADER: 3, KERNEL: 2}, [LOADER], by_all=True) == ("Retail", "a", KERNEL, 1)


@pytest.mark.parametrize(
    ("releases", "places", "expected"),
    [
        pytest.param((OLD,), ["Retail", "Lab"], None, id="all are given it"),
        pytest.param((release("26.12", "RetailEval"),), ["RetailEval"], None, id="the feed without it has no devices"),
        pytest.param((release("26.12", "RetailEval"),), ["RetailEval", "Retail"], "Retail", id="Retail has devices"),
        pytest.param((release("26.12", "RetailEval"),), ["Lab", "Retail"], "Retail", id="the one that others follow"),
        pytest.param((), ["Lab"], "Lab", id="nothing is given at all"),
        pytest.param((release("26.12", chip="imx8mp"),), ["Retail"], "Retail", id="another chip's"),
        pytest.param((), [], None, id="no devices"),
    ],
)
def test_where_devices_are_given_nothing(
    releases: tuple[OsRelease, ...], places: list[str], expected: str | None
) -> None:
    found = ungiven(systems(*releases), CHIP, [(CONTOSO, feed) for feed in places])
    assert found == (None if expected is None else (CONTOSO, expected))


def test_what_a_rollout_gave_to_a_catalog_alone_is_given_to_no_other() -> None:
    evaluated = release("26.12", "RetailEval")
    past = PastRollout(
        rollout_id=UUID(int=1),
        release_id=evaluated.release_id,
        feed="Retail",
        catalog_id=CONTOSO,
        state="completed",
        from_feed=None,
    )
    now, other = systems(evaluated, past=(past,)), (UUID(int=8), "Retail")
    assert ungiven(now, CHIP, [(CONTOSO, "Retail")]) is None
    assert ungiven(now, CHIP, [(CONTOSO, "Retail"), other]) == other


STAND_IN = release("26.11", is_stand_in=True)
TAKEN = release("99.1", security=7, imported_from="corim")


def runs(version: str, *, by_word: bool = False) -> RunningRelease:
    return RunningRelease(version, not by_word, f"{version} {'said' if by_word else 'attested'}".ljust(128, "."))


IMPORTED, VIRTUAL = runs("99.1"), runs("26.11")


@pytest.mark.parametrize(
    ("releases", "running", "counts", "beside"),
    [
        pytest.param((STAND_IN, TAKEN), [IMPORTED], ["99.1"], None, id="beside a stand-in"),
        pytest.param((TAKEN,), [IMPORTED], ["99.1"], None, id="nothing else"),
        pytest.param((STAND_IN, TAKEN), [IMPORTED, VIRTUAL], [], VIRTUAL, id="a virtual device among them"),
        pytest.param(
            (STAND_IN, TAKEN), [IMPORTED, runs("26.11", by_word=True)], ["99.1"], None, id="one that claims a stand-in"
        ),
        pytest.param(
            (STAND_IN, TAKEN), [IMPORTED, runs("x", by_word=True)], ["99.1"], None, id="one that claims what is none"
        ),
        pytest.param((STAND_IN, TAKEN), [runs("x", by_word=True)], [], None, id="nobody runs what is imported"),
        pytest.param((STAND_IN, TAKEN), [VIRTUAL], [], None, id="virtual devices alone"),
        pytest.param((STAND_IN, TAKEN), [], [], None, id="none has checked in"),
        pytest.param((OLD, TAKEN), [IMPORTED], [], None, id="real packages are given"),
        pytest.param((replace(OLD, withdrawn_at=NOW), TAKEN), [IMPORTED], [], None, id="real packages were given"),
        pytest.param((replace(TAKEN, withdrawn_at=NOW),), [IMPORTED], [], None, id="withdrawn"),
        pytest.param(
            (STAND_IN, replace(TAKEN, withdrawn_at=NOW)),
            [IMPORTED, VIRTUAL],
            [],
            None,
            id="withdrawn, and another runs",
        ),
        pytest.param(
            (TAKEN, release("99.2", imported_from="corim", expires_at=NOW)),
            [runs("99.2", by_word=True)],
            ["99.1"],
            None,
            id="one of them is over, and who runs it gets only updates",
        ),
        pytest.param(
            (release("99.1", chip="imx8mp", imported_from="corim"),), [IMPORTED], [], None, id="another chip's"
        ),
    ],
)
def test_imported_releases_count_where_devices_run_nothing_else(
    releases: tuple[OsRelease, ...], running: list[RunningRelease], counts: list[str], beside: RunningRelease | None
) -> None:
    """What bars them is a device that was attested with another one; it is named in what there is to do."""
    assert [one.version for one in imported_alone(systems(*releases), CHIP, running)] == counts
    assert beside_imported(systems(*releases), CHIP, running) == beside
    said = remedy_beside(systems(*releases), CHIP, running)
    assert said == "" if beside is None else f"as {beside.device_id[:16]} is with {beside.version}: arm" in said
