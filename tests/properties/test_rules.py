# SPDX-License-Identifier: Apache-2.0
"""Rules against a reference that looks through the whole history at every second."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.errors import InvalidArgumentError
from armillary.twin.rule import json_form as rule_json, state as rule_state
from armillary.twin.rule.evaluate import Program, start, step
from armillary.twin.rule.rule import Aggregate, Condition, Facts, Operand, Rule, Window, WindowKind
from armillary.twin.rule.state import MAX_OPEN_WINDOWS, SLICES
from armillary.twin.rule.table import Event, RuleOutcome
from armillary.twin.rule.trace import explain

START_S = 1_000_000
FACTS = Facts("d", {"cloud": {"limit": 5.0}})


@dataclass(frozen=True)
class Message:
    """At second ``arrives``; measured ``lag`` seconds before (negative: ahead of its time)."""

    arrives: int
    lag: int
    values: Mapping[str, Any]


@dataclass
class Reference:
    """All that ever came, and everything worked out again from it."""

    rule: Rule
    points: list[tuple[str, int, Any, int]] = field(default_factory=list)  # name, at, value, arrived; of windows
    newest: dict[str, tuple[int, Any]] = field(default_factory=dict)
    stated: list[tuple[str, int, Any]] = field(default_factory=list)
    heard: dict[str, int] = field(default_factory=dict)
    edge: int = -1
    clock: int = 0
    active: bool = False
    since: tuple[int, int] | None = None
    fired_at: int | None = None
    fired: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        window = self.rule.window
        self.counting = any(each.aggregate is Aggregate.COUNT for each in self.rule.conditions)
        self.tumbling = window is not None and window.kind is WindowKind.TUMBLING
        self.length = window.length_s if window else 0
        self.lateness = window.lateness_s if window else 0
        self.names = {each.telemetry for each in self.rule.conditions if each.telemetry and not each.silent_s}
        if self.tumbling and self.counting:
            self.edge = START_S // self.length

    def second(self, now: int) -> None:
        if self.tumbling:
            self.close_windows(now)
        else:
            if self.length and self.inside():
                oldest = min(self.slice(at) for _, at, _, _ in self.inside())
                last = max(self.inside(), key=lambda each: (self.slice(each[1]), each[3]))[3]
                emptied = -(-(oldest + SLICES) * self.length // SLICES)
                if now >= max(emptied, last + self.lateness):
                    self.edge = max(self.edge, self.slice(now))
            if self.points or not self.length:  # a sliding window begins with its first point
                self.judge(now, now, by_clock=True)

    def message(self, message: Message) -> None:
        now, at = message.arrives, min(message.arrives - message.lag, message.arrives)
        self.clock = max(self.clock, at)
        used = False
        for condition in self.rule.conditions:
            if condition.silent_s and (not condition.telemetry or condition.telemetry in message.values):
                self.heard[condition.telemetry] = now
                used = True
        remembers = message.lag > 0 and (self.length or self.rule.repeat)
        fresh = {
            name: value
            for name, value in message.values.items()
            if name in self.names and not (remembers and (name, at, value) in self.stated[-rule_state.RECENT :])
        }
        if remembers:
            self.stated += [(name, at, fresh[name]) for name in dict.fromkeys(self.order()) if name in fresh]
        for name, value in fresh.items():
            used |= self.window_point(name, at, value, now) if self.length else self.newest_point(name, at, value)
        if self.tumbling:
            self.close_windows(now)
        elif used:
            self.judge(now, at, by_clock=False)

    def order(self) -> list[str]:
        return [each.telemetry for each in self.rule.conditions if each.telemetry]

    def newest_point(self, name: str, at: int, value: Any) -> bool:
        if name in self.newest and self.newest[name][0] > at:
            return False
        self.newest[name] = (at, value)
        return True

    def window_point(self, name: str, at: int, value: Any, now: int) -> bool:
        counted = any(each.telemetry == name and each.aggregate is Aggregate.COUNT for each in self.rule.conditions)
        if isinstance(value, str) and not counted:
            return False
        if self.tumbling:
            if at // self.length <= self.edge:
                return False
        elif self.slice(at) <= self.edge - SLICES:
            return False
        else:
            self.edge = max(self.edge, self.slice(at))
        self.points.append((name, at, value, now))
        return True

    def slice(self, at: int) -> int:
        return at * SLICES // self.length

    def inside(self) -> list[tuple[str, int, Any, int]]:
        return [each for each in self.points if self.edge - SLICES < self.slice(each[1]) <= self.edge]

    def close_windows(self, now: int) -> None:
        while True:
            open_windows = sorted({at // self.length for _, at, _, _ in self.points if at // self.length > self.edge})
            if self.counting and (not open_windows or self.edge + 1 < open_windows[0]):
                if open_windows and self.overtaken(open_windows):
                    pass  # what was skipped is closed on the way
                elif now < (self.edge + 2) * self.length + self.lateness:
                    return
                number = self.edge + 1
                moment = now
            elif open_windows:
                number = open_windows[0]
                end = (number + 1) * self.length
                arrived = max(arrived for _, at, _, arrived in self.points if at // self.length == number)
                if not self.overtaken(open_windows) and now < max(end, arrived) + self.lateness:
                    return
                moment = now
            else:
                return
            self.edge = number
            self.judge(moment, (number + 1) * self.length, by_clock=False, window=number)

    def overtaken(self, open_windows: list[int]) -> bool:
        end = (open_windows[0] + 1) * self.length
        return self.clock >= end + self.lateness or len(open_windows) > MAX_OPEN_WINDOWS

    def value(self, condition: Condition, now: int, window: int | None) -> Any:
        if condition.silent_s:
            return now - self.heard.get(condition.telemetry, START_S) >= condition.silent_s
        if not self.length:
            found = self.newest.get(condition.telemetry, (0, None))[1]
        else:
            points = (
                [each for each in self.points if each[1] // self.length == window] if self.tumbling else self.inside()
            )
            mine = [each[2] for each in points if each[0] == condition.telemetry]
            if condition.aggregate is not Aggregate.COUNT:
                mine = [each for each in mine if not isinstance(each, str)]
            found = self.aggregate(condition.aggregate, mine)
        limit = condition.operand.value if not condition.operand.cloud_property else 5.0
        return self.answer(found, condition.op, limit)

    @staticmethod
    def aggregate(aggregate: Aggregate | None, values: list[Any]) -> float | None:
        if aggregate is Aggregate.COUNT:
            return float(len(values))
        if not values:
            return None
        return {
            "avg": math.fsum(values) / len(values),
            "min": min(values),
            "max": max(values),
            "sum": math.fsum(values),
        }[str(aggregate)]

    @staticmethod
    def answer(found: Any, op: str, limit: Any) -> bool | None:
        if found is None or isinstance(found, str):
            return None
        return {">": found > limit, "<": found < limit, ">=": found >= limit, "<=": found <= limit}[op]

    def judge(self, now: int, at: int, *, by_clock: bool, window: int | None = None) -> None:
        answers = [self.value(each, now, window) for each in self.rule.conditions]
        if self.rule.match_all:
            met = False if False in answers else None if None in answers else True
        else:
            met = True if True in answers else None if None in answers else False
        if not met:
            self.since = None
            if self.active and met is False and self.over(answers, now, window):
                self.active = False
            return
        if self.since is None:
            self.since = (at, now)
        lasted = now - self.since[1] if by_clock else max(at - self.since[0], now - self.since[1])
        if lasted < self.rule.hold_s:
            return
        if self.fired_at is not None and now < self.fired_at + self.rule.cool_down_s:
            return
        if not self.active or (self.rule.repeat and not by_clock):
            self.active, self.fired_at = True, now
            self.fired.append(now)

    def over(self, answers: list[Any], now: int, window: int | None) -> bool:
        over = []
        for condition, answer in zip(self.rule.conditions, answers, strict=True):
            beyond = True
            if condition.clear is not None:
                lenient = Condition(
                    telemetry=condition.telemetry,
                    aggregate=condition.aggregate,
                    op=condition.op,
                    operand=condition.clear,
                )
                beyond = self.value(lenient, now, window) is False
            over.append(not answer and beyond)
        return any(over) if self.rule.match_all else all(over)


NAMES = ("a", "b")
LIMITS = st.integers(0, 10).map(float)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    window = draw(
        st.none()
        | st.builds(Window, st.sampled_from(WindowKind), st.sampled_from([50, 100]), st.sampled_from([0, 5, 30]))
    )
    conditions = []
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(NAMES))
        if window is None and draw(st.integers(0, 3)) == 0:
            conditions.append(
                Condition(telemetry=draw(st.sampled_from(["", *NAMES])), silent_s=draw(st.integers(1, 60)))
            )
            continue
        op = draw(st.sampled_from([">", "<", ">=", "<="]))
        limit = draw(LIMITS)
        clear = None
        if draw(st.booleans()):
            clear = Operand(limit - 2 if op in (">", ">=") else limit + 2)
        aggregate = draw(st.sampled_from(Aggregate)) if window else None
        operand = Operand(None, "limit") if draw(st.integers(0, 4)) == 0 and clear is None else Operand(limit)
        conditions.append(Condition(telemetry=name, aggregate=aggregate, op=op, operand=operand, clear=clear))
    return Rule(
        name="r",
        conditions=tuple(conditions),
        match_all=draw(st.booleans()),
        window=window,
        hold_s=draw(st.sampled_from([0, 0, 10, 60])),
        cool_down_s=draw(st.sampled_from([0, 0, 20, 100])),
        repeat=draw(st.booleans()),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    now, found = START_S, []
    for _ in range(draw(st.integers(1, 25))):
        now += draw(st.sampled_from([0, 1, 2, 5, 10, 40, 120]))
        lag = draw(st.sampled_from([0, 0, 0, 1, 3, 20, 60, 200, -30, -100]))
        values = draw(
            st.dictionaries(
                st.sampled_from([*NAMES, "other"]), st.integers(0, 10).map(float) | st.just("text"), min_size=1
            )
        )
        found.append(Message(now, lag, values))
        if draw(st.integers(0, 9)) == 0:
            found.append(found[-1])  # sent again
    return found


def evaluated(rule: Rule, history: list[Message], end: int, looks: list[int], *, stored: bool = False) -> list[int]:
    program = Program(rule)
    state = start(program, START_S * 1000)
    fired: list[int] = []
    steps: list[tuple[int, int, Event | None]] = [
        (each.arrives * 1000, 1, Event((each.arrives - each.lag) * 1000, each.values, each.lag != 0))
        for each in history
    ]
    steps += [(each, 0, None) for each in looks] + [(end * 1000, 2, None)]
    for now_ms, _, event in sorted(steps, key=lambda each: each[:2]):
        state, entries = step(program, state, event, now_ms, FACTS)
        fired += [entry.now_ms for entry in entries if entry.outcome is RuleOutcome.FIRED]
        assert not 0 < state.deadline_ms <= now_ms, "something that was due was not done"
        for entry in entries:
            assert explain(rule, entry)["why"].endswith(".")
        if stored:
            state = rule_state.from_json(json.loads(json.dumps(rule_state.to_json(state))))
    return fired


@pytest.mark.long
@settings(max_examples=examples(600), deadline=None)
@given(rules(), histories())
@example(  # the end of the hold does not move the window: a late message is still inside
    Rule(
        name="r",
        conditions=(
            Condition(telemetry="a", aggregate=Aggregate.AVG, op=">", operand=Operand(5.0)),
            Condition(telemetry="b", aggregate=Aggregate.AVG, op=">", operand=Operand(5.0)),
        ),
        match_all=False,
        window=Window(WindowKind.SLIDING, 50, 0),
        hold_s=10,
        repeat=True,
    ),
    [Message(START_S, 1, {"b": 6.0}), Message(START_S + 10, 60, {"a": 0.0})],
)
def test_rules_fire_when_the_whole_history_says_so(rule: Rule, history: list[Message]) -> None:
    reference = Reference(rule)
    end = history[-1].arrives + 400
    for now in range(START_S, end + 1):
        reference.second(now)
        for message in history:
            if message.arrives == now:
                reference.message(message)
    # The reference looks at whole seconds; what falls due between two (a point that was too old when it came leaves the
    # window a millisecond later) it sees at the second.
    assert [-(-each // 1000) for each in evaluated(rule, history, end, [])] == reference.fired


@settings(max_examples=examples(300), deadline=None)
@given(rules(), histories(), st.lists(st.integers(START_S * 1000, START_S * 1000 + 600_000), max_size=20))
def test_when_the_clock_is_looked_at_changes_nothing(rule: Rule, history: list[Message], looks: list[int]) -> None:
    end = max(history[-1].arrives, START_S + 600) + 400
    assert evaluated(rule, history, end, looks) == evaluated(rule, history, end, [])


@pytest.mark.long
@settings(max_examples=examples(300), deadline=None)
@given(rules(), histories())
def test_a_restart_after_every_step_changes_nothing(rule: Rule, history: list[Message]) -> None:
    end = history[-1].arrives + 400
    assert evaluated(rule, history, end, [], stored=True) == evaluated(rule, history, end, [])


@settings(max_examples=examples(300))
@given(rules())
def test_a_rule_is_what_its_json_says(rule: Rule) -> None:
    document = rule_json.to_json(rule)
    assert rule_json.from_json(json.loads(json.dumps(document))) == rule


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=examples(300))
@given(st.sampled_from(["name", "severity", "target", "conditions", "window", "hold_s", "actions", "match", "x"]), JSON)
def test_whatever_stands_in_a_field_is_read_or_refused(name: str, value: Any) -> None:
    document = {"name": "r", "conditions": [{"telemetry": "a", "op": ">", "value": 1}], name: value}
    try:
        rule = rule_json.from_json(document)
    except InvalidArgumentError as error:
        assert name in error.message  # noqa: PT017 - both ways out are looked at
    else:
        assert rule_json.from_json(rule_json.to_json(rule)) == rule


@settings(max_examples=examples(300))
@given(JSON)
def test_a_damaged_state_is_refused(document: Any) -> None:
    try:
        rule_state.from_json(document)
    except InvalidArgumentError:
        return
    raise AssertionError("taken for a state")
