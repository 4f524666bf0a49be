# SPDX-License-Identifier: Apache-2.0
"""Reads the samples of a query from the hub's series, as the caller sees them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from armillary.api.prometheus.found import Found
from armillary.engines.series.fleet_reads import FleetReads
from armillary.engines.series.values.sampling import Sampled
from armillary.errors import InvalidArgumentError
from armillary.promql.expression import Selector
from armillary.promql.samples import Samples, Stretch

# Series that one query computes with: a panel with more is not read by anybody.
MAX_SELECTED: Final = 2_000
# Samples of one query in memory, some 100 MB; Prometheus' own limit is 50 million.
MAX_SAMPLES: Final = 2_000_000
# A series with at most so many points in the range is read as it was sent, whatever the step.
FEW_POINTS: Final = 5_000


@dataclass(eq=False)
class HubSource:
    """The samples that one request sees; ``find`` returns the series that selectors choose."""

    _fleet: FleetReads
    _find: Callable[[Sequence[Selector]], Sequence[Found]]
    _samples: int = field(default=0, init=False)

    def select(self, selector: Selector, start_ms: int, end_ms: int, grain_ms: int) -> Sequence[Samples]:
        """As :class:`armillary.promql.evaluation.Source` says.

        Raises:
            InvalidArgumentError: more series or samples than one query may look at.
        """
        series = self._find((selector,))
        if len(series) > MAX_SELECTED:
            raise _too_much("series", MAX_SELECTED)
        first, end = max(0, start_ms + 1), end_ms + 1
        if first >= end:
            return ()
        by_key = {each.key: each for each in series}
        read = self._fleet.samples(list(by_key), first, end, grain_ms, FEW_POINTS)
        found = []
        for key, sampled in read:
            self._samples += sampled.count
            if self._samples > MAX_SAMPLES:
                raise _too_much("samples", MAX_SAMPLES)
            if sampled.count:
                found.append(_samples(by_key[key], sampled, end_ms))
        return found


def _samples(series: Found, sampled: Sampled, end_ms: int) -> Samples:
    """Samples of a series, without those from before the caller's time; a stretch that goes on at the end is cut."""
    if not sampled.width_ms:
        times, values = array("q"), array("d")
        for part in sampled.points:
            own = [index for index, at in enumerate(part.times) if at >= series.since_ms] if series.since_ms else None
            times.extend(part.times if own is None else [part.times[index] for index in own])
            values.extend(part.values if own is None else [part.values[index] for index in own])  # type: ignore[arg-type, misc]
        return Samples(series.labels, times, values)
    own_parts = [each for each in sampled.rollups if each.start_ms >= series.since_ms]
    return Samples(
        series.labels,
        [min(each.start_ms + sampled.width_ms - 1, end_ms) for each in own_parts],
        [each.last for each in own_parts],
        sampled.width_ms,
        [Stretch(each.points, each.low, each.high, each.total) for each in own_parts],
    )


def _too_much(what: str, most: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"query: expected at most {most:,} {what}, got more",
        remedy="Choose fewer series in the selector, or ask for a shorter time or a longer step.",
    )
