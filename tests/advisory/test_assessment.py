# SPDX-License-Identifier: Apache-2.0
"""States: the table of one advisory cell by cell, freshness and coverage, VEX statements, and the image as a whole."""

from __future__ import annotations

import itertools

import pytest

from armillary.advisory.assessment import Assessment, State, assess, state_of
from armillary.advisory.coverage import MAX_AHEAD_S, Coverage, Feed, Freshness, coverage_of, freshness_of
from armillary.advisory.match import Index, Matcher
from armillary.advisory.statements import Statements
from armillary.wire.advisory.osv import Advisory, Affected, Event, Range
from armillary.wire.advisory.vex import Product, Status, UnverifiedStatement

DAY = 86_400
NOW = 1_700_000_000
BELOW_2 = Range("ECOSYSTEM", (Event("introduced", "0"), Event("fixed", "2.0")))
ADVISORY = Advisory(
    id="PYSEC-1", modified=1, aliases=("CVE-2026-1",), affected=(Affected(ecosystem="PyPI", name="x", ranges=(BELOW_2,)),)
)  # fmt: skip
PYPI = Feed(name="pypa", as_of=NOW - DAY, ecosystems=frozenset({"PyPI"}))
STALE = Feed(name="pypa", as_of=NOW - 9 * DAY, ecosystems=frozenset({"PyPI"}))
BAD, GOOD, ODD = ("pkg:pypi/x@1.0", ""), ("pkg:pypi/x@2.0", ""), ("pkg:generic/y@1", "")


def said(
    status: Status, *products: Product, at: int = 5, names: tuple[str, ...] = ("CVE-2026-1",)
) -> UnverifiedStatement:
    about = products or (Product(("pkg:pypi/x",)),)
    return UnverifiedStatement(names=names, products=about, status=status, said=at, author="us", document="d")


def state(
    *components: tuple[str, str], feeds: tuple[Feed, ...] = (PYPI,), vex: tuple[UnverifiedStatement, ...] = ()
) -> Assessment:
    return assess(
        Matcher(Index([ADVISORY])), components, feeds=feeds, statements=Statements(vex), image={"sha256:aa"}, now=NOW
    )


# match or open, statement, fresh -> state: every cell
TABLE = {
    (True, None): (State.AFFECTED, State.AFFECTED),
    (True, Status.AFFECTED): (State.AFFECTED, State.AFFECTED),
    (True, Status.UNDER_INVESTIGATION): (State.UNDER_INVESTIGATION, State.UNDER_INVESTIGATION),
    (True, Status.FIXED): (State.FIXED, State.UNKNOWN),
    (True, Status.NOT_AFFECTED): (State.NOT_AFFECTED, State.UNKNOWN),
    (False, None): (State.UNKNOWN, State.UNKNOWN),
    (False, Status.AFFECTED): (State.AFFECTED, State.AFFECTED),
    (False, Status.UNDER_INVESTIGATION): (State.UNDER_INVESTIGATION, State.UNDER_INVESTIGATION),
    (False, Status.FIXED): (State.FIXED, State.UNKNOWN),
    (False, Status.NOT_AFFECTED): (State.NOT_AFFECTED, State.UNKNOWN),
}


def test_every_cell_of_the_table() -> None:
    assert set(TABLE) == set(itertools.product((True, False), (None, *Status)))
    for (is_match, status), (fresh, stale) in TABLE.items():
        assert state_of(is_match=is_match, said=status, is_fresh=True) is fresh
        assert state_of(is_match=is_match, said=status, is_fresh=False) is stale


def test_good_news_needs_a_fresh_feed_for_every_component() -> None:
    assert state(GOOD).state is State.NONE_KNOWN
    assert state(GOOD, feeds=(STALE,)).state is State.UNKNOWN
    assert state(GOOD, feeds=()).state is State.UNKNOWN
    assert state(GOOD, ("pkg:npm/y@1.0.0", "")).state is State.UNKNOWN
    assert state(GOOD, ODD).state is State.NOT_ASSESSED
    assert state().state is State.NOT_ASSESSED
    assert (
        state(GOOD, feeds=(Feed(name="f", as_of=NOW + 2 * MAX_AHEAD_S, ecosystems=PYPI.ecosystems),)).state
        is State.UNKNOWN
    )


def test_bad_news_stays_whatever_else_is_not_known() -> None:
    for feeds in ((PYPI,), (STALE,), ()):
        found = state(BAD, ODD, feeds=feeds)
        assert found.state is State.AFFECTED
        assert found.by_advisory() == {"PYSEC-1": State.AFFECTED}


