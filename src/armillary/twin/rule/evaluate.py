# SPDX-License-Identifier: Apache-2.0
"""Evaluating a rule for one device: a pure function of its state, what happened, and the time.

:func:`step` takes a message, a changed property or just the time. It first evaluates what the clock has made due, each
at its own time, then what happened, then what that made due; so the same messages give the same firings whenever they
are evaluated and however they are batched. Each evaluation gives an :class:`Entry`: what was compared, outcome, why.

The states and their transitions are the two tables of ``table.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from armillary.twin.rule.quiet import QuietClock
from armillary.twin.rule.rule import (
    Aggregate,
    Condition,
    Facts,
    Operand,
    Rule,
    Value,
    WindowKind,
    compare,
    property_value,
)
from armillary.twin.rule.state import CLEAR, MAX_OPEN_WINDOWS, PENDING, RECENT, SLICES, State, Sums
from armillary.twin.rule.table import REPEATS, TRANSITIONS, Cause, Entry, Event, Input, RuleOutcome, Signal
from armillary.twin.rule.window import aggregated, merged, slice_end_ms, slice_of, with_pane
from armillary.wire.text.time_zone import zone_named

# A time of measurement further ahead of its arrival comes from a wrong clock: the trace notes it.
SKEW_MS: Final = 60_000
# Most evaluations of one step that are due by the clock alone. Empty windows are one evaluation each at most, so no
# real state comes near it; it bounds a step whatever a stored state says.
MAX_TICKS: Final = 1000


class Program:
    """A rule compiled for evaluation: indexes instead of names, milliseconds instead of seconds."""

    def __init__(self, rule: Rule) -> None:
        window = rule.window
        compared = [each for each in rule.conditions if each.telemetry and not each.silent_s]
        silent = [each for each in rule.conditions if each.silent_s]
        self.rule = rule
        self.conditions = rule.conditions
        self.match_all, self.repeat = rule.match_all, rule.repeat
        self.hold_ms, self.cool_ms = rule.hold_s * 1000, rule.cool_down_s * 1000
        quiet = rule.quiet
        self.quiet = None if quiet is None else QuietClock(quiet.windows, zone_named(quiet.zone))
        self.tumbling = window is not None and window.kind is WindowKind.TUMBLING
        self.sliding = window is not None and window.kind is WindowKind.SLIDING
        self.length_ms = window.length_s * 1000 if window else 0
        self.lateness_ms = window.lateness_s * 1000 if window else 0
        # Telemetry compared; ``State.newest`` is in this order.
        self.names = tuple(dict.fromkeys(each.telemetry for each in compared))
        self.aggregates = tuple(  # (number of the name, aggregate) of each condition with one
            (self.names.index(each.telemetry), each.aggregate) for each in compared if each.aggregate is not None
        )
        self.silences = tuple((each.telemetry, each.silent_s * 1000) for each in silent)  # (name or "", milliseconds)
        self.counts = any(aggregate is Aggregate.COUNT for _, aggregate in self.aggregates)
        self.is_instant = window is None and not silent  # only a message or a property has it evaluated
        # The place of each condition in ``newest``, ``sums`` or ``heard`` of a state.
        self.slots = tuple(self._slot(number) for number in range(len(rule.conditions)))

    def _slot(self, number: int) -> int:
        condition = self.conditions[number]
        earlier = self.conditions[:number]
        if condition.silent_s:
            return sum(1 for each in earlier if each.silent_s)
        if condition.aggregate is not None:
            return sum(1 for each in earlier if each.aggregate is not None)
        return self.names.index(condition.telemetry) if condition.telemetry else 0


def start(program: Program, now_ms: int) -> State:
    """The state of a device when its first evaluation begins; ``now_ms`` in Unix milliseconds."""
    # A window under way has lost its beginning: what is counted would be too few.
    edge = now_ms // program.length_ms if program.tumbling and program.counts else -1
    state = State(
        CLEAR, 0, 0, 0, 0, 0, 0, (None,) * len(program.names), (now_ms,) * len(program.silences), edge, (), ()
    )
    return _scheduled(program, state, now_ms, 0)


def step(program: Program, state: State, event: Event | None, now_ms: int, facts: Facts) -> tuple[State, list[Entry]]:
    """Evaluate a rule for one device: the new state, and an entry for each evaluation in order.

    Args:
        program: The compiled rule.
        state: Of the device, from :func:`start` or an earlier step.
        event: What happened; None when only time went by.
        now_ms: Arrival of the event, or the time, Unix milliseconds; never less than in an earlier step.
        facts: Properties of the device as they are now.
    """
    entries: list[Entry] = []
    if 0 < state.deadline_ms <= now_ms:
        state = _ticks(program, state, now_ms, facts, entries)
    if event is not None:
        state, entry = _event(program, state, event, now_ms, facts)
        entries.append(entry)
        if 0 < state.deadline_ms <= now_ms:
            state = _ticks(program, state, now_ms, facts, entries)
    return state, entries


# Time ---------------------------------------------------------------------------------------------------------------


def _ticks(program: Program, state: State, now_ms: int, facts: Facts, entries: list[Entry]) -> State:
    for _ in range(MAX_TICKS):
        if not 0 < state.deadline_ms <= now_ms:
            return state
        if program.tumbling:
            state, entry = _close_window(program, state, now_ms, facts)
        else:
            at_ms = max(state.deadline_ms, state.fired_ms)
            if program.sliding and state.panes and at_ms >= _emptied_ms(program, state):
                state = _slid(state, slice_of(at_ms, program.length_ms))
            state, entry = _judge(program, state, Cause.CLOCK, at_ms, at_ms, facts, (), None)
        if entry is not None:
            entries.append(entry)
    return state._replace(deadline_ms=now_ms + 1)


def _close_window(program: Program, state: State, now_ms: int, facts: Facts) -> tuple[State, Entry | None]:
    """Close the window that is due: the oldest open one, or one that nobody measured in."""
    length = program.length_ms
    first = state.panes[0] if state.panes else None
    moment = now_ms if first and _is_overtaken(program, state) else min(state.deadline_ms, now_ms)
    if program.counts and (first is None or state.edge + 1 < first.number):
        number = state.edge + 1
        heard = -(-facts.listening_since_ms // length)  # first window that was listened to from its beginning
        if number < heard:
            return _scheduled(program, state._replace(edge=heard - 1), now_ms, facts.listening_since_ms), None
        first = None
    elif first is not None:
        number = first.number
    else:
        return _scheduled(program, state, now_ms, facts.listening_since_ms), None
    state = state._replace(edge=max(state.edge, number), panes=state.panes[1:] if first else state.panes)
    sums = first.sums if first else (None,) * len(program.aggregates)
    return _judge(program, state, Cause.WINDOW, moment, (number + 1) * length, facts, (), sums)


def _is_overtaken(program: Program, state: State) -> bool:
    """Whether the device itself has measured beyond the oldest open window, or too many are open."""
    end_ms = (state.panes[0].number + 1) * program.length_ms
    return state.clock_ms >= end_ms + program.lateness_ms or len(state.panes) > MAX_OPEN_WINDOWS


def _scheduled(program: Program, state: State, now_ms: int, listening_since_ms: int) -> State:
    """The state with the time at which it has to be looked at again."""
    due: list[int] = []
    if program.tumbling:
        if state.panes:
            oldest = state.panes[0]
            end_ms = (oldest.number + 1) * program.length_ms
            overtaken = _is_overtaken(program, state)
            due.append(now_ms if overtaken else max(end_ms, oldest.arrived_ms) + program.lateness_ms)
        if program.counts and not (state.panes and state.panes[0].number == state.edge + 1):
            due.append((state.edge + 2) * program.length_ms + program.lateness_ms)
        return _due(state, min(due) if due else 0)
    if program.is_instant and state.phase != PENDING:
        return _due(state, 0)
    for (_, silent_ms), heard_ms in zip(program.silences, state.heard, strict=True):
        deadline = max(heard_ms, listening_since_ms) + silent_ms
        if deadline > now_ms:
            due.append(deadline)
    if program.sliding and state.panes:
        due.append(max(now_ms + 1, _emptied_ms(program, state)))
    if state.phase == PENDING:
        cooled = state.fired_ms + program.cool_ms if state.fired_ms else 0
        quiet = program.quiet.until_ms(now_ms) if program.quiet else 0
        due.append(max(state.since_now_ms + program.hold_ms, cooled, quiet, now_ms + 1))
    return _due(state, min(due) if due else 0)


def _emptied_ms(program: Program, state: State) -> int:
    """When the oldest point leaves a sliding window by the clock; before, only measurements move the window."""
    end_ms = slice_end_ms(state.panes[0].number + SLICES - 1, program.length_ms)
    return max(end_ms, state.panes[-1].arrived_ms + program.lateness_ms)


def _due(state: State, deadline_ms: int) -> State:
    # Not _replace: this runs for each message and rule, and it costs three times as much.
    if state.deadline_ms == deadline_ms:
        return state
    phase, since_at_ms, since_now_ms, fired_ms, firings = state[:5]
    return State(phase, since_at_ms, since_now_ms, fired_ms, firings, deadline_ms, *state[6:])


# What happened ------------------------------------------------------------------------------------------------------


def _event(program: Program, state: State, event: Event, now_ms: int, facts: Facts) -> tuple[State, Entry]:
    at_ms = min(event.at_ms, now_ms)
    notes: list[str] = []
    used = True
    if event.values is not None:
        if event.at_ms > now_ms + SKEW_MS:
            notes.append(f"measured {(event.at_ms - now_ms) // 1000} s in the future by its own clock: taken as of now")
        heard = state.heard
        if program.silences:
            heard = tuple(
                now_ms if not name or name in event.values else before
                for (name, _), before in zip(program.silences, heard, strict=True)
            )
        state = State(*state[:6], max(state.clock_ms, at_ms), state.newest, heard, *state[9:])
        stated = event.is_stated and event.at_ms < now_ms
        state, used = _taken(program, state, event.values, at_ms, now_ms, notes, stated=stated)
        used = used or any(not name or name in event.values for name, _ in program.silences)
    if not used:
        state = _scheduled(program, state, now_ms, facts.listening_since_ms)
        return state, Entry(now_ms, at_ms, Cause.MESSAGE, RuleOutcome.IGNORED, (), tuple(notes))
    if program.tumbling:
        state = _scheduled(program, state, now_ms, facts.listening_since_ms)
        until = (at_ms // program.length_ms + 1) * program.length_ms
        cause = Cause.PROPERTY if event.values is None else Cause.MESSAGE
        return state, Entry(now_ms, at_ms, cause, RuleOutcome.GATHERED, (), tuple(notes), until)
    cause = Cause.PROPERTY if event.values is None else Cause.MESSAGE
    return _judge(program, state, cause, now_ms, at_ms, facts, tuple(notes), None)


def _taken(
    program: Program,
    state: State,
    values: Mapping[str, Value],
    at_ms: int,
    now_ms: int,
    notes: list[str],
    *,
    stated: bool,
) -> tuple[State, bool]:
    """The state with a message's values; False when none of them could be used."""
    present = [(number, name, values[name]) for number, name in enumerate(program.names) if name in values]
    if stated and (program.aggregates or program.repeat):
        fresh = [each for each in present if (each[0], at_ms, each[2]) not in state.recent]
        if len(fresh) < len(present):
            notes.extend(
                f"{name}: the same value of the same time came before: counted once"
                for number, name, value in present
                if (number, at_ms, value) in state.recent
            )
            present = fresh
        recent = state.recent + tuple((number, at_ms, value) for number, _, value in present)
        state = state._replace(recent=recent[-RECENT:])
    if not present:
        return state, False
    if program.aggregates:
        return _gathered(program, state, {number: value for number, _, value in present}, at_ms, now_ms, notes)
    newest = list(state.newest)
    used = False
    for number, name, value in present:
        before = newest[number]
        if before is None or before[0] <= at_ms:
            newest[number] = (at_ms, value)
            used = True
        else:
            notes.append(f"{name}: measured {(before[0] - at_ms) / 1000:g} s before the newest one: not used")
    return State(*state[:7], tuple(newest), *state[8:]), used


