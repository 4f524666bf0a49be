# SPDX-License-Identifier: Apache-2.0
"""The fast path of an evaluation gives what ``step`` gives; ``test_rules.py`` compares ``step`` with a reference."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples
from tests.properties.test_rules import LIMITS, NAMES, START_S, Message, histories, rules

from armillary.twin.rule.evaluate import Program, start, step
from armillary.twin.rule.fast_path import fast_path_of
from armillary.twin.rule.rule import ORDERING, Aggregate, Condition, Facts, Operand, Rule, Window, WindowKind
from armillary.twin.rule.state import PHASES, Pane, State, Sums
from armillary.twin.rule.table import Event, RuleOutcome

NOW = START_S * 1000
VALUES = LIMITS | st.booleans() | st.sampled_from(["idle", "running"])
FACTS = st.builds(
    lambda limit, since: Facts("d", {"cloud": {"limit": limit}}, listening_since_ms=since),
    VALUES | st.none() | st.integers(0, 10),
    st.sampled_from([0, NOW, NOW + 60_000]),
)


@st.composite
def compared(draw: st.DrawFn) -> Condition:
    """A condition on telemetry or a property, of any kind and sign; sign and value need not go together."""
    op = draw(st.sampled_from(["==", "!=", ">", "<=", "contains", "in", "not in"]))
    if op in ("in", "not in"):
        operand: Operand = Operand(draw(st.tuples(VALUES, VALUES)))
    else:
        operand = Operand(draw(VALUES), draw(st.sampled_from(["", "", "limit"])))
    has_clear = op in ORDERING and draw(st.booleans())
    clear = draw(st.builds(Operand, LIMITS, st.sampled_from(["", "limit"]))) if has_clear else None
    if draw(st.integers(0, 5)) == 0:
        return Condition(prop="cloud.limit", op=op, operand=operand, clear=clear)
    return Condition(telemetry=draw(st.sampled_from(NAMES)), op=op, operand=operand, clear=clear)


SILENT = st.builds(Condition, telemetry=st.sampled_from(["", *NAMES]), silent_s=st.integers(1, 60))
GATHERED = st.builds(
    Condition,
    telemetry=st.sampled_from(NAMES),
    aggregate=st.sampled_from(Aggregate),
    op=st.just(">"),
    operand=st.builds(Operand, LIMITS),
)
WINDOW = st.builds(Window, st.sampled_from(WindowKind), st.just(50), st.sampled_from([0, 5]))
SHAPES = (
    st.tuples(st.lists(compared(), min_size=1, max_size=3), st.none())
    | st.tuples(st.lists(SILENT, min_size=1, max_size=2), st.none())
    | st.tuples(st.lists(GATHERED, min_size=1, max_size=3), WINDOW)
    | st.tuples(st.lists(compared() | SILENT, min_size=1, max_size=3), st.none())
    | st.tuples(st.lists(compared() | SILENT | GATHERED, min_size=1, max_size=3), WINDOW)
)
RULES = rules() | SHAPES.flatmap(
    lambda shape: st.builds(
        Rule,
        name=st.just("r"),
        conditions=st.just(tuple(shape[0])),
        window=st.just(shape[1]),
        match_all=st.booleans(),
        repeat=st.booleans(),
        hold_s=st.sampled_from([0, 10]),
        cool_down_s=st.sampled_from([0, 20]),
    )
)


def agree(program: Program, state: State, event: Event, now_ms: int, facts: Facts) -> State | None:
    """The state that both ways give; None when the short one left it to ``step``."""
    taken = fast_path_of(program).take(state, event, now_ms, facts)
    if taken is None:
        return None
    after, note = taken
    assert (after, [fast_path_of(program).entry(note)]) == step(program, state, event, now_ms, facts)
    assert type(after) is State
    assert all(type(pane) is Pane and all(type(each) is Sums for each in pane.sums if each) for pane in after.panes)
    return after


@settings(max_examples=examples(200), deadline=None)
@given(RULES, histories(), FACTS)
def test_the_short_way_gives_what_step_gives_all_along_a_history(
    rule: Rule, history: list[Message], facts: Facts
) -> None:
    program = Program(rule)
    state = start(program, NOW)
    for each in history:
        now_ms = each.arrives * 1000
        event = Event(now_ms - each.lag * 1000, each.values, each.lag != 0)
        taken = agree(program, state, event, now_ms, facts)
        state = taken or step(program, state, event, now_ms, facts)[0]


TIMES = st.sampled_from([0, NOW - 50_000, NOW - 1, NOW, NOW + 1, NOW + 5000, NOW + 50_000, NOW + 55_000])
NUMBERS = st.integers(NOW // 50_000 - 2, NOW // 50_000 + 1)
SUMS = st.builds(Sums, st.integers(1, 3), LIMITS, LIMITS, LIMITS)


@st.composite
def states(draw: st.DrawFn, program: Program) -> State:
    """Any state of the rule's form: also those that no history leads to."""
    count = len(program.aggregates)
    panes = st.builds(Pane, NUMBERS, TIMES, st.tuples(*[st.none() | SUMS] * count))
    return State(
        draw(st.sampled_from(PHASES)),
        draw(TIMES),
        draw(TIMES),
        draw(TIMES),
        draw(st.integers(0, 3)),
        draw(TIMES),
        draw(TIMES),
        tuple(draw(st.none() | st.tuples(TIMES, VALUES)) for _ in program.names),
        tuple(draw(TIMES) for _ in program.silences),
        draw(NUMBERS | st.just(-1)),
        tuple(sorted(draw(st.lists(panes, max_size=2, unique_by=lambda pane: pane.number)))),
        (),
    )


