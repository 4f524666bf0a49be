# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian test``: every point once, from a simulated machine and from one on a link."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import exits
from tests.cli.guardian.machines import running

from armillary import content
from armillary.content.equipment import load
from armillary.sim.equipment.machines import Play, begin

COFFEE = (content.folder("equipment") / "coffee.yaml").read_text("utf-8")


def printed(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> Any:
    capsys.readouterr()
    exits(code, "guardian", "test", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", ["coffee", "cable", "dispenser"])
def test_shipped_profiles_are_read_from_their_simulated_machines(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, 0, name, "--seconds", "30")
    profile = load(name)
    assert {each["point"] for each in found["points"]} == {each.name for each in profile.all_points}
    assert (found["good"], found["simulated"]) == (len(profile.all_points), True)
    assert {each["error"] for each in found["reads"]} == {None}


def test_a_profile_of_ones_own_has_a_stand_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(COFFEE.replace("profile: guard/coffee", "profile: site/own"), "utf-8")
    found = printed(capsys, 0, str(own))
    values = {each["point"]: each["value"] for each in found["points"]}
    assert found["good"] == len(values)
    assert (values["brewTemp"], values["state"], values["simulated"]) == (65.0, "idle", True)


def test_a_real_link_is_read_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with running(begin("cable", Play())) as where:
        found = printed(capsys, 0, "cable", "--link", "host=127.0.0.1", "--link", f"port={where['port']}")
    assert (found["simulated"], found["good"]) == (False, len(load("cable").all_points))
    assert found["counters"]["exchanges"] == found["counters"]["replies"] == len(found["reads"])


def test_a_machine_on_a_line_is_read_there(capsys: pytest.CaptureFixture[str]) -> None:
    with running(begin("coffee", Play()), line=True) as where:
        found = printed(capsys, 0, "coffee", "--port", f"UART2={where['port']}")
    assert found["good"] == len(load("coffee").all_points)


def test_points_that_are_not_good_are_shown_and_the_exit_code_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    life = begin("coffee", Play())
    life.told("fault silence 1")
    with running(life, line=True) as where:
        exits(1, "guardian", "test", "coffee", "--port", f"UART2={where['port']}", "--link", "timeout_s=0.1")
    captured = capsys.readouterr()
    assert "bad" in captured.out
    assert "no reply within 0.1 s" in captured.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["cable", "--link", "host"], "NAME=VALUE"),
        (["cable", "--link", "hosts=x"], "hosts"),
        (["cable", "--link", "port=none"], "port"),
        (["coffee", "--port", "UART9=/dev/null"], "UART9"),
        (["cable-opcua"], "--link"),
        (["nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    exits(1, "guardian", "test", *arguments)
    assert named in capsys.readouterr().err
