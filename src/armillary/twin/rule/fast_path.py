# SPDX-License-Identifier: Apache-2.0
"""Fast path for messages that change nothing: a rule that has not fired, is not met and stays so.

``step`` of ``evaluate.py`` defines what an evaluation gives. For three kinds of rule this module gives the same result
for the same message with fewer objects: rules that compare telemetry, rules that gather points for a tumbling window,
and rules that wait for silence. :attr:`FastPath.take` returns None wherever the result could be another: a condition
that is met, a value that is missing or of another kind, a time that is due, a point that is late, a rule of another
kind. The caller then calls ``step``. A property test holds that both agree on every state and message
(``tests/properties/test_rule_fast_path.py``).

Such an evaluation gives a :data:`Note` instead of an entry: the values that the entry is made of.
:attr:`FastPath.entry` makes the entry when somebody asks for the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from armillary.twin.rule.evaluate import Program, operand_value
from armillary.twin.rule.rule import OPERATORS, ORDERING, Condition, Facts
from armillary.twin.rule.state import CLEAR, Pane, State, Sums
from armillary.twin.rule.table import Cause, Entry, Event, Input, RuleOutcome
from armillary.twin.rule.window import NO_SUMS

# (arrival, time of measurement, ...): the rest depends on the kind of rule. Both in Unix milliseconds.
Note = tuple[Any, ...]
Take = Callable[[State, Event, int, Facts], "tuple[State, Note] | None"]

# Makes a named tuple of a tuple. This runs for each message and rule, and State(...) costs more than twice as much.
_named: Final[Callable[[Any, Note], Any]] = tuple.__new__

# Kinds of value that are compared here, and the operators; compare() of rule.py handles all others.
_SIGNS: Final[dict[type, frozenset[str]]] = {
    float: ORDERING | {"==", "!="},
    bool: frozenset({"==", "!="}),
    str: frozenset({"==", "!=", "contains"}),
}


@dataclass(frozen=True, slots=True)
class FastPath:
    """The fast path of one rule."""

    take: Take  # the new state and a note, as ``step`` would have it; None where ``step`` has to decide
    entry: Callable[[Note], Entry]  # the entry that a note stands for


def fast_path_of(program: Program) -> FastPath:
    """The fast path of a rule; for rules of other kinds one whose ``take`` always returns None."""
    conditions = program.conditions
    if program.tumbling and program.aggregates and not program.silences:
        return FastPath(_gathering(program), _gathered_entry)
    if program.is_instant and all(map(_is_comparable, conditions)):
        plain = len(conditions) == 1 and not conditions[0].operand.cloud_property
        return FastPath(_comparing_one(program) if plain else _comparing(program), _compared_entry(program))
    if program.silences and len(program.silences) == len(conditions) and not (program.sliding or program.tumbling):
        return FastPath(_hearing(program), _heard_entry(program))
    return FastPath(_never, _no_entry)


def _never(_state: State, _event: Event, _now_ms: int, _facts: Facts) -> None:
    """``take`` of a rule without a fast path."""


def _no_entry(note: Note) -> Entry:
    raise RuntimeError(f"a rule without a fast path left a note: {note!r:.200}")


# Comparing telemetry ------------------------------------------------------------------------------------------------


def _is_comparable(condition: Condition) -> bool:
    """Whether the functions below can compare a condition. A cloud property is compared where it is a number."""
    signs = _SIGNS.get(_kind_of_operand(condition), frozenset())
    is_known = bool(condition.telemetry) and condition.aggregate is None and condition.op in signs
    return is_known and not (condition.clear and condition.clear.cloud_property)


def _kind_of_operand(condition: Condition) -> type:
    return float if condition.operand.cloud_property else type(condition.operand.value)


def _comparing_one(program: Program) -> Take:
    """``take`` for one condition with a constant, which most rules have."""
    (condition,) = program.conditions
    name, limit, is_met = condition.telemetry, condition.operand.value, OPERATORS[condition.op]
    kind, rights, repeat = type(limit), (limit,), program.repeat

    def take(state: State, event: Event, now_ms: int, _facts: Facts) -> tuple[State, Note] | None:
        at_ms, values, is_stated = event
        if values is None:
            return None
        value = values.get(name)
        if value.__class__ is not kind or is_met(value, limit):
            return None
        phase, _, _, fired_ms, firings, deadline_ms, clock_ms, (newest,), heard, edge, panes, recent = state
        if phase != CLEAR or deadline_ms or at_ms > now_ms or (repeat and is_stated):
            return None
        if newest is not None and newest[0] > at_ms:
            return None
        after = (CLEAR, 0, 0, fired_ms, firings, 0, max(clock_ms, at_ms), ((at_ms, value),), heard, edge, panes, recent)
        return _named(State, after), (now_ms, at_ms, (value,), rights)

    return take


def _comparing(program: Program) -> Take:
    """``take`` for several conditions, or an operand that is a cloud property of the device."""
    names, repeat, match_all = program.names, program.repeat, program.match_all
    compared = [
        (each.telemetry, OPERATORS[each.op], each.operand, _kind_of_operand(each)) for each in program.conditions
    ]

    def take(state: State, event: Event, now_ms: int, facts: Facts) -> tuple[State, Note] | None:
        at_ms, values, is_stated = event
        if values is None or at_ms > now_ms or state.phase != CLEAR or state.deadline_ms or (repeat and is_stated):
            return None
        lefts, rights, met = [], [], match_all
        for name, is_met, operand, kind in compared:
            left = values.get(name)
            right = operand_value(operand, facts) if operand.cloud_property else operand.value
            if left.__class__ is not kind or right.__class__ is not kind:
                return None
            if is_met(left, right) is not match_all:
                met = not match_all
            lefts.append(left)
            rights.append(right)
        if met or any(before is not None and before[0] > at_ms for before in state.newest):
            return None
        phase, _, _, fired_ms, firings, _, clock_ms, _, heard, edge, panes, recent = state
        newest = tuple([(at_ms, values[name]) for name in names])
        after = (phase, 0, 0, fired_ms, firings, 0, max(clock_ms, at_ms), newest, heard, edge, panes, recent)
        return _named(State, after), (now_ms, at_ms, tuple(lefts), tuple(rights))

    return take


def _compared_entry(program: Program) -> Callable[[Note], Entry]:
    def entry(note: Note) -> Entry:
        now_ms, at_ms, lefts, rights = note
        inputs = tuple(
            Input(left, right, each.clear.value if each.clear else None, OPERATORS[each.op](left, right))
            for each, left, right in zip(program.conditions, lefts, rights, strict=True)
        )
        return Entry(now_ms, at_ms, Cause.MESSAGE, RuleOutcome.NOT_MET, inputs)

    return entry


# Gathering for a tumbling window ------------------------------------------------------------------------------------


def _gathering(program: Program) -> Take:
    """``take`` for a point in the one open window, which does not close before this message."""
    length, lateness, counts = program.length_ms, program.lateness_ms, program.counts
    names = tuple(program.names[number] for number, _ in program.aggregates)

    def take(state: State, event: Event, now_ms: int, _facts: Facts) -> tuple[State, Note] | None:
        at_ms, values, is_stated = event
        if values is None or is_stated or at_ms > now_ms or len(state.panes) != 1:
            return None
        ((number, _, before),) = state.panes
        end_ms = (number + 1) * length
        if at_ms // length != number or now_ms >= end_ms or state.deadline_ms != end_ms + lateness:
            return None
        phase, since_at, since_now, fired_ms, firings, deadline_ms, clock_ms, newest, heard, edge, _, recent = state
        if clock_ms >= end_ms or number <= edge or (counts and number != edge + 1):
            return None
        sums = []
        for name, old in zip(names, before, strict=True):
            value = values.get(name)
            if value.__class__ is not float:
                return None
            points, total, low, high = old or NO_SUMS
            sums.append(_named(Sums, (points + 1, total + value, min(low, value), max(high, value))))
        panes = (_named(Pane, (number, now_ms, tuple(sums))),)
        clock_ms = max(clock_ms, at_ms)
        after = (
            phase, since_at, since_now, fired_ms, firings, deadline_ms, clock_ms, newest, heard, edge, panes, recent
        )  # fmt: skip
        return _named(State, after), (now_ms, at_ms, end_ms)

    return take


def _gathered_entry(note: Note) -> Entry:
    now_ms, at_ms, end_ms = note
    return Entry(now_ms, at_ms, Cause.MESSAGE, RuleOutcome.GATHERED, (), (), end_ms)


# Waiting for silence ------------------------------------------------------------------------------------------------


def _hearing(program: Program) -> Take:
    """``take`` for a message with all the names whose silence the conditions wait for, before one is due."""
    listens_for = frozenset(name for name, _ in program.silences if name)
    shortest_ms = min(silent_ms for _, silent_ms in program.silences)
    count, repeat = len(program.silences), program.repeat

    def take(state: State, event: Event, now_ms: int, facts: Facts) -> tuple[State, Note] | None:
        at_ms, values, is_stated = event
        if values is None or at_ms > now_ms or (repeat and is_stated) or not listens_for <= values.keys():
            return None
        phase, _, _, fired_ms, firings, deadline_ms, clock_ms, newest, _, edge, panes, recent = state
        if phase != CLEAR or 0 < deadline_ms <= now_ms:
            return None
        deadline_ms = max(now_ms, facts.listening_since_ms) + shortest_ms
        heard = (now_ms,) * count
        clock_ms = max(clock_ms, at_ms)
        after = (CLEAR, 0, 0, fired_ms, firings, deadline_ms, clock_ms, newest, heard, edge, panes, recent)
        return _named(State, after), (now_ms, at_ms)

    return take


def _heard_entry(program: Program) -> Callable[[Note], Entry]:
    def entry(note: Note) -> Entry:
        now_ms, at_ms = note
        inputs = tuple(Input(0.0, float(each.silent_s), None, False) for each in program.conditions)
        return Entry(now_ms, at_ms, Cause.MESSAGE, RuleOutcome.NOT_MET, inputs)

    return entry
