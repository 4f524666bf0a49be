# SPDX-License-Identifier: Apache-2.0
"""Every route about a device takes the id of either kind, or says in a sentence why not; and names find devices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from starlette.requests import Request
from tests.api.running_service import Reply, RunningService

from armillary.api.app import SHAPES
from armillary.api.native.device_labels import with_names

# Hub devices are called as their makers like.
HUB_DEVICE = "Plant-7:pump_2"
NOT_OF_HUB_DEVICES = (
    "", "/check-ins", "/refusals", "/outcomes", "/error-reports", "/deployment", "/firmware", "/revoke", "/restore",
    "/release", "/decommission", "/allow-reprovision", "/manufacturing-state", "/update-status", "/check-now",
    "/assessment", "/trace", "/quarantine", "/advisories/{advisory_id}", "/log", "/log/lines", "/cellular",
    "/containment",
)  # fmt: skip
# What a route is asked with: so that nothing but the id could be wrong. Body, or query.
ASKED: Mapping[str, Any] = {
    "/name": {"name": "Pump two"},
    "/telemetry/series": "metric=t&start_ms=0&end_ms=1000",
    "/telemetry/raw": "metric=t&start_ms=0&end_ms=1000",
    "/twin": {"desired": {"a": 1}},
    "/methods/{method}": {"payload": 1, "timeout_s": 1},
    "/messages": {"text": "hello"},
    "/revoke": {"reason": "r"},
    "/quarantine": {"reason": "r"},
    "/decommission": {"reason": "r"},
    "/manufacturing-state": {"state": "DeviceComplete"},
    "/organisation": {"organisation": None},
    "/cloud-properties": {},
    "/properties": {},
    "/template": {"template": "none-such"},
    "/allow-reprovision": {},
}
# What an accepted id may still lack: a file, a template, a connection, a rule.
LACKS = re.compile(r"no such file|has sent no|no template|no published version|not connected|there is no rule")


@pytest.fixture(scope="module")
def owner(service: RunningService) -> str:
    service.make_catalog("Ids", product="Coffee")
    assert service.call("PATCH", "/api/v1/catalogs/Ids/hub-admission", {"symmetric_keys": True}).status == 200
    made = service.call(
        "POST", "/api/v1/catalogs/Ids/hub-devices", {"device_id": HUB_DEVICE, "authentication": "sas", "name": "Pump 2"}
    )
    assert (made.status, made.body["name"]) == (200, "Pump 2"), made.body
    return "Ids"


def ask(service: RunningService, route: str, device_id: str) -> Reply:
    method, path = route.split(" ")
    tail = path.removeprefix("/api/v1/devices/{device_id}")
    asked = ASKED.get(tail)
    path = path.format(
        device_id=quote(device_id, safe=""),
        method="reset",
        upload_id="a" * 32,
        rule_id="none",
        advisory_id="CVE-2026-1",
    )
    if isinstance(asked, str):
        path, asked = f"{path}?{asked}", None
    return service.call(method, path, None if method == "GET" else asked if asked is not None else {})


def routes() -> list[str]:
    """Of devices of either kind; streams never end, and deleting is done by its own tests."""
    about = ("/api/v1/devices/{device_id}", "/api/v1/rules/{rule_id}/trace/{device_id}")
    return [key for key in SHAPES.routes if key.split(" ")[1].startswith(about) and not key.endswith("/stream")]


def test_each_route_of_a_device_takes_a_hub_device_or_says_why_not(service: RunningService, owner: str) -> None:
    wrong = []
    asked = routes()
    assert len(asked) >= 35
    for route in asked:
        reply = ask(service, route, HUB_DEVICE)
        detail = str(reply.body["detail"]) if reply.status >= 400 and reply.raw[:1] == b"{" else ""
        if route.split("{device_id}")[1] in NOT_OF_HUB_DEVICES and "/rules/" not in route:
            good = (
                reply.status == 400
                and f"'{HUB_DEVICE}' is a hub device" in detail
                and "armillary" in reply.body["remedy"]
            )
        else:
            good = reply.status < 400 or (reply.status in (400, 404, 409) and LACKS.search(detail) is not None)
        if not good:
            wrong.append((route, reply.status, detail))
    assert wrong == []
    # The control: an id that nobody has is refused by each of them as one that nobody has.
    for route in asked:
        reply = ask(service, route, "Plant-8")
        assert (reply.status, "Plant-8" in reply.body["detail"]) == (404, True), (route, reply.body)


def test_bodies_queries_and_tiles_take_a_hub_device(service: RunningService, owner: str) -> None:
    dashboard = {
        "name": "Pumps", "catalog": owner,
        "tiles": [{
            "id": "t1", "kind": "last-values", "title": "Pump", "x": 0, "y": 0, "w": 4, "h": 4,
            "source": {"device": HUB_DEVICE}, "values": ["t"],
        }],
    }  # fmt: skip
    kept = service.call("PUT", "/api/v1/dashboards/id-pumps", dashboard)
    assert kept.status == 200, kept.body
    shown = service.call("GET", "/api/v1/dashboards/id-pumps/data").body["tiles"]["t1"]
    assert "Pump" in str(shown), shown
    assert service.call("GET", f"/api/v1/findings?device={quote(HUB_DEVICE)}").status == 200
    assert service.call("GET", f"/api/v1/alerts?device={quote(HUB_DEVICE)}").status == 200
    rule = {"name": "Hot", "catalog": owner, "conditions": [{"telemetry": "t", "op": ">", "value": 3}]}
    trial = {"rule": rule, "devices": [HUB_DEVICE], "start_ms": 0, "end_ms": 1000}
    assert service.call("POST", "/api/v1/rule-test", trial).status == 200
    reply = service.call("POST", f"/api/v1/catalogs/{owner}/transfers", {
        "device_id": HUB_DEVICE, "to_catalog_id": "00000000-0000-0000-0000-000000000000",
    })  # fmt: skip
    assert (reply.status, "is a hub device" in reply.body["detail"]) == (400, True)


def test_the_first_digits_of_an_id_are_told_from_a_hub_device(service: RunningService, owner: str) -> None:
    device = service.make_device().device_id
    for path in (f"/api/v1/devices/{device[:12]}", f"/api/v1/hub-devices/{device[:12]}"):
        reply = service.call("GET", path)
        assert reply.status == 404
        assert "first digits" in reply.body["detail"]
    attests = service.call("GET", f"/api/v1/hub-devices/{device}")
    assert (attests.status, "attests" in attests.body["detail"]) == (400, True)


def test_a_name_is_given_to_either_kind_and_finds_it(service: RunningService, owner: str) -> None:
    device = service.claimed(owner, "Field Test").device_id
    for device_id in (device, HUB_DEVICE):
        named = service.call("PUT", f"/api/v1/devices/{quote(device_id)}/name", {"name": " Kühlraum 9 "})
        assert (named.status, named.body["name"], named.body["is_named"]) == (200, "Kühlraum 9", True)
    both = service.call("GET", f"/api/v1/device-names?text={quote('KÜHLRAUM 9')}").body["items"]
    assert [(each["device_id"], each["kind"]) for each in both] == [(HUB_DEVICE, "hub"), (device, "attested")] or [
        each["kind"] for each in both
    ] == ["attested", "hub"]
    assert service.call("GET", f"/api/v1/devices/{device}").body["name"] == "Kühlraum 9"
    listed = service.call("GET", f"/api/v1/devices?search={quote('kühl')}").body
    assert ([each["device_id"] for each in listed["items"]], listed["is_cut"]) == ([device], False)
    hub = f"/api/v1/catalogs/{owner}/hub-devices"
    for text in ("9", "kuhl", "Plant"):
        found = [each["name"] for each in service.call("GET", f"{hub}?search={text}").body["items"]]
        assert found == ([] if text == "kuhl" else ["Kühlraum 9"]), text
    assert service.call("GET", f"/api/v1/hub-devices/{quote(HUB_DEVICE)}").body["name"] == "Kühlraum 9"
    # A token of one catalog finds its own only.
    token = service.token_for(owner, "Reader")
    theirs = service.call("GET", f"/api/v1/device-names?catalog={owner}&text={quote('Kühlraum 9')}", token=token)
    assert len(theirs.body["items"]) == 2
    assert service.call("GET", "/api/v1/device-names?text=Plant", token=token).status == 403
    for body in ({"name": "a\nb"}, {"name": "x" * 129}, {"name": "f" * 128}, {}, {"name": 3}):
        assert service.call("PUT", f"/api/v1/devices/{device}/name", body).status == 400
    again = service.call("PUT", f"/api/v1/devices/{device}/name", {"name": ""}).body
    assert (again["name"], again["is_named"]) == (f"Coffee {device[:8]}", False)


def test_nobody_reads_what_another_owner_calls_a_device(service: RunningService, owner: str) -> None:
    registry, mine = service.service.registry, service.make_device().device_id
    registry.catalogs.create("Ids-other", actor="test", resource_group="rg")
    registry.devices.claim("Ids-other", [mine], actor="test", product=".default", group=".unassigned")
    service.service.registry.names.rename(mine, "Secret plan", actor="test")
    page = {"items": [{"device_id": mine}, {"device_id": HUB_DEVICE}, {"number": 1}]}
    for catalog, seen in ((None, True), ("Ids-other", True), (owner, False)):
        catalog_id = None if catalog is None else registry.catalogs.get(catalog).catalog_id
        scope = {
            "type": "http", "app": service.app, "state": {"operator": SimpleNamespace(catalog_id=catalog_id)},
            "method": "GET", "path": "/", "query_string": b"", "headers": [],
        }  # fmt: skip
        named = with_names(Request(scope), page)["items"]
        assert named[0]["device_name"] == ("Secret plan" if seen else None), catalog
        assert ("device_name" in named[2], named[2]) == (False, {"number": 1})
