# SPDX-License-Identifier: Apache-2.0
"""One application's crash, hang or flood leaves the others as they are, started by root and by a plain user."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.device.applications.flood_scene import FLOODS, GROUPED, LOW, WORDS, play
from tests.engines.sandbox.sandbox_stage import linux
from tests.fixtures.other_user import run_as_other

from armillary.engines.sandbox.control_groups.groups import device_groups


def as_root(kind: str, folder: Path) -> dict[str, Any]:
    if os.geteuid() != 0 or device_groups().reason:
        pytest.skip("only root can bound an application as a whole on this host: sudo make test")
    linux(own_user=True)
    folder.chmod(0o755)
    return asyncio.run(play(kind, folder))


def as_user(kind: str) -> dict[str, Any]:
    linux(own_user=False)
    run = run_as_other(["-m", "tests.device.applications.flood_scene", kind])
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert isinstance(found, dict)
    return found


def check_hearts(seen: dict[str, Any]) -> None:
    """Neither was started again, lost a beat or was reported."""
    assert len(seen["beats"]) == 2
    for beats in seen["beats"].values():
        assert beats == [str(number) for number in range(len(beats))]
    assert {each["name"] for each in seen["exits"]} <= {"flood"}
    assert all(component.endswith("f100d003") for _, component, _ in seen["reports"])


@pytest.mark.parametrize("kind", sorted(FLOODS))
def test_a_flood_harms_nobody_else(kind: str, tmp_path: Path) -> None:
    seen = as_root(kind, tmp_path)
    check_hearts(seen)
    assert seen["grouped"]
    # it really met its limit
    assert kind not in WORDS or set(seen["said"]) & WORDS[kind]
    if kind in ("memory of several processes", "shared memory"):
        assert seen["killed_for_memory"] > 0
        assert seen["memory_peak_bytes"] <= LOW.memory_bytes
    if kind == "processes":
        assert seen["processes_refused"] > 0
    if kind == "hang":
        assert seen["processor_periods_used_up"] > 0


@pytest.mark.parametrize("kind", sorted(set(FLOODS) - set(GROUPED)))
def test_a_flood_harms_nobody_else_where_a_user_started_the_device(kind: str) -> None:
    seen = as_user(kind)
    check_hearts(seen)
    assert kind not in WORDS or set(seen["said"]) & WORDS[kind]


def test_an_application_that_ran_out_of_memory_is_reported_in_words(tmp_path: Path) -> None:
    seen = as_root("memory of its first process", tmp_path)
    assert "filled" not in seen["said"]
    kinds = {kind for kind, _, _ in seen["reports"]}
    assert kinds == {"AppCrash"}
    for _, _, description in seen["reports"]:
        assert description.startswith("AppCrash (exit_status=9; signal_status=9; ")
        assert description.endswith("; memory=out of memory: it reached its limit of 40 MiB)")
    assert all(each["killed_for_memory"] == 1 for each in seen["exits"])
