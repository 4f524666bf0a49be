# SPDX-License-Identifier: Apache-2.0
"""A token of one organisation reaches single devices of it and of what is below, and not one thing more."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

import pytest
from tests.api.mqtt_device import MqttDevice
from tests.api.running_service import CATALOGS, VERSION, RunningService
from tests.attacks.owners import Owner, owner

from armillary.api.app import SHAPES
from armillary.api.central import table as central_table
from armillary.api.http import scope
from armillary.api.http.route import FACTORY, RANK, OfOrganisation, Reach
from armillary.api.prometheus import shape as prometheus_shape
from armillary.sim.device.wire_device import WireDevice

# What lists do not answer without.
NEEDED = {"GET /api/v1/search": "&q=Coffee"}


@dataclass(frozen=True)
class Tree:
    """north > oslo, and south, in Alice's catalog; a device in each, and one in none."""

    owner: Owner
    ids: dict[str, str]
    devices: dict[str, WireDevice]
    tokens: dict[str, str]

    def call(self, who: str, method: str, path: str, body: object = None):
        return self.owner.service.call(method, "/api/v1" + path, body, token=self.tokens[who])

    def place(self, name: str) -> str:
        return f"/devices/{self.devices[name].device_id}"


@pytest.fixture(scope="module")
def tree(service: RunningService) -> Tree:
    alice = owner(service)
    ids = {name: f"{name}-{uuid.uuid4().hex[:6]}" for name in ("north", "oslo", "south")}
    for name, parent in (("north", None), ("oslo", ids["north"]), ("south", None)):
        body = {"name": name, "catalog": alice.name, "parent": parent}
        assert service.call("PUT", f"/api/v1/organisations/{ids[name]}", body).status == 200
    devices = {name: service.make_device() for name in ("north", "oslo", "south", "none")}
    for name, device in devices.items():
        service.service.registry.devices.claim(
            alice.name, [device.device_id], product="Coffee", group="Production", actor="test"
        )
        if name in ids:
            path = f"/api/v1/devices/{device.device_id}/organisation"
            assert service.call("PUT", path, {"organisation": ids[name]}).status == 200
        be_guardian(service, device)
    tokens = {}
    for name, organisation in ids.items():
        body = {"name": name, "role": "Administrator", "catalog": alice.name, "organisation": organisation}
        made = service.call("POST", "/api/v1/tokens", body)
        assert (made.status, made.body["organisation"]) == (201, organisation), made.raw
        tokens[name] = made.body["secret"]
    return Tree(alice, ids, devices, tokens)


def be_guardian(service: RunningService, device: WireDevice) -> None:
    """Have a device say over MQTT that it is a guardian, of one piece of equipment."""
    assert service.call("POST", f"/api/v1/hub-devices/{device.device_id}/modules", {"module_id": "a"}).status == 200
    with MqttDevice(service, device.device_id, service.client_context(device)) as connected:
        connected.report({"guardian": {"boot": "1", "equipment": {}}})


PARTS = (
    "",
    "/check-ins",
    "/telemetry",
    "/twin",
    "/outcomes",
    "/error-reports",
    "/deployment",
    "/refusals",
    "/messages",
)


def test_a_search_finds_devices_of_the_organisation_and_nothing_of_its_catalog(tree: Tree) -> None:
    catalog, word = tree.owner.name, f"zqfind{uuid.uuid4().hex[:6]}"
    for name in tree.devices:
        named = tree.owner.service.call("PUT", f"/api/v1{tree.place(name)}/name", {"name": f"{word} {name}"})
        assert named.status == 200
    rule = {"name": f"{word} rule", "conditions": [{"telemetry": "t", "op": ">", "value": 1}], "catalog": catalog}
    assert tree.owner.service.call("PUT", f"/api/v1/rules/{word}", rule).status == 200
    everything = tree.owner.service.call("GET", f"/api/v1/search?q={word}").body["items"]
    assert {each["name"] for each in everything} == {f"{word} {each}" for each in (*tree.devices, "rule")}
    for who, sees in (("north", {"north", "oslo"}), ("oslo", {"oslo"}), ("south", {"south"})):
        for text in (word, "Coffee", "Production"):
            found = tree.call(who, "GET", f"/search?catalog={catalog}&q={text}").body["items"]
            assert {each["id"] for each in found} == {tree.devices[each].device_id for each in sees}
        other = tree.devices["none"].device_id
        assert tree.call(who, "GET", f"/search?catalog={catalog}&q={other}").body["items"] == []


