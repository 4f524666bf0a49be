# SPDX-License-Identifier: Apache-2.0
"""The state machine of a rule for one device, as two tables, and the values of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from armillary.twin.rule.rule import Value
from armillary.twin.rule.state import ACTIVE, CLEAR, PENDING


class RuleOutcome(StrEnum):
    """The result of an evaluation."""

    FIRED = "fired"
    CLEARED = "cleared"
    ACTIVE = "still met"
    UNCLEARED = "not cleared yet"
    WAITING = "waiting"
    COOLING = "cooling down"
    QUIET = "quiet"
    NOT_MET = "not met"
    UNKNOWN = "unknown"
    GATHERED = "gathered"
    IGNORED = "ignored"


class Cause(StrEnum):
    """Why an evaluation took place."""

    MESSAGE = "message"
    PROPERTY = "property"
    CLOCK = "clock"
    WINDOW = "window"


class Signal(StrEnum):
    """Input of the tables: what the conditions and times give."""

    MET = "met"  # for long enough, and neither a quiet time nor a cool-down is running
    HOT = "hot"  # for long enough, in the cool-down
    QUIET = "quiet"  # for long enough, in a quiet time
    SHORT = "short"  # not for long enough
    BETWEEN = "between"  # not met, and not beyond the clear threshold
    OVER = "over"  # not met
    UNKNOWN = "unknown"  # a value is missing or of another kind


TRANSITIONS: Final[Mapping[tuple[str, Signal], tuple[str, RuleOutcome]]] = {
    (CLEAR, Signal.MET): (ACTIVE, RuleOutcome.FIRED),
    (CLEAR, Signal.HOT): (PENDING, RuleOutcome.COOLING),
    (CLEAR, Signal.QUIET): (PENDING, RuleOutcome.QUIET),
    (CLEAR, Signal.SHORT): (PENDING, RuleOutcome.WAITING),
    (CLEAR, Signal.BETWEEN): (CLEAR, RuleOutcome.NOT_MET),
    (CLEAR, Signal.OVER): (CLEAR, RuleOutcome.NOT_MET),
    (CLEAR, Signal.UNKNOWN): (CLEAR, RuleOutcome.UNKNOWN),
    (PENDING, Signal.MET): (ACTIVE, RuleOutcome.FIRED),
    (PENDING, Signal.HOT): (PENDING, RuleOutcome.COOLING),
    (PENDING, Signal.QUIET): (PENDING, RuleOutcome.QUIET),
    (PENDING, Signal.SHORT): (PENDING, RuleOutcome.WAITING),
    (PENDING, Signal.BETWEEN): (CLEAR, RuleOutcome.NOT_MET),
    (PENDING, Signal.OVER): (CLEAR, RuleOutcome.NOT_MET),
    (PENDING, Signal.UNKNOWN): (CLEAR, RuleOutcome.UNKNOWN),
    (ACTIVE, Signal.MET): (ACTIVE, RuleOutcome.ACTIVE),
    (ACTIVE, Signal.HOT): (ACTIVE, RuleOutcome.ACTIVE),
    (ACTIVE, Signal.QUIET): (ACTIVE, RuleOutcome.ACTIVE),
    (ACTIVE, Signal.SHORT): (ACTIVE, RuleOutcome.ACTIVE),
    (ACTIVE, Signal.BETWEEN): (ACTIVE, RuleOutcome.UNCLEARED),
    (ACTIVE, Signal.OVER): (CLEAR, RuleOutcome.CLEARED),
    (ACTIVE, Signal.UNKNOWN): (ACTIVE, RuleOutcome.UNKNOWN),
}
# For a rule with ``repeat``, after a message or a changed property (not when only time has passed).
REPEATS: Final[Mapping[tuple[str, Signal], tuple[str, RuleOutcome]]] = {
    **TRANSITIONS,
    (ACTIVE, Signal.MET): (ACTIVE, RuleOutcome.FIRED),
    (ACTIVE, Signal.HOT): (ACTIVE, RuleOutcome.COOLING),
    (ACTIVE, Signal.QUIET): (ACTIVE, RuleOutcome.QUIET),
}


class Event(NamedTuple):
    """A message, or a change of properties."""

    at_ms: int  # time of measurement
    values: Mapping[str, Value] | None  # name -> value; None when only properties changed
    # The device stated the time; else it is that of arrival, and two messages that say the same at one time are two.
    is_stated: bool = False


class Input(NamedTuple):
    """One condition in one evaluation: its value, what it was compared with, and the answers."""

    left: Value | None
    right: Value | tuple[Value, ...] | None
    clear: Value | tuple[Value, ...] | None
    met: bool | None


class Entry(NamedTuple):
    """One evaluation, for the trace; ``trace.py`` explains it in words."""

    now_ms: int  # when it was due or its message arrived
    at_ms: int  # time of measurement it is about; the end of a window that closed
    cause: Cause
    outcome: RuleOutcome
    inputs: tuple[Input, ...] = ()  # one per condition; empty when nothing was compared
    notes: tuple[str, ...] = ()  # sentences about points that were not used, or not with the time they came with
    until_ms: int = 0  # when a hold, a cool-down or a quiet time ends, or a window closes; 0 where there is none
