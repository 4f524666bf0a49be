# SPDX-License-Identifier: Apache-2.0
"""Which rules concern which device: prepared rules, and a plan per device with the states of its rules.

A plan is made when a device is first heard of and made again when rules, or what is known of the device, changed. It
remembers which rules look at which set of names, so that a message that no rule is about costs one dict look-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.engines.documents.document import Document
from armillary.engines.rules.rows import DeviceStates
from armillary.twin.rule import json_form as rule_json
from armillary.twin.rule.evaluate import Program, start
from armillary.twin.rule.fast_path import FastPath, fast_path_of
from armillary.twin.rule.rule import Facts, Rule, sections_of, telemetry_names, unconcerned
from armillary.twin.rule.state import State

# Alerts of one rule for one device in a minute: a rule that fires more often says nothing new, and each alert is a row,
# with a row for each action. Beyond, firings are counted on the last alert, and their actions are not done.
MAX_ALERTS_OF_RULE: Final = 30
MINUTE_MS: Final = 60_000
# Sets of names remembered per device: a device sends a few kinds of messages.
MAX_KNOWN_SETS: Final = 32

_NOTHING: Final[tuple[Running, ...]] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A rule of the application, prepared for evaluation."""

    id: str  # Of its document; ``version`` likewise
    version: int
    catalog: str | None  # Name of the catalog whose devices it is for, in lower case; None for all
    since_ms: int  # When it was last changed: it looks at nothing that arrived before
    program: Program  # What to evaluate
    fast_path: FastPath  # Evaluates messages that change nothing
    names: frozenset[str]  # Telemetry it looks at; ``any_message`` when any at all counts
    any_message: bool
    sections: frozenset[str]  # Sections of properties it looks at
    by_clock: bool  # Whether it has something to say of a device that never sends anything

    @property
    def rule(self) -> Rule:
        """What the author wrote."""
        return self.program.rule


def load(document: Document) -> Loaded:
    """The rule in a document; raises InvalidArgumentError if it is not readable."""
    catalog, rule = rule_json.parse_document(document.content)
    program = Program(rule)
    return Loaded(
        id=document.id,
        version=document.version,
        catalog=None if catalog is None else catalog.lower(),
        since_ms=document.changed_ms,
        program=program,
        fast_path=fast_path_of(program),
        names=frozenset(telemetry_names(rule)),
        any_message=any(not name for name, _ in program.silences),
        sections=sections_of(rule),
        by_clock=bool(program.silences) or (program.tumbling and program.counts),
    )


class RuleSet:
    """The application's prepared rules, and what has to be read of devices for the enabled ones."""

    def __init__(self) -> None:
        self.number = 0  # Rises with each change: plans made for a lower one have to be made again
        self.sections: frozenset[str] = frozenset()  # Sections of properties that enabled rules look at
        self.groups: frozenset[str] = frozenset()  # Device groups that they are for
        self._rules: dict[str, Loaded] = {}

    def get(self, rule_id: str) -> Loaded | None:
        """A rule."""
        return self._rules.get(rule_id)

    def enabled(self) -> list[Loaded]:
        """Those that are evaluated."""
        return [each for each in self._rules.values() if each.rule.enabled]

    def take(self, document: Document) -> None:
        """Take a rule's document as it is now; of one that was deleted nothing stays.

        Raises:
            InvalidArgumentError: there is no rule in it.
        """
        self._rules.pop(document.id, None)
        if document.body is not None:
            self._rules[document.id] = load(document)

    def settle(self) -> bool:
        """Work out after a change what has to be read of devices; whether the device groups are others than before."""
        enabled, groups = self.enabled(), self.groups
        self.number += 1
        self.groups = frozenset(each.rule.target.group for each in enabled) - {""}
        self.sections = frozenset().union(*(each.sections for each in enabled))
        return self.groups != groups


class Running:
    """One rule for one device."""

    __slots__ = ("gone", "loaded", "plan", "queued_ms", "state")

    def __init__(self, loaded: Loaded, plan: Plan, state: State) -> None:
        self.loaded = loaded
        self.plan = plan
        self.state = state
        self.queued_ms = 0  # The deadline that stands in the queue of deadlines for it; 0 none
        self.gone = False  # Whether the plan no longer has it: what stands in the queue means nothing


