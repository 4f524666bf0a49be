# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import pytest

from armillary.console.frame import words

NOW = 1_795_532_118  # 2026-11-24 14:55:18 UTC


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
        (86_400 * 1500, "1,500 d"),
    ],
)
def test_a_length_of_time_is_said_in_the_largest_unit_that_fits_twice(seconds: int, said: str):
    assert words.span(seconds) == said


@pytest.mark.parametrize(
    ("age", "said"),
    [(0, "just now"), (4, "just now"), (-4, "just now"), (5, "5 s ago"), (7200, "2 h ago"), (-7200, "in 2 h")],
)
def test_a_moment_is_relative_exact_and_machine_readable(age: int, said: str):
    seen = words.moment(NOW - age, NOW)
    assert seen is not None
    assert seen.relative == said
    assert seen.exact.endswith(" UTC")
    assert seen.iso.endswith("Z")


def test_the_exact_form_is_utc_to_the_second():
    seen = words.moment(NOW, NOW)
    assert seen is not None
    assert (seen.exact, seen.iso) == ("2026-11-24 14:55:18 UTC", "2026-11-24T14:55:18Z")


def test_what_never_happened_has_no_moment():
    assert words.moment(None, NOW) is None


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (20 << 20, "20 MiB"), (5 << 40, "5 TiB"), (3 << 50, "3072 TiB")],
)
def test_sizes_carry_binary_units(count: int, said: str):
    assert words.size(count) == said


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 10, "0 %"), (1, 1000, "<1 %"), (999, 1000, ">99 %"), (10, 10, "100 %"), (0, 0, "none")],
)
def test_a_share_never_rounds_a_rest_away(part: int, whole: int, said: str):
    assert words.percent(part, whole) == said


def test_long_ids_are_shortened_in_the_middle_and_kept_whole():
    long = "ab" * 64
    short = words.short_id(long)
    assert short.full == long
    assert short.short == "abababab…abab"
    assert words.short_id("northwind/Coffee machine/Pilot").short == "northwind/Coffee machine/Pilot"
    assert words.short_id("x" * 49).short == "xxxxxxxx…xxxx"


def test_the_parts_of_a_bar_touch_and_fill_it():
    parts = words.shares(
        [("done", "good", 1), ("failed", "bad", 2), ("waiting", "unknown", 0), ("moving", "progress", 4)]
    )
    assert parts[-1].left + parts[-1].width == pytest.approx(100, abs=0.01)
    for left, right in itertools.pairwise(parts):
        assert left.left + left.width == pytest.approx(right.left, abs=0.01)


def test_a_bar_of_nothing_has_no_width():
    assert [part.width for part in words.shares([("done", "good", 0)])] == [0.0]


@pytest.mark.parametrize(
    ("number", "said"), [(1204, "1,204"), (1.0, "1"), (92.4, "92.4"), (-3.14159, "-3.142"), (0.5, "0.5")]
)
def test_figures_are_grouped(number: float, said: str):
    assert words.grouped(number) == said
