# SPDX-License-Identifier: Apache-2.0
"""Names of devices in the console: given on either page, found by the search, said in titles, trails, tiles and traces."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from tests.api.running_service import running_service
from tests.console.hub_devices.test_hub_devices_pages import said
from tests.console.hub_scene import HubScene
from tests.console.rehearsed_data import device_id
from tests.console.rehearsed_fleet import RehearsedFleet

from armillary.console.device import pages_device_life, pages_fleet
from armillary.console.hub_devices.pages_hub_devices import others_sentence
from armillary.console.operations import pages_audit
from armillary.console.security import pages_findings


@pytest.fixture(scope="module")
def hub_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubScene]:
    """A scene of these tests' own: devices get names here, by which other pages would call them too."""
    with running_service(tmp_path_factory.mktemp("named")) as running:
        scene = HubScene(running)
        yield scene
        scene.close()


def title_of(text: str) -> str:
    """The window's title."""
    found = re.search(r"<title>(.*?)</title>", text)
    assert found is not None
    return html.unescape(found[1])


def test_devices_are_shown_by_name_with_the_id_beside() -> None:
    fleet = RehearsedFleet()
    found = fleet.devices({"search": "lobby"}, after=None, limit=9)["items"]
    line = pages_fleet.device_line(found[0], fleet.now)
    assert (line.device.name, line.device.id.full) == ("Lobby, coffee 2", device_id(3))
    assert line.device.href == f"/devices/{device_id(3)}"
    assert "Lobby, coffee 2 (" in pages_device_life.confirmation(fleet.device(device_id(3)), "revoke").title
    assert "Coffee" not in pages_device_life.confirmation(fleet.device(device_id(0)), "revoke").title
    cut = pages_fleet.fleet_page(fleet.summary(), {"items": [], "next": None, "is_cut": True}, {}, after=None, now=1)
    assert cut.is_cut
    finding = {**fleet.seen[0], "device_ids": [device_id(3), "Pump:7"]}
    shown = pages_findings.finding_line(finding, {device_id(3): "Lobby"}, may_act=False, now=fleet.now)
    assert [(each.name, each.href) for each in shown.devices] == [
        ("Lobby", f"/devices/{device_id(3)}"), ("Pump:7", "/hub-devices/Pump%3A7"),
    ]  # fmt: skip
    row = {"number": 1, "at": 1, "actor": "a", "hash": "h", "previous_hash": "p", "detail": {}}
    lines = [
        {**row, "operation": "device.claim", "target": device_id(3)},
        {**row, "operation": "rule.put", "target": "r"},
    ]
    assert pages_audit.named_devices(lines) == [device_id(3)]
    named = [pages_audit.audit_row(each, {device_id(3): "Lobby"}, fleet.now).device for each in lines]
    assert named[0] is not None
    assert (named[0].name, named[1]) == ("Lobby", None)


def test_a_device_is_named_on_its_page_and_found_by_that_name(hub_scene: HubScene) -> None:
    look, device = hub_scene.browser(), hub_scene.device.device_id
    names = {f"/devices/{device}": "Kühlraum Süd", "/hub-devices/cooler-2": "Lagerhalle 4"}
    for page, name in names.items():
        assert look.post(f"{page}/name", name="a\x07b").status == 400
        done = look.post(f"{page}/name", name=f" {name} ")
        assert (done.status, done.headers["location"].split("?")[0]) == (303, page)
        shown = look.get(page).text
        assert title_of(shown).startswith(name)
        assert f'value="{name}"' in shown
    assert names[f"/devices/{device}"] in said(look.get(f"/fleet?q={quote('süd')}").text)
    assert "No device matches" in said(look.get("/fleet?q=nowhere").text)
    listed = said(look.get("/hub-devices?catalog=northwind&q=lager").text)
    assert "Lagerhalle 4 cooler-2" in listed
    assert "cooler-1" not in listed
    for place in ("data", "twin"):
        assert "Kühlraum Süd" in said(look.get(f"/devices/{device}/{place}").text)
    assert "Kühlraum Süd" in said(look.get("/audit").text)
    assert "Revoke device Kühlraum Süd (" in said(look.get(f"/devices/{device}/revoke").text)
    # Somebody who may only read sees the name and no form; the form's address refuses them.
    reader = hub_scene.browser("Reader")
    assert "Rename" not in said(reader.get(f"/devices/{device}").text)
    assert reader.post(f"/devices/{device}/name", name="x").status == 403


