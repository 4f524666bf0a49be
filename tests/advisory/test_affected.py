# SPDX-License-Identifier: Apache-2.0
"""OSV's evaluation: the compiled form says what the algorithm of the schema's text says, on generated ranges."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, strategies as st

from armillary.advisory.affected import Answer, compile_affected
from armillary.advisory.version_order import key_of
from armillary.wire.advisory.osv import Affected, Event, EventKind, Range

semver = partial(key_of, "semver")
# Few versions, so that events meet at one.
versions = st.integers(0, 6).map("1.{}.0".format)
events = st.builds(Event, st.sampled_from(["introduced", "fixed", "last_affected", "limit"]), versions)
starts = st.one_of(versions, st.just("0")).map(partial(Event, "introduced"))
ranges = st.builds(lambda first, rest: Range("SEMVER", (first, *rest)), starts, st.lists(events | starts, max_size=6))
entries = st.builds(
    lambda listed, of: Affected(ecosystem="Go", name="x", versions=tuple(listed), ranges=tuple(of)),
    st.lists(versions, max_size=2),
    st.lists(ranges, max_size=3),
)


def naive(entry: Affected, version: str) -> bool:
    """The schema's own algorithm, literally: listed, or in a range whose limits it is before."""
    return version in entry.versions or any(naive_in(each, version) for each in entry.ranges)


def naive_in(given: Range, version: str) -> bool:
    limits = [each.version for each in given.events if each.kind == "limit"]
    if limits and not any(limit == "*" or semver(version) < semver(limit) for limit in limits):
        return False
    rank = {"introduced": 0, "last_affected": 1, "fixed": 2}
    changes = [each for each in given.events if each.kind in rank]
    vulnerable = False
    for each in sorted(changes, key=lambda one: (one.version != "0", semver(one.version), rank[one.kind])):
        if each.kind == "introduced" and (each.version == "0" or semver(version) >= semver(each.version)):
            vulnerable = True
        elif (each.kind == "fixed" and not semver(version) < semver(each.version)) or (
            each.kind == "last_affected" and semver(each.version) < semver(version)
        ):
            vulnerable = False
    return vulnerable


@given(entries, versions)
def test_the_compiled_form_is_the_schemas_algorithm(entry: Affected, version: str) -> None:
    answer, fix = compile_affected(entry, semver).answer(version, semver(version))
    assert (answer is not Answer.NOT_AFFECTED) == naive(entry, version)
    assert answer is not Answer.OPEN
    assert not fix or semver(version) < semver(fix)


@given(entries, versions)
def test_the_order_of_events_and_ranges_does_not_matter(entry: Affected, version: str) -> None:
    turned = Affected(
        ecosystem="Go",
        name="x",
        versions=entry.versions,
        ranges=tuple(Range(each.kind, each.events[::-1]) for each in entry.ranges[::-1]),
    )
    key = semver(version)
    assert (
        compile_affected(turned, semver).answer(version, key)[0]
        is compile_affected(entry, semver).answer(version, key)[0]
    )


def entry(*events: tuple[EventKind, str], kind: str = "SEMVER", versions: tuple[str, ...] = ()) -> Affected:
    found = Range(kind, tuple(Event(*each) for each in events))
    return Affected(ecosystem="Go", name="x", versions=versions, ranges=(found,) if events else ())


def answers(given: Affected, *asked: str) -> list[str]:
    compiled = compile_affected(given, semver)
    return [compiled.answer(each, semver(each))[0].value for each in asked]


def test_a_fixed_version_is_out_and_a_last_affected_one_is_in() -> None:
    fixed = entry(("introduced", "1.1"), ("fixed", "1.3"))
    assert answers(fixed, "1.0", "1.1", "1.2.9", "1.3") == ["not-affected", "in-range", "in-range", "not-affected"]
    last = entry(("introduced", "0"), ("last_affected", "1.3"))
    assert answers(last, "0.0.0-alpha", "1.3", "1.3.1") == ["in-range", "in-range", "not-affected"]


def test_limits_cut_a_range_unless_one_has_none() -> None:
    limited = entry(("introduced", "0"), ("limit", "1.2"), ("limit", "1.4"))
    assert answers(limited, "1.3", "1.4") == ["in-range", "not-affected"]
    assert answers(entry(("introduced", "0"), ("limit", "1.2"), ("limit", "*")), "9") == ["in-range"]


def test_the_first_fix_above_is_named() -> None:
    compiled = compile_affected(
        entry(("introduced", "1.0"), ("fixed", "1.3"), ("introduced", "2.0"), ("fixed", "2.4")), semver
    )
    assert [compiled.answer(each, semver(each))[1] for each in ("1.1", "2.2")] == ["1.3", "2.4"]


def test_a_version_without_a_place_is_affected_if_it_is_listed_and_open_otherwise() -> None:
    given = entry(("introduced", "0"), versions=("nightly",))
    compiled = compile_affected(given, semver)
    assert compiled.answer("nightly", None) == (Answer.LISTED, "")
    assert compiled.answer("weekly", None) == (Answer.OPEN, "")
    assert compile_affected(entry(versions=("nightly",)), semver).answer("weekly", None)[0] is Answer.NOT_AFFECTED


@pytest.mark.parametrize("key_of_none", [True, False])
def test_a_range_that_cannot_be_ordered_leaves_the_answer_open(key_of_none: bool) -> None:
    given = entry(("introduced", "1.0"), ("fixed", "1.0" if key_of_none else "two"), versions=("1.5",))
    compiled = compile_affected(given, None if key_of_none else semver)
    assert compiled.answer("1.5", semver("1.5"))[0] is Answer.LISTED
    assert compiled.answer("0.1", semver("0.1"))[0] is Answer.OPEN


def test_commits_say_nothing_of_versions() -> None:
    assert answers(entry(("introduced", "0"), ("fixed", "70f906c5"), kind="GIT"), "1.0") == ["not-affected"]


def test_at_one_version_what_begins_counts_first() -> None:
    for events in ((("introduced", "1.1"), ("fixed", "1.1")), (("fixed", "1.1"), ("introduced", "1.1"))):
        assert answers(entry(*events), "1.0", "1.1", "1.2") == ["not-affected"] * 3
    one = entry(("last_affected", "1.1"), ("introduced", "1.1"))
    assert answers(one, "1.0", "1.1", "1.2") == ["not-affected", "in-range", "not-affected"]
