# SPDX-License-Identifier: Apache-2.0
"""The builder of a segment: rows of property, comparison and value, with who is in it before it is saved."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.api.running_service import fresh
from tests.console.hub_scene import HubScene
from tests.console.page_check import reads_well
from tests.console.plain_browser import signed_in
from tests.console.watched_browser import Watched

from armillary.console.authored.segment_form import OPERATOR_WORDS, body_of, fields_of, offered
from armillary.errors import InvalidArgumentError
from armillary.twin.author.group import DEVICE_FIELDS, OPERATORS, parse_group

VALUES: dict[str, Any] = {
    "telemetry": [
        {"name": "temperature", "display_name": "Temperature", "symbol": "°C", "kind": "number", "words": []}
    ],
    "properties": [
        {"name": "reported.label", "display_name": "Label", "symbol": "", "kind": "text", "words": []},
        {"name": "desired.lamp", "display_name": "Lamp", "symbol": "", "kind": "boolean", "words": []},
        {
            "name": "reported.mode",
            "display_name": "Mode",
            "symbol": "",
            "kind": "enum",
            "words": [{"value": 1, "display_name": "Saving"}],
        },
    ],
    "cloud": [],
}
FILTERS: tuple[dict[str, Any], ...] = (
    {"field": "device:health", "operator": "ne", "value": "attested"},
    {"field": "device:connected", "operator": "eq", "value": True},
    {"field": "telemetry:temperature", "operator": "gt", "value": -17.5},
    {"field": "reported:label", "operator": "eq", "value": "40"},
    {"field": "reported:label", "operator": "contains", "value": "true"},
    {"field": "desired:lamp", "operator": "eq", "value": False},
    {"field": "reported:mode", "operator": "eq", "value": 1},
    {"field": "tag:site.floor", "operator": "exists", "value": True},
    {"field": "tag:site", "operator": "exists", "value": False},
    {"field": "cloud:limit", "operator": "eq", "value": "5"},
)


@pytest.mark.parametrize("values", [VALUES, {}], ids=["template", "without"])
@pytest.mark.parametrize("number", range(len(FILTERS)))
def test_what_the_form_shows_and_sends_back_is_the_same_segment(values: dict[str, Any], number: int) -> None:
    body = {"name": "One", "description": "a\nb", "match": "any", "filters": [FILTERS[number], *FILTERS[:2]]}
    fields = fields_of(body, values)
    assert fields is not None
    assert parse_group(body_of(fields, values)) == parse_group(body)


# Of a value that is a number by its template.
ODD = {"field": "telemetry:temperature", "operator": "eq", "value": "warm"}


def test_what_the_form_cannot_show_is_changed_as_json() -> None:
    assert fields_of({"name": "x", "filters": [ODD]}, VALUES) is None


def test_a_wrong_value_names_its_condition() -> None:
    fields = {"name": "x", "field_0": "tag:a", "op_0": "eq", "value_0": "1", "field_1": "telemetry:temperature"}
    with pytest.raises(InvalidArgumentError, match="Condition 2, value: expected a number"):
        body_of({**fields, "op_1": "gt", "value_1": "warm"}, VALUES)
    with pytest.raises(InvalidArgumentError, match="Condition 2, value: type what it is compared with"):
        body_of({**fields, "op_1": "gt", "value_1": " "}, VALUES)
    assert len(body_of({**fields, "field_1": ""}, VALUES)["filters"]) == 1, "a blank row is no condition"


def test_every_field_of_a_device_and_every_comparison_has_words() -> None:
    (heading, listed), *_ = offered({})
    assert (heading, len(listed)) == ("The device", len(DEVICE_FIELDS))
    assert set(OPERATORS) < set(OPERATOR_WORDS)


def form(name: str, **more: str) -> dict[str, str]:
    return {"etag": "", "name": name, "catalog": "northwind", "template": "cooler", "match": "all", **more}


def test_a_segment_is_built_row_by_row_and_says_who_is_in_it(hub_scene: HubScene) -> None:
    browser, name = hub_scene.browser("Contributor"), fresh("Warm")
    page = unescape(browser.get("/groups/new").text)
    assert "New segment" in page
    assert "Trust tier" in page
    warm = form(name, field_0="telemetry:temperature", op_0="lt", value_0="0")
    shown = unescape(browser.post("/groups/new/form", **warm, do="show").text)
    assert "1 device in it now." in shown
    assert 'href="/devices/cooler-1"' in shown
    assert "temperature (°C)" in shown
    more = unescape(browser.post("/groups/new/form", **warm, do="add").text)
    assert "Condition 2" in more
    assert f'value="{name}"' in more
    fewer = browser.post("/groups/new/form", **warm, field_1="tag:x", op_1="exists", do="remove:0").text
    assert "Condition 2" not in fewer
    assert "tag:x" in fewer
    refused = browser.post("/groups/new/form", **{**warm, "value_0": "cold"}, do="save")
    assert (refused.status, "Condition 1, value: expected a number" in unescape(refused.text)) == (400, True)
    made = browser.post("/groups/new/form", **warm, do="save")
    here = made.headers["location"].partition("?")[0]
    assert f"{name}: 1 device now." in unescape(browser.get(here).text)
    document = hub_scene.call("GET", f"/groups/{here.rpartition('/')[2]}")
    assert document["body"]["filters"] == [{"field": "telemetry:temperature", "operator": "lt", "value": 0}]
    change = {**warm, "etag": document["etag"], "op_0": "gt"}
    assert browser.post(f"{here}/form", **change, do="save").status == 303
    assert "0 devices now." in browser.get(here).text
    stale = browser.post(f"{here}/form", **change, do="save")
    assert stale.status == 412
    browser.confirm(f"{here}/delete")


def test_a_segment_of_one_catalog_shows_and_takes_nothing_of_another(hub_scene: HubScene) -> None:
    name = fresh("Cold")
    browser = signed_in(hub_scene, hub_scene.running.token_for("contoso"))
    everybody = {"etag": "", "name": name, "catalog": "contoso", "template": "", "match": "all"}
    shown = browser.post("/groups/new/form", **everybody, do="show").text
    assert "cooler-1" not in shown
    assert "No devices match now." in shown
    theirs = browser.post("/groups/new/form", **{**everybody, "catalog": "northwind"}, do="show").text
    assert "cooler-1" not in theirs
    assert browser.post("/groups/new/form", **{**everybody, "catalog": "northwind"}, do="save").status in (
        400,
        403,
        404,
    )
    assert hub_scene.browser("Reader").post("/groups/new/form", **form(name), do="save").status == 403
    body = {"name": name, "template": "cooler", "filters": [ODD]}
    hub_scene.call("PUT", f"/groups/{name.lower()}", body)
    page = hub_scene.browser().get(f"/groups/{name.lower()}").text
    assert "This segment says what the form cannot show" in page
    assert '"warm"' in unescape(page)
    hub_scene.running.call("DELETE", f"/api/v1/groups/{name.lower()}")


@pytest.mark.console
def test_the_builder_reads_well_and_counts_as_one_chooses(hub_scene: HubScene, watch: Callable[..., Watched]) -> None:
    page = hub_scene.sign_in(watch(hub_scene))
    page.goto("/groups/new")
    page.get_by_label("Name", exact=True).fill("Connected")
    page.locator("[name=field_0]").select_option("device:connected")
    page.locator("select[name=value_0]").select_option("true")
    expect(page.get_by_text("in it now")).to_be_visible()
    reads_well(page, "segment-light")
