# SPDX-License-Identifier: Apache-2.0
"""The detector of unusual devices: reports a second on one core, and what it finds on played fleets.

A report is what one device had in one window: four counts. One report in twenty has events, more than in a fleet at
rest (how many more was not measured); the others say that nothing was, and cost less. Quality is that of fleets
(``armillary.sim.attacks``) other than those by which the detector's numbers were chosen; the first two days are learned
from, the rest is judged.
"""

from __future__ import annotations

import random
import time

from armillary.detect.baseline import METRICS, Baseline
from armillary.detect.quality import BUDGET
from armillary.sim.attacks.evaluation import evaluate
from armillary.sim.attacks.fleet import Play, fleet
from bench.result import result

DEVICES = 20_000
WINDOWS = 30
WITH_EVENTS = 0.05
REPORTS_A_SECOND = 1_000_000  # the promise
LEAST_RECALL = 0.9
SEED = 7
SEEDS = (11, 12, 13)
QUIET = (0, 0, 0, 0)


def run() -> list[dict[str, object]]:
    """Reports a CPU second against the promise, and the quality on fleets that were not seen before."""
    reports = _reports(random.Random(SEED))
    baseline, begun = Baseline(METRICS), time.process_time()
    for window, counts in enumerate(reports):
        observe = baseline.observe
        for device in range(DEVICES):
            observe(window, device, "old", counts[device])
        baseline.close(window, {"old": DEVICES})
    rate = DEVICES * WINDOWS / (time.process_time() - begun)
    conditions = f"{DEVICES:,} devices, {WINDOWS} windows, {WITH_EVENTS:.0%} of the reports with events, CPU time"
    found = [evaluate(fleet(Play(seed=seed))) for seed in SEEDS]
    played = (
        f"{len(found)} fleets of 400 devices for 7 days, {sum(one.attacks for one in found)} attacks; "
        f"average precision {_span([one.precision for one in found])}, "
        f"recall of windows at 0.1% {_span([one.recall_at_rate for one in found])}"
    )
    recall = sum(one.recall * one.attacks for one in found) / sum(one.attacks for one in found)
    false = sum(one.false_per_1000_days for one in found) / len(found)
    return [
        result("detector", rate, "reports/s", ("promise", REPORTS_A_SECOND), conditions),
        result("detector-recall", recall, "of attacks", ("promise", LEAST_RECALL), played),
        result("detector-false", false, "a 1,000 device-days", ("budget", BUDGET), played),
    ]


def _span(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def _reports(source: random.Random) -> list[list[tuple[int, ...]]]:
    def counts() -> tuple[int, ...]:
        if source.random() >= WITH_EVENTS:
            return QUIET
        raised = source.randrange(len(METRICS))
        return tuple(source.randint(1, 3) if index == raised else 0 for index in range(len(METRICS)))

    return [[counts() for _ in range(DEVICES)] for _ in range(WINDOWS)]
