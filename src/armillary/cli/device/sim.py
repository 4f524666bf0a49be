# SPDX-License-Identifier: Apache-2.0
"""``armillary sim``: prove on simulated hardware what cannot be tried often enough on real one."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from typing import Annotated, Final

import typer

from armillary.cli.device import sim_equipment
from armillary.cli.device.simulated import modem, peripheral
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, adopt, note, noun, record
from armillary.sim.power.boards import board_names, matching, open_board
from armillary.sim.power.campaign import Campaign, Effort, parts_of
from armillary.sim.power.tally import Tally, together
from armillary.sim.power.transactions import TRANSACTIONS

app = noun(
    "Simulators: cut the power at every write of a device, play attacks and roll-outs, run machines and a modem."
)

SHOWN_FAILURES: Final = 5  # to people; --json has more
_DEFAULT: Final = Effort()

SearchPart = Callable[[str, Effort, int], tuple[Tally, float]]


@app.callback()
def sim() -> None:
    """Simulators: cut the power at every write of a device, play attacks and roll-outs, run machines and a modem."""


@app.command("power-cut")
def power_cut(
    board: Annotated[
        str | None,
        typer.Option("--board", metavar="NAME", help="CHIP/FLASH, or all boards of one chip or one kind of flash."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every chip on every kind of flash it comes with.")] = False,
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
    tally = together(searched(names, Effort(cuts=cuts, seed=seed), jobs or os.cpu_count() or 1, search_part))
    summary = {**tally.summary(), "seed": seed, "seconds": round(time.monotonic() - began, 1)}
    shown = record(summary, row=lambda found: {name: value for name, value in found.items() if name != "failures"})
    failures = [str(failure) for failure in tally.failures[:SHOWN_FAILURES]]
    exit_code = 1 if tally.breaches.total() else 0
    Shown(shown.found, shown.then(*failures).print_text, exit_code).show(as_json=as_json)


@app.command("attacks")
def attacks(
    devices: Annotated[int, typer.Option("--devices", min=20, max=20_000, metavar="N", help="In the fleet.")] = 400,
    days: Annotated[
        int, typer.Option("--days", min=3, max=60, metavar="N", help="The first two are learned from.")
    ] = 7,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same number makes the same fleet.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Play attacks on a fleet, and say what the baselines find.

    Honest devices of several tempers, outages of a site, other firmware for half of the devices, and attacks of known
    time and place. What is reported: the share of attacks that were found, false incidents in 1,000 device-days,
    average precision, recall at one false window in a thousand, and windows of five minutes until the alarm.
    """
    from armillary.sim.attacks.evaluation import evaluate  # noqa: PLC0415 - of this verb alone
    from armillary.sim.attacks.fleet import Play, fleet  # noqa: PLC0415 - as above

    found = asdict(evaluate(fleet(Play(devices=devices, days=days, seed=seed))))
    record({**found, "seed": seed}).show(as_json=as_json)


@app.command("crashes")
def crashes(
    runs: Annotated[
        int, typer.Option("--runs", min=1, max=10_000, metavar="N", help="Roll-outs that are played.")
    ] = 20,
    devices: Annotated[
        int, typer.Option("--devices", min=100, max=100_000, metavar="N", help="In the fleet.")
    ] = 10_000,
    times: Annotated[
        float, typer.Option("--times", min=0.1, max=1000, metavar="X", help="As often as with the release before.")
    ] = 5.0,
    a_day: Annotated[
        float, typer.Option("--a-day", min=0.0001, max=100, metavar="X", help="Crashes of a device a day before.")
    ] = 0.1,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same number makes the same roll-outs.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Play releases that crash more: how soon are they halted?

    By the plan that the service uses, over devices that differ: to 1 %, to 10 %, to all, a day each. What is reported:
    how many were halted, in the first cohort, how many crashes would not have been with the release before (median,
    95th percentile, most), seconds from evidence enough to the halt, hours until it. With --times 1 each halt is false.
    """
    from armillary.sim.rollouts.crash_play import Play, summarised  # noqa: PLC0415 - of this verb alone

    found = summarised(Play(devices=devices, crashes_a_day=a_day, times=times, seed=seed), runs)
    record({**asdict(found), "seed": seed}).show(as_json=as_json)


adopt(app, sim_equipment.app, peripheral.app, modem.app)


def search_part(board: str, effort: Effort, number: int) -> tuple[Tally, float]:
    """Search the part of this number of a board, in whichever process; the tally and the seconds that it took."""
    began = time.monotonic()
    tally = Campaign(open_board(board), effort, parts_of(effort)[number]).run()
    return tally, time.monotonic() - began


def searched(boards: Sequence[str], effort: Effort, jobs: int, one: SearchPart) -> Iterator[Tally]:
    """The boards' tallies in their order, ``jobs`` parts at a time; tells people of each board as it is done."""
    numbers = range(len(parts_of(effort)))
    work = [(board, effort, number) for board in boards for number in numbers]
    where = boards[0] if len(boards) == 1 else f"{len(boards)} boards"
    note(f"cutting {len(TRANSACTIONS)} transactions on {where}, {min(jobs, len(work))} parts at a time ...")
    with contextlib.ExitStack() as stack:
        if jobs == 1:
            done: Iterator[tuple[Tally, float]] = itertools.starmap(one, work)
        else:
            # Processes of their own, begun afresh: nothing of this one, its threads least of all, is taken along.
            pool = stack.enter_context(ProcessPoolExecutor(min(jobs, len(work)), mp_context=get_context("spawn")))
            done = pool.map(one, *zip(*work, strict=True))
        for _ in boards:
            tallies, seconds = zip(*itertools.islice(done, len(numbers)), strict=True)
            tally = together(tallies)
            _tell(tally, sum(seconds))
            yield tally


def _tell(tally: Tally, seconds: float) -> None:
    rate = tally.cuts / max(seconds, 0.001)
    broken = ", ".join(f"{count} {breach}" for breach, count in tally.breaches.items()) or "every promise kept"
    note(f"{tally.boards[0]}: {tally.operations} operations, {tally.cuts} cuts, {rate:.0f} a second: {broken}")