def _gathered(
    program: Program, state: State, values: Mapping[int, Value], at_ms: int, now_ms: int, notes: list[str]
) -> tuple[State, bool]:
    """The state with the message's values in their window; False when the window is over for them."""
    points: list[float | bool | None] = []
    for name, aggregate in program.aggregates:
        value = values.get(name)
        if not isinstance(value, str):
            points.append(None if value is None else float(value))
        elif aggregate is Aggregate.COUNT:
            points.append(False)
        else:
            notes.append(f"{program.names[name]}: a text has no {aggregate}: not used")
            points.append(None)
    if all(point is None for point in points):
        return state, False
    length = program.length_ms
    if program.tumbling:
        number = at_ms // length
        if number <= state.edge:
            notes.append(f"its window ended {(now_ms - (number + 1) * length) / 1000:g} s ago and is closed: not used")
            return state, False
    else:
        number = slice_of(at_ms, length)
        if number <= state.edge - SLICES:
            notes.append(f"measured {(now_ms - at_ms) / 1000:g} s ago, before the window begins: not used")
            return state, False
        state = _slid(state, number)
    panes = with_pane(state.panes, number, now_ms, tuple(points))
    return State(*state[:10], panes, state.recent), True


def _slid(state: State, edge: int) -> State:
    """The state with a sliding window that ends with slice ``edge`` or later."""
    if edge <= state.edge:
        return state
    panes = state.panes
    gone = 0
    while gone < len(panes) and panes[gone].number <= edge - SLICES:
        gone += 1
    return State(*state[:9], edge, panes[gone:], state.recent)


