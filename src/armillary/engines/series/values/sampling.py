# SPDX-License-Identifier: Apache-2.0
"""Reads a series for who computes with it: its points where they are few, else minutes or hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from armillary.engines.series.values.chunks import HOUR_MS, Points, SeriesKey
from armillary.engines.series.values.hours import Shelf, between
from armillary.engines.series.values.rollups import MINUTE_MS, Rollup


@dataclass(frozen=True, slots=True)
class Sampled:
    """Points, or the roll-ups of stretches of ``width_ms`` that have any; in order of time."""

    width_ms: int  # 0 for points
    points: Sequence[Points] = ()
    rollups: Sequence[Rollup] = ()

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self.points)) + len(self.rollups)


def read_samples(
    shelf: Shelf, key: SeriesKey, tail: Iterable[Points], start_ms: int, end_ms: int, grain_ms: int, most: int
) -> Sampled:
    """A series of numbers with ``start_ms <= time < end_ms``; stretches at the edges are whole.

    Points when they are at most ``most``, or when ``grain_ms`` is less than a minute; of points past their retention
    the minutes, whatever the grain.

    Raises:
        DataFolderError: damaged.
    """
    hours = shelf.hours(key, tail, start_ms, end_ms)
    has_raw = all(hour.raw for hour in hours.values())
    if has_raw and (grain_ms < MINUTE_MS or sum(hour.count for hour in hours.values()) <= most):
        return Sampled(0, [between(shelf.points(key, at, hour), start_ms, end_ms) for at, hour in hours.items()])
    if grain_ms >= HOUR_MS:
        return Sampled(HOUR_MS, rollups=[shelf.whole(key, at, hour) for at, hour in hours.items()])
    minutes = (each for at, hour in hours.items() for each in shelf.minutes(key, at, hour))
    return Sampled(MINUTE_MS, rollups=[each for each in minutes if start_ms - MINUTE_MS < each.start_ms < end_ms])
