# SPDX-License-Identifier: Apache-2.0
"""One roll-out over a fleet with crashes, minute by minute, planned by ``armillary.rollout.plan``.

Devices differ: each has a rate of its own, drawn from a gamma distribution, so that a few crash all the time. Rates
follow the hour of the day. A device takes the new release with its next check-in; its crashes are known a little
later than they happen. Nothing but crashes goes wrong.
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from armillary.detect.sequential import COUNTED, AtRisk, CrashEvidence
from armillary.rollout.comparison import CrashRates
from armillary.rollout.plan import RolloutMember, RolloutPlan, RolloutProgress, Sight, plan
from armillary.rollout.policy import RolloutPolicy
from armillary.rollout.tally import Tally

DAY_S: Final = 86_400
STEP_S: Final = 30  # between two plans
CHECK_IN_S: Final = 3600  # within which every device checks in
DELAY_S: Final = 60  # from a crash to its report, at most
POLICY: Final = RolloutPolicy(cohorts=(1, 10, 100), soak_s=DAY_S)


@dataclass(frozen=True, slots=True)
class Play:
    """What is played.

    Attributes:
        crashes_a_day: Of a device with the old release, mean.
        times: How many times as often devices crash with the new one.
        temper: Shape of the distribution of devices' rates: 1 is exponential, less is more uneven.
        swing: Share by which rates rise and fall over the day.
    """

    devices: int = 10_000
    crashes_a_day: float = 0.1
    times: float = 5.0
    temper: float = 0.5
    swing: float = 0.5
    policy: RolloutPolicy = POLICY
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Ended:
    """How a roll-out went.

    Attributes:
        is_held: It was held; else it was completed.
        cohort: Index of its newest cohort then.
        seconds: How long it ran.
        crashes: Of devices with the new release.
        excess: By how many these are more than the old release would have had on the same devices in the same time.
        late_s: Seconds from the report that was evidence enough to the hold; 0 where it was not held.
    """

    is_held: bool
    cohort: int
    seconds: int
    crashes: int
    excess: float
    late_s: int


@dataclass(slots=True)
class _Device:
    rate: float  # crashes a second with the old release, mean over the day
    is_new: bool = False
    cohort: int = -1
    crashes: int = 0  # that were reported and count
    drawn: int = 0  # how often its next crash was drawn: only the last draw counts


@dataclass(slots=True)
class _Fleet:
    """The fleet as it is in a minute."""

    play: Play
    random: Random
    devices: list[_Device] = field(default_factory=list)
    happening: list[tuple[float, int, int]] = field(default_factory=list)  # crashes to come: time, device, draw
    arriving: list[tuple[float, int]] = field(default_factory=list)  # reports under way
    installing: list[tuple[float, int]] = field(default_factory=list)
    tally: Counter[tuple[int, str]] = field(default_factory=Counter)
    at_risk: list[list[int]] = field(default_factory=list)  # by crashes had: with the old release, with the new
    evidence: CrashEvidence = field(default_factory=CrashEvidence)
    crashes: int = 0
    new_rate: float = 0.0  # crashes a second that the devices with the new release had with the old one
    expected: float = 0.0

    def begin(self) -> None:
        """Draw the devices' rates and their first crashes."""
        play, mean = self.play, self.play.crashes_a_day / DAY_S
        for number in range(play.devices):
            self.devices.append(_Device(self.random.gammavariate(play.temper, mean / play.temper)))
            self._next_crash(number, 0.0)
        self.at_risk = [[play.devices, 0], *([0, 0] for _ in range(COUNTED))]

    def _next_crash(self, number: int, now: float) -> None:
        """By thinning: drawn at the highest rate, and let happen by the hour's (Lewis and Shedler, 1979)."""
        one, play = self.devices[number], self.play
        most = one.rate * (1 + play.swing) * (play.times if one.is_new else 1)
        if most > 0:
            one.drawn += 1
            heapq.heappush(self.happening, (now + self.random.expovariate(most), number, one.drawn))

    def hour(self, now: float) -> float:
        """By what rates are multiplied at this time of the day."""
        return 1 + self.play.swing * math.sin(2 * math.pi * now / DAY_S)

    def crash_until(self, now: float) -> None:
        """Let happen what happens until now."""
        swing = self.play.swing
        while self.happening and self.happening[0][0] <= now:
            at, number, drawn = heapq.heappop(self.happening)
            one = self.devices[number]
            if drawn != one.drawn:
                continue
            if self.random.random() * (1 + swing) <= self.hour(at):
                self.crashes += one.is_new
                heapq.heappush(self.arriving, (at + self.random.random() * DELAY_S, number))
            self._next_crash(number, at)

    def take_reports(self, now: float) -> float:
        """Take the reports that have come, as the service does; when the last one came."""
        last = 0.0
        while self.arriving and self.arriving[0][0] <= now:
            last, number = heapq.heappop(self.arriving)
            one = self.devices[number]
            if one.crashes < COUNTED:
                before, new = self.at_risk[one.crashes]
                self.evidence = self.evidence.after(AtRisk(new, before), is_new=one.is_new, is_first=one.crashes == 0)
                self.at_risk[one.crashes][one.is_new] -= 1
                self.at_risk[one.crashes + 1][one.is_new] += 1
                one.crashes += 1
        return last

    def start(self, numbers: Iterator[int], count: int, cohort: int, now: float) -> None:
        """Start devices: each takes the release with its next check-in."""
        for _ in range(count):
            number = next(numbers)
            self.devices[number].cohort = cohort
            self.tally[cohort, "started"] += 1
            heapq.heappush(self.installing, (now + self.random.random() * CHECK_IN_S, number))

    def install_until(self, now: float) -> list[RolloutMember]:
        """The devices that took the release until now, as the planner sees them."""
        members = []
        while self.installing and self.installing[0][0] <= now:
            at, number = heapq.heappop(self.installing)
            one = self.devices[number]
            one.is_new = True
            self.at_risk[one.crashes][0] -= 1
            self.at_risk[one.crashes][1] += 1
            self.new_rate += one.rate
            self._next_crash(number, at)  # anew: a Poisson process has no memory
            members.append(_member(number, one.cohort))
        return members

    def expect(self, now: float) -> None:
        """Add what the old release would have had in the last minute on the devices that have the new one."""
        self.expected += STEP_S * self.hour(now) * self.new_rate


