# SPDX-License-Identifier: Apache-2.0
"""Roll-out policies: ranges and the JSON form."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.errors import InvalidArgumentError
from armillary.rollout.policy import MAX_COHORTS, MAX_RING_DEVICES, Ring, RolloutPolicy, from_json, to_json

DEVICE, OTHER = "a" * 128, "b" * 128
LAB = Ring(name="Laboratory", devices=(DEVICE,))


def test_json_round_trip_and_defaults() -> None:
    policy = RolloutPolicy(rings=(LAB,), cohorts=(1, 10, 100), soak_s=5, lease_s=0, roll_back_on_hold=True)
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
        {"false_hold_percent": 51},
        {"false_hold_percent": -1},
        {"lease_s": -1},
        {"rings": (LAB,) * (MAX_COHORTS + 1)},
        {"rings": (LAB, Ring(name="laboratory", devices=(OTHER,)))},
        {"rings": (LAB, Ring(name="Roof", devices=(DEVICE,)))},
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
        {"steps": 1},
        {"rings": "all"},
        {"rings": ["all"]},
        {"rings": [{"name": "Lab"}]},
        {"rings": [{"name": "Lab", "devices": [DEVICE], "soak": 1}]},
        {"rings": [{"name": 1, "devices": [DEVICE]}]},
        {"rings": [{"name": "Lab", "devices": DEVICE}]},
        {"rings": [{"name": "Lab", "devices": [1]}]},
        {"rings": [{"name": "Lab", "groups": "A/B/C"}]},
        {"rings": [{"name": "Lab", "groups": [1]}]},
        {"rings": [{"devices": [DEVICE]}]},
    ],
)
def test_misspelt_and_mistyped_documents_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        from_json(document)


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        ("", (DEVICE,)),
        (" Lab", (DEVICE,)),
        ("La\nb", (DEVICE,)),
        ("L" * 65, (DEVICE,)),
        ("Lab", ()),
        ("Lab", ("a" * 127,)),
        ("Lab", ("A" * 128,)),
        ("Lab", ("g" * 128,)),
        ("Lab", (DEVICE,) * (MAX_RING_DEVICES + 1)),
    ],
)
def test_rings_that_name_nobody_are_refused(name: str, devices: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="cohort"):
        Ring(name=name, devices=devices)


def test_rings_are_the_first_cohorts_and_ids_may_be_typed_in_capitals() -> None:
    policy = from_json({"rings": [{"name": "Lab", "devices": ["A" * 128]}], "cohorts": [10, 100]})
    assert policy.rings[0].devices == (DEVICE,)
    assert [policy.step_name(index) for index in range(policy.steps)] == ["Lab", "to 10%", "to 100%"]


@pytest.mark.parametrize(
    "groups",
    [
        ("Production",),
        ("Kettle/Production",),
        ("A/B/C/D",),
        ("A//C",),
        ("A" * 300 + "/B/C",),
        ("A/B/C\x1b[2J",),
        ("A/B/C",) * 21,
    ],
)
def test_groups_of_a_ring_are_named_by_their_whole_path(groups: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"cohort Lab: expected (device groups as CATALOG|at most 20)"):
        Ring(name="Lab", groups=groups)


def test_a_ring_has_devices_and_groups_and_its_document_comes_back() -> None:
    policy = RolloutPolicy(rings=(Ring(name="Lab", devices=(DEVICE,), groups=("Contoso/Kettle/Field Test",)),))
    document = to_json(policy)
    assert document["rings"] == [{"name": "Lab", "devices": [DEVICE], "groups": ["Contoso/Kettle/Field Test"]}]
    assert from_json(document) == policy
    with pytest.raises(InvalidArgumentError, match="the device group contoso/kettle/field test is there twice"):
        RolloutPolicy(rings=(*policy.rings, Ring(name="Roof", groups=("contoso/Kettle/field test",))))
