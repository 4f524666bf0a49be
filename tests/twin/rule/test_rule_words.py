# SPDX-License-Identifier: Apache-2.0
"""Rules and their firings as people read them: names and units of the template, every sign, every way to be unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.twin.rule.test_rule import Run, rule

from armillary.twin.rule.trace import explain
from armillary.twin.rule.words import MAX_TEXT, condition_words, span, summary
from armillary.twin.template.value_names import Naming, ValueName


class _Table:
    """Stands for the names of one template."""

    def of(self, name: str) -> ValueName | None:
        return {
            "t": ValueName("t", "Temperature", "°C"),
            "flow": ValueName("flow", "Flow", "l/s"),
            "door": ValueName("door", "Door", "", {1: "Open", 0: "Shut"}),
            "reported.mode": ValueName("reported.mode", "Mode"),
            "cloud.Max": ValueName("cloud.Max", "Highest temperature", "°C"),
        }.get(name)


NAMES = Naming((_Table(),))  # type: ignore[arg-type]  # it has the one method that is asked


def said(condition: dict[str, Any], values: dict[str, Any], **more: Any) -> str:
    """What one message comes to, kept as JSON in between as the records keep it."""
    facts = more.pop("facts", {})
    run = Run(rule(conditions=[condition], **more), **facts)
    run.at(1, values)
    return summary(json.loads(json.dumps(explain(run.rule, run.entries[-1]))), NAMES)


@pytest.mark.parametrize(
    ("op", "value", "sent", "words"),
    [
        (">", 25, 30.5, "Temperature 30.5 °C was above 25 °C"),
        (">", 25, 20.0, "Temperature 20 °C was not above 25 °C"),
        (">=", 25, 25.0, "Temperature 25 °C was at least 25 °C"),
        ("<", 1204.5, 1000.25, "Temperature 1,000.25 °C was below 1,204.5 °C"),
        ("<=", -3, -4.0, "Temperature -4 °C was at most -3 °C"),
        ("==", 7, 7.0, "Temperature was 7 °C"),
        ("==", 7, 8.0, "Temperature was 8 °C, not 7 °C"),
        ("!=", 7, 8.0, "Temperature was 8 °C, not 7 °C"),
        ("in", [1, 2], 2.0, "Temperature was 2 °C, one of 1 °C, 2 °C"),
        ("not in", [1, 2], 3.0, "Temperature was 3 °C, none of 1 °C, 2 °C"),
        (">", 25, "warm", "Temperature warm was not above 25 °C"),
    ],
)
def test_a_comparison_is_a_sentence_with_units(op: str, value: Any, sent: Any, words: str):
    assert said({"telemetry": "t", "op": op, "value": value}, {"t": sent}) == words


def test_words_of_enums_properties_texts_and_cloud_properties():
    assert said({"telemetry": "door", "op": "==", "value": 1}, {"door": 1.0}) == "Door was Open"
    assert said({"telemetry": "open", "op": "==", "value": True}, {"open": True}) == "open was true"
    mode = {"property": "reported.mode", "op": "==", "value": "eco"}
    flow = {"telemetry": "flow", "op": ">", "value": 1}
    run = Run(rule(conditions=[flow, mode]), properties={"reported": {"mode": "eco"}})
    run.at(1, {"flow": 2.0})
    assert summary(explain(run.rule, run.entries[-1]), NAMES) == "Flow 2 l/s was above 1 l/s and Mode was eco"
    over = {"telemetry": "t", "op": ">", "value": {"cloud_property": "Max"}}
    assert said(over, {"t": 31.0}, facts={"properties": {"cloud": {"Max": 30}}}) == (
        "Temperature 31 °C was above 30 °C (Highest temperature)"
    )
    assert said(over, {"t": 31.0}) == "Temperature 31 °C has nothing to compare with"
    text = said({"telemetry": "note", "op": "contains", "value": "x" * 200}, {"note": "x" * 300})
    assert text == f"note was {'x' * MAX_TEXT}…, which contains {'x' * MAX_TEXT}…"


def test_of_any_only_what_was_met_is_said_and_of_all_what_was_not():
    conditions = [{"telemetry": "t", "op": ">", "value": 25}, {"telemetry": "flow", "op": ">", "value": 10}]
    for match, outcome, words in (
        ("any", "fired", "Flow 11 l/s was above 10 l/s"),
        ("all", "not met", "Temperature 20 °C was not above 25 °C"),
    ):
        run = Run(rule(conditions=conditions, match=match))
        assert run.at(1, {"t": 20.0, "flow": 11.0}) == [outcome]
        assert summary(explain(run.rule, run.entries[-1]), NAMES) == words
    run = Run(rule(conditions=conditions))
    run.at(1, {"flow": 11.0})
    assert summary(explain(run.rule, run.entries[-1]), NAMES) == "Temperature has no value"


def test_windows_silence_and_holds_say_their_time():
    window = {"kind": "tumbling", "length_s": 300}
    run = Run(rule(conditions=[{"telemetry": "t", "aggregate": "avg", "op": ">", "value": 25}], window=window))
    run.at(1, {"t": 30.0})
    run.at(700)
    assert summary(explain(run.rule, run.entries[0]), NAMES) == ("Temperature (average of 5 min) 30 °C was above 25 °C")
    silent = Run(rule(conditions=[{"telemetry": "t", "silent_s": 600}, {"silent_s": 60}]))
    silent.at(1, {"t": 30.0})
    silent.at(700)
    assert (
        summary(explain(silent.rule, silent.entries[-1]), NAMES) == "No Temperature for 10 min and No message for 1 min"
    )
    held = Run(rule(hold_s=60))
    held.at(1, {"flow": 11.0})
    assert summary(explain(held.rule, held.entries[-1]), NAMES) == "Flow 11 l/s was above 10 l/s"
    held.at(62)
    assert summary(explain(held.rule, held.entries[-1]), NAMES) == "Flow 11 l/s was above 10 l/s, for 1 min or more"


def test_an_evaluation_that_compared_nothing_or_is_of_before_has_no_summary():
    assert summary({"why": "a message: fired.", "outcome": "fired", "conditions": []}, NAMES) == ""


def test_conditions_of_a_list_are_said_in_the_same_words():
    plain = rule(
        conditions=[
            {"telemetry": "t", "op": ">", "value": 25, "clear": 20},
            {"telemetry": "door", "op": "==", "value": 1},
            {"property": "reported.mode", "op": "in", "value": ["eco", "off"]},
            {"telemetry": "flow", "silent_s": 600},
            {"silent_s": 90},
        ]
    )
    highest = {"telemetry": "flow", "aggregate": "max", "op": "<=", "value": {"cloud_property": "Max"}}
    over_time = rule(conditions=[highest], window={"kind": "sliding", "length_s": 60})
    assert [condition_words(each, NAMES, 60) for each in (*plain.conditions, *over_time.conditions)] == [
        "Temperature above 25 °C (clears at 20 °C)",
        "Door is Open",
        "Mode is one of eco, off",
        "no Flow for 10 min",
        "no message for 90 s",
        "Flow (highest of 1 min) at most Highest temperature",
    ]
    assert [span(each) for each in (5, 60, 90, 150, 7200, 86_400)] == ["5 s", "1 min", "90 s", "2 min", "2 h", "1 d"]