# Judging ------------------------------------------------------------------------------------------------------------


def _judge(
    program: Program,
    state: State,
    cause: Cause,
    now_ms: int,
    at_ms: int,
    facts: Facts,
    notes: tuple[str, ...],
    sums: tuple[Sums | None, ...] | None,
) -> tuple[State, Entry]:
    """Compare every condition and take the transition of the table.

    ``sums`` are those of the tumbling window that closed; None for a sliding window, or without windows.
    """
    if sums is None and program.aggregates:
        sums = tuple(merged(pane.sums[number] for pane in state.panes) for number in range(len(program.aggregates)))
    inputs = tuple(
        [
            _input(state, each, slot, now_ms, facts, sums)
            for each, slot in zip(program.conditions, program.slots, strict=True)
        ]
    )
    met = _combined([each.met for each in inputs], match_all=program.match_all)
    since_at, since_now = state.since_at_ms, state.since_now_ms
    until = 0
    if met:
        if not since_now:
            since_at, since_now = at_ms, now_ms
        signal = Signal.MET
        lasted = now_ms - since_now if cause is Cause.CLOCK else max(at_ms - since_at, now_ms - since_now)
        if lasted < program.hold_ms:
            signal, until = Signal.SHORT, since_now + program.hold_ms
        elif program.quiet and (quiet := program.quiet.until_ms(now_ms)):
            signal, until = Signal.QUIET, quiet
        elif program.cool_ms and state.fired_ms and now_ms < state.fired_ms + program.cool_ms:
            signal, until = Signal.HOT, state.fired_ms + program.cool_ms
    else:
        since_at = since_now = 0
        signal = Signal.UNKNOWN if met is None else Signal.OVER if _is_over(program, inputs) else Signal.BETWEEN
    table = REPEATS if program.repeat and cause is not Cause.CLOCK else TRANSITIONS
    phase, outcome = table[state.phase, signal]
    fired_ms, firings = state.fired_ms, state.firings
    if outcome is RuleOutcome.FIRED:
        fired_ms, firings = now_ms, firings + 1
    state = State(phase, since_at, since_now, fired_ms, firings, 0, *state[6:])
    entry = Entry(now_ms, at_ms, cause, outcome, inputs, notes, until)
    return _scheduled(program, state, now_ms, facts.listening_since_ms), entry


