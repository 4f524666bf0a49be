# SPDX-License-Identifier: Apache-2.0
"""An option that takes one value is given once: of two the first was dropped without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Command

from armillary.cli.doubled_options import refuse_doubled
from armillary.cli.main import needed
from armillary.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("device boot --data a --data b", "--data"),
        ("device create --data a --chip=mt3620 --token x --chip mt3620", "--chip"),
        ("device network disable --data a --interface eth0 --interface eth1", "--interface"),
        ("device list --limit 1 --limit=2", "--limit"),
        ("catalog create --name a --name b", "--name"),
    ],
)
def test_an_option_with_two_values_is_refused(line: str, option: str) -> None:
    noun, *words = line.split()
    with pytest.raises(InvalidArgumentError, match=f"^{option}: expected one value, got two") as refused:
        refuse_doubled(needed(noun, words), words)
    assert refused.value.remedy == f"Give {option} once."


def test_two_names_of_one_option_are_one() -> None:
    words = ["create", "--name", "a", "--catalog", "b"]
    with pytest.raises(InvalidArgumentError, match=r"^--catalog: ") as refused:
        refuse_doubled(needed("catalog", words), words)
    assert refused.value.remedy == "Give --name or --catalog once."


@pytest.mark.parametrize(
    "line",
    [
        "device create --data --data --chip mt3620",  # a value that looks like an option
        "device create --data a --chip b -- --chip c",
        "device list --json --json",  # says the same twice
        "device network proxy apply --data a --no-proxy-address b --no-proxy-address c",  # takes several
        "device boot --nothing a --nothing b",  # there is none: the command says so
        "device nothing --data a --data b",
        "device",
        "status",
    ],
)
def test_everything_else_is_left_to_the_command(line: str) -> None:
    noun, *words = line.split()
    refuse_doubled(needed(noun, words), words)


def test_nothing_is_done_with_either_value(armillary: Command, tmp_path: Path) -> None:
    done = armillary("device", "create", "--data", str(tmp_path / "a"), "--data", str(tmp_path / "b"))
    assert done.code == 1
    assert "--data: expected one value, got two" in done.err
    assert list(tmp_path.iterdir()) == []
