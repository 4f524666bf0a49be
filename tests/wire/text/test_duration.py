# SPDX-License-Identifier: Apache-2.0
"""Lengths of time as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.wire.text.duration import duration_of, duration_text


@given(st.integers(0, 90 * 86400))
def test_a_time_is_read_as_it_is_written(seconds: int) -> None:
    assert duration_of(duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), (" 30 min ", 1800), ("30m", 1800), ("1 h", 3600), ("2d", 172_800), ("0 s", 0),
     ("90", None), ("", None), ("1 h 5 min", None), ("-1 s", None), ("1.5 h", None), ("9999999999 s", None), ("\u0665 s", None)],
)  # fmt: skip
def test_a_time_needs_its_unit(text: str, seconds: int | None) -> None:
    assert duration_of(text) == seconds


def test_the_largest_whole_unit_is_written() -> None:
    assert [duration_text(each) for each in (0, 59, 60, 90, 5400, 7200, 86400)] == [
        "0 s", "59 s", "1 min", "90 s", "90 min", "2 h", "1 d",
    ]  # fmt: skip
