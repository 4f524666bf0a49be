# SPDX-License-Identifier: Apache-2.0
"""``armillary sim``: prove on simulated hardware what cannot be tried often enough on real one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Annotated, Final

import typer

from armillary.cli.terminal.output import JsonOption, Shown, note, noun, record
from armillary.sim.power.boards import board_names, matching, open_board
from armillary.sim.power.campaign import Campaign, Effort
from armillary.sim.power.tally import Tally, together
from armillary.sim.power.transactions import TRANSACTIONS

app = noun("Simulators: cut the power at every write of a device.")

SHOWN_FAILURES: Final = 5  # to people; --json has more
_DEFAULT: Final = Effort()

Search = Callable[[str, Effort], tuple[Tally, float]]


@app.callback()
def sim() -> None:
    """Simulators: cut the power at every write of a device."""


@app.command("power-cut")
def power_cut(
    board: Annotated[
        str | None,
        typer.Option("--board", metavar="NAME", help="CHIP/FLASH, or all boards of one chip or one kind of flash."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every chip on every kind of flash.")] = False,
    cuts: Annotated[
        int,
        typer.Option("--cuts", min=1, metavar="N", help="Random ones on each board, beside every single cut."),
    ] = _DEFAULT.cuts,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="The same number makes the same cuts.")
    ] = _DEFAULT.seed,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, metavar="N", help="Processes; by default one for each processor.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Cut the power everywhere in every installation.

    At each flash operation, on models of real media, with torn and reordered writes. After each cut the device starts
    again on what the flash was left with. It must boot signed software at or above its anti-rollback counter and come
    to the set that is wanted. Exits with 1 if it ever did not.
    """
    if (board is None) is not every:
        raise typer.BadParameter("give one of --board and --all")
    names = board_names() if board is None else matching(board)
    began = time.monotonic()
    tally = together(searched(names, Effort(cuts=cuts, seed=seed), jobs or os.cpu_count() or 1, search))
    summary = {**tally.summary(), "seed": seed, "seconds": round(time.monotonic() - began, 1)}
    shown = record(summary, row=lambda found: {name: value for name, value in found.items() if name != "failures"})
    failures = [str(failure) for failure in tally.failures[:SHOWN_FAILURES]]
    exit_code = 1 if tally.breaches.total() else 0
    Shown(shown.found, shown.then(*failures).print_text, exit_code).show(as_json=as_json)


def search(name: str, effort: Effort) -> tuple[Tally, float]:
    """Search one board, in whichever process; the tally and the seconds that it took."""
    began = time.monotonic()
    return Campaign(open_board(name), effort).run(), time.monotonic() - began


def searched(names: Sequence[str], effort: Effort, jobs: int, one: Search) -> Iterator[Tally]:
    """The boards' tallies in their order, ``jobs`` at a time; tells people of each board as it is done."""
    note(f"cutting {len(TRANSACTIONS)} transactions on {len(names)} boards, {min(jobs, len(names))} at a time ...")
    if len(names) == 1 or jobs == 1:
        for name in names:
            tally, seconds = one(name, effort)
            _tell(tally, seconds)
            yield tally
        return
    found: dict[str, Tally] = {}
    with ProcessPoolExecutor(min(jobs, len(names)), mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(one, name, effort) for name in names]):
            tally, seconds = done.result()
            _tell(tally, seconds)
            found[tally.boards[0]] = tally
    yield from (found[name] for name in names)


def _tell(tally: Tally, seconds: float) -> None:
    rate = tally.cuts / max(seconds, 0.001)
    broken = ", ".join(f"{count} {breach}" for breach, count in tally.breaches.items()) or "every promise kept"
    note(f"{tally.boards[0]}: {tally.operations} operations, {tally.cuts} cuts, {rate:.0f} a second: {broken}")