def test_no_state_is_better_without_a_feed_than_with_it() -> None:
    badness = [
        State.NONE_KNOWN,
        State.NOT_AFFECTED,
        State.FIXED,
        State.NOT_ASSESSED,
        State.UNKNOWN,
        State.UNDER_INVESTIGATION,
        State.AFFECTED,
    ]
    statements = [(), *((said(status),) for status in Status)]
    for components in itertools.chain.from_iterable(itertools.combinations((BAD, GOOD, ODD), n) for n in range(4)):
        for vex in statements:
            fresh, stale = (state(*components, feeds=(each,), vex=vex).state for each in (PYPI, STALE))
            assert badness.index(stale) >= badness.index(fresh)


def test_what_is_not_assessed_and_not_covered_is_counted_with_its_reason() -> None:
    found = state(GOOD, ODD, ("", "busybox 1.36"), ("pkg:npm/y@1.0.0", ""))
    assert found.components == 4
    assert found.not_assessed.keys() == {"pkg:generic/y@1", "busybox 1.36"}
    assert found.uncovered == {"npm": Coverage(Freshness.MISSING)}
    assert found.as_of is None
    assert state(GOOD).as_of == PYPI.as_of


def test_an_open_advisory_makes_the_image_unknown() -> None:
    found = state(("pkg:pypi/x@1-odd", ""))
    assert (found.state, found.by_advisory()) == (State.UNKNOWN, {"PYSEC-1": State.UNKNOWN})
    assert "cannot be ordered" in found.not_assessed["pkg:pypi/x@1-odd"]


@pytest.mark.parametrize(
    ("product", "holds"),
    [
        (Product(("pkg:pypi/x",)), True),
        (Product(("pkg:pypi/X@1.0",)), True),
        (Product(("pkg:pypi/x@1.1",)), False),
        (Product(("pkg:pypi/x?arch=arm",)), False),
        (Product(("pkg:npm/x@1.0",)), False),
        (Product(("sha256:aa",)), True),
        (Product(("sha256:bb",)), False),
        (Product(("sha256:aa",), ("pkg:pypi/x@1.0",)), True),
        (Product(("sha256:aa",), ("pkg:pypi/z",)), False),
        (Product(("sha256:bb",), ("pkg:pypi/x@1.0",)), False),
        (Product(("pkg:pypi/x",), ("pkg:pypi/x",)), False),
    ],
)
def test_a_statement_is_about_a_component_or_an_image_or_one_in_the_other(product: Product, holds: bool) -> None:
    found = state(BAD, vex=(said(Status.NOT_AFFECTED, product),))
    assert (found.state is not State.AFFECTED) == holds


def test_the_last_statement_holds_and_of_two_at_once_the_worse() -> None:
    early, late = said(Status.AFFECTED, at=1), said(Status.FIXED, at=2)
    assert state(BAD, vex=(late, early)).by_advisory() == {"PYSEC-1": State.FIXED}
    again = said(Status.UNDER_INVESTIGATION, at=2)
    assert state(BAD, vex=(late, again)).by_advisory() == {"PYSEC-1": State.UNDER_INVESTIGATION}
    other = said(Status.FIXED, at=9, names=("CVE-2026-2",))
    assert state(BAD, vex=(other,)).state is State.AFFECTED


def test_the_worst_component_counts_for_an_advisory() -> None:
    vex = (said(Status.NOT_AFFECTED, Product(("pkg:pypi/x@1.0",))),)
    found = state(BAD, ("pkg:pypi/x@1.1", ""), vex=vex)
    assert found.by_advisory() == {"PYSEC-1": State.AFFECTED}
    assert found.counts() == {State.AFFECTED: 1}


def test_freshness_at_its_edges() -> None:
    assert freshness_of(None, 10, NOW) is Freshness.MISSING
    assert freshness_of(NOW - 10, 10, NOW) is Freshness.FRESH
    assert freshness_of(NOW - 11, 10, NOW) is Freshness.STALE
    assert freshness_of(NOW + MAX_AHEAD_S, 10, NOW) is Freshness.FRESH
    assert freshness_of(NOW + MAX_AHEAD_S + 1, 10, NOW) is Freshness.AHEAD


def test_the_best_feed_covers_and_one_of_another_release_does_not() -> None:
    twelve = Feed(name="d12", as_of=NOW, ecosystems=frozenset({"Debian:12"}))
    all_ = Feed(name="d", as_of=NOW - DAY, ecosystems=frozenset({"Debian"}))
    ahead = Feed(name="a", as_of=NOW + DAY, ecosystems=frozenset({"Debian"}))
    assert coverage_of([all_, twelve, ahead], "Debian", "12", NOW).feed == "d12"
    assert coverage_of([twelve, all_], "Debian", "11", NOW).feed == "d"
    assert coverage_of([twelve], "Debian", "11", NOW).freshness is Freshness.MISSING
    assert coverage_of([twelve], "Debian", "", NOW).freshness is Freshness.MISSING
    alpine = Feed(name="al", as_of=NOW, ecosystems=frozenset({"Alpine:v3.18"}))
    assert coverage_of([alpine], "Alpine", "3.18", NOW).is_fresh
