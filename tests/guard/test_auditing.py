# SPDX-License-Identifier: Apache-2.0
"""The record of attempts: what is shown of foreign values, and what never is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from armillary.guard.auditing import Attempt, Outcome, outcome_of, shown_value
from armillary.wire.equipment.faults import GuardRefusedError, LinkError, ReadBackError


def test_an_attempt_is_one_message():
    attempt = Attempt(
        command="setBrewTemp", value=140, outcome=Outcome.REFUSED, rule="value", by="operator ann", at=1.0
    )
    assert attempt.body() == {
        "attempt": {
            "command": "setBrewTemp",
            "value": 140,
            "outcome": "refused",
            "rule": "value",
            "by": "operator ann",
        }
    }
    assert "rule" not in Attempt(command="x", value=None, outcome=Outcome.DONE).body()["attempt"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (93.0, 93.0),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (10**400, "a huge number"),
        ("a" * 100, "a" * 64),
        ("line\n\x1b[31mred", "line??[31mred"),
        ({"secret": 1}, "a dict"),
        ([1, 2], "a list"),
    ],
)
def test_foreign_values_are_shown_short_and_plain(value, shown):
    assert shown_value(value) == shown


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (GuardRefusedError("step", "x"), (Outcome.REFUSED, "step")),
        (LinkError("timeout", "x"), (Outcome.FAILED, "timeout")),
        (ReadBackError("x"), (Outcome.DIFFERS, None)),
    ],
)
def test_each_error_is_an_outcome(error, outcome):
    assert outcome_of(error) == outcome


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(JSON, st.text(), st.text())
def test_whatever_is_asked_the_record_is_json_of_bounded_size(value, command, by):
    body = Attempt(command=command, value=value, outcome=Outcome.REFUSED, rule="value", by=by).body()
    assert len(json.dumps(body, allow_nan=False)) < 600
