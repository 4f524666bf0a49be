# SPDX-License-Identifier: Apache-2.0
"""A release that crashes five times as often, at 1 % of 10,000 devices: how many crashes too many until it is held.

Roll-outs are played by the real plan (``armillary.sim.rollouts``), minute by minute, over devices that differ: a few
have most of the crashes, and all of them more by day. Beside it the same with a release that crashes as the one before.
"""

from __future__ import annotations

from armillary.sim.rollouts.crash_play import POLICY, Play, Summary, summarised
from bench.result import result

EXCESS = 20.0  # the promise, at the 95th percentile
WITHIN_S = 60
RUNS = 150
ALIKE_RUNS = 8  # one takes ten times as long: it goes to the end; a thousand are a test of ``make test-long``


def run() -> list[dict[str, object]]:
    """Crashes too many at the 95th percentile, and seconds from evidence enough to the hold."""
    worse, alike = summarised(Play(), RUNS), summarised(Play(times=1.0), ALIKE_RUNS)
    excess = worse.excess or (float("inf"),) * 3
    return [
        result("crash-hold", excess[1], "crashes too many, p95", ("promise", EXCESS), _conditions(worse, alike)),
        result("crash-hold-delay", float(worse.late_s), "s to the hold", ("limit", float(WITHIN_S)), "as crash-hold"),
    ]


def _conditions(worse: Summary, alike: Summary) -> str:
    play = Play()
    return (
        f"{worse.runs} roll-outs over {play.devices:,} devices with {play.crashes_a_day} crashes a day each before, "
        f"{play.times:.0f} times as many now, cohorts {list(POLICY.cohorts)} %: {worse.held} held, "
        f"{worse.in_first_cohort} of them at 1 %, median {worse.excess and worse.excess[0]} too many, {worse.hours} h; "
        f"as good as before: {alike.held} of {alike.runs} held"
    )