def played(play: Play) -> Ended:
    """Play a roll-out until it is held or completed."""
    random = Random(play.seed)  # noqa: S311 - reproducible, not secret
    fleet = _Fleet(play, random)
    fleet.begin()
    order = list(range(play.devices))
    random.shuffle(order)
    numbers, now = iter(order), 0
    progress = RolloutProgress(catalog_id=None, state="running", cohort=-1, since=0)
    while True:
        now += STEP_S
        fleet.crash_until(now)
        members = fleet.install_until(now)
        last = fleet.take_reports(now)
        fleet.expect(now)
        made = plan(play.policy, progress, _seen(fleet, members), now)
        if made.event:
            is_held = made.event == "hold"
            excess = fleet.crashes - fleet.expected
            return Ended(is_held, made.cohort, now, fleet.crashes, excess, round(now - last) if is_held else 0)
        for move in made.moves:
            cohort = fleet.devices[int(move.device_id)].cohort
            fleet.tally[cohort, "started"] -= 1
            fleet.tally[cohort, "confirmed"] += 1
        if made.due:
            fleet.start(numbers, made.due, made.cohort, now)
        progress = _after(progress, made)


def _after(progress: RolloutProgress, made: RolloutPlan) -> RolloutProgress:
    is_new = made.cohort != progress.cohort
    reached = None if is_new else made.reached_at
    return RolloutProgress(catalog_id=None, state="running", cohort=made.cohort, since=0, reached_at=reached)


def _seen(fleet: _Fleet, members: list[RolloutMember]) -> Sight:
    before, new = fleet.at_risk[0]
    rates = CrashRates(fleet.evidence.log, fleet.evidence.new, new, fleet.evidence.before, before)
    tally = Tally(dict(fleet.tally), dict(fleet.tally))
    return Sight(members=members, tally=tally, devices=fleet.play.devices, rates=rates)


def _member(number: int, cohort: int) -> RolloutMember:
    return RolloutMember(
        device_id=str(number),
        state="started",
        cohort=cohort,
        started_at=0,
        finished_at=None,
        offered=True,
        converged=True,
        restored=False,
        failure="",
        reason="",
        reached=True,
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """What many roll-outs came to; percentiles are of those that were held.

    Attributes:
        excess: Crashes that would not have been with the old release: median, 95th percentile and most.
        late_s: Seconds from the report that was evidence enough to the hold, at most.
        hours: How long roll-outs ran that were held, median.
    """

    runs: int
    held: int
    in_first_cohort: int
    excess: tuple[float, float, float] | None
    late_s: int
    hours: float | None


def summarised(play: Play, runs: int) -> Summary:
    """Play roll-outs of which only the seeds differ, from the play's own on."""
    held = [one for seed in range(runs) if (one := played(replace(play, seed=play.seed + seed))).is_held]
    return Summary(
        runs=runs,
        held=len(held),
        in_first_cohort=sum(one.cohort == 0 for one in held),
        excess=_percentiles([one.excess for one in held]) if held else None,
        late_s=max((one.late_s for one in held), default=0),
        hours=round(statistics.median(one.seconds for one in held) / 3600, 1) if held else None,
    )


def _percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    rising = sorted(values)
    half, most = (round(rising[min(len(rising) - 1, int(len(rising) * share))], 1) for share in (0.5, 0.95))
    return half, most, round(rising[-1], 1)
