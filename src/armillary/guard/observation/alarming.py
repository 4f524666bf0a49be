# SPDX-License-Identifier: Apache-2.0
"""Alarms: a value beyond its limit for a time, until it is back at another one.

========  ========  ========
state     reading   next
========  ========  ========
QUIET     BEYOND    PENDING   or RAISED at once where nothing has to be held
PENDING   HELD      RAISED    beyond the limit for ``hold_s``, by every reading
PENDING   BETWEEN   QUIET
PENDING   BACK      QUIET
PENDING   UNKNOWN   QUIET     what was not read did not hold
RAISED    BACK      QUIET     the only way out: neither silence nor a doubtful value ends an alarm
========  ========  ========

Every other pair leaves the state as it is. A reading outside of its plausible range may raise an alarm, as a burning
cable may be hotter than anybody thought, but not end one.

Source: ``docs/reference/equipment-profile.md`` (alarms).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from armillary.wire.equipment.profile import AlarmRule, Profile
from armillary.wire.equipment.reading import Quality, Reading


class AlarmState(Enum):
    """Of one alarm of one point."""

    QUIET = "quiet"
    PENDING = "pending"  # Beyond the limit, not yet for long enough
    RAISED = "raised"


class Sight(Enum):
    """What a reading says about a limit."""

    BEYOND = "beyond"
    HELD = "held"  # Beyond, and for ``hold_s`` by now
    BETWEEN = "between"  # Neither beyond the limit nor back
    BACK = "back"
    UNKNOWN = "unknown"


# What is not here stays as it is.
TRANSITIONS: Final[Mapping[tuple[AlarmState, Sight], AlarmState]] = {
    (AlarmState.QUIET, Sight.BEYOND): AlarmState.PENDING,
    (AlarmState.QUIET, Sight.HELD): AlarmState.RAISED,
    (AlarmState.PENDING, Sight.HELD): AlarmState.RAISED,
    (AlarmState.PENDING, Sight.BETWEEN): AlarmState.QUIET,
    (AlarmState.PENDING, Sight.BACK): AlarmState.QUIET,
    (AlarmState.PENDING, Sight.UNKNOWN): AlarmState.QUIET,
    (AlarmState.RAISED, Sight.BACK): AlarmState.QUIET,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmChange:
    """An alarm was raised or cleared."""

    name: str
    raised: bool  # False: cleared
    point: str
    value: float
    limit: float
    position: float | None  # Of the element, where the point is one of an array
    severity: str
    at: float  # Unix seconds of the reading

    def body(self) -> dict[str, object]:
        """The message about it."""
        alarm: dict[str, object] = {
            "name": self.name,
            "state": "raised" if self.raised else "cleared",
            "point": self.point,
            "value": self.value,
            "limit": self.limit,
            "severity": self.severity,
        }
        if self.position is not None:
            alarm["position"] = self.position
        return {"alarm": alarm}


@dataclass(slots=True)
class _Watched:
    rule: AlarmRule
    point: str
    position: float | None
    state: AlarmState = AlarmState.QUIET
    since: float | None = None  # Monotonic seconds of the first of these readings beyond the limit
    last: AlarmChange | None = None  # Of an alarm that stands: raised, by the last reading with a value


class Alarms:
    """All alarms of one piece of equipment. ``raised``: those that stood when the process last stopped."""

    def __init__(self, profile: Profile, raised: Collection[tuple[str, str]] = ()) -> None:
        self._watched: dict[str, list[_Watched]] = {}
        for rule in profile.alarms:
            for point, position in alarm_points(profile, rule.point):
                state = AlarmState.RAISED if (rule.name, point) in raised else AlarmState.QUIET
                self._watched.setdefault(point, []).append(_Watched(rule, point, position, state))

    @property
    def raised(self) -> frozenset[tuple[str, str]]:
        """Name and point of the alarms that stand."""
        return frozenset(
            (each.rule.name, each.point)
            for watched in self._watched.values()
            for each in watched
            if each.state is AlarmState.RAISED
        )

    @property
    def standing(self) -> list[AlarmChange]:
        """The alarms that stand, each as raised by its last value; without those not read since the start."""
        return [each.last for watched in self._watched.values() for each in watched if each.last is not None]

    def take(self, readings: Iterable[Reading], now: float) -> list[AlarmChange]:
        """Return the alarms that these readings raise or clear at this moment (monotonic seconds)."""
        changes = []
        for reading in readings:
            for watched in self._watched.get(reading.point, ()):
                change = _looked_at(watched, reading, now)
                if change is not None:
                    changes.append(change)
        return changes


def alarm_points(profile: Profile, place: str) -> Iterator[tuple[str, float | None]]:
    """The points that an alarm is about, with their positions: one, or a member of every element of an array."""
    array_name, _, member = place.partition(".")
    for array in profile.arrays if member else ():
        if array.name == array_name:
            for index in range(array.count):
                position = round(array.position_start + index * array.position_pitch, 6)
                yield f"{array_name}{index}_{member}", position
    if not member:
        yield place, _position_of(profile, place)


def _position_of(profile: Profile, point: str) -> float | None:
    """Where a single point is, if it is an element of an array."""
    for array in profile.arrays:
        for member in array.members:
            for index in range(array.count):
                if point == f"{array.name}{index}_{member.name}":
                    return round(array.position_start + index * array.position_pitch, 6)
    return None


def _looked_at(watched: _Watched, reading: Reading, now: float) -> AlarmChange | None:
    sight = _sight(watched.rule, reading)
    if watched.state is AlarmState.QUIET and sight is not Sight.BEYOND:  # Nearly all
        watched.since = None
        return None
    if sight is Sight.BEYOND:
        watched.since = now if watched.since is None else watched.since
        if now - watched.since >= watched.rule.hold_s:
            sight = Sight.HELD
    else:
        watched.since = None
    before = watched.state
    watched.state = TRANSITIONS.get((before, sight), before)
    is_raised = watched.state is AlarmState.RAISED
    is_changed = is_raised is not (before is AlarmState.RAISED)
    if not (is_raised or is_changed) or not isinstance(reading.value, (int, float)):
        return None
    found = AlarmChange(
        name=watched.rule.name,
        raised=is_raised,
        point=watched.point,
        value=reading.value,
        limit=watched.rule.limit,
        position=watched.position,
        severity=watched.rule.severity,
        at=reading.at,
    )
    watched.last = found if is_raised else None
    return found if is_changed else None


def _sight(rule: AlarmRule, reading: Reading) -> Sight:
    value = reading.value
    if reading.quality not in (Quality.GOOD, Quality.RANGE) or isinstance(value, str) or value is None:
        return Sight.UNKNOWN
    if value > rule.limit if rule.above else value < rule.limit:
        return Sight.BEYOND
    if reading.quality is Quality.RANGE:
        return Sight.UNKNOWN
    return Sight.BACK if (value <= rule.clear if rule.above else value >= rule.clear) else Sight.BETWEEN
