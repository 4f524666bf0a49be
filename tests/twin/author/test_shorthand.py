# SPDX-License-Identifier: Apache-2.0
"""Filters and values as people write them on one line: ``telemetry:temperature > 30``."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.twin.author import shorthand

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("ab5 \n\"'~=\\é", max_size=6),
)


@given(VALUES)
def test_a_value_that_is_written_is_read_back(value: Any) -> None:
    written = shorthand.text_of(value)
    assert "\n" not in written
    found = shorthand.value_of(written)
    assert (found, type(found)) == (value, type(value))


@given(
    st.sampled_from(["telemetry:t", "cloud:a b.c", "tag:x"]), st.sampled_from(sorted(shorthand.SIGNS.values())), VALUES
)
def test_a_filter_that_is_written_is_read_back(field: str, operator: str, value: Any) -> None:
    document = {"field": field, "operator": operator, "value": value}
    assert shorthand.filter_of(shorthand.filter_text(document)) == document


@pytest.mark.parametrize("there", [True, False])
def test_whether_there_is_a_value(there: bool) -> None:
    document = {"field": "tag:floor", "operator": "exists", "value": there}
    assert shorthand.filter_of(shorthand.filter_text(document)) == document
    assert shorthand.filter_text({"field": "tag:floor", "operator": "exists"}) == "tag:floor"


@pytest.mark.parametrize("text", ["", "temperature > 4", "telemetry:", "not tag:x = 5", "> 5"])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="expected SOURCE:PATH OPERATOR VALUE"):
        shorthand.filter_of(text)


@pytest.mark.parametrize("text", ["NaN", "1e999", "{", '"\\ud800"', "[" * 100_000, "north"])
def test_what_is_no_json_that_can_be_kept_is_text(text: str) -> None:
    assert shorthand.value_of(text) == text
