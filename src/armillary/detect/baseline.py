# SPDX-License-Identifier: Apache-2.0
"""What is unusual for a device: counts of events by window, against the device's own past and that of its cohort.

A *cohort* is the devices of one group that run the same: a device that gets other firmware is in another cohort, and
its own past counts no longer. For each metric exponentially weighted moments of the counts are kept, of the cohort (the
mean over its devices) and of each device that ever had an event. What is expected of a device is its own past and the
cohort's together, the cohort weighing as :data:`PRIOR_WINDOWS` windows: a new device is judged at once.

How far a count is above what is expected, in standard deviations, is added up by metric (a one-sided CUSUM, E. Page,
1954): each window :data:`DRIFT` goes off, and what is left is never below 0. The variance is never taken below the mean
(counts vary at least as a Poisson process does) nor below :data:`LEAST_VARIANCE`. A device is *unusual* when a sum
reaches :data:`LIMIT`; one window adds at most :data:`LEAP`, so that it takes two windows at least, and a little in each
of many windows is noticed as well. It is said once, until the sum is down again. What is far above is learned from only
up to :data:`LEARNED` deviations, so that an attack becomes neither the device's custom quickly, nor its cohort's.

Windows without events cost nothing: they are made up for when a device next has one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final

# What is counted of devices.
METRICS: Final = ("crashes", "blocked connections", "refusals", "restarts")
# Of a day of windows of five minutes one in 288 is a new one: the past of about a day counts.
WEIGHT: Final = 2 / 289
PRIOR_WINDOWS: Final = 288
# Chosen on four played fleets (sim/attacks, seeds 1 to 4) for at most one false incident in 1,000 device-days; what
# they come to on others is tested. All in deviations.
DRIFT: Final = 3.0
LIMIT: Final = 20.0
LEAP: Final = 11.0
LEARNED: Final = 3.0
LEAST_VARIANCE: Final = 0.1
# Devices whose past is kept, about 500 bytes each; beyond, the one whose last event is longest ago is forgotten.
MAX_DEVICES: Final = 100_000


@dataclass(slots=True)
class Past:
    """Moments of the counts of one device or cohort, as of a window."""

    window: int
    cohort: Hashable
    means: list[float]
    squares: list[float]
    sums: list[float]  # of a device: by how much it was above what was expected
    seen: int = 0  # windows since the past begins
    said: bool = False  # that the device is unusual; until every sum is down again


@dataclass(frozen=True, slots=True)
class Unusual:
    """A metric of a device in a window: what was counted and expected, and what its sum has come to."""

    device: Hashable
    metric: str
    window: int
    count: float
    expected: float
    score: float


@dataclass(slots=True)
class _Total:
    """What the devices of a cohort had in the present window."""

    sums: list[float]
    squares: list[float]


@dataclass(slots=True)
class Baseline:
    """The pasts of all devices and cohorts, for some metrics. Windows are numbered; they come in order."""

    metrics: tuple[str, ...]
    most: int = MAX_DEVICES
    devices: dict[Hashable, Past] = field(default_factory=dict)
    cohorts: dict[Hashable, Past] = field(default_factory=dict)
    _totals: dict[Hashable, _Total] = field(default_factory=dict)

    def observe(self, window: int, device: Hashable, cohort: Hashable, counts: tuple[float, ...]) -> Unusual | None:
        """Take the counts of a device in a window; the metric that makes the device unusual, if one does."""
        if not any(counts):
            return None
        found, _ = self.judge(window, device, cohort, counts)
        return found

    def judge(
        self, window: int, device: Hashable, cohort: Hashable, counts: tuple[float, ...]
    ) -> tuple[Unusual | None, float]:
        """As :meth:`observe`, with the greatest sum whether or not the device is unusual."""
        past = self._past(window, device, cohort)
        prior = self.cohorts.get(cohort)
        # So much of its own past is there: the moments begin at 0, as if there had been nothing before.
        own = min(past.seen, 2 / WEIGHT)
        known, weight = 1 - (1 - WEIGHT) ** own, PRIOR_WINDOWS / (PRIOR_WINDOWS + own)
        means, squares, sums = past.means, past.squares, past.sums
        total = self._total(cohort)
        worst = Unusual(device, "", window, 0, 0.0, 0.0)
        for index, count in enumerate(counts):
            if not count:  # as in a window without any event
                means[index] *= 1 - WEIGHT
                squares[index] *= 1 - WEIGHT
                sums[index] = score = max(0.0, sums[index] - DRIFT)
                if score > worst.score:
                    worst = Unusual(device, self.metrics[index], window, 0, 0.0, score)
                continue
            mean, square = means[index] / known, squares[index] / known
            if prior is not None:
                mean += weight * (prior.means[index] - mean)
                square += weight * (prior.squares[index] - square)
            deviation = math.sqrt(max(square - mean * mean, mean, LEAST_VARIANCE))
            sums[index] = score = max(0.0, sums[index] + min(LEAP, (count - mean) / deviation - DRIFT))
            if score > worst.score:
                worst = Unusual(device, self.metrics[index], window, count, mean, score)
            learned = min(float(count), mean + LEARNED * deviation)
            total.sums[index] += learned
            total.squares[index] += learned * learned
            means[index] += WEIGHT * (learned - means[index])
            squares[index] += WEIGHT * (learned * learned - squares[index])
        if worst.score < LIMIT or past.said:
            past.said = past.said and worst.score > 0
            return None, worst.score
        past.said = True
        return worst, worst.score

    def close(self, window: int, devices: Mapping[str, int]) -> None:
        """End a window: ``devices`` says how many each cohort has, whether or not they had events."""
        for cohort, count in devices.items():
            total = self._totals.get(cohort)
            past = self.cohorts.get(cohort)
            if past is None:
                past = self.cohorts[cohort] = self._empty(window, cohort)
            past.seen += 1
            weight = max(WEIGHT, 1 / past.seen)
            for index in range(len(self.metrics)):
                mean = total.sums[index] / count if total is not None and count else 0.0
                square = total.squares[index] / count if total is not None and count else 0.0
                past.means[index] += weight * (mean - past.means[index])
                past.squares[index] += weight * (square - past.squares[index])
        self._totals.clear()
        for gone in self.cohorts.keys() - devices.keys():
            del self.cohorts[gone]

    def _past(self, window: int, device: Hashable, cohort: Hashable) -> Past:
        """The past of a device with the windows since its last event, in which it had none."""
        past = self.devices.pop(device, None)
        if past is None or past.cohort != cohort or window < past.window:
            past = self._empty(window, cohort)
        passed = window - past.window
        if passed > 1:
            left = (1 - WEIGHT) ** (passed - 1)
            past.means = [mean * left for mean in past.means]
            past.squares = [square * left for square in past.squares]
            past.sums = [max(0.0, one - DRIFT * (passed - 1)) for one in past.sums]
            past.said = past.said and any(past.sums)
        past.window, past.seen = window, past.seen + max(1, passed)
        self.devices[device] = past  # at the end: the order of the memory is that of the last event
        if len(self.devices) > self.most:
            del self.devices[next(iter(self.devices))]
        return past

    def _empty(self, window: int, cohort: Hashable) -> Past:
        zeros = [0.0] * len(self.metrics)
        return Past(window, cohort, zeros, zeros.copy(), zeros.copy())

    def _total(self, cohort: Hashable) -> _Total:
        total = self._totals.get(cohort)
        if total is None:
            zeros = [0.0] * len(self.metrics)
            total = self._totals[cohort] = _Total(zeros, zeros.copy())
        return total
