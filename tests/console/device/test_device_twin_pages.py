# SPDX-License-Identifier: Apache-2.0
"""The twin editor over a real service, without a browser: what a form means, what is sent, who was faster."""

from __future__ import annotations

import html
import json
import re
import uuid
from typing import Any

import pytest
from tests.console.hub_devices.test_hub_devices_pages import said
from tests.console.hub_scene import HubScene

from armillary.console.device import pages_twin
from armillary.console.device.pages_value_fields import typed_value, value_field
from armillary.errors import InvalidArgumentError


def capability(schema: Any, **more: Any) -> dict[str, Any]:
    return {
        "name": "target", "display_name": "Target", "kind": "property", "writable": True, "schema": schema,
        "unit": None, "symbol": "", "limits": {}, **more,
    }  # fmt: skip


ENUM = {
    "enum": [{"value": 1, "name": "low", "display_name": "Low"}, {"value": 2, "name": "high", "display_name": "High"}]
}


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        ("double", "21.5", 21.5),
        ("double", "-3", -3),
        ("double", "1e3", 1000.0),
        ("integer", "7", 7),
        ("boolean", "false", False),
        ("string", " a b ", " a b "),
        ("date", "2026-11-26", "2026-11-26"),
        ("duration", " PT5M ", "PT5M"),
        ("geopoint", '{"lat": 1, "lon": 2}', {"lat": 1, "lon": 2}),
        ("point", '{"type": "Point", "coordinates": [1, 2]}', {"type": "Point", "coordinates": [1, 2]}),
        (ENUM, "2", 2),
        ({"array": "double"}, "[1, 2]", [1, 2]),
        ("double", "  ", None),
        ("string", "", None),
    ],
)
def test_what_is_typed_becomes_a_value_of_its_schema_and_stands_in_the_field_again(schema: Any, typed: str, value: Any):
    found = capability(schema)
    assert typed_value(found, typed) == value
    again = typed_value(found, value_field("x", found, value, none="none").value)
    assert (again, type(again)) == (value, type(value))


@pytest.mark.parametrize(
    ("schema", "typed"),
    [
        ("double", "warm"),
        ("double", "inf"),
        ("double", "1e999"),
        ("integer", "1.5"),
        ("boolean", "perhaps"),
        (ENUM, "{"),
        ("vector", "1,2"),
        ("vector", '{"x": NaN}'),
        ("vector", '{"x": "\\ud800"}'),
        ("vector", '{"x": 1, "x": 2}'),
        ("vector", "[" * 90_000),
    ],
)
def test_what_a_field_does_not_take_is_said_by_name(schema: Any, typed: str):
    with pytest.raises(InvalidArgumentError, match=r"^target: expected "):
        typed_value(capability(schema), typed)


def test_fields_say_what_they_take():
    field = value_field(
        "x",
        capability("double", unit="degreeCelsius", symbol="°C", limits={"minimum": -30, "maximum": 10}),
        4,
        none="-",
    )
    assert (field.kind, field.unit, field.hint) == ("number", "°C", "target; -30 to 10")
    assert dict(field.limits) == {"step": "any", "min": "-30", "max": "10"}
    chosen = value_field("x", capability(ENUM), 3, none="nothing")
    assert chosen.choices == (("", "nothing"), ("1", "Low (1)"), ("2", "High (2)"), ("3", "3, which is none of these"))
    assert value_field("x", capability("boolean"), None, none="nothing").value == ""


def test_a_form_wants_only_what_it_changes():
    rows = [
        capability("double"),
        capability("string", name="thermostat.label"),
        capability("string", name="fixed", writable=False),
    ]
    seen = {"target": 4, "thermostat": {"__t": "c", "label": "cold"}}
    same = {"want.target": "4", "want.thermostat.label": "cold", "want.fixed": "x"}
    assert pages_twin.wanted_of(same, rows, seen) == {}
    assert pages_twin.wanted_of({**same, "want.target": ""}, rows, seen) == {"target": None}
    assert pages_twin.wanted_of({**same, "want.thermostat.label": "warm"}, rows, seen) == {"thermostat.label": "warm"}
    assert pages_twin.wanted_of({"want.target": ""}, rows, {"target": ""}) == {}  # an empty text stays what it is