@pytest.mark.parametrize(("who", "sees"), [("north", {"north", "oslo"}), ("oslo", {"oslo"}), ("south", {"south"})])
def test_what_each_sees(tree: Tree, who: str, sees: set[str]) -> None:
    for name in list(tree.devices):
        for part in PARTS:
            expected = 200 if name in sees else 404
            assert tree.call(who, "GET", tree.place(name) + part).status == expected, (name, part)
        changed = tree.call(who, "PATCH", tree.place(name) + "/twin", {"desired": {who: 1}})
        assert changed.status == (200 if name in sees else 404)
    upper = "/devices/" + tree.devices["none"].device_id.upper()
    assert tree.call(who, "GET", upper).status == 404
    assert tree.call(who, "GET", "/me").body["organisation"] == tree.ids[who]


def test_the_tree_shows_its_own_part_only(tree: Tree) -> None:
    own = f"?catalog={tree.owner.name}"
    shown = tree.call("north", "GET", f"/organisations/{tree.ids['north']}{own}")
    assert (shown.status, shown.body["below"]) == (200, [tree.ids["oslo"]])
    found = tree.call("north", "GET", f"/organisations/{tree.ids['north']}/devices{own}").body["items"]
    assert {each["device_id"] for each in found} == {tree.devices[name].device_id for name in ("north", "oslo")}
    for path in (f"/organisations/{tree.ids['south']}", f"/organisations/{tree.ids['south']}/devices"):
        assert tree.call("north", "GET", path + own).status == 403
        assert tree.call("south", "GET", path + own).status == 200  # the control
    assert tree.call("oslo", "GET", f"/organisations/{tree.ids['north']}{own}").status == 403
    assert tree.call("north", "GET", f"/organisations{own}").status == 403
    assert tree.call("north", "PUT", tree.place("north") + "/organisation", {"organisation": None}).status == 403


@pytest.mark.parametrize(
    "key",
    sorted(
        key
        for key, row in SHAPES.routes.items()
        if (row.role in RANK or row.role == FACTORY) and row.reach is not Reach.CALLER
    ),
)
def test_no_other_route_answers_it(tree: Tree, key: str) -> None:
    """Every route of the table, whoever adds the next: with the catalog named, and a device that is not its own."""
    method, template = key.split(" ", 1)
    filled = template.replace("{catalog}", tree.owner.name).replace("{device_id}", tree.devices["south"].device_id)
    filled = filled.replace("{catalogName}", tree.owner.name).replace("{organisation}", tree.ids["south"])
    path = re.sub(r"\{[A-Za-z_:]+\}", str(uuid.uuid4()), filled)
    body = {} if method != "GET" else None
    call = tree.owner.service.call
    version = "api-version=2022-10-31-preview" if central_table.is_central(path) else VERSION
    native = path.startswith("/api/v1/")  # its routes take no parameter that they do not know
    query = f"catalog={tree.owner.name}" if native else f"{version}&catalog={tree.owner.name}"
    query += NEEDED.get(key, "")
    reply = call(method, f"{path}?{query}", body, token=tree.tokens["north"])
    if path.startswith(prometheus_shape.ROOT):  # tests/api/prometheus/test_prometheus_owners.py: what it does show
        others = (tree.devices["south"].device_id, tree.devices["none"].device_id)
        assert all(each.encode() not in reply.raw for each in others)
        return
    if SHAPES.routes[key].organisation is OfOrganisation.LIST:
        assert reply.status == 200
        assert tree.ids["north"].encode() in reply.raw or tree.devices["north"].device_id.encode() in reply.raw
        for others in (tree.devices["south"].device_id, tree.devices["none"].device_id, tree.ids["south"]):
            assert others.encode() not in reply.raw
        return
    assert reply.status in (401, 403, 404), (key, reply.raw)


