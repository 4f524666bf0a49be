# SPDX-License-Identifier: Apache-2.0
"""Functions of a stretch of time: what a series did in the window before a step.

A window is open at its beginning and closed at its end, as Prometheus' are since version 3. Of rolled-up samples it has
the stretches that end in it: sums, means, counts and extremes are theirs; rates and changes see the last value of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from armillary.promql.samples import Samples

# A gap at the end of a window that is longer than this share of the usual distance is not filled by extrapolation.
USUAL_GAP: Final = 1.1


@dataclass(frozen=True, slots=True)
class Window:
    """Samples ``first`` to before ``end`` of a series (at least one), and the times the window spans."""

    samples: Samples
    first: int
    end: int
    start_ms: int
    end_ms: int


def _total(window: Window) -> float:
    if window.samples.stretches:
        return sum(each.total for each in window.samples.stretches[window.first : window.end])
    return sum(window.samples.values[window.first : window.end])


def _count(window: Window) -> float:
    if window.samples.stretches:
        return float(sum(each.points for each in window.samples.stretches[window.first : window.end]))
    return float(window.end - window.first)


def _low(window: Window) -> float:
    if window.samples.stretches:
        return min(each.low for each in window.samples.stretches[window.first : window.end])
    return min(window.samples.values[window.first : window.end])


def _high(window: Window) -> float:
    if window.samples.stretches:
        return max(each.high for each in window.samples.stretches[window.first : window.end])
    return max(window.samples.values[window.first : window.end])


def _mean(window: Window) -> float:
    return _total(window) / _count(window)


def _last(window: Window) -> float:
    return window.samples.values[window.end - 1]


def _present(_window: Window) -> float:
    return 1.0


def _changes(window: Window) -> float:
    values = window.samples.values[window.first : window.end]
    return float(sum(one != two for one, two in pairwise(values)))


def _resets(window: Window) -> float:
    return float(sum(two < one for one, two in pairwise(window.samples.values[window.first : window.end])))


def _delta(window: Window) -> float | None:
    return _extrapolated(window, is_counter=False)


def _increase(window: Window) -> float | None:
    return _extrapolated(window, is_counter=True)


def _rate(window: Window) -> float | None:
    found = _extrapolated(window, is_counter=True)
    return None if found is None else found / ((window.end_ms - window.start_ms) / 1000)


def _extrapolated(window: Window, *, is_counter: bool) -> float | None:
    """The change over the whole window, from the samples in it; None of fewer than two.

    What is between the window's ends and its samples changes as the samples do, but no further than half their usual
    distance where the series seems to begin or end there; and a counter does not come from below zero.
    """
    times, values = window.samples.times, window.samples.values
    first, last = window.first, window.end - 1
    sampled = times[last] - times[first]
    if last <= first or not sampled:
        return None
    change = values[last] - values[first]
    if is_counter:  # it began again at zero
        change += sum(one for one, two in pairwise(values[first : window.end]) if two < one)
    usual = sampled / (last - first)
    before: float = times[first] - window.start_ms
    after: float = window.end_ms - times[last]
    before = usual / 2 if before >= usual * USUAL_GAP else before
    after = usual / 2 if after >= usual * USUAL_GAP else after
    if is_counter and change > 0 and values[first] >= 0:
        before = min(before, sampled * (values[first] / change))
    return change * ((sampled + before + after) / sampled)


def _deviation(window: Window) -> float:
    values = window.samples.values[window.first : window.end]
    mean = sum(values) / len(values)
    return math.sqrt(sum((each - mean) ** 2 for each in values) / len(values))


FUNCTIONS: Final[Mapping[str, Callable[[Window], float | None]]] = {
    "rate": _rate,
    "increase": _increase,
    "delta": _delta,
    "changes": _changes,
    "resets": _resets,
    "avg_over_time": _mean,
    "min_over_time": _low,
    "max_over_time": _high,
    "sum_over_time": _total,
    "count_over_time": _count,
    "last_over_time": _last,
    "present_over_time": _present,
    "stddev_over_time": _deviation,
}
# Functions whose result is still a value of the metric.
KEEPS_NAME: Final = frozenset(("last_over_time",))
# Functions that need every sample: a roll-up does not keep what they ask for.
NEEDS_EVERY: Final = frozenset(("changes", "resets", "stddev_over_time"))
