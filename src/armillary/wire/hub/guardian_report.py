# SPDX-License-Identifier: Apache-2.0
"""What a guardian reports of itself in its twin, section ``guardian``, read for people: links, refusals, queue, clock.

A device wrote it, so nothing of it is believed to have its form: what has another is left out, texts and lists are cut,
and no document makes :func:`read_report` fail. What writes it: ``armillary.guardian.reporting``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

SECTION: Final = "guardian"
# A module's name has at most 64 characters, a device 50 modules; a guardian tells at most 20 attempts of each.
TEXT_LIMIT, EQUIPMENT_LIMIT, ATTEMPT_LIMIT = 64, 50, 20
PROBLEM_LIMIT: Final = 200
# Kinds of counts, rules of the guard and classes of messages: there are some fourteen of the most numerous.
COUNTS_LIMIT: Final = 32
COUNT_LIMIT: Final = 2**53  # whole numbers from here on are other numbers to readers of JSON
MOMENT_LIMIT: Final = 253_402_300_800  # the year 10000: no date of ISO 8601 is as late


@dataclass(frozen=True, slots=True)
class ReportedAttempt:
    """One thing that somebody wanted done to equipment, and what became of it."""

    command: str
    value: float | bool | str | None  # None where the command takes none
    outcome: str  # ``done``, ``refused``, ``differs``, ``failed``
    rule: str  # of the guard, or the reason of the link; empty for done
    by: str
    at: float | None  # Unix seconds by the guardian's clock


@dataclass(frozen=True, slots=True)
class ReportedEquipment:
    """One piece of equipment, as its guardian sees it."""

    name: str
    profile: str = ""
    version: int | None = None
    link: str = "unknown"  # ``up``, ``down``; ``unknown`` for anything else
    problem: str = ""  # why it is not served
    counters: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)  # attempts by the rule of the guard
    attempts: tuple[ReportedAttempt, ...] = ()  # oldest first


@dataclass(frozen=True, slots=True)
class ReportedQueue:
    """What waits on the guardian."""

    messages: int = 0
    bytes: int = 0
    oldest_s: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)  # by class of messages


@dataclass(frozen=True, slots=True)
class GuardianReport:
    """The whole section."""

    boot: str
    clock: str  # ``synced``, ``unsynced``; ``unknown`` for anything else
    queue: ReportedQueue
    equipment: tuple[ReportedEquipment, ...]


def read_report(section: object) -> GuardianReport | None:
    """The section ``guardian`` of a device's reported properties; None where it is no object."""
    if not isinstance(section, Mapping):
        return None
    queue = _object(section.get("queue"))
    return GuardianReport(
        boot=_text(section.get("boot")),
        clock=_word(section.get("clock"), ("synced", "unsynced")),
        queue=ReportedQueue(
            messages=_count(queue.get("messages")) or 0,
            bytes=_count(queue.get("bytes")) or 0,
            oldest_s=_count(queue.get("oldest_s")) or 0,
            dropped=_counts(queue.get("dropped")),
        ),
        equipment=tuple(
            _equipment(_text(name), _object(each))
            for name, each in islice(_object(section.get("equipment")).items(), EQUIPMENT_LIMIT)
        ),
    )


def _equipment(name: str, found: Mapping[Any, Any]) -> ReportedEquipment:
    attempts = found.get("attempts")
    return ReportedEquipment(
        name=name,
        profile=_text(found.get("profile")),
        version=_count(found.get("version")),
        link=_word(found.get("link"), ("up", "down")),
        problem=_text(found.get("problem"), PROBLEM_LIMIT),
        counters=_counts(found.get("counters")),
        refused=_counts(found.get("refused")),
        attempts=tuple(
            _attempt(each)
            for each in (attempts[-ATTEMPT_LIMIT:] if isinstance(attempts, list) else ())
            if isinstance(each, Mapping)
        ),
    )


def _attempt(found: Mapping[Any, Any]) -> ReportedAttempt:
    value, at = found.get("value"), found.get("at")
    return ReportedAttempt(
        command=_text(found.get("command")),
        value=_text(value) if isinstance(value, str) else value if isinstance(value, (bool, int, float)) else None,
        outcome=_text(found.get("outcome")),
        rule=_text(found.get("rule")),
        by=_text(found.get("by")),
        at=float(at) if isinstance(at, (int, float)) and not isinstance(at, bool) and 0 <= at < MOMENT_LIMIT else None,
    )


def _object(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object, limit: int = TEXT_LIMIT) -> str:
    return value[:limit] if isinstance(value, str) else ""


def _word(value: object, known: tuple[str, ...]) -> str:
    return value if isinstance(value, str) and value in known else "unknown"


def _count(value: object) -> int | None:
    """A whole number of at least 0; numbers of twins may have come as floats."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < COUNT_LIMIT:
        return None
    return int(value)


def _counts(value: object) -> Mapping[str, int]:
    counted = ((_text(name), _count(each)) for name, each in islice(_object(value).items(), COUNTS_LIMIT))
    return {name: count for name, count in counted if name and count is not None}
