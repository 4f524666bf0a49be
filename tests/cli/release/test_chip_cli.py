# SPDX-License-Identifier: Apache-2.0
"""``armillary chip``: profiles with their boards, and what is behind each."""

from __future__ import annotations

import json

import pytest
from tests.cli.conftest import exits

from armillary import content


def test_all_profiles_are_listed_with_their_boards(capsys: pytest.CaptureFixture[str]) -> None:
    exits(0, "chip", "list", "--json")
    found = {each["chip"]: each for each in json.loads(capsys.readouterr().out)}
    assert set(found) == set(content.chip_names())
    assert found["imx8mp"]["boards"] == ["imx8mp-gateway", "imx8mp-simulated"]
    for name, each in found.items():
        assert any(board.endswith("-simulated") for board in each["boards"]), (
            f"{name} is used on hosts without peripherals"
        )
        for what in ("emulated", "real", "unproven"):
            assert each[what], (name, what)
    exits(0, "chip", "list")
    assert "gateway-x86-64-simulated" in capsys.readouterr().out


def test_a_profile_says_what_it_boots_and_what_nobody_has_seen_work(capsys: pytest.CaptureFixture[str]) -> None:
    exits(0, "chip", "show", "--chip", "raspberry-pi-4")
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["boot"] == "eeprom-loader, u-boot, fit-image, root-fs"
    assert shown["cores"] == "A72"
    assert "fuses" in shown["unproven"]
    exits(1, "chip", "show", "--chip", "z80")
    assert "Use one of: gateway-arm64, " in capsys.readouterr().err