def test_a_tile_and_a_trace_take_a_device_as_people_write_it(hub_scene: HubScene) -> None:
    look = hub_scene.browser()
    hub_scene.call("PUT", "/devices/cooler-1/name", {"name": "Eis 1"})
    hub_scene.call("PUT", "/devices/probe@yard/name", {"name": "Twin"})
    hub_scene.call("PUT", f"/devices/{hub_scene.device.device_id}/name", {"name": "Twin"})
    hub_scene.call("PUT", "/dashboards/of-names", {"name": "Names", "tiles": []})
    hub_scene.call(
        "PUT", "/rules/of-names",
        {"name": "Warm", "catalog": "northwind", "conditions": [{"telemetry": "temperature", "op": ">", "value": 90}]},
    )  # fmt: skip
    fields = {
        "kind": "last-values",
        "title": "Ice",
        "x": "0",
        "y": "0",
        "w": "4",
        "h": "4",
        "values.own": "temperature",
    }
    tile = {**fields, "source": "device:", "etag": hub_scene.call("GET", "/dashboards/of-names")["etag"]}
    several = look.post("/dashboards/of-names/tiles/new", **tile, source_device="Twin")
    assert several.status == 400
    assert "means 2 devices" in said(several.text)
    nobody = look.post("/dashboards/of-names/tiles/new", **tile, source_device="Nobody")
    assert (nobody.status, "no device is called" in said(nobody.text)) == (400, True)
    assert look.post("/dashboards/of-names/tiles/new", **tile, source_device="eis 1").status == 303
    kept = hub_scene.call("GET", "/dashboards/of-names")["body"]["tiles"]
    assert [each["source"] for each in kept] == [{"device": "cooler-1"}]
    assert 'value="Eis 1"' in look.get(f"/dashboards/of-names/tiles/{kept[0]['id']}").text
    form = said(look.get("/dashboards/of-names/tiles/new?kind=last-values").text)
    assert "Cooler" in form
    assert "cooler.1" not in form
    for written in ("Eis 1", "cooler-1"):
        traced = look.get(f"/rules/of-names/trace?device={quote(written)}")
        assert (traced.status, "Eis 1" in said(traced.text)) == (200, True)
    assert look.get("/rules/of-names/trace?device=Twin").status == 400
    assert look.get("/rules/of-names/trace?device=").status == 400


def test_the_first_digits_of_an_id_and_a_name_lead_to_the_page(hub_scene: HubScene) -> None:
    look, device = hub_scene.browser(), hub_scene.device.device_id
    hub_scene.call("PUT", "/devices/probe@yard/name", {"name": "Yard probe"})
    assert look.get(f"/devices/{device[:10]}").headers["location"] == f"/devices/{device}"
    assert look.get("/devices/probe@yard").headers["location"] == "/hub-devices/probe%40yard"
    assert look.get("/devices/yard%20probe").headers["location"] == "/hub-devices/probe%40yard"
    nobody = look.get("/devices/abcd1234abcd")
    assert (nobody.status, "no device is called 'abcd1234abcd'" in said(nobody.text).lower()) == (404, True)


def test_a_first_creation_is_not_told_as_a_change(hub_scene: HubScene) -> None:
    look = hub_scene.browser()
    made = look.post("/groups/new/form", name="First ever", match="all", catalog="*")
    if made.status == 404:
        made = look.post("/groups/new", id="first-ever", body='{"name": "First ever", "match": "all", "filters": []}')
    assert made.status == 303, said(made.text)
    assert "Created." in said(look.get(made.headers["location"]).text)


def test_what_a_catalog_without_hub_devices_has_is_said_as_it_is() -> None:
    assert others_sentence({"simulated": 42}, "Simulated") == (
        "In the fleet Simulated has 42 simulated devices, which prove nothing."
    )
    assert others_sentence({"simulated": 1, "software": 1, "tpm": 2}, "C") == (
        "In the fleet C has 3 devices that attest and 1 simulated device, which proves nothing."
    )
    assert others_sentence({}, "C") == "C has no other device."
