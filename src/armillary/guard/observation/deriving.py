# SPDX-License-Identifier: Apache-2.0
"""Values made of other points by the fixed operators of a profile, and the growth of counters.

A counter only grows; where it falls, it wrapped at its raw maximum or began anew. It wrapped if that makes a step of
less than half its range; else the equipment restarted, and what it counts since is the growth.

What cannot be said has no value: a ratio to nothing, a time until a limit that is not being approached.

Source: ``docs/reference/equipment-profile.md`` (derived).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from armillary.wire.equipment.profile import RAW_KINDS, Derived, Operator, Point, Profile
from armillary.wire.equipment.reading import Quality, Reading

# Of one window: a sample is kept each 1/240 of it (a day: each 6 minutes), which bounds memory and the error of its
# start.
SAMPLES: Final = 240
FAR_DIGITS: Final = 9  # Of a result: more are noise of binary fractions
# A level that moves away from its limit once was filled up; one that does so twice in a row has passed it.
AWAY_TWICE: Final = 2
WINDOWED: Final = frozenset((Operator.RATIO, Operator.RATE, Operator.REMAINING))


def growth(before: float, after: float, span: float) -> float:
    """Return by how much a counter grew whose values have this span (its raw maximum and one, scaled)."""
    if after >= before:
        return after - before
    wrapped = after - before + span
    return wrapped if wrapped < span / 2 else after


def counter_span(point: Point) -> float:
    """The span of a counter's values: after that many it is 0 again."""
    return (RAW_KINDS[point.raw].maximum + 1) * abs(point.scale)


@dataclass(slots=True)
class _Track:
    """One input in the window: what it was, and for a counter how much it grew since the first reading."""

    span: float | None  # Of a counter
    window_s: float
    value: float | None = None
    grown: float = 0.0
    samples: deque[tuple[float, float]] = field(default_factory=deque)  # (monotonic seconds, grown or value)

    def add(self, value: float, now: float) -> None:
        if self.span is not None:
            self.grown += 0.0 if self.value is None else growth(self.value, value, self.span)
        self.value = value
        if not self.samples or now - self.samples[-1][0] >= self.window_s / SAMPLES:
            self.samples.append((now, self.grown if self.span is not None else value))

    def moved(self, now: float) -> tuple[float, float]:
        """Growth in the window, and the seconds that it took."""
        samples = self.samples
        # The last of the samples before the window's start stays: it is where the window begins
        while len(samples) > 1 and samples[1][0] <= now - self.window_s:
            samples.popleft()
        if not samples or self.value is None:
            return 0.0, 0.0
        at, kept = samples[0]
        return (self.grown if self.span is not None else self.value) - kept, now - at


class Deriver:
    """Works out all derived values of one piece of equipment."""

    def __init__(self, profile: Profile) -> None:
        points = {point.name: point for point in profile.all_points}
        self._values = [_Value(derived, points) for derived in profile.derived]

    def take(self, readings: Iterable[Reading], now: float) -> list[Reading]:
        """Return the derived values that these readings of one moment (monotonic seconds) change or confirm."""
        fresh = {reading.point: reading for reading in readings}
        return [
            value.reading(max(fresh[name].at for name in value.derived.inputs if name in fresh), now)
            for value in self._values
            if value.take(fresh, now)
        ]


class _Value:
    """One derived value, its inputs and what is needed of their past."""

    def __init__(self, derived: Derived, points: Mapping[str, Point]) -> None:
        self.derived = derived
        counters = {name: points[name] for name in derived.inputs if name in points and points[name].counter}
        self._tracks = {
            name: _Track(counter_span(counters[name]) if name in counters else None, derived.window_s)
            for name in derived.inputs
        }
        self._good: dict[str, bool] = dict.fromkeys(derived.inputs, False)
        self._approach = _Approach(derived.limit)
        self._last: float | None = None

    def take(self, fresh: Mapping[str, Reading], now: float) -> bool:
        """Take the inputs among these readings; False where there are none."""
        taken = False
        for name, track in self._tracks.items():
            reading = fresh.get(name)
            if reading is None:
                continue
            taken = True
            value = reading.value
            is_good = reading.quality is Quality.GOOD and isinstance(value, (int, float))
            self._good[name] = is_good
            if is_good and isinstance(value, (int, float)):
                if self.derived.operator is Operator.REMAINING and self._approach.is_new_course(track.value, value):
                    track.samples.clear()
                track.add(float(value), now)
                track.moved(now)  # Forgets what is older than the window
        return taken

    def reading(self, at: float, now: float) -> Reading:
        """The value as of now: stale while an input is, bad where nothing can be said."""
        if not all(self._good.values()):
            quality = Quality.BAD if self._last is None else Quality.STALE
            return Reading(self.derived.name, self._last, quality, at)
        worked_out = self._worked_out(now)
        self._last = None if worked_out is None else round(worked_out, FAR_DIGITS)
        return Reading(self.derived.name, self._last, Quality.BAD if self._last is None else Quality.GOOD, at)

    def _worked_out(self, now: float) -> float | None:
        tracks = [self._tracks[name] for name in self.derived.inputs]
        if self.derived.operator in WINDOWED:
            return self._over_time(tracks, now)
        values = [track.value for track in tracks if track.value is not None]
        match self.derived.operator:
            case Operator.DIFFERENCE:
                return values[0] - values[1]
            case Operator.SUM:
                return sum(values)
            case _:
                return sum(values) / len(values)

    def _over_time(self, tracks: list[_Track], now: float) -> float | None:
        moved, seconds = tracks[0].moved(now)
        match self.derived.operator:
            case Operator.RATIO:
                by = tracks[1].moved(now)[0]
                return moved / by if by > 0 else None
            case Operator.RATE:
                return moved / seconds if seconds > 0 else None
            case _:
                value = tracks[0].value
                return None if value is None else self._approach.remaining(value, moved, seconds)


@dataclass(slots=True)
class _Approach:
    """On which side of its limit a value is, and whether it comes nearer."""

    limit: float
    is_past: bool = False
    from_below: bool | None = None  # None: nothing but the limit itself was seen
    away: int = 0  # Moves away from the limit in a row

    def is_new_course(self, before: float | None, value: float) -> bool:
        """Take a new value; True where what was before says nothing of what comes: it was filled up, or passed."""
        if self.from_below is None and value != self.limit:
            self.from_below = value < self.limit
        if before is None or value == before or self.from_below is None:
            return False
        rises = value > before
        was_past, self.is_past = self.is_past, value >= self.limit if self.from_below else value <= self.limit
        if rises is self.from_below:
            self.away = 0
            return False
        if was_past:  # Away from a limit that it had passed: back where it came from
            return True
        self.away += 1
        if self.away == AWAY_TWICE:
            self.from_below, self.is_past, self.away = rises, True, 0
        return True

    def remaining(self, value: float, moved: float, seconds: float) -> float | None:
        """Seconds until the limit: 0 where it is reached, None where it is not being approached."""
        if self.is_past or value == self.limit:
            return 0.0
        rate = moved / seconds if seconds > 0 else 0.0
        left = self.limit - value
        return left / rate if rate and (rate > 0) is (left > 0) else None
