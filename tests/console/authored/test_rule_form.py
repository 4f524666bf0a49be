# SPDX-License-Identifier: Apache-2.0
"""The fields of a rule's form: what they say comes back as the same fields, and nothing of a rule is lost in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.console.authored.catalog_choice import catalog_field
from armillary.console.authored.pages_rule_form import Offered, form_view
from armillary.console.authored.rule_fields import (
    GROUPS,
    SILENT,
    body_of,
    fields_of,
    filled_rows,
    read_value,
    rows_of,
    with_rows,
    write_value,
    wrong_of,
)
from armillary.console.authored.rule_mistakes import in_words
from armillary.console.authored.rule_words import ACTION_WORDS
from armillary.errors import InvalidArgumentError
from armillary.twin.rule.json_form import from_json
from armillary.twin.rule.rule import OPERATORS, ORDERING

KINDS = {
    "t": "number",
    "door": "boolean",
    "label": "text",
    "mode": "enum",
    "reported.mode": "enum",
    "cloud.Max": "number",
}
WHOLE: dict[str, Any] = {
    "name": "High flow", "description": "two\nlines", "severity": "high", "match": "any",
    "target": {
        "template": "pump", "versions": [1, 3], "product": "P", "device_group": "G", "group": "north",
        "devices": ["a, b", "c"],
        "filters": [{"property": "tags.site", "op": "in", "value": ["a", "b"]},
                    {"property": "cloud.Max", "op": ">", "value": 4}],
    },
    "conditions": [
        {"telemetry": "t", "aggregate": "avg", "op": ">", "value": {"cloud_property": "Max", "default": 40}, "clear": 35},
        {"telemetry": "label", "aggregate": "count", "op": ">=", "value": 3},
        {"property": "reported.mode", "op": "in", "value": ["auto", "eco"]},
    ],
    "window": {"kind": "tumbling", "length_s": 300, "lateness_s": 90},
    "hold_s": 20, "cool_down_s": 3600, "repeat": True,
    "actions": [
        {"name": "desk", "kind": "email", "to": ["a@example.com", "b@example.com"], "subject": "Flow"},
        {"name": "hook", "kind": "webhook", "url": "https://example.com/", "signed": True},
        {"name": "close", "kind": "command", "method": "valve*close", "payload": {"percent": 100}, "timeout_s": 45},
        {"name": "all", "kind": "job", "job": "close-all"},
        {"kind": "quarantine", "reason": "too hot"},
        {"name": "watch", "kind": "channel", "channel": "security desk"},
    ],
    "quiet": {"times": ["Mon-Fri 22:00-06:00", "Sat,Sun 00:00-24:00"], "zone": "Europe/Berlin"},
}  # fmt: skip
SILENCE = {"name": "Quiet", "conditions": [{"silent_s": 600}, {"telemetry": "t", "silent_s": 90}]}


def shown(body: dict[str, Any]) -> dict[str, str]:
    found = fields_of(body, KINDS)
    assert found is not None
    return found


@pytest.mark.parametrize("body", [WHOLE, SILENCE], ids=["whole", "silence"])
def test_a_form_that_is_sent_back_says_the_same_rule(body: dict[str, Any]) -> None:
    made, wrong = body_of(filled_rows(shown(body)), KINDS)
    assert not wrong
    assert from_json(made) == from_json(body)


def test_a_wrong_value_beside_a_cloud_property_is_named_at_its_field() -> None:
    row = {"name": "unknown", "op": "contains", "value": "90", "than": "Max"}
    sent = filled_rows(with_rows({"name": "x", "severity": "low", "match": "all"}, "condition", [row]))
    made, wrong = body_of(sent, KINDS)
    assert not wrong
    with pytest.raises(InvalidArgumentError) as caught:
        from_json(made)
    assert wrong_of(caught.value, sent) == {"value_0": "Expected text with contains, got 90."}


VALUES = st.sampled_from([*KINDS, "unknown", "tags.site", "desired.x"])
LENGTHS = st.sampled_from(["20 s", "5 min", "1.5 h", "2 days", "90"])
TEXTS = st.sampled_from(["", "1", "-0.5", "true", "eco", "30 C", '"5"', "a, b", "[1, 2]", "null", "1e400", "9" * 400])
CONDITION = st.fixed_dictionaries(
    {"name": VALUES, "op": st.sampled_from([*OPERATORS, SILENT]), "value": TEXTS | LENGTHS | st.text(max_size=5),
     "clear": st.just("") | TEXTS, "aggregate": st.sampled_from(["", "avg", "count"]),
     "than": st.sampled_from(["", "", "Max"])}
)  # fmt: skip
ACTION = st.fixed_dictionaries(
    {"kind": st.sampled_from(list(ACTION_WORDS)), "label": st.sampled_from(["", "a", "email"]),
     "to": st.just("a@example.com;b@example.com"), "subject": st.sampled_from(["", "Hot"]),
     "url": st.just("https://example.com/"), "method": st.just("stop"), "job": st.just("j"),
     "payload": st.sampled_from(["", "null", '{"a": 1}', "{"]), "timeout": st.sampled_from(["", "45 s"]),
     "reason": st.sampled_from(["", "x\r\ny"])}
)  # fmt: skip


def stands_at_a_field(error: InvalidArgumentError, sent: dict[str, str]) -> None:
    assert wrong_of(error, sent), error.message


@given(
    st.lists(CONDITION, min_size=1, max_size=3),
    st.lists(ACTION, max_size=3),
    st.sampled_from(["", "", "5 min"]),
    st.sampled_from(["", "20 s"]),
)
def test_every_rule_that_the_form_makes_comes_back_to_the_same_fields(conditions, actions, window, hold) -> None:
    sent = {"name": "x", "severity": "low", "match": "all", "window": window, "hold": hold, "devices": "a\r\nb"}
    sent = filled_rows(with_rows(with_rows(sent, "condition", conditions), "action", actions))
    made, wrong = body_of(sent, KINDS)
    if wrong:
        return
    try:
        rule = from_json(made)
    except InvalidArgumentError as error:
        stands_at_a_field(error, sent)
        return
    fields = fields_of(made, KINDS)
    if fields is None:  # a value that the field's kind would read as another: it is changed as JSON
        assert any(read_value(each["value"], each["op"], "") is not None for each in conditions)
        return
    again, wrong = body_of(filled_rows(fields), KINDS)
    assert not wrong
    assert from_json(again) == rule
    assert fields_of(again, KINDS) == fields


JSON_VALUES = st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8) | st.integers()


@given(JSON_VALUES | st.lists(JSON_VALUES, min_size=1, max_size=3), st.sampled_from(["", "enum"]))
def test_a_value_that_is_typed_without_a_kind_is_read_as_it_was(value: Any, kind: str) -> None:
    op = "in" if isinstance(value, list) else "=="
    assert read_value(write_value(value, kind), op, kind) == value


@pytest.mark.parametrize(
    "change",
    [
        {"conditions": [{"telemetry": "tags.a", "op": ">", "value": 1}]},  # reads as a property
        {"conditions": [{"telemetry": "t", "op": ">", "value": 1, "clear": {"cloud_property": "Max"}}]},
        {"conditions": [{"telemetry": "label", "op": "==", "value": 5}]},  # a number where the template has a text
        {"conditions": [{"telemetry": "t", "op": "nearly", "value": 5}]},
        {"name": " x"},
    ],
)
def test_what_the_form_cannot_say_has_no_fields(change: dict[str, Any]) -> None:
    body = {"name": "x", "conditions": [{"telemetry": "t", "op": ">", "value": 1}]}
    assert fields_of(body, KINDS) is not None
    assert fields_of({**body, **change}, KINDS) is None


def test_a_secret_goes_along_once_and_is_shown_never() -> None:
    fields = shown({**SILENCE, "actions": [WHOLE["actions"][1]]})
    assert (fields["signed_0"], fields.get("secret_0")) == ("on", None)
    typed = {**fields, "secret_0": "a secret of some length"}
    assert body_of(typed, KINDS)[0]["actions"][0]["secret"] == "a secret of some length"
    offered = Offered(catalog=catalog_field({}, ["a"], is_new=True))
    assert [each.kind for each in form_view(typed, offered, {})["actions"][0]["fields"] if each.name == "secret_0"] == [
        "password"
    ]


@pytest.mark.parametrize(
    ("sent", "field", "says"),
    [
        ({"value_0": "warm"}, "value_0", "Expected a number such as 25 or -0.5, got 'warm'."),
        ({"value_0": ""}, "value_0", "Type what it is compared with."),
        ({"name": ""}, "name", "Type a name."),
        ({"name_0": "", "op_0": ">", "value_0": "3"}, "name_0", "Choose a value."),
        ({"hold": "soon"}, "hold", "Expected a length of time as 90 min, 12 h or 7 days, got 'soon'."),
        ({"aggregate_0": "avg"}, "window", "Type how long the window is, for example 5 min."),
        ({"window": "5 min"}, "aggregate_0", "Choose how the values of the window become one"),
        ({"window": "5 min", "op_0": SILENT, "value_0": "1 h"}, "op_0", "A silence cannot stand beside a window"),
        ({"version_first": "1", "version_last": "x"}, "version_first", "Expected a first and a last version"),
        ({"kind_0": "email", "to_0": ""}, "to_0", "Type at least one address."),
        ({"kind_0": "command", "method_0": "x", "payload_0": "{"}, "payload_0", "Expected JSON, got '{'."),
        ({"kind_0": "job", "label_0": "a", "kind_1": "job", "label_1": "a"}, "label_1", "has this name: type another."),
        ({"filter_0": "tags.a", "filter_op_0": "=="}, "filter_value_0", "Type what it is compared with."),
    ],
)  # fmt: skip
def test_a_mistake_stands_at_its_field(sent: dict[str, str], field: str, says: str) -> None:
    good = {"name": "x", "severity": "low", "match": "all", "name_0": "t", "op_0": ">", "value_0": "3"}
    assert not body_of(good, KINDS)[1]
    assert says in body_of({**good, **sent}, KINDS)[1][field]


@pytest.mark.parametrize(
    ("message", "field", "said"),
    [
        ("conditions[1].clear: expected at most 9, got 10", "clear_1", "Condition 2, clears at: expected at most 9, got 10"),
        ("actions[0].to: expected addresses", "to_0", "Action 1, to: expected addresses"),
        ("target.filters[2].property: expected", "filter_2", "Filter 3, property: expected"),
        ("hold_s: expected seconds", "hold", "Met for: expected seconds"),
        ("Catalog: expected a choice", "catalog", "Catalog: expected a choice"),
        ("actions: 'hook' is signed and has no secret", "secret_1", "Action 2, secret: type the secret"),
    ],
)  # fmt: skip
def test_what_a_rule_refuses_is_said_in_the_words_of_the_form(message: str, field: str, said: str) -> None:
    fields = {"kind_0": "email", "label_0": "a", "kind_1": "webhook", "label_1": "hook"}
    wrong = wrong_of(InvalidArgumentError(message, remedy="x"), fields)
    assert list(wrong) == [field]
    assert in_words(wrong).startswith(said)


def test_rows_are_added_and_taken_away_with_all_that_is_typed() -> None:
    fields = shown(WHOLE)
    rows = rows_of(fields, "action")
    fewer = with_rows(fields, "action", [rows[0], *rows[2:]])
    assert [each["kind"] for each in rows_of(fewer, "action")] == ["email", "command", "job", "quarantine", "channel"]
    assert {name: value for name, value in fewer.items() if not name[-1].isdecimal()} == {
        name: value for name, value in fields.items() if not name[-1].isdecimal()
    }
    assert with_rows(fewer, "action", rows) == fields
    assert len(rows_of({f"op_{at}": ">" for at in range(99)}, "condition")) == GROUPS["condition"][1]


VALUE = {"display_name": "Temperature", "symbol": "°C", "words": [], "kind": "number"}


def test_comparisons_and_units_fit_the_value() -> None:
    mode = {"name": "reported.mode", "display_name": "Mode", "symbol": "", "kind": "enum",
            "words": [{"value": "eco", "display_name": "Saving"}]}  # fmt: skip
    offered = Offered(
        catalog=catalog_field({}, ["a"], is_new=True),
        values={"telemetry": [{"name": "t", **VALUE}], "properties": [mode]},
    )
    fields = {"name_0": "t", "op_0": ">", "name_1": "reported.mode", "op_1": "=="}
    first, second = form_view(fields, offered, {"value_0": "Wrong."})["conditions"]
    by_name = {each.name: each for each in (*first["fields"], *second["fields"])}
    assert by_name["name_0"].groups[0] == ("Telemetry", (("t", "Temperature (°C)"),))
    assert (by_name["value_0"].unit, by_name["value_0"].error) == ("°C", "Wrong.")
    assert set(ORDERING) < {each for each, _ in by_name["op_0"].choices}
    assert [each for each, _ in by_name["op_1"].choices] == ["==", "!=", "in", "not in"]
    assert by_name["value_1"].choices == (("", "Choose"), ("eco", "Saving"))
    assert "aggregate_1" not in by_name


def test_quiet_times_that_are_none_are_wrong_at_their_field() -> None:
    fields = {**(fields_of(WHOLE, KINDS) or {}), "quiet_times": "at night"}
    body, wrong = body_of(filled_rows(fields), KINDS)
    assert not wrong
    with pytest.raises(InvalidArgumentError) as raised:
        from_json(body)
    assert list(wrong_of(raised.value, fields)) == ["quiet_times"]
    fields = {**fields, "quiet_times": "daily 01:00-02:00", "quiet_zone": "CET/Now"}
    with pytest.raises(InvalidArgumentError) as raised:
        from_json(body_of(filled_rows(fields), KINDS)[0])
    assert list(wrong_of(raised.value, fields)) == ["quiet_zone"]
    assert "quiet_times" in body_of(filled_rows({**fields, "quiet_times": " "}), KINDS)[1]