def test_azures_shape_is_closed_to_it(tree: Tree) -> None:
    call, place = tree.owner.service.call, f"{CATALOGS}/{tree.owner.name}"
    for path in ("", "/products", "/listDevices", "/images"):
        assert call("GET", f"{place}{path}?{VERSION}", token=tree.tokens["north"]).status == 403, path
    assert call("GET", f"{place}?{VERSION}", token=tree.owner.token).status == 200  # the control


def test_a_device_that_leaves_is_out_of_sight_at_once(tree: Tree, service: RunningService) -> None:
    path = f"/api/v1/devices/{tree.devices['oslo'].device_id}/organisation"
    assert tree.call("north", "GET", tree.place("oslo")).status == 200
    assert service.call("PUT", path, {"organisation": tree.ids["south"]}).status == 200
    assert tree.call("north", "GET", tree.place("oslo")).status == 404
    assert tree.call("south", "GET", tree.place("oslo")).status == 200
    assert service.call("PUT", path, {"organisation": tree.ids["oslo"]}).status == 200
    stored = service.platform.documents.get("organisation", tree.ids["oslo"]).content
    moved = service.call("PUT", f"/api/v1/organisations/{tree.ids['oslo']}", {**stored, "parent": tree.ids["south"]})
    assert moved.status == 200
    assert tree.call("north", "GET", tree.place("oslo")).status == 404
    service.call("PUT", f"/api/v1/organisations/{tree.ids['oslo']}", dict(stored))
    assert tree.call("north", "GET", tree.place("oslo")).status == 200


def test_without_the_check_the_attack_gets_through(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope, "_check_organisation", lambda *_: None)
    assert tree.call("north", "GET", tree.place("south")).status == 200


def test_organisations_of_another_catalog_are_nobodys_business(tree: Tree, service: RunningService) -> None:
    bob = owner(service)
    place = f"/api/v1/devices/{bob.device.device_id}/organisation"
    assert service.call("PUT", place, {"organisation": tree.ids["north"]}).status == 404
    body = {"name": "x", "role": "Reader", "catalog": bob.name, "organisation": tree.ids["north"]}
    assert service.call("POST", "/api/v1/tokens", body).status == 404
    assert service.call("POST", "/api/v1/tokens", {**body, "catalog": None}).status == 404
    stored = service.platform.documents.get("organisation", tree.ids["north"]).content
    for wrong in (
        {**stored, "catalog": bob.name}, {**stored, "parent": tree.ids["oslo"]}, {**stored, "parent": "nowhere"},
        {"name": "y", "catalog": bob.name, "parent": tree.ids["north"]},
    ):  # fmt: skip
        name = tree.ids["north"] if wrong["name"] == "north" else "new-one"
        assert service.call("PUT", f"/api/v1/organisations/{name}", wrong).status == 409, wrong
    for name in tree.ids.values():  # with devices and tokens
        assert service.call("DELETE", f"/api/v1/organisations/{name}").status == 409
    service.platform.organisations.assign(bob.device.device_id, tree.ids["north"], by="somebody")  # past the route
    assert tree.call("north", "GET", f"/devices/{bob.device.device_id}").status == 404
    shown = tree.call("north", "GET", f"/organisations/{tree.ids['north']}/devices?catalog={tree.owner.name}").body
    assert bob.device.device_id not in {each["device_id"] for each in shown["items"]}
