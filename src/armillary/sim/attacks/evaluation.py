# SPDX-License-Identifier: Apache-2.0
"""What the baselines of ``armillary.detect`` find of a played fleet, split by time: first learned, then judged."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Final

from armillary.detect.baseline import METRICS, Baseline, Unusual
from armillary.detect.quality import average_precision, false_per_thousand_days, recall_at_rate
from armillary.sim.attacks.fleet import WINDOWS_A_DAY, Attack, Fleet

# Alarms of a device within an hour are one incident; an alarm so soon after an attack's end is still about it.
INCIDENT_WINDOWS: Final = 12


@dataclass(frozen=True, slots=True)
class Quality:
    """What was found.

    Attributes:
        recall: Share of the attacks during which their device was found unusual.
        false_per_1000_days: False incidents per 1,000 device-days.
        precision: Average precision of the windows' scores.
        recall_at_rate: Share of the attacks' windows above a threshold that one honest window in a thousand passes.
        delay: Windows from an attack's begin to its alarm, median; None where none was found.
        missed: Kinds of the attacks that were not found.
    """

    attacks: int
    recall: float
    false_per_1000_days: float
    precision: float
    recall_at_rate: float
    delay: float | None
    missed: tuple[str, ...]


def evaluate(fleet: Fleet, baseline: Baseline | None = None) -> Quality:
    """Play a fleet to a baseline (a new one), and judge it from the end of the learning on."""
    learner, play = baseline or Baseline(METRICS), fleet.play
    alarms: list[Unusual] = []
    scored: list[tuple[float, bool]] = []
    spans = {attack.device: attack for attack in fleet.attacks}
    for window in range(play.windows):
        for device, counts in fleet.events.get(window, {}).items():
            found, score = learner.judge(window, device, fleet.cohort(device, window), counts)
            if window >= play.judged_from:
                attack = spans.get(device)
                scored.append((score, attack is not None and attack.first <= window < attack.last))
                alarms += [] if found is None else [found]
        learner.close(window, fleet.sizes(window))
    return _judged(fleet, alarms, scored)


def _judged(fleet: Fleet, alarms: list[Unusual], scored: list[tuple[float, bool]]) -> Quality:
    spans = {attack.device: attack for attack in fleet.attacks}
    delays: dict[Attack, int] = {}
    last: dict[object, int] = {}
    false = 0
    for alarm in alarms:
        device = alarm.device
        attack = spans.get(device) if isinstance(device, int) else None
        if attack is not None and attack.first <= alarm.window < attack.last + INCIDENT_WINDOWS:
            delays.setdefault(attack, alarm.window - attack.first)
        elif alarm.window - last.get(device, -INCIDENT_WINDOWS) >= INCIDENT_WINDOWS:
            false += 1
            last[device] = alarm.window
    play = fleet.play
    judged = play.devices * (play.windows - play.judged_from)
    under_attack = sum(attack.last - attack.first for attack in fleet.attacks)
    silent = under_attack - sum(is_true for _, is_true in scored)  # windows of attacks in which nothing came
    everything = [*scored, *[(0.0, True)] * silent]
    return Quality(
        attacks=len(fleet.attacks),
        recall=len(delays) / len(fleet.attacks),
        false_per_1000_days=false_per_thousand_days(false, judged / WINDOWS_A_DAY),
        precision=average_precision(everything),
        recall_at_rate=recall_at_rate(everything, negatives=judged - under_attack, rate=0.001),
        delay=statistics.median(delays.values()) if delays else None,
        missed=tuple(sorted({attack.kind for attack in fleet.attacks if attack not in delays})),
    )
