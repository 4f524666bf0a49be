# SPDX-License-Identifier: Apache-2.0
"""A rule tried on past data, before it is enabled: the same evaluation, over stored values and a time range.

Different from live evaluation in what is not stored: arrival is taken to be the time of measurement, so nothing is late
and nothing is skewed; properties and cloud properties are as they are now; values of the same time are one message.
Nothing is kept and nothing is done.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from armillary.engines.series.reads import typed
from armillary.engines.series.store import SeriesStore
from armillary.errors import InvalidArgumentError
from armillary.platform.authored.device_facts import FactsReader
from armillary.platform.ports import Directory
from armillary.platform.rules.facts import RuleFacts, groups_of
from armillary.twin.author.group import Needs
from armillary.twin.rule.evaluate import Program, start, step
from armillary.twin.rule.rule import Facts, Rule, Value, sections_of, telemetry_names, unconcerned
from armillary.twin.rule.table import Entry, Event, RuleOutcome
from armillary.twin.rule.trace import explain

# A trial is for looking at: more devices are tried one after the other.
MAX_DEVICES: Final = 100
# Values of one name of one device that are read.
MAX_POINTS: Final = 50_000
# The longest a trial may take (seconds); what it found until then is the answer.
MAX_SECONDS: Final = 20.0
# Firings and evaluations shown of one device.
MAX_FIRINGS: Final = 50
SHOWN_ENTRIES: Final = 20
# Evaluations between two pauses, in which the hub's loop goes on: about a millisecond.
PAUSE_EVERY: Final = 50


@dataclass(slots=True)
class Tried:
    """What a rule would have done for one device."""

    device_id: str  # Which device
    messages: int = 0  # Messages that the rule would have looked at
    evaluations: int = 0  # How often it would have been evaluated
    firings: int = 0  # How often it would have fired; ``fired`` has the first of them in words
    fired: list[dict[str, Any]] = field(default_factory=list)
    last: list[dict[str, Any]] = field(default_factory=list)  # The last evaluations in words, newest first
    unconcerned: str | None = None  # Why the rule does not look at the device; None when it does


@dataclass(frozen=True, slots=True)
class Trial:
    """An answer; ``is_cut`` when there was more to look at than a trial may."""

    devices: Sequence[Tried]
    is_cut: bool


class _OutOfTimeError(Exception):
    """The time limit of a trial is reached."""


@dataclass(eq=False)
class RuleTrial:
    """Tries rules on stored values."""

    _series: SeriesStore
    _directory: Directory
    _reader: FactsReader
    _facts: RuleFacts

    def run(self, catalog: str | None, rule: Rule, device_ids: Sequence[str], start_ms: int, end_ms: int) -> Trial:
        """Try a rule on some devices, or on all that it concerns. Blocks for a while: call it from a thread.

        Windows and silences begin at ``start_ms``; values before ``end_ms`` are read.

        Raises:
            InvalidArgumentError: the range makes no sense, or too many devices.
        """
        if not 0 <= start_ms < end_ms:
            raise InvalidArgumentError(
                f"start_ms, end_ms: expected 0 <= start < end, got {start_ms}, {end_ms}",
                remedy="Correct the time range.",
            )
        if len(device_ids) > MAX_DEVICES:
            raise InvalidArgumentError(
                f"devices: expected at most {MAX_DEVICES}, got {len(device_ids)}", remedy="Try some of them."
            )
        until = time.monotonic() + MAX_SECONDS
        # Values from before a device came to the catalog are its former owner's.
        since = self._directory.second_hand(catalog) if catalog is not None else {}
        found: list[Tried] = []
        for device_id in device_ids or self._candidates(catalog, rule):
            if time.monotonic() > until or len(found) >= MAX_DEVICES:
                return Trial(found, is_cut=True)
            facts, owner = self._facts.read(device_id, sections_of(rule), start_ms, groups_of(rule))
            tried = Tried(device_id, unconcerned=unconcerned(rule.target, facts))
            if catalog is not None and owner.lower() != catalog.lower():
                tried.unconcerned = f"the rule is for the catalog {catalog}"
            if tried.unconcerned is None or device_ids:
                found.append(tried)
            if tried.unconcerned is None:
                try:
                    span = (max(start_ms, since.get(device_id, 0)), end_ms)
                    self._try_device(Program(rule), tried, facts, span, until)
                except _OutOfTimeError:
                    return Trial(found, is_cut=True)
        return Trial(found, is_cut=False)

    def _try_device(self, program: Program, tried: Tried, facts: Facts, span: tuple[int, int], until: float) -> None:
        start_ms, end_ms = span
        rule = program.rule
        state = start(program, start_ms)
        last: deque[Entry] = deque(maxlen=SHOWN_ENTRIES)
        try:
            for at_ms, values in self._messages(program, tried.device_id, start_ms, end_ms):
                tried.messages += 1
                state, entries = step(program, state, Event(at_ms, values), at_ms, facts)
                _note(tried, rule, entries, last)
                if tried.messages % PAUSE_EVERY == 0:
                    time.sleep(0)
                    if time.monotonic() > until:
                        raise _OutOfTimeError
            _, entries = step(program, state, None, end_ms, facts)
            _note(tried, rule, entries, last)
        finally:
            tried.last = [explain(rule, each) for each in reversed(last)]

    def _candidates(self, catalog: str | None, rule: Rule) -> Iterator[str]:
        scan = self._reader.scan(Needs(), catalog=catalog, template=rule.target.template or None)
        return iter(rule.target.devices) if rule.target.devices else (each.device_id for each in scan)

    def _messages(
        self, program: Program, device_id: str, start_ms: int, end_ms: int
    ) -> Iterator[tuple[int, dict[str, Value]]]:
        """Stored values that the rule looks at, of one time together, in order of time."""
        any_message = any(not name for name, _ in program.silences)
        names = None if any_message else set(telemetry_names(program.rule))
        series: list[list[tuple[int, str, Value]]] = []
        for _, name, key in self._series.fleet.series([device_id], names):
            points: list[tuple[int, str, Value]] = []
            for part in self._series.stream(key, start_ms, end_ms):
                values = typed(part.values, key.kind)
                points += [(at_ms, name, value) for at_ms, value in zip(part.times, values, strict=True)]
                if len(points) >= MAX_POINTS:
                    break
            series.append(sorted(points, key=lambda each: each[0]))
        merged = heapq.merge(*series, key=lambda each: each[0])
        for at_ms, group in groupby(merged, key=lambda each: each[0]):
            yield at_ms, {name: value for _, name, value in group}


def _note(tried: Tried, rule: Rule, entries: Sequence[Entry], last: deque[Entry]) -> None:
    tried.evaluations += len(entries)
    last.extend(entries)
    for entry in entries:
        if entry.outcome is RuleOutcome.FIRED:
            tried.firings += 1
            if len(tried.fired) < MAX_FIRINGS:
                tried.fired.append(explain(rule, entry))
