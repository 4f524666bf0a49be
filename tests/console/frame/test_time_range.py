# SPDX-License-Identifier: Apache-2.0
"""The stretch of time that an address asks for, how other stretches are offered, and how links keep it."""

from __future__ import annotations

import pytest

from armillary.console.frame.times import RANGES, TimeRange, around, asked_range, carried, choice_of, typed_time
from armillary.errors import InvalidArgumentError

NOW = 1_795_838_400  # 2026-11-28 04:00 UTC
HOUR = 3600


@pytest.mark.parametrize(
    ("query", "bounds", "is_fixed"),
    [
        ({}, (NOW - 900, NOW), False),
        ({"range": "24h"}, (NOW - 86_400, NOW), False),
        ({"range": "a year"}, (NOW - 900, NOW), False),
        ({"start": "2026-11-28 01:00", "end": "2026-11-28 02:30"}, (NOW - 3 * HOUR, NOW - 5400), True),
        ({"start": "2026-11-28T01:00Z", "end": "2026-11-28 02:30:30 UTC"}, (NOW - 3 * HOUR, NOW - 5370), True),
        ({"start": "2026-11-27"}, (NOW - 28 * HOUR, NOW), True),
        ({"end": "2026-11-28 02:00"}, (NOW - 3 * HOUR, NOW - 2 * HOUR), True),
        ({"range": "7d", "end": "2026-11-28 02:00"}, (NOW - 2 * HOUR - 604_800, NOW - 2 * HOUR), True),
        ({"range": "7d", "start": "2026-11-28 02:00", "end": " "}, (NOW - 2 * HOUR, NOW), True),
    ],
)
def test_moments_count_before_a_word(query: dict[str, str], bounds: tuple[int, int], *, is_fixed: bool) -> None:
    found = asked_range(query, NOW)
    assert found.bounds(NOW, 900) == bounds
    assert found.is_fixed is is_fixed


@pytest.mark.parametrize(
    "query",
    [
        {"start": "yesterday"},
        {"end": "2026-02-30"},
        {"start": "2026-11-28 03:00", "end": "2026-11-28 02:00"},
        {"start": "2026-11-28 03:00", "end": "2026-11-28 03:00"},
        {"start": "2026-11-29"},
        {"start": "2020-01-01"},
        {"start": "0001-01-01", "end": "0001-01-02"},
        {"start": "9" * 5000},
    ],
)
def test_what_is_no_stretch_of_time_is_one_error(query: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        asked_range(query, NOW)
    assert caught.value.message.startswith(("From", "To"))
    assert caught.value.remedy


def test_other_ranges_keep_what_else_the_address_has() -> None:
    query = {"metric": "a b", "start": "2026-11-28 01:00", "end": "2026-11-28 02:00"}
    found = choice_of("/t", query, asked_range(query, NOW), NOW, default="15m", kept={"metric": "a b"})
    assert [href for _, href, _ in found.chips] == [f"/t?metric=a+b&range={word}" for word in RANGES]
    assert not any(chosen for *_, chosen in found.chips)
    assert (found.start, found.end, found.kept) == ("2026-11-28 01:00", "2026-11-28 02:00", (("metric", "a b"),))
    assert found.shown is not None
    assert [each.exact for each in found.shown] == ["2026-11-28 01:00:00 UTC", "2026-11-28 02:00:00 UTC"]


def test_the_pages_own_range_is_chosen_where_the_address_names_none() -> None:
    found = choice_of("/t", {}, TimeRange(), NOW, default="15m")
    assert [says for says, _, chosen in found.chips if chosen] == ["15 min"]
    own = choice_of("/t", {}, TimeRange(), NOW, default="tile defaults")
    assert own.chips[0] == ("tile defaults", "/t", True)
    wrong = choice_of("/t", {"start": "x"}, TimeRange(), NOW, default="15m", problem="no")
    assert (wrong.start, any(chosen for *_, chosen in wrong.chips)) == ("x", False)


GIVEN = {"start": "2026-11-28 01:00", "end": "2026-11-28 02:00"}
SENT = "start=2026-11-28+01%3A00&end=2026-11-28+02%3A00"


@pytest.mark.parametrize(
    ("href", "kept"),
    [
        ("/devices/a", f"/devices/a?{SENT}"),
        ("/devices/a/data?name=x#raw", f"/devices/a/data?name=x&{SENT}#raw"),
        ("/hub-devices/a/values", f"/hub-devices/a/values?{SENT}"),
        ("/dashboards/water", f"/dashboards/water?{SENT}"),
        ("/devices/a/values?range=1h", "/devices/a/values?range=1h"),  # it names its own
        ("/fleet?q=a", "/fleet?q=a"),
        ("/alerts", "/alerts"),  # a list would be narrowed by it
        ("https://elsewhere.example/devices/a", "https://elsewhere.example/devices/a"),
        ("", ""),
    ],
)
def test_links_keep_the_range_where_the_other_page_has_a_use_for_it(href: str, kept: str) -> None:
    assert carried(href, GIVEN) == kept
    assert carried(href, {}) == href


def test_around_a_moment_there_is_half_an_hour_on_both_sides_and_it_can_be_asked_for() -> None:
    for until, length in ((None, HOUR), (NOW + 60, HOUR + 60), (NOW - 5, HOUR), (NOW + 10**9, 400 * 86_400)):
        found = around(NOW, until)
        begin, end = typed_time("From", found["start"]), typed_time("To", found["end"])
        assert begin is not None
        assert end is not None
        assert end - begin == length
        assert asked_range(found, NOW).is_fixed