def test_changes_are_named_with_dots():
    before, after = {"a": 1, "b": {"x": 1, "y": 2}}, {"b": {"x": 1, "y": 3, "__t": "c"}, "c": [1]}
    assert pages_twin.changes(before, after) == [("a", 1, None), ("b.y", 2, 3), ("c", None, [1])]


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ([], "Booster: no desired values."),
        (["pending"], "Booster: 1 desired value, pending."),
        (["pending", "pending"], "Booster: 2 desired values, both pending."),
        (["accepted"] * 3, "Booster: 3 desired values, all accepted."),
        (["accepted", "failed", "pending"], "Booster: 3 desired values, 1 accepted, 1 pending and 1 refused."),
    ],
)
def test_the_first_line_says_where_desired_values_stand(states: list[str], says: str):
    found = {"template": "pump", "is_missing": False, "properties": [{"state": each} for each in states]}
    assert pages_twin.sentence(found, "Booster", ()) == says


def hidden(text: str, name: str, after: str = "") -> str:
    """Value of a hidden field, of the first form after some words."""
    at = text.index(after)
    found = re.search(rf'name="{name}" value="([^"]*)"', text[at:])
    assert found is not None, name
    return html.unescape(found[1])


def form_of(text: str, heading: str) -> dict[str, str]:
    return {name: hidden(text, name, heading) for name in ("kind", "etag", "seen")}


@pytest.mark.parametrize("which", ["attested", "hub"])
def test_the_form_says_first_then_sends_and_leaves_an_audit_line(hub_scene: HubScene, which: str):
    device_id = hub_scene.device.device_id if which == "attested" else "cooler-1"
    place = f"/devices/{device_id}/twin" if which == "attested" else f"/hub-devices/{device_id}/twin"
    hub_scene.want_only(device_id, {"label": "old"})
    look = hub_scene.browser("Contributor")
    text = look.get(place).text
    assert '<select name="want.mode"' in text
    sent = {**form_of(text, "Desired values<"), "want.mode": '"eco"', "want.target": "-18.5", "want.label": ""}
    review = look.post(f"{place}/review", **sent).text
    assert "3 desired values of" in said(review)
    assert hub_scene.desired(device_id) == {"label": "old"}  # nothing was sent
    assert json.loads(hidden(review, "patch")) == {"mode": "eco", "target": -18.5, "label": None}
    fields = {name: hidden(review, name) for name in ("kind", "etag", "seen", "wanted", "patch")}
    assert look.post(f"{place}/send", **fields).headers["location"] == f"{place}?told=desired"
    assert hub_scene.desired(device_id) == {"mode": "eco", "target": -18.5}
    line = hub_scene.call("GET", "/audit?limit=1")["items"][0]
    assert (line["operation"], line["target"], line["actor"]) == ("device.twin", device_id, "Contributor-token")
    same = look.get(place).text
    again = {**form_of(same, "Desired values<"), "want.mode": '"eco"', "want.target": "-18.5"}
    assert "Nothing would change" in said(look.post(f"{place}/review", **again).text)


def test_what_the_template_does_not_take_is_said_and_stays_in_the_form(hub_scene: HubScene):
    look, place = hub_scene.browser(), "/hub-devices/cooler-1/twin"
    hub_scene.want_only("cooler-1", {"firmwares": 2})
    before = hub_scene.desired("cooler-1")
    text = look.get(place).text
    assert "firmwares 2 none not in the template" in said(text)
    answer = look.post(
        f"{place}/review", **form_of(text, "Desired values<"), **{"want.target": "11", "want.label": "x"}
    )
    assert answer.status == 400
    assert "expected at most 10, got 11" in said(answer.text)
    assert 'value="11"' in answer.text
    assert 'value="x"' in answer.text
    assert hub_scene.desired("cooler-1") == before


