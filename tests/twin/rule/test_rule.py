# SPDX-License-Identifier: Apache-2.0
"""Rules by hand: what fires, when, and what the trace says of it."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.errors import InvalidArgumentError
from armillary.twin.rule import json_form as rule_json
from armillary.twin.rule.action import split_secrets
from armillary.twin.rule.evaluate import Program, start, step
from armillary.twin.rule.rule import Facts, Rule, unconcerned, unmodelled
from armillary.twin.rule.state import PHASES, State
from armillary.twin.rule.table import REPEATS, TRANSITIONS, Event, RuleOutcome, Signal
from armillary.twin.rule.trace import why

T = 1_700_000_000_000  # on no window's border


def rule(**fields: Any) -> Rule:
    base: dict[str, Any] = {"name": "r", "conditions": [{"telemetry": "flow", "op": ">", "value": 10}]}
    return rule_json.from_json({**base, **fields})


class Run:
    """One rule and one device on a clock."""

    def __init__(self, rule: Rule, **facts: Any) -> None:
        self.rule = rule
        self.program = Program(rule)
        self.state: State = start(self.program, T)
        self.facts = Facts("d", **facts)

    def at(self, seconds: float, values: dict[str, Any] | None = None, *, measured: float | None = None) -> list[str]:
        """Outcomes of a message (or of the time alone) ``seconds`` after the start."""
        now = T + int(seconds * 1000)
        event = (
            None
            if values is None
            else Event(now if measured is None else T + int(measured * 1000), values, measured is not None)
        )
        self.state, self.entries = step(self.program, self.state, event, now, self.facts)
        return [entry.outcome.value for entry in self.entries]

    def why(self) -> str:
        return why(self.rule, self.entries[-1])


def test_the_tables_answer_every_state_and_signal() -> None:
    wanted = {(phase, signal) for phase in PHASES for signal in Signal}
    assert set(TRANSITIONS) == wanted == set(REPEATS)
    assert {phase for phase, _ in TRANSITIONS.values()} == set(PHASES)


def test_it_fires_once_while_its_condition_stays_met_and_again_when_it_is_met_again() -> None:
    run = Run(rule())
    assert run.at(1, {"flow": 9.0}) == ["not met"]
    assert run.why() == "a message: did not fire, because flow is 9, > 10: not met."
    assert run.at(2, {"flow": 11.0}) == ["fired"]
    assert run.at(3, {"flow": 12.0}) == ["still met"]
    assert run.at(4, {"flow": 1.0}) == ["cleared"]
    assert run.at(5, {"flow": 11.0}) == ["fired"]
    assert run.state.firings == 2


def test_a_rule_that_repeats_fires_at_each_message_that_meets_it() -> None:
    run = Run(rule(conditions=[{"telemetry": "fall", "op": "==", "value": True}], repeat=True, cool_down_s=60))
    assert run.at(1, {"fall": True}) == ["fired"]
    assert run.at(2, {"fall": True}) == ["cooling down"]
    assert "its cool-down lasts until" in run.why()
    assert run.at(70, {"fall": True}) == ["fired"]


def test_the_clear_threshold_keeps_a_value_between_the_two_from_firing_again() -> None:
    run = Run(rule(conditions=[{"telemetry": "t", "op": ">", "value": 95, "clear": 90}]))
    assert [run.at(n, {"t": float(t)})[0] for n, t in enumerate([96, 94, 96, 90, 96])] == [
        "fired", "not cleared yet", "still met", "cleared", "fired",
    ]  # fmt: skip


def test_a_minimum_duration_ends_by_the_clock_when_no_further_message_comes() -> None:
    run = Run(rule(hold_s=60))
    assert run.at(1, {"flow": 11.0}) == ["waiting"]
    assert "have to stay met for 60 s" in run.why()
    assert run.at(60) == []
    assert run.at(62) == ["fired"]
    assert run.entries[0].now_ms == T + 61_000
    assert run.why() == "time went by: fired, because the conditions are met since 60 s or more."


def test_points_that_an_offline_device_kept_count_by_the_time_they_were_measured() -> None:
    run = Run(rule(hold_s=60))
    assert run.at(1000, {"flow": 11.0}, measured=100) == ["waiting"]
    assert run.at(1000, {"flow": 12.0}, measured=161) == ["fired"]


def test_a_cool_down_delays_a_firing_and_loses_none() -> None:
    run = Run(rule(cool_down_s=100))
    run.at(0, {"flow": 11.0})
    run.at(1, {"flow": 1.0})
    assert run.at(2, {"flow": 11.0}) == ["cooling down"]
    assert run.at(101) == ["fired"]


def test_no_data_fires_by_the_clock_and_is_over_with_the_next_message() -> None:
    run = Run(rule(conditions=[{"silent_s": 600}]))
    assert run.at(599) == []
    assert run.at(600) == ["fired"]
    assert run.at(5000) == []
    assert run.at(5001, {"anything": 1.0}) == ["cleared"]
    assert run.at(5601) == ["fired"]


def test_silence_while_the_hub_was_away_is_nobodys_silence() -> None:
    run = Run(rule(conditions=[{"silent_s": 600}]))
    run.facts = run.facts._replace(listening_since_ms=T + 10_000_000)
    assert run.at(10_001) == ["not met"]
    assert run.at(10_600) == ["fired"]


def test_a_tumbling_window_is_judged_when_it_is_over_and_late_points_have_had_their_time() -> None:
    conditions = [{"telemetry": "flow", "aggregate": "avg", "op": ">", "value": 10}]
    run = Run(rule(conditions=conditions, window={"kind": "tumbling", "length_s": 300, "lateness_s": 10}))
    border = -(-T // 300_000) * 300_000  # the first window's end, seconds after the start:
    end = (border - T) / 1000
    assert run.at(end - 20, {"flow": 14.0}) == ["gathered"]
    assert run.at(end + 2, {"flow": 2.0}) == ["gathered"]
    assert run.at(end + 5, {"flow": 8.0}, measured=end - 1) == ["gathered"]  # late, and not too late
    assert run.at(end + 30) == ["fired"]
    assert run.entries[0].at_ms == border
    assert run.at(end + 40, {"flow": 0.0}, measured=end - 2) == ["ignored"]
    assert "its window ended 40 s ago and is closed: not used" in run.why()


def test_a_count_over_windows_in_which_nothing_came_is_zero() -> None:
    conditions = [{"telemetry": "beat", "aggregate": "count", "op": "<", "value": 1}]
    run = Run(rule(conditions=conditions, window={"kind": "tumbling", "length_s": 60, "lateness_s": 0}))
    assert run.at(1, {"beat": 1.0}) == ["ignored"]  # a window under way has lost its beginning
    assert run.at(200) == ["fired", "still met"]


def test_a_sliding_window_moves_on_with_points_and_empties_by_the_clock() -> None:
    conditions = [{"telemetry": "flow", "aggregate": "sum", "op": ">=", "value": 30}]
    run = Run(rule(conditions=conditions, window={"kind": "sliding", "length_s": 100}))
    assert run.at(0, {"flow": 20.0}) == ["not met"]
    assert run.at(50, {"flow": 10.0}) == ["fired"]
    assert run.at(60, {"flow": 1.0}, measured=40) == ["still met"]
    assert run.at(110) == ["cleared"]
    assert run.at(120, {"flow": 30.0}, measured=-1) == ["ignored"]
    assert "before the window begins" in run.why()


def test_a_message_that_comes_twice_counts_once() -> None:
    conditions = [{"telemetry": "flow", "aggregate": "sum", "op": ">=", "value": 30}]
    run = Run(rule(conditions=conditions, window={"kind": "sliding", "length_s": 100}))
    run.at(5, {"flow": 20.0}, measured=4)
    assert run.at(6, {"flow": 20.0}, measured=4) == ["ignored"]
    assert "the same value of the same time came before" in run.why()
    assert run.at(7, {"flow": 20.0}, measured=6) == ["fired"]


def test_a_clock_that_runs_ahead_hides_no_later_value() -> None:
    run = Run(rule())
    assert run.at(1, {"flow": 1.0}, measured=86_000) == ["not met"]
    assert "by its own clock: taken as of now" in " ".join(run.entries[0].notes)
    assert run.at(2, {"flow": 11.0}) == ["fired"]


def test_a_point_older_than_the_newest_does_not_take_its_place() -> None:
    run = Run(rule())
    run.at(10, {"flow": 1.0}, measured=9)
    assert run.at(11, {"flow": 11.0}, measured=5) == ["ignored"]
    assert "measured 4 s before the newest one: not used" in run.why()


def test_a_text_where_a_number_was_expected_is_unknown_and_said_so() -> None:
    run = Run(rule())
    assert run.at(1, {"flow": "11"}) == ["unknown"]
    assert "a text cannot be compared so with a number" in run.why()
    run.at(2, {"flow": 11.0})
    assert run.at(3, {"flow": "off"}) == ["unknown"]
    assert run.state.phase == "active", "an unknown value ends nothing"


def test_a_cloud_property_of_the_device_is_the_threshold_and_its_absence_is_said() -> None:
    conditions = [{"telemetry": "fill", "op": ">=", "value": {"cloud_property": "Bin full alert"}}]
    run = Run(rule(conditions=conditions))
    assert run.at(1, {"fill": 96.0}) == ["unknown"]
    assert "the cloud property Bin full alert, which this device does not have" in run.why()
    run.facts = run.facts._replace(properties={"cloud": {"Bin full alert": 95}})
    assert run.at(2, {"fill": 96.0}) == ["fired"]
    run = Run(rule(conditions=[{"telemetry": "fill", "op": ">", "value": {"cloud_property": "x", "default": 50}}]))
    assert run.at(1, {"fill": 60.0}) == ["fired"]


def test_texts_choices_and_properties() -> None:
    conditions = [
        {"property": "reported.mode", "op": "in", "value": ["auto", "eco"]},
        {"telemetry": "state", "op": "contains", "value": "fault"},
    ]
    run = Run(rule(conditions=conditions), properties={"reported": {"mode": "eco"}})
    assert run.at(1, {"state": "pump fault 3"}) == ["fired"]
    run.facts = run.facts._replace(properties={"reported": {"mode": "off"}})
    state, entries = step(run.program, run.state, Event(T + 2000, None), T + 2000, run.facts)
    assert [entry.outcome for entry in entries] == [RuleOutcome.CLEARED]
    assert state.phase == "clear"


def test_any_of_fires_on_one_condition_while_another_is_unknown() -> None:
    conditions = [{"telemetry": "a", "op": ">", "value": 1}, {"telemetry": "b", "op": ">", "value": 1}]
    assert Run(rule(conditions=conditions, match="any")).at(1, {"a": 2.0}) == ["fired"]
    assert Run(rule(conditions=conditions)).at(1, {"a": 2.0}) == ["unknown"]
    assert Run(rule(conditions=conditions)).at(1, {"a": 0.0}) == ["not met"]


def test_a_sum_that_no_double_holds_is_unknown() -> None:
    conditions = [{"telemetry": "a", "aggregate": "sum", "op": ">", "value": 1}]
    run = Run(rule(conditions=conditions, window={"kind": "sliding", "length_s": 100}))
    run.at(1, {"a": 1.7e308})
    assert run.at(2, {"a": 1.7e308}) == ["unknown"]


def test_which_devices_a_rule_concerns_and_why_not() -> None:
    target = rule(
        target={
            "template": "meter",
            "versions": [2, 3],
            "filters": [{"property": "tags.site", "op": "==", "value": "north"}],
        }
    ).target
    north = {"tags": {"site": "north"}}
    assert unconcerned(target, Facts("d", north, "meter", 2)) is None
    assert "versions 2 to 3" in str(unconcerned(target, Facts("d", north, "meter", 4)))
    assert "for the device template meter, the device has none" in str(unconcerned(target, Facts("d", north)))
    assert "filter asks for tags.site" in str(unconcerned(target, Facts("d", {}, "meter", 2)))


def test_a_name_that_the_template_does_not_have_is_a_warning() -> None:
    made = rule(conditions=[{"telemetry": "flwo", "op": ">", "value": {"cloud_property": "Max"}}])
    warnings = unmodelled(made, ["flow"], ["cloud.Min"])
    assert [each.split(":")[0] for each in warnings] == ["telemetry flwo", "cloud.Max"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"conditions": []}, "conditions: expected a list of 1 to 16"),
        ({"conditions": [{"telemetry": "a", "op": ">", "value": "9"}]}, "conditions[0].value: expected a number with >"),
        ({"conditions": [{"telemetry": "a", "op": ">", "value": float("nan")}]}, "a finite number"),
        ({"conditions": [{"telemetry": "a", "op": ">", "value": 10**400}]}, "a finite number"),
        ({"conditions": [{"telemetry": "a", "op": ">", "value": 9, "clear": 10}]}, "would end before it began"),
        ({"conditions": [{"telemetry": "a", "op": "==", "value": 9, "clear": 8}]}, "clear: expected an ordering"),
        ({"conditions": [{"telemetry": "a", "aggregate": "avg", "op": ">", "value": 9}]}, "the rule has no window"),
        ({"window": {"kind": "sliding", "length_s": 60}}, "the rule has a window"),
        ({"window": {"kind": "hopping", "length_s": 60}}, "window.kind: expected one of tumbling, sliding"),
        ({"conditions": [{"property": "mode", "op": "==", "value": 1}]}, "a dot and a name"),
        ({"conditions": [{"silent_s": 10, "op": ">"}]}, "silent_s with nothing beside it"),
        ({"conditions": [{"telemetry": "a", "property": "tags.b", "op": "=="}]}, "one of telemetry, property"),
        ({"target": {"versions": [1, 2]}}, "a template beside it"),
        ({"hold_s": -1}, "hold_s: expected 0 to"),
        ({"hold_s": True}, "hold_s: expected 0 to"),
        ({"colour": 1}, "rule: expected only"),
        ({"actions": [{"kind": "sms"}]}, "actions[0].kind: expected one of email, webhook, command, quarantine, job"),
        ({"actions": [{"kind": "job"}]}, "actions[0].job"),
        ({"actions": [{"kind": "email", "to": ["a@b\r\nBcc: x@y"]}]}, "addresses such as"),
        ({"actions": [{"kind": "webhook", "url": "file:///etc/passwd"}]}, "https:// or http://"),
        ({"actions": [{"kind": "webhook", "url": "https://user:pw@host/"}]}, "no user name"),
        ({"actions": [{"kind": "quarantine"}, {"kind": "quarantine", "name": "1"}]}, "a different name for each"),
        ({"name": "two\nlines"}, "without control characters"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_the_field(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said.replace("[", r"\[").replace("]", r"\]")):
        rule(**fields)


def test_a_secret_never_stays_in_a_rule() -> None:
    written = {
        "name": "r",
        "conditions": [{"telemetry": "a", "op": ">", "value": 1}],
        "actions": [{"kind": "webhook", "url": "https://h/", "secret": "0123456789abcdef"}],
    }
    document, secrets = split_secrets(written)
    assert secrets == {"1": "0123456789abcdef"}
    assert "0123456789abcdef" not in repr(rule_json.from_json(document))
    assert rule_json.to_json(rule_json.from_json(document))["actions"][0]["signed"] is True
    with pytest.raises(InvalidArgumentError) as refused:
        split_secrets({**written, "actions": [{"kind": "webhook", "secret": "hunter2"}]})
    assert "hunter2" not in refused.value.message
