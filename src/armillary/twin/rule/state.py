# SPDX-License-Identifier: Apache-2.0
"""The state of one rule for one device between evaluations, and its stored form.

It is bounded: one newest value per name, at most SLICES + 1 panes of a window, the last RECENT points to recognise a
repeated one. The stored form is a JSON array, so a restart loses no window.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from armillary.errors import InvalidArgumentError
from armillary.twin.rule.rule import Value

# A sliding window is kept as so many slices of equal length: it moves by one slice at a time.
SLICES: Final = 50
# Tumbling windows that may be open at a time; the oldest is closed when a device's times are scattered over more.
MAX_OPEN_WINDOWS: Final = 8
# Last points with a stated time, by which a repeated one is recognised: a client repeats what it had in flight.
RECENT: Final = 32

CLEAR: Final = "clear"
PENDING: Final = "pending"
ACTIVE: Final = "active"
PHASES: Final = (CLEAR, PENDING, ACTIVE)


class Sums(NamedTuple):
    """Count, sum, least and greatest of the points of one condition in one pane."""

    points: int
    total: float
    low: float
    high: float


class Pane(NamedTuple):
    """A tumbling window, or a slice of a sliding one."""

    number: int  # its start divided by its length
    arrived_ms: int  # when its last point arrived
    sums: tuple[Sums | None, ...]  # one entry per condition with an aggregate; None without points


class State(NamedTuple):
    """The state of one rule for one device."""

    phase: str  # one of PHASES
    since_at_ms: int  # time of measurement since which the conditions are met; 0 when they are not
    since_now_ms: int  # the same by arrival
    fired_ms: int  # when it last fired, by arrival; 0 never
    firings: int  # how often it fired
    deadline_ms: int  # when it has to be looked at again without a message; 0 never
    clock_ms: int  # newest time of measurement seen
    newest: tuple[tuple[int, Value] | None, ...]  # by telemetry name of the rule: (time of measurement, value)
    heard: tuple[int, ...]  # by condition with ``silent_s``: when it last heard what it listens for
    edge: int  # sliding: number of the newest slice; tumbling: number of the last closed window; -1 none
    panes: tuple[Pane, ...]  # in order of number
    recent: tuple[tuple[int, int, Value], ...]  # ``(name number, time, value)`` of the last points with a stated time


def to_json(state: State) -> list[Any]:
    """The state as a JSON array; :func:`from_json` reads it."""
    return list(state)


def from_json(document: Any) -> State:
    """Read what :func:`to_json` gave, after a way through JSON; raises InvalidArgumentError if storage is damaged."""
    try:
        phase, *numbers, newest, heard, edge, panes, recent = document
        since_at, since_now, fired, firings, deadline, clock = (int(number) for number in numbers)
        if phase not in PHASES:
            raise ValueError(phase)  # noqa: TRY301 - one way out for everything that is wrong
        return State(
            phase,
            since_at,
            since_now,
            fired,
            firings,
            deadline,
            clock,
            tuple(None if pair is None else (int(pair[0]), pair[1]) for pair in newest),
            tuple(int(each) for each in heard),
            int(edge),
            tuple(
                Pane(int(number), int(arrived), tuple(None if each is None else Sums(*each) for each in sums))
                for number, arrived, sums in panes
            ),
            tuple((int(name), int(at), value) for name, at, value in recent),
        )
    except (ValueError, TypeError) as error:
        raise InvalidArgumentError(
            f"state of a rule: expected a stored state, got something else ({error!s:.80})",
            remedy="Restore the data folder from a backup; the rule begins anew for this device.",
        ) from error
