# SPDX-License-Identifier: Apache-2.0
"""Whether a version is affected, by OSV's evaluation: it is listed, or it is in a range.

A range is compiled to its changes in the order of versions; the state at a version is that after the last change at or
before it. At one version ``introduced`` counts before ``last_affected`` and ``fixed``. An ``introduced`` of ``0`` is
before all. Where a range has limits, versions at or beyond all of them are not in it.

A range that cannot be evaluated (an order that is not known, an event that is no version of it) is *unordered*: then
only listed versions are known to be affected, and for others the answer is open. Ranges of commits (GIT) say nothing of
versions.

Source: OSV schema 1.7, "Evaluation".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from armillary.wire.advisory.osv import Affected, Event, Range

# At one version: what begins there counts first (see above); what ends behind it comes last.
_AT, _BEHIND = 0, 1
_BEFORE_ALL: Final = "0"
_NO_LIMIT: Final = "*"
_SEQUENCE: Final = {"introduced": 0, "fixed": 1, "last_affected": 2, "limit": 3}

# The place of a version in the order of its ecosystem; ValueError if it has none (``version_order.key_of``).
KeyOf = Callable[[str], Any]


class Answer(StrEnum):
    """How a version stands to one entry of an advisory; ``open``: it is not listed and the ranges say nothing."""

    LISTED = "listed"
    IN_RANGE = "in-range"
    NOT_AFFECTED = "not-affected"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class _CompiledRange:
    """The changes in order: places (key, at or behind) and the state after each; the state before all."""

    places: tuple[tuple[Any, int], ...]
    states: tuple[bool, ...]
    first: bool
    limits: tuple[Any, ...]
    fixes: tuple[tuple[Any, str], ...]

    def affects(self, key: Any) -> bool:
        if self.limits and not any(key < limit for limit in self.limits):
            return False
        number = bisect_right(self.places, (key, _AT))
        return self.states[number - 1] if number else self.first

    def fix_after(self, key: Any) -> str:
        """The first version above that is fixed; "" if none is known."""
        return next((text for place, text in self.fixes if key < place), "")


@dataclass(frozen=True, slots=True)
class CompiledAffected:
    """One entry of an advisory, ready to be asked."""

    listed: frozenset[str]
    ranges: tuple[_CompiledRange, ...]
    unordered: bool  # A range of versions could not be compiled

    def answer(self, version: str, key: Any) -> tuple[Answer, str]:
        """How a version stands, and the first fixed version above it ("" if none is known).

        ``key`` is the version's place in the order; None if it has none.
        """
        fix = "" if key is None else next((found for each in self.ranges if (found := each.fix_after(key))), "")
        if version in self.listed:
            return Answer.LISTED, fix
        if key is None:
            return Answer.OPEN if self.ranges or self.unordered else Answer.NOT_AFFECTED, ""
        for each in self.ranges:
            if each.affects(key):
                return Answer.IN_RANGE, each.fix_after(key)
        return Answer.OPEN if self.unordered else Answer.NOT_AFFECTED, ""


def compile_affected(affected: Affected, key_of: KeyOf | None) -> CompiledAffected:
    """An entry of an advisory with its ranges in order; ``key_of`` is None for an ecosystem without one."""
    ranges: list[_CompiledRange] = []
    unordered = False
    for each in affected.ranges:
        if each.kind == "GIT":
            continue
        compiled = None if key_of is None else _compiled(each, key_of)
        if compiled is None:
            unordered = True
        else:
            ranges.append(compiled)
    return CompiledAffected(frozenset(affected.versions), tuple(ranges), unordered)


def _compiled(given: Range, key_of: KeyOf) -> _CompiledRange | None:
    try:
        placed = [(key_of(event.version), event) for event in given.events if not _is_word(event)]
    except ValueError:
        return None
    changes = sorted(
        (
            (key, _BEHIND if event.kind == "last_affected" else _AT, event)
            for key, event in placed
            if event.kind != "limit"
        ),
        key=lambda change: (change[0], change[1], _SEQUENCE[change[2].kind]),
    )
    fixes = [(key, event.version) for key, _, event in changes if event.kind == "fixed"]
    return _CompiledRange(
        places=tuple((key, side) for key, side, _ in changes),
        states=tuple(event.kind == "introduced" for _, _, event in changes),
        first=any(event.kind == "introduced" and event.version == _BEFORE_ALL for event in given.events),
        limits=() if _is_unlimited(given.events) else tuple(key for key, event in placed if event.kind == "limit"),
        fixes=tuple(fixes),
    )


def _is_word(event: Event) -> bool:
    """Not a version: the begin of all, or no limit."""
    return (event.kind == "introduced" and event.version == _BEFORE_ALL) or (
        event.kind == "limit" and event.version == _NO_LIMIT
    )


def _is_unlimited(events: Sequence[Event]) -> bool:
    return any(event.kind == "limit" and event.version == _NO_LIMIT for event in events)
