# SPDX-License-Identifier: Apache-2.0
"""``armillary sim power-cut``: what it prints, and how it exits."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from armillary.cli.device import sim
from armillary.errors import NotFoundError
from armillary.sim.power.boards import open_board
from armillary.sim.power.campaign import Campaign, Effort, parts_of
from armillary.sim.power.tally import Failure, Tally
from armillary.sim.power.transactions import TRANSACTIONS
from armillary.sim.power.witness import Breach

runner = CliRunner()


PARTS = len(TRANSACTIONS) + 1
ROOTS = next(number for number, each in enumerate(TRANSACTIONS) if each.name == "roots")


def quick(name: str, effort: Effort, number: int) -> tuple[Tally, float]:
    """One transaction of a board, for the process that searches it; the rest of the board is quick."""
    if number != ROOTS:
        return Tally(boards=[name]), 0.0
    return Campaign(open_board(name), effort, parts_of(effort)[number]).run(), 1.0


def test_the_summary_is_one_json_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data to stdout, progress to stderr."""
    monkeypatch.setattr(sim, "search_part", quick)
    done = runner.invoke(sim.app, ["power-cut", "--board", "nvme", "--cuts", "1", "--jobs", "1", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {"imx8mp/nvme", "mt3620/nvme"} <= set(found["boards"])
    assert all(name.endswith("/nvme") for name in found["boards"])
    assert (found["bricks"], found["wrong_image"], found["not_converged"]) == (0, 0, 0)
    assert found["cuts"] >= found["operations"] >= 20
    assert done.stderr.count("every promise kept") == len(found["boards"])


def test_more_processes_make_the_same_cuts_in_the_same_order() -> None:
    names, effort = ["mt3620/nvme", "imx8mp/nvme"], Effort(cuts=PARTS)
    found = [list(sim.searched(names, effort, jobs, quick)) for jobs in (1, 2)]
    assert [tally.boards for tally in found[0]] == [[name] for name in names]
    assert all(tally.cuts > tally.operations > 0 for tally in found[0])
    assert found[0] == found[1]


def test_a_broken_promise_is_exit_code_1_and_says_how_to_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally(boards=["mt3620/nvme"], cuts=7)
    failure = {"board": "mt3620/nvme", "transaction": "install", "detail": "nothing boots", "path": ("operation 3",)}
    tally.broke(Failure(breach=Breach.BRICK, **failure))
    rest = (Tally(boards=["mt3620/nvme"]), 0.0)
    monkeypatch.setattr(sim, "search_part", lambda _name, _effort, number: rest if number else (tally, 1.0))
    done = runner.invoke(sim.app, ["power-cut", "--board", "mt3620/nvme", "--jobs", "1"])
    assert done.exit_code == 1
    assert "bricks         1" in done.stdout
    assert "mt3620/nvme: 0 operations, 7 cuts, 7 a second: 1 brick" in done.stderr
    assert "install: brick: nothing boots (cut: operation 3)" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--all", "--board", "mt3620"], ["--board", "mt3620", "--cuts", "0"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert runner.invoke(sim.app, ["power-cut", *arguments]).exit_code == 2


def test_an_unknown_board_is_named_with_those_there_are() -> None:
    done = runner.invoke(sim.app, ["power-cut", "--board", "z80"])
    assert isinstance(done.exception, NotFoundError)
    assert "spi-nor" in done.exception.remedy