def _input(
    state: State, condition: Condition, slot: int, now_ms: int, facts: Facts, sums: tuple[Sums | None, ...] | None
) -> Input:
    if condition.silent_s:
        silent = max(0, now_ms - max(state.heard[slot], facts.listening_since_ms)) / 1000
        return Input(silent, float(condition.silent_s), None, silent >= condition.silent_s)
    left: Value | None
    if condition.prop:
        left = property_value(facts, condition.prop)
    elif condition.aggregate is not None:
        left = None if sums is None else aggregated(sums[slot], condition.aggregate)
    else:
        newest = state.newest[slot]
        left = None if newest is None else newest[1]
    right = operand_value(condition.operand, facts)
    clear = None if condition.clear is None else operand_value(condition.clear, facts)
    return Input(left, right, clear, compare(left, condition.op, right))


def operand_value(operand: Operand, facts: Facts) -> Value | tuple[Value, ...] | None:
    """What a condition compares with for this device: a constant, or the value of a cloud property."""
    if not operand.cloud_property:
        return operand.value
    value = property_value(facts, f"cloud.{operand.cloud_property}")
    return operand.value if value is None else value


def _combined(answers: list[bool | None], *, match_all: bool) -> bool | None:
    """All-of or any-of in three values: an unknown one decides only where no other does."""
    decisive = not match_all
    if decisive in answers:
        return decisive
    return None if None in answers else match_all


def _is_over(program: Program, inputs: tuple[Input, ...]) -> bool:
    """Whether the clear thresholds let a firing rule end: of one condition under all-of, of each under any-of."""
    if len(inputs) == 1 and program.conditions[0].clear is None:  # as most rules are
        return not inputs[0].met
    over = [
        not each.met and (condition.clear is None or compare(each.left, condition.op, each.clear) is False)
        for condition, each in zip(program.conditions, inputs, strict=True)
    ]
    return any(over) if program.match_all else all(over)
