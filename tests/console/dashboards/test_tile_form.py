# SPDX-License-Identifier: Apache-2.0
"""The form of a tile: what it shows of a tile it says again when it is sent, and lengths of time in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.twin.author.test_dashboard import FULL, tile

from armillary.console.dashboards.durations import seconds_of, words
from armillary.console.dashboards.filled_tile import tile_of
from armillary.console.dashboards.pages_tile_form import Offered, form_view
from armillary.errors import InvalidArgumentError
from armillary.twin.author.dashboard import parse_tile


def named(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "display_name": name.title(), "symbol": "l", "words": []} for name in names]


OFFERED = Offered(
    groups=[("all-meters", "All meters")],
    templates=[("flow-meter", "Flow meter")],
    names={"values": named("other", "flow"), "commands": named("close")},
)


def sent(view: dict[str, Any], tile_body: dict[str, Any]) -> dict[str, str]:
    """What a browser sends of the form as it is shown."""
    found = {"title": tile_body["title"], **{axis: str(tile_body[axis]) for axis in "xywh"}}
    for field in view["fields"]:
        name = field["name"]
        match field["shape"]:
            case "source":
                found |= {"source": field["value"], "source_device": field["device"]}
            case "value" | "length" | "picture" | "target":
                found |= {name: field["value"], f"{name}.own": field["own"]}
            case "values":
                found |= {f"{name}.{at}": each for at, (each, _, is_on) in enumerate(field["ticks"]) if is_on}
                found[f"{name}.own"] = field["own"]
            case "truth":
                found |= {name: "on"} if field["value"] else {}
            case "steps":
                for at, (start, state) in enumerate(field["rows"]):
                    found |= {f"{name}.{at}.from": start, f"{name}.{at}.state": state or "good"}
            case "buttons":
                for at, row in enumerate(field["rows"]):
                    found |= {f"{name}.{at}.label": row["label"], f"{name}.{at}.parameters": row["parameters"]}
                    found |= {f"{name}.{at}.command": row["command"]["value"]}
                    found |= {f"{name}.{at}.command.own": row["command"]["own"]}
                    found |= {f"{name}.{at}.ask": "on"} if row["ask"] else {}
            case _:
                found[name] = str(field["value"])
    return found


@pytest.mark.parametrize("kind", FULL)
def test_a_form_that_is_sent_as_it_is_shown_says_the_same_tile(kind: str):
    body = tile(kind)
    made = tile_of(kind, sent(form_view(kind, body, OFFERED), body), body["id"], frozenset())
    assert parse_tile(made) == parse_tile(body)


def test_values_are_called_as_people_call_them_those_of_the_tile_first_and_what_nobody_offers_is_typed():
    view = form_view("line", {**tile("line"), "values": ["flow", "unheard"]}, OFFERED)
    field = next(each for each in view["fields"] if each["name"] == "values")
    assert field["ticks"] == [("flow", "Flow (l)", True), ("other", "Other (l)", False)]
    assert field["own"] == "unheard"


def test_thresholds_are_put_in_order_and_what_is_no_number_is_named():
    rows = {
        "thresholds.0.from": "90",
        "thresholds.0.state": "bad",
        "thresholds.1.from": "-5",
        "thresholds.1.state": "good",
    }
    made = tile_of("kpi", rows, "t", frozenset())
    assert made["thresholds"] == [{"from": -5, "state": "good"}, {"from": 90, "state": "bad"}]
    wrong = {**sent(form_view("kpi", tile("kpi"), OFFERED), tile("kpi")), "thresholds.0.from": "hot"}
    with pytest.raises(InvalidArgumentError, match=r"thresholds\[0\].from: expected a number, got 'hot'"):
        parse_tile(tile_of("kpi", wrong, "t", frozenset()))


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": "\\ud800"}', "{"])
def test_parameters_that_no_answer_could_hold_are_named(text: str):
    rows = {"buttons.0.label": "Open", "buttons.0.command": "open", "buttons.0.parameters": text}
    with pytest.raises(InvalidArgumentError, match=r"buttons.0.parameters: expected JSON"):
        tile_of("commands", rows, "t", frozenset())


@pytest.mark.parametrize(
    ("text", "seconds"), [("90 min", 5400), ("12h", 43_200), ("7 Days", 604_800), ("1.5 h", 5400), ("45", 45)]
)
def test_a_length_is_read_as_people_write_it(text: str, seconds: int):
    assert seconds_of(text, "range_s") == seconds


@pytest.mark.parametrize("text", ["", "a while", "-5 min", "1e9 h", "5 parsecs", "9" * 12])
def test_what_is_no_length_is_refused_with_the_field(text: str):
    with pytest.raises(InvalidArgumentError, match="range_s: expected a length of time as 90 min"):
        seconds_of(text, "range_s")


@given(st.integers(1, 400 * 86_400))
def test_a_length_that_is_written_is_read_as_it_was(seconds: int):
    assert seconds_of(words(seconds), "x") == seconds