def test_a_merge_patch_says_where_it_is_wrong_and_takes_away(hub_scene: HubScene):
    look, place = hub_scene.browser(), "/hub-devices/cooler-2/twin"  # without a template
    hub_scene.want_only("cooler-2", {"a": 1, "b": {"x": 1}})
    text = look.get(place).text
    assert "has no template; 2 desired values not reported." in said(text)
    fields = form_of(text, "As a merge patch")
    wrong = look.post(f"{place}/review", **{**fields, "patch": '{"a": nul}'})
    assert (wrong.status, "expected JSON" in said(wrong.text), "nul}" in wrong.text) == (400, True, True)
    review = look.post(f"{place}/review", **{**fields, "patch": '{"a": null, "b": {"y": 2}}'}).text
    assert "a 1 none" in said(review)
    sent = {name: hidden(review, name) for name in ("kind", "etag", "seen", "wanted", "patch")}
    assert look.post(f"{place}/send", **sent).status == 303
    assert hub_scene.desired("cooler-2") == {"b": {"x": 1, "y": 2}}
    refused = look.post(f"{place}/send", **{**sent, "etag": "*", "patch": '{"a.b": 1}'})
    assert (refused.status, "Nothing was changed." in refused.text) == (400, True)


def test_who_was_faster_is_not_overwritten_unseen(hub_scene: HubScene):
    look, place = hub_scene.browser(), "/hub-devices/probe@yard/twin"
    twins = hub_scene.running.hub.twins
    hub_scene.want_only("probe@yard", {"rate": 1})
    fields = form_of(look.get(place).text, "As a merge patch")
    review = look.post(f"{place}/review", **{**fields, "patch": '{"rate": 5}'}).text
    twins.change("probe@yard", desired={"rate": 3})
    sent = {name: hidden(review, name) for name in ("kind", "etag", "seen", "wanted", "patch")}
    answer = look.post(f"{place}/send", **sent)
    assert answer.status == 412
    assert "Changed by someone else since you opened it" in said(answer.text)
    assert "Changed by someone else since you opened the page Property Before After rate 1 3" in said(answer.text)
    assert hub_scene.desired("probe@yard") == {"rate": 3}
    anyway = {name: hidden(answer.text, name) for name in ("kind", "etag", "seen", "wanted", "patch")}
    assert look.post(f"{place}/send", **anyway).status == 303
    assert hub_scene.desired("probe@yard") == {"rate": 5}


def test_without_the_etag_the_other_change_would_be_lost(hub_scene: HubScene):
    """The positive control of the test above."""
    twins = hub_scene.running.hub.twins
    twins.change("probe@yard", desired={"rate": 3})
    look = hub_scene.browser()
    look.get("/hub-devices/probe@yard/twin")
    sent = {"kind": "patch", "etag": "*", "seen": "{}", "wanted": "{}", "patch": '{"rate": 9}'}
    assert look.post("/hub-devices/probe@yard/twin/send", **sent).status == 303
    assert hub_scene.desired("probe@yard") == {"rate": 9}


def test_cloud_properties_are_kept_with_their_limits_and_nobody_is_overwritten(hub_scene: HubScene):
    device_id = hub_scene.device.device_id
    look, place = hub_scene.browser(), f"/devices/{device_id}/twin"
    text = look.get(place).text
    fields = {name: hidden(text, name, "Cloud properties") for name in ("etag", "seen")}
    sent = {**fields, "cloud.Customer": " Ann ", "cloud.Limit": "45", "cloud.Kind": "2"}
    assert look.post(f"{place}/cloud", **sent).status == 303
    values = hub_scene.call("GET", f"/devices/{device_id}/cloud-properties")["values"]
    assert values == {"Customer": "Ann", "Limit": 45, "Kind": 2}
    stale = look.post(f"{place}/cloud", **{**sent, "cloud.Limit": "50"})
    assert stale.status == 412
    assert "Someone else changed" in said(stale.text)
    assert 'value="50"' in stale.text
    fresh = {name: hidden(stale.text, name, "Cloud properties") for name in ("etag", "seen")}
    over = look.post(f"{place}/cloud", **{**sent, **fresh, "cloud.Limit": "500"})
    assert (over.status, "expected at most 100, got 500" in said(over.text)) == (400, True)
    assert look.post(f"{place}/cloud", **{**sent, **fresh, "cloud.Limit": "50"}).status == 303


