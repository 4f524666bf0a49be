# SPDX-License-Identifier: Apache-2.0
"""One page for every device: what it can prove is said first on each tab, tabs have addresses, names lead to them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.console.hub_devices.test_hub_devices_pages import said
from tests.console.hub_scene import HubScene
from tests.console.rehearsed_data import device_id
from tests.console.rehearsed_fleet import RehearsedFleet

from armillary.console.device import pages_device_sections as sections, pages_tabs
from armillary.console.device.pages_tabs import LABELS, OF_ALL
from armillary.console.frame.states import ATTENTION, UNKNOWN
from armillary.twin.template.value_names import ValueName

NOW = 1_800_000_000
HUB_DEVICE = {
    "authentication": "sas", "enabled": True, "connected": True, "status_reason": "", "last_seen_ms": NOW * 1000 - 60_000,
}  # fmt: skip
CURRENT = re.compile(r'<a href="([^"]+)" aria-current="page">([\w ]+)')


def tabs_of(text: str) -> list[str]:
    """Labels of the tabs of a page."""
    found = re.search(r'<nav class="within" aria-label="Pages of [^"]+">(.*?)</nav>', text, re.DOTALL)
    assert found is not None
    return [label.strip() for label in re.findall(r"<a [^>]+>([\w ]+)", found[1])]


@pytest.mark.parametrize(
    ("change", "says", "kind"),
    [
        ({}, "Not attested, connected now. It proves that it holds a symmetric key.", UNKNOWN),
        ({"connected": False}, "Not attested, not connected, last heard 60 s ago. It proves", UNKNOWN),
        ({"connected": False, "last_seen_ms": None}, "Not attested, not connected, never heard. It proves", UNKNOWN),
        ({"enabled": False, "status_reason": "lost"}, "Not attested, disabled: it may not connect. It", ATTENTION),
        ({"authentication": "selfSigned"}, "Not attested, blocked by its catalog. It proves", ATTENTION),
    ],
)
def test_a_hub_device_proves_that_it_holds_a_key(change: dict[str, Any], says: str, kind: str) -> None:
    found = pages_tabs.by_key({**HUB_DEVICE, **change}, {"certificates": False}, None, NOW)
    assert found.sentence.startswith(says)
    assert found.kind == kind
    assert ("Reason: lost." in found.detail) == bool(change.get("status_reason"))


@pytest.mark.parametrize(("ago_s", "says"), [(None, "never heard"), (5, "live now"), (7200, "last heard 2 h ago")])
def test_a_simulated_device_proves_nothing(ago_s: int | None, says: str) -> None:
    found = pages_tabs.simulated(None if ago_s is None else (NOW - ago_s) * 1000, NOW, "Made up.")
    assert (found.sentence, found.kind) == (f"Simulated, {says}. It proves nothing.", UNKNOWN)


def test_bounds_of_rules_are_lines_of_the_values_they_compare() -> None:
    def rule(name: str, value: object, severity: str = "low", op: str = ">", **more: Any) -> dict[str, Any]:
        condition = {"telemetry": "flow", "op": op, "value": value}
        return {"body": {"name": name, "severity": severity, "target": {}, "conditions": [condition], **more}}

    rules = [
        rule("High", 40, "critical"),
        rule("Limit", {"cloud_property": "Limit", "default": 9}),
        rule("Default", {"cloud_property": "None", "default": 9}),
        rule("Same", 40),
        rule("Word", "open"),
        rule("Equal", 7, op="=="),
        rule("Off", 1, enabled=False),
        rule("Other template", 2, target={"template": "valve"}),
        rule("Other device", 3, target={"devices": ["b"]}),
        rule("Own", 4, target={"template": "pump", "devices": ["a"]}),
        rule("Filtered", 5, target={"filters": [{}]}),
        {"body": {"name": "x", "conditions": [{"telemetry": "level", "op": ">", "value": 6}]}},
    ]
    found = sections.thresholds(rules, ValueName("flow", "Flow", "l/s", {}), "pump", {"Limit": 33.5}, "a")
    assert [(each["at"], each["shape"], each["label"]) for each in found] == [
        (4, "attention", "Own: 4 l/s"),
        (9, "attention", "Default: 9 l/s"),
        (33.5, "attention", "Limit: 33.5 l/s"),
        (40, "bad", "High: 40 l/s"),
    ]


def test_every_tab_says_first_what_the_device_can_prove(hub_scene: HubScene) -> None:
    look = hub_scene.browser()
    attested = f"/devices/{hub_scene.device.device_id}"
    for root, labels, proves in (
        (attested, LABELS, "Never checked in: nothing is known about what it runs."),
        ("/hub-devices/cooler-1", OF_ALL, "It proves that it holds a symmetric key."),
    ):
        for word, label in labels.items():
            address = f"{root}/{word}" if word else root
            answer = look.get(address)
            assert answer.status == 200, address
            assert proves in said(answer.text), address
            assert tabs_of(answer.text) == list(labels.values()), address
            assert (address, label) in CURRENT.findall(answer.text)
    for word in set(LABELS) - set(OF_ALL):
        assert look.get(f"/hub-devices/cooler-1/{word}").status == 404


def test_tabs_take_names_and_first_digits_and_keep_the_query(hub_scene: HubScene) -> None:
    look, device = hub_scene.browser(), hub_scene.device.device_id
    for asked, leads in (
        (f"/devices/{device[:12]}/values?metric=a%20b&range=1h", f"/devices/{device}/values?metric=a+b&range=1h"),
        (f"/devices/{device[:12]}/log", f"/devices/{device}/log"),
        (f"/hub-devices/{device}/twin", f"/devices/{device}/twin"),
        ("/devices/cooler-1/commands", "/hub-devices/cooler-1/commands"),
    ):
        answer = look.get(asked)
        assert (answer.status, answer.headers["location"]) == (303, leads)
    assert look.get("/hub-devices/probe@yard/data").status == 200
    assert look.get("/hub-devices/probe%40yard/data").status == 200
    assert look.get("/devices/nobody/values").status == 404


def test_a_hub_device_has_a_chart_with_the_bounds_of_its_rules(hub_scene: HubScene) -> None:
    look = hub_scene.browser()
    body = {
        "name": "Too warm", "severity": "high", "catalog": "northwind", "target": {"template": "cooler"},
        "conditions": [{"telemetry": "temperature", "op": ">", "value": 87.5}],
    }  # fmt: skip
    hub_scene.call("PUT", "/rules/too-warm-tab", body)
    hub_scene.call("PUT", "/rules/too-warm-elsewhere", {**body, "name": "Elsewhere", "catalog": "contoso"})
    page = look.get("/hub-devices/cooler-1/values?metric=temperature").text
    assert "It sends 2 values" in said(page)
    # Other tests make rules in the scene, too.
    assert re.search(r"Rules: .*Too warm: 87\.5 °C", said(page))
    assert "Elsewhere" not in said(page)
    chart = look.get("/hub-devices/cooler-1/series?metric=temperature&range=15m")
    assert chart.status == 200
    thresholds = json.loads(chart.text)["thresholds"]
    assert {"axis": 0, "at": 87.5, "shape": "bad", "label": "Too warm: 87.5 °C"} in thresholds
    assert not any("Elsewhere" in each["label"] for each in thresholds)
    assert look.get("/hub-devices/cooler-1/series?metric=temperature&range=1y").status == 400


def test_open_alerts_are_counted_in_the_tab() -> None:
    tabs = pages_tabs.tabs(device_id(0), "alerts", attests=True, open_alerts=1204, guardian_href="/guardians/x")
    assert [(each.label, each.count) for each in tabs if each.count] == [("Alerts", "1,204")]
    assert [each.label for each in tabs if each.is_current] == ["Alerts"]
    assert tabs[2] == pages_tabs.Tab("Equipment", "/guardians/x", False)
    assert "Equipment" not in {each.label for each in pages_tabs.tabs("p", "", attests=False, open_alerts=0)}


def test_the_overview_shows_few_values_and_says_how_many_more() -> None:
    from armillary.console.device import pages_hub  # noqa: PLC0415 - only this test makes lines

    fleet = RehearsedFleet()
    items = [{"metric": f"m{at:02}", "value": at, "at_ms": fleet.now * 1000} for at in range(11)]
    lines = pages_hub.value_lines(items, fleet.called(device_id(0)), "", fleet.now)
    shown = sections.values(lines, device_id(0))
    assert (len(shown.rows), shown.note) == (8, "3 more values under Live values")
    assert shown.rows[0][0].href == f"/devices/{device_id(0)}/values?metric=m00"
