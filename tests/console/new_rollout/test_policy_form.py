# SPDX-License-Identifier: Apache-2.0
"""A roll-out's policy as a form: every field, its default, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from itertools import chain

import pytest

from armillary.console.new_rollout import policy_form
from armillary.errors import InvalidArgumentError
from armillary.rollout.policy import Ring, RolloutPolicy

DEVICE = "ab" * 64


def read(sent: Mapping[str, str]) -> RolloutPolicy:
    return policy_form.policy_of(
        sent, lambda line: DEVICE if line == "bench" else line, lambda line: f"northwind/{line}"
    )


def untouched() -> dict[str, str]:
    """The form as a browser sends it when nobody changes anything."""
    drawn = chain.from_iterable(each.fields for each in policy_form.fieldsets({}, ""))
    return {each.name: each.value for each in drawn if each.kind != "check" or each.value}


def test_the_form_has_every_field_of_a_policy_and_its_defaults() -> None:
    assert {each.name for each in fields(RolloutPolicy)} == set(policy_form.FIELDS)
    assert read(untouched()) == RolloutPolicy()
    shown = {name for name in untouched() if not name.startswith("ring_")}
    assert shown | {"roll_back_on_hold", "rings"} == set(policy_form.FIELDS)


def test_each_field_reaches_its_place_in_the_policy() -> None:
    changed = {
        "rings": "2", "ring_0_name": "Laboratory", "ring_0_devices": "bench\n\n", "ring_1_name": "Pilot",
        "ring_1_groups": "Coolers/Field", "cohorts": "10, 100 %", "success_percent": "90", "soak_s": "30 min",
        "failure_percent": "3", "min_failures": "4", "hold_on_severity": "never", "false_hold_percent": "0",
        "roll_back_on_hold": "on", "timeout_s": "2 d", "lease_s": "0",
    }  # fmt: skip
    assert read(changed) == RolloutPolicy(
        rings=(Ring(name="Laboratory", devices=(DEVICE,)), Ring(name="Pilot", groups=("northwind/Coolers/Field",))),
        cohorts=(10, 100), success_percent=90, soak_s=1800, failure_percent=3, min_failures=4, hold_on_severity="",
        false_hold_percent=0, roll_back_on_hold=True, timeout_s=172_800, lease_s=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cohorts": "5, many"}, "Percentages: expected whole numbers"),
        ({"cohorts": "5, 25"}, "end with 100"),
        ({"soak_s": "3600"}, "Soak time: expected a time with its unit, got '3600'"),
        ({"soak_s": "91 d"}, "soak_s: expected 0 to"),
        ({"min_failures": "-1"}, "Never stopped below: expected a whole number"),
        ({"hold_on_severity": "fatal"}, "Findings: expected one of low"),
        ({"ring_0_devices": "bench"}, "Chosen cohort 1: expected a name, got none"),
        ({"ring_0_name": "Laboratory"}, "expected devices or device groups, got none"),
        ({"ring_0_name": "L", "ring_0_groups": "Coolers"}, "CATALOG/PRODUCT/GROUP"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_label(change: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        read(untouched() | change)


@pytest.mark.parametrize(("typed", "rings"), [("", 1), ("0", 1), ("3", 3), ("99", 20), ("999999", 1), ("x", 1)])
def test_a_form_has_no_more_rings_than_a_policy(typed: str, rings: int) -> None:
    assert policy_form.ring_count({"rings": typed}) == rings
