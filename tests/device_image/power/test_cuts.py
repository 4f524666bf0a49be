# SPDX-License-Identifier: Apache-2.0
"""Rounds of power cuts with pretended machines: what counts as come back, and what a machine is given to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from armillary.device_image.power import cuts
from armillary.device_image.power.cuts import Bench, play
from armillary.device_image.power.phases import Cut, Phase, cut_of
from armillary.device_image.virtual_machine import MachineSettings

SLOT = "armillary: slot {}, verified root from /dev/vda2"
ATTESTED = "armillary: 2026-11-29 08:27:22  check-in  verdict=attested  purpose=client  offered=nothing"
REFUSED = ATTESTED.replace("attested", "refused")
OFFERED = "armillary: 2026-11-29 08:26:10  update-offered  offer_id=288a"
STARTED = "armillary: 2026-11-29 08:26:22  update-started  offer_id=288a"
RESTARTING = "armillary: restarting"
BOOTED = "armillary: 2026-11-29 08:27:11  booted  boot_count=4"
CONFIRMED = "armillary: 2026-11-29 08:27:22  update-confirmed  images=[]"
REVERTED = "armillary: 2026-11-29 08:26:10  update-reverted  reason=it did not come up"


class Pretended:
    """A machine that says these lines, and then no more."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.is_cut = False
        self.is_on = True  # whatever it says no more

    def lines(self, *, within_s: float) -> Iterator[str]:
        del within_s
        while self.said:
            yield self.said.pop(0)

    def pull_the_plug(self) -> None:
        self.is_cut = True


class Releases:
    """Counts what was published."""

    def __init__(self) -> None:
        self.count = 0

    def publish_next(self) -> None:
        self.count += 1


def bench_of(monkeypatch: pytest.MonkeyPatch, *starts: list[str]) -> tuple[Bench, Releases, list[Pretended]]:
    """A bench whose machine says other lines at each start."""
    machines = [Pretended(said) for said in starts]
    waiting = list(machines)
    monkeypatch.setattr(cuts, "running", lambda _settings: contextlib.nullcontext(waiting.pop(0)))
    releases = Releases()
    return Bench(MachineSettings(folder=Path("machine")), releases, within_s=1.0), releases, machines


def seed_of(phase: Phase) -> int:
    """A plan whose first cut is of this phase."""
    return next(seed for seed in range(100) if cut_of(seed, 0).phase is phase)


def test_a_machine_that_is_attested_again_came_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = [SLOT.format("a"), ATTESTED, ATTESTED, OFFERED]
    bench, releases, machines = bench_of(monkeypatch, first, [SLOT.format("b"), REVERTED, ATTESTED])
    assert bench.come_up()
    played = bench.play(0, Cut(Phase.WRITE, 0.0))
    assert machines[0].is_cut
    assert (played.phase, played.slot, played.taken_back, played.came_back) == (Phase.WRITE, "b", True, True)
    assert releases.count == 1  # though it said twice that it has nothing to do


def test_a_machine_gets_its_next_update_once_the_last_one_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release takes seconds to make: made in a trial, it would be counted as the trial's length."""
    update = [OFFERED, STARTED, RESTARTING, SLOT.format("b"), BOOTED, ATTESTED, CONFIRMED]
    bench, releases, machines = bench_of(
        monkeypatch, [SLOT.format("a"), ATTESTED, *update], [SLOT.format("b"), ATTESTED]
    )
    published_before: list[list[str]] = []
    monkeypatch.setattr(releases, "publish_next", lambda: published_before.append(list(machines[0].said)))
    assert bench.come_up()
    played = bench.play(0, Cut(Phase.CONFIRM, 0.0))
    assert (played.phase, played.came_back) == (Phase.CONFIRM, True)
    assert published_before == [update]  # none after the check-in of the trial, none before the cut in confirm


def test_an_update_is_over_at_the_second_check_in_after_it_was_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes later is no part of it: a cut there would be none of an update."""
    update = [OFFERED, STARTED, RESTARTING, SLOT.format("b"), BOOTED, ATTESTED, CONFIRMED]
    for check_ins, expected in ((1, Phase.CONFIRM), (2, Phase.IDLE), (5, Phase.IDLE)):
        machine = [SLOT.format("a"), ATTESTED, *update, *[ATTESTED] * check_ins]
        bench, _, machines = bench_of(monkeypatch, machine, [SLOT.format("b"), ATTESTED])
        assert bench.come_up()
        bench._lasts[Phase.CONFIRM] = 1e9
        played = bench.play(0, Cut(Phase.CONFIRM, 1.0))
        assert (played.phase, machines[0].is_cut) == (expected, True)
        assert (bench._lasts[Phase.CONFIRM] < 60) is (expected is Phase.IDLE), "how long it lasts is measured"


@pytest.mark.parametrize("said", [[], [ATTESTED, ATTESTED], [OFFERED, STARTED, RESTARTING]])
def test_a_machine_that_does_not_get_to_the_phase_fails_uncut(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    bench, _, machines = bench_of(monkeypatch, [SLOT.format("a"), ATTESTED, *said])
    assert bench.come_up()
    (played,) = play(bench, seed=seed_of(Phase.TRIAL), begin=0, times=3)
    assert (played.planned, played.reached, played.came_back) == (Phase.TRIAL, False, False)
    assert not machines[0].is_cut
    assert played.lines[0] == SLOT.format("a")


def test_a_machine_that_ends_by_itself_was_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, _, machines = bench_of(monkeypatch, [SLOT.format("a"), ATTESTED, OFFERED])
    assert bench.come_up()
    machines[0].is_on = False
    played = bench.play(0, Cut(Phase.WRITE, 0.5))
    assert (played.reached, played.came_back, machines[0].is_cut) == (False, False, False)


@pytest.mark.parametrize("said", [[], [SLOT.format("a")], [SLOT.format("a"), REFUSED]])
def test_a_machine_that_is_not_attested_did_not_come_back(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    expected = list(said)
    bench, _, _ = bench_of(monkeypatch, [SLOT.format("a"), ATTESTED, OFFERED], said, [SLOT.format("a"), ATTESTED])
    assert bench.come_up()
    (played,) = play(bench, seed=seed_of(Phase.WRITE), begin=0, times=3)  # the next rounds would tell nothing
    assert (played.reached, played.came_back) == (True, False)
    assert played.lines == tuple(expected)


def test_the_start_after_a_cut_is_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, _, machines = bench_of(
        monkeypatch, [SLOT.format("a"), ATTESTED], [SLOT.format("a")], [SLOT.format("b"), ATTESTED]
    )
    assert bench.come_up()
    played = bench.play(0, Cut(Phase.RECOVERY, 0.5))
    assert [machine.is_cut for machine in machines] == [True, True, False]
    assert (played.phase, played.slot, played.came_back) == (Phase.RECOVERY, "b", True)