def test_a_reader_sees_the_twin_and_sends_nothing(hub_scene: HubScene):
    look, place = hub_scene.browser("Reader"), "/hub-devices/cooler-1/twin"
    text = look.get(place).text
    assert 'method="post"' not in text[text.index("<main") : text.index("</main>")]
    assert "Target" in said(text)
    for verb in ("review", "send", "cloud"):
        assert look.post(f"{place}/{verb}", kind="patch", patch="{}", etag="*", seen="{}").status == 403


def test_a_template_is_given_and_taken_away_after_what_it_costs_was_said(hub_scene: HubScene):
    look, place = hub_scene.browser("Contributor"), "/hub-devices/probe@yard"
    assert '<option value="cooler/1">cooler, version 1</option>' in look.get(f"{place}/twin").text
    review = said(look.post(f"{place}/template/review", template="cooler/1").text)
    assert "Give probe@yard version 1 of cooler?" in review
    given = lambda: hub_scene.call("GET", "/devices/probe@yard/template")["template"]  # noqa: E731 - asked thrice
    assert given() is None  # nothing was given by looking
    assert look.post(f"{place}/template", template="cooler/1").status == 303
    assert given() == "cooler"
    hub_scene.call("PATCH", "/devices/probe@yard/cloud-properties", {"Customer": "Ann"})
    other = f"plain-{uuid.uuid4().hex[:6]}"
    body = hub_scene.call("GET", "/templates/cooler")["body"]
    hub_scene.call("PUT", f"/templates/{other}", {k: v for k, v in body.items() if k != "cloud_properties"})
    hub_scene.call("POST", f"/templates/{other}/publish")
    lost = said(look.post(f"{place}/template/review", template=f"{other}/1").text)
    assert "cloud property Customer is dropped" in lost
    assert "Take the template of probe@yard away?" in said(look.post(f"{place}/template/review", template="none").text)
    assert look.post(f"{place}/template", template="none").status == 303
    assert given() is None
    for odd in ("", "cooler", "cooler/0", "cooler/x", "/1"):
        assert look.post(f"{place}/template", template=odd).status == 400, odd
    assert look.post(f"{place}/template", template="cooler/9").status == 404
    assert hub_scene.browser("Reader").post(f"{place}/template", template="cooler/1").status == 403


# What JSON's own reader takes and nothing else here does, and what it fails on.
HOSTILE = ['{"a": "\\ud800"}', '{"\\udfff": 1}', '{"a": NaN}', '{"a": 1e999}', '{"a": 1, "a": 2}', "[" * 30_000]


@pytest.mark.parametrize("text", HOSTILE)
def test_json_that_is_typed_is_refused_where_it_is_none_and_no_page_fails(hub_scene: HubScene, text: str):
    look, place = hub_scene.browser(), "/hub-devices/cooler-2/twin"
    fields = form_of(look.get(place).text, "As a merge patch")
    answers = [
        look.post(f"{place}/review", **{**fields, "patch": text}),
        look.post(f"{place}/review", **{**fields, "patch": '{"a": 1}', "seen": text, "etag": "another"}),
        look.post("/hub-devices/cooler-2/command", method="m", payload=text),
        look.post(f"/devices/{hub_scene.device.device_id}/twin", name="a", value=text),
        look.post("/dashboards/1/tiles", tiles=text),
    ]
    assert {each.status for each in answers} <= {200, 400, 404, 412}
    assert answers[0].status == 400