@settings(max_examples=examples(800), deadline=None)
@given(st.data(), RULES, FACTS)
def test_the_short_way_gives_what_step_gives_whatever_the_state(data: st.DataObject, rule: Rule, facts: Facts) -> None:
    program = Program(rule)
    state = data.draw(states(program))
    at_ms = data.draw(st.sampled_from([NOW, NOW, NOW - 1000, NOW - 60_000, NOW + 1, NOW + 120_000]))
    values = data.draw(st.none() | st.dictionaries(st.sampled_from([*NAMES, "other"]), VALUES))
    agree(program, state, Event(at_ms, values, data.draw(st.booleans())), NOW, facts)


SHORT = [
    ([Condition(telemetry="a", op=">", operand=Operand(5.0))], None, RuleOutcome.NOT_MET),
    ([Condition(telemetry="a", op=">", operand=Operand(5.0), clear=Operand(3.0))], None, RuleOutcome.NOT_MET),
    ([Condition(telemetry="s", op="==", operand=Operand("fault"))], None, RuleOutcome.NOT_MET),
    ([Condition(telemetry="a", op=">", operand=Operand(None, "limit"))], None, RuleOutcome.NOT_MET),
    ([Condition(telemetry=name, op=">", operand=Operand(5.0)) for name in NAMES], None, RuleOutcome.NOT_MET),
    ([Condition(silent_s=60), Condition(telemetry="a", silent_s=9)], None, RuleOutcome.NOT_MET),
    (
        [Condition(telemetry="a", aggregate=Aggregate.AVG, op=">", operand=Operand(5.0))],
        Window(WindowKind.TUMBLING, 3600),
        RuleOutcome.GATHERED,
    ),
]


def test_the_common_shapes_do_take_the_short_way() -> None:
    facts = Facts("d", {"cloud": {"limit": 5}})
    for conditions, window, outcome in SHORT:
        program = Program(Rule(name="r", conditions=tuple(conditions), window=window))
        quiet = fast_path_of(program)
        state, event = start(program, NOW), Event(NOW, {"a": 1.0, "b": 2.0, "s": "idle"})
        if window:  # the first point of a window opens it
            state, _ = step(program, state, event, NOW, facts)
        for later in range(3):
            taken = quiet.take(state, Event(NOW + later, event.values), NOW + later, facts)
            assert taken is not None, conditions
            state, note = taken
            assert quiet.entry(note).outcome is outcome
        assert agree(program, state, Event(NOW + 9, event.values), NOW + 9, facts) is not None


def test_what_is_met_late_or_missing_is_left_to_step() -> None:
    program = Program(Rule(name="r", conditions=(Condition(telemetry="a", op=">", operand=Operand(5.0)),)))
    take, facts = fast_path_of(program).take, Facts("d")
    clear = start(program, NOW)._replace(newest=((NOW, 1.0),))
    quiet = Event(NOW, {"a": 1.0})
    assert take(clear, quiet, NOW, facts)
    for state, event in (
        (clear, Event(NOW, {"a": 6.0})),
        (clear, Event(NOW, {"a": "6"})),
        (clear, Event(NOW, {"b": 1.0})),
        (clear, Event(NOW, None)),
        (clear, Event(NOW - 1, {"a": 1.0}, is_stated=True)),
        (clear, Event(NOW + 1, {"a": 1.0}, is_stated=True)),
        (clear._replace(phase="active"), quiet),
        (clear._replace(phase="pending"), quiet),
        (clear._replace(deadline_ms=NOW), quiet),
    ):
        assert take(state, event, NOW, facts) is None, (state, event)
