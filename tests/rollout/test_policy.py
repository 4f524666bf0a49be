# SPDX-License-Identifier: Apache-2.0
"""Roll-out policies: ranges and the JSON form."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.errors import InvalidArgumentError
from armillary.rollout.policy import RolloutPolicy, from_json, to_json


def test_json_round_trip_and_defaults() -> None:
    policy = RolloutPolicy(cohorts=(1, 10, 100), soak_s=5, roll_back_on_hold=True)
    assert from_json(to_json(policy)) == policy
    assert from_json({}) == RolloutPolicy()
    assert from_json({"cohorts": [50, 100]}).cohorts == (50, 100)


@pytest.mark.parametrize(
    "change",
    [
        {"cohorts": ()},
        {"cohorts": (10, 90)},
        {"cohorts": (10, 10, 100)},
        {"cohorts": (50, 20, 100)},
        {"cohorts": (0, 100)},
        {"cohorts": (*range(1, 21), 100)},
        {"success_percent": 0},
        {"success_percent": 101},
        {"soak_s": -1},
        {"min_failures": 0},
        {"failure_percent": 100},
        {"timeout_s": 0},
        {"hold_on_severity": "info"},
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        RolloutPolicy(**change)
    assert next(iter(change)) in refused.value.message


@pytest.mark.parametrize(
    "document",
    [
        {"cohort": [100]},
        {"cohorts": "100"},
        {"cohorts": [True, 100]},
        {"cohorts": [1.5, 100]},
        {"soak_s": "5"},
        {"soak_s": True},
        {"roll_back_on_hold": 1},
        {"__class__": 1},
    ],
)
def test_misspelt_and_mistyped_documents_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        from_json(document)