@dataclass(slots=True)
class Allowance:
    """How many alerts of one rule for one device there were in a minute."""

    since_ms: int = 0  # When the minute began, Unix milliseconds
    kept: int = 0  # Alerts in it
    alert_id: str = ""  # The last of them: where the firings beyond are counted
    is_counting: bool = False  # Whether the last firing was one of those

    def take(self, now_ms: int) -> bool:
        """Whether a firing now has an alert of its own."""
        if now_ms - self.since_ms >= MINUTE_MS:
            self.since_ms, self.kept = now_ms, 0
        self.is_counting = self.kept >= MAX_ALERTS_OF_RULE
        self.kept += not self.is_counting
        return not self.is_counting


class Plan:
    """The rules of one device."""

    __slots__ = (
        "_allowances", "_by_names", "catalog", "device_id", "done_seq", "facts", "is_dirty", "made", "now_ms",
        "open_seq", "read_at", "restored", "running",
    )  # fmt: skip

    def __init__(self, device_id: str) -> None:
        self.device_id = device_id
        self.catalog = ""  # Of the device
        self.facts: Facts | None = None  # What is known of it; None when it has to be read again
        self.made = -1  # Number of the set of rules it was made of; -1 when it has to be made again
        self.read_at = 0.0  # When that was read, monotonic seconds
        self.running: tuple[Running, ...] = ()  # Its rules
        self.restored: dict[tuple[str, int], State] = {}
        self.open_seq = -1  # The block of the log that its last message was in
        self.done_seq = -1  # The last block before that is complete
        self.now_ms = 0  # Latest arrival seen: time never goes back for a device
        self.is_dirty = False
        self._by_names: dict[tuple[str, ...], tuple[Running, ...]] = {}
        self._allowances: dict[tuple[str, int], Allowance] = {}

    def allowance(self, loaded: Loaded) -> Allowance:
        """The count of a rule's alerts; it stays when the rule's state is reset, which a device can cause."""
        return self._allowances.setdefault((loaded.id, loaded.version), Allowance())

    def restore(self, row: DeviceStates) -> None:
        """Restore the states that were kept of it."""
        self.restored = {(rule, version): state for rule, version, state in row.states}
        self.open_seq = self.done_seq = row.seq

    def make(self, rules: Iterable[Loaded], facts: Facts, catalog: str, made: int, now_ms: int) -> list[Running]:
        """Choose the rules that concern the device; those that it had go on. Returns the ones to schedule.

        When it has changed hands every rule begins anew: windows and firings have its former owner's values in them.
        """
        before = {(each.loaded.id, each.loaded.version): each for each in self.running}
        is_sold = self._is_sold(catalog)
        running: list[Running] = []
        self.facts, self.catalog, self.made = facts, catalog, made
        spent = {} if is_sold else self._allowances  # an alert of its former owner counts nothing of the new one's
        self._allowances = {key: each for key, each in spent.items() if now_ms - each.since_ms < MINUTE_MS}
        self._by_names = {}
        for loaded in rules:
            if loaded.catalog not in (None, catalog.lower()) or unconcerned(loaded.rule.target, facts) is not None:
                continue
            key = (loaded.id, loaded.version)
            present = None if is_sold else before.pop(key, None)
            if present is None:
                state = self.restored.pop(key, None)
                if state is None:
                    state = start(loaded.program, max(loaded.since_ms, now_ms))
                    self.is_dirty = True
                present = Running(loaded, self, state)
            running.append(present)
        for each in before.values():
            each.gone = True
            self.is_dirty = True
        self.restored = {}
        self.running = tuple(running)
        return running

    def _is_sold(self, catalog: str) -> bool:
        return bool(self.catalog) and self.catalog.lower() != catalog.lower()

    def looking_at(self, values: Mapping[str, Any]) -> tuple[Running, ...]:
        """The rules that a message with these values is about."""
        names = tuple(values)
        found = self._by_names.get(names)
        if found is None:
            if len(self._by_names) >= MAX_KNOWN_SETS:
                self._by_names.clear()
            present = set(names)
            found = tuple(
                each for each in self.running if each.loaded.any_message or not present.isdisjoint(each.loaded.names)
            )
            self._by_names[names] = found or _NOTHING
        return found

    def snapshot(self) -> DeviceStates:
        """The states as they are, to be kept; call it between two blocks of the log."""
        self.done_seq = self.open_seq
        self.is_dirty = False
        states = [(each.loaded.id, each.loaded.version, each.state) for each in self.running]
        return DeviceStates(self.device_id, self.open_seq, states)
