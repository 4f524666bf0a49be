# SPDX-License-Identifier: Apache-2.0
"""Events: spans between two conditions, each sent as one message with what was captured at its end.

======  =========  ======
state   reading    next
======  =========  ======
IDLE    START      OPEN
OPEN    END        IDLE    the event is over and sent
OPEN    UNKNOWN    TORN    the equipment was not heard in between
TORN    START      OPEN    another one may have begun: the first is given up
TORN    END        IDLE    sent without its duration, which nobody knows
======  =========  ======

Every other pair leaves the state as it is.

Source: ``docs/reference/equipment-profile.md`` (events).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from armillary.wire.equipment.profile import Condition, EventRule
from armillary.wire.equipment.reading import Quality, Reading, Value


class EventState(Enum):
    """Of one event rule."""

    IDLE = "idle"
    OPEN = "open"
    TORN = "torn"  # Open, and not watched all the time


class Mark(Enum):
    """What readings say about an event's conditions."""

    START = "start"
    END = "end"
    OTHER = "other"  # Neither condition holds
    UNKNOWN = "unknown"  # The equipment was not heard


# What is not here stays as it is.
TRANSITIONS: Final[Mapping[tuple[EventState, Mark], EventState]] = {
    (EventState.IDLE, Mark.START): EventState.OPEN,
    (EventState.OPEN, Mark.END): EventState.IDLE,
    (EventState.OPEN, Mark.UNKNOWN): EventState.TORN,
    (EventState.TORN, Mark.START): EventState.OPEN,
    (EventState.TORN, Mark.END): EventState.IDLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One span that is over."""

    name: str
    captured: Mapping[str, Value]  # By point, good readings only
    seconds: float | None  # None where the equipment was not heard all the time
    at: float  # Unix seconds of the reading that ended it

    def body(self) -> dict[str, object]:
        """The message about it."""
        lasted = {} if self.seconds is None else {"seconds": self.seconds}
        return {self.name: {**self.captured, **lasted}}


@dataclass(slots=True)
class _Followed:
    rule: EventRule
    state: EventState = EventState.IDLE
    since: float = 0.0  # Monotonic seconds of the start


@dataclass(slots=True)
class Events:
    """Follows all events of one piece of equipment."""

    rules: Iterable[EventRule]
    _followed: list[_Followed] = field(init=False)
    _newest: dict[str, Reading] = field(init=False, default_factory=dict)
    _wanted: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._followed = [_Followed(rule) for rule in self.rules]
        self._wanted = frozenset(
            point
            for each in self._followed
            for point in (each.rule.start.point, each.rule.end.point, *each.rule.capture)
        )

    def take(self, readings: Iterable[Reading], now: float) -> list[Event]:
        """Return the events that these readings of one moment (monotonic seconds) end."""
        fresh = {reading.point: reading for reading in readings if reading.point in self._wanted}
        if not fresh:
            return []
        self._newest.update(fresh)
        ended = []
        for followed in self._followed:
            mark = _mark(followed.rule, fresh)
            before = followed.state
            followed.state = TRANSITIONS.get((before, mark), before)
            if followed.state is EventState.OPEN and mark is Mark.START and before is not EventState.OPEN:
                followed.since = now
            elif followed.state is EventState.IDLE and before is not EventState.IDLE:
                ended.append(self._ended(followed, fresh, None if before is EventState.TORN else now - followed.since))
        return ended

    def _ended(self, followed: _Followed, fresh: Mapping[str, Reading], seconds: float | None) -> Event:
        newest = (self._newest.get(point) for point in followed.rule.capture)
        return Event(
            name=followed.rule.name,
            captured={
                reading.point: reading.value
                for reading in newest
                if reading is not None and reading.quality is Quality.GOOD and reading.value is not None
            },
            seconds=None if seconds is None else round(seconds, 3),
            at=fresh[followed.rule.end.point].at,
        )


def _mark(rule: EventRule, fresh: Mapping[str, Reading]) -> Mark:
    """What the readings of one moment say; a rule whose points are not among them learns nothing."""
    marks = (_holds(rule.start, fresh), _holds(rule.end, fresh))
    if marks[1]:
        return Mark.END
    if marks[0]:
        return Mark.START
    lost = any(
        reading is not None and reading.quality is not Quality.GOOD
        for reading in (fresh.get(rule.start.point), fresh.get(rule.end.point))
    )
    return Mark.UNKNOWN if lost else Mark.OTHER


def _holds(condition: Condition, fresh: Mapping[str, Reading]) -> bool:
    reading = fresh.get(condition.point)
    return (
        reading is not None
        and reading.quality is Quality.GOOD
        and any(reading.value == value and _is_word(reading.value) == _is_word(value) for value in condition.values)
    )


def _is_word(value: Value | None) -> bool:
    """Whether a value is no number: true is not 1."""
    return isinstance(value, (bool, str))
