# SPDX-License-Identifier: Apache-2.0
"""The state machine of a rule and a device as two tables, and the words of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from armillary.twin.rule.rule import Value
from armillary.twin.rule.state import ACTIVE, CLEAR, PENDING


class Outcome(StrEnum):
    """What an evaluation came to."""

    FIRED = "fired"
    CLEARED = "cleared"
    ACTIVE = "still met"
    UNCLEARED = "not cleared yet"
    WAITING = "waiting"
    COOLING = "cooling down"
    NOT_MET = "not met"
    UNKNOWN = "unknown"
    GATHERED = "gathered"
    IGNORED = "ignored"


class Cause(StrEnum):
    """What led to an evaluation."""

    MESSAGE = "message"
    PROPERTY = "property"
    CLOCK = "clock"
    WINDOW = "window"


class Signal(StrEnum):
    """What the conditions and times say, for the tables."""

    MET = "met"  # for long enough, and no cool-down is running
    HOT = "hot"  # for long enough, in the cool-down
    SHORT = "short"  # not for long enough
    BETWEEN = "between"  # not met, and not beyond the clear threshold
    OVER = "over"  # not met
    UNKNOWN = "unknown"  # a value is missing or of another kind


TRANSITIONS: Final[Mapping[tuple[str, Signal], tuple[str, Outcome]]] = {
    (CLEAR, Signal.MET): (ACTIVE, Outcome.FIRED),
    (CLEAR, Signal.HOT): (PENDING, Outcome.COOLING),
    (CLEAR, Signal.SHORT): (PENDING, Outcome.WAITING),
    (CLEAR, Signal.BETWEEN): (CLEAR, Outcome.NOT_MET),
    (CLEAR, Signal.OVER): (CLEAR, Outcome.NOT_MET),
    (CLEAR, Signal.UNKNOWN): (CLEAR, Outcome.UNKNOWN),
    (PENDING, Signal.MET): (ACTIVE, Outcome.FIRED),
    (PENDING, Signal.HOT): (PENDING, Outcome.COOLING),
    (PENDING, Signal.SHORT): (PENDING, Outcome.WAITING),
    (PENDING, Signal.BETWEEN): (CLEAR, Outcome.NOT_MET),
    (PENDING, Signal.OVER): (CLEAR, Outcome.NOT_MET),
    (PENDING, Signal.UNKNOWN): (CLEAR, Outcome.UNKNOWN),
    (ACTIVE, Signal.MET): (ACTIVE, Outcome.ACTIVE),
    (ACTIVE, Signal.HOT): (ACTIVE, Outcome.ACTIVE),
    (ACTIVE, Signal.SHORT): (ACTIVE, Outcome.ACTIVE),
    (ACTIVE, Signal.BETWEEN): (ACTIVE, Outcome.UNCLEARED),
    (ACTIVE, Signal.OVER): (CLEAR, Outcome.CLEARED),
    (ACTIVE, Signal.UNKNOWN): (ACTIVE, Outcome.UNKNOWN),
}
# A rule that repeats, when something came (and not just time went by).
REPEATS: Final[Mapping[tuple[str, Signal], tuple[str, Outcome]]] = {
    **TRANSITIONS,
    (ACTIVE, Signal.MET): (ACTIVE, Outcome.FIRED),
    (ACTIVE, Signal.HOT): (ACTIVE, Outcome.COOLING),
}


class Event(NamedTuple):
    """A message, or a change of properties.

    Attributes:
        at_ms: Time of measurement.
        values: Name -> value; None when only properties changed.
        is_stated: Whether the device said the time of measurement; else it is that of arrival, and two messages that
            say the same at the same time are two.
    """

    at_ms: int
    values: Mapping[str, Value] | None
    is_stated: bool = False


class Input(NamedTuple):
    """One condition in one evaluation: its value, what it was compared with, and the answers."""

    left: Value | None
    right: Value | tuple[Value, ...] | None
    clear: Value | tuple[Value, ...] | None
    met: bool | None


class Entry(NamedTuple):
    """One evaluation, for the trace; ``trace.py`` puts it into words.

    Attributes:
        now_ms: When it was due or its message arrived.
        at_ms: Time of measurement it is about; the end of a window for one that closed.
        cause: What led to it.
        outcome: What it came to.
        inputs: One per condition; empty when nothing was compared.
        notes: What became of points that were not used as they came.
        until_ms: When a hold or cool-down ends, or a window closes; 0 where there is none.
    """

    now_ms: int
    at_ms: int
    cause: Cause
    outcome: Outcome
    inputs: tuple[Input, ...] = ()
    notes: tuple[str, ...] = ()
    until_ms: int = 0
