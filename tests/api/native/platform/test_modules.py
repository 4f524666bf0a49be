# SPDX-License-Identifier: Apache-2.0
"""Modules on the application platform: a template of their own, groups, rules, jobs and dashboards over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.mqtt_device import MqttDevice
from tests.api.running_service import RunningService, fresh, wait_until
from tests.twin.template.test_template import BODY

from armillary.sim.device.wire_device import WireDevice

MODULES = ("espresso1", "espresso2")


def called(service: RunningService, method: str, path: str, body: object = None, **options: Any) -> Any:
    reply = service.call(method, path, body, **options)
    assert reply.status == 200, reply.raw
    return reply.body


@pytest.fixture
def catalog(service: RunningService) -> str:
    return service.make_catalog(fresh("Modules"), product="Coffee")


@pytest.fixture
def guardian(service: RunningService, catalog: str) -> WireDevice:
    device = service.claimed(catalog)
    for module in MODULES:
        called(service, "POST", f"/api/v1/hub-devices/{device.device_id}/modules", {"module_id": module})
    return device


@pytest.fixture
def template(service: RunningService) -> str:
    name = fresh("machine")
    called(service, "PUT", f"/api/v1/templates/{name}", BODY)
    called(service, "POST", f"/api/v1/templates/{name}/publish")
    return name


@pytest.fixture
def machines(service: RunningService, guardian: WireDevice, template: str) -> Iterator[list[MqttDevice]]:
    """Both modules with the template, connected as the guardian connects them."""
    context = service.client_context(guardian)
    found = []
    for module in MODULES:
        path = f"/api/v1/devices/{guardian.device_id}/template?module={module}"
        called(service, "PUT", path, {"template": template})
        found.append(MqttDevice(service, f"{guardian.device_id}/{module}", context))
    assert [each.connack for each in found] == [[0], [0]]
    yield found
    for each in found:
        each.close()


def test_a_group_of_modules_is_shown_commanded_and_watched(
    service: RunningService, catalog: str, template: str, machines: list[MqttDevice]
) -> None:
    ids = [each.device_id for each in machines]
    group, rule, job, dashboard = (fresh(word) for word in ("machines", "hot", "push", "view"))
    called(service, "PUT", f"/api/v1/groups/{group}", {"name": "Machines", "template": template, "catalog": catalog})
    condition = {"telemetry": "temperature", "op": ">", "value": 90}
    body = {"name": "Hot", "severity": "high", "target": {"template": template}, "conditions": [condition]}
    called(service, "PUT", f"/api/v1/rules/{rule}", {**body, "catalog": catalog})
    machines[0].send({"temperature": 91.5})
    machines[1].send({"temperature": 45.5})

    page = wait_until(
        lambda: (found := called(service, "GET", f"/api/v1/groups/{group}/members"))["items"] and found, "the members"
    )
    assert [each["device_id"] for each in page["items"]] == ids
    assert [each["device_name"].rpartition("/")[2] for each in page["items"]] == list(MODULES)

    (alert,) = wait_until(lambda: called(service, "GET", f"/api/v1/alerts?rule={rule}")["items"], "the alert")
    assert alert["device_id"] == ids[0]

    one = {"id": "one", "kind": "kpi", "title": "One", "source": {"device": ids[1]}, "value": "temperature"}
    tile = {"id": "t", "kind": "last-values", "title": "Now", "source": {"group": group}, "values": ["temperature"]}
    board = {
        "name": "View",
        "columns": 12,
        "tiles": [{**tile, "x": 0, "y": 0, "w": 4, "h": 2}, {**one, "x": 4, "y": 0, "w": 2, "h": 2}],
        "catalog": catalog,
    }
    called(service, "PUT", f"/api/v1/dashboards/{dashboard}", board)
    tiles = called(service, "GET", f"/api/v1/dashboards/{dashboard}/data?catalog={catalog}")["tiles"]
    assert tiles["one"]["value"] == 45.5
    shown = tiles["t"]
    assert [(each["device_id"], each["values"]) for each in shown["rows"]] == [
        (ids[0], [91.5]), (ids[1], [45.5]),
    ]  # fmt: skip

    owner, _, module = ids[0].partition("/")
    raw = f"/api/v1/devices/{owner}/telemetry/raw?module={module}&metric=temperature&start_ms=0&end_ms=4102444800000"
    assert [value for _, value in called(service, "GET", raw)["items"]] == [91.5]
    latest = called(service, "GET", f"/api/v1/groups/{group}/telemetry/latest?metric=temperature")["items"]
    assert {each["device_id"] for each in latest} == set(ids)
    file = service.call("GET", f"/api/v1/devices/{owner}/telemetry/export?module={module}")
    assert ids[0].encode() in file.raw

    action = {"kind": "command", "command": "report", "payload": 5}
    called(
        service, "PUT", f"/api/v1/jobs/{job}", {"name": "Push", "group": group, "catalog": catalog, "action": action}
    )
    run = called(service, "POST", f"/api/v1/jobs/{job}/runs", {})["number"]
    place = f"/api/v1/jobs/{job}/runs/{run}"
    over = wait_until(
        lambda: (found := called(service, "GET", place))["state"] != "running" and found, "the end of the run"
    )
    assert over["counts"]["succeeded"] == 2, over


def test_a_module_that_is_deleted_leaves_no_template_to_the_next_of_its_name(
    service: RunningService, guardian: WireDevice, template: str
) -> None:
    path = f"/api/v1/devices/{guardian.device_id}/template?module={MODULES[0]}"
    called(service, "PUT", path, {"template": template})
    called(service, "DELETE", f"/api/v1/hub-devices/{guardian.device_id}/modules/{MODULES[0]}")
    called(service, "POST", f"/api/v1/hub-devices/{guardian.device_id}/modules", {"module_id": MODULES[0]})
    assert called(service, "GET", path)["template"] is None


def test_modules_change_hands_with_nothing_of_theirs(
    service: RunningService, catalog: str, guardian: WireDevice, template: str
) -> None:
    """The new owner of a guardian has none of its modules in a group, and a module made anew begins empty."""
    device, group = guardian.device_id, fresh("machines")
    path = f"/api/v1/devices/{device}/template?module={MODULES[0]}"
    called(service, "PUT", path, {"template": template})
    called(service, "PATCH", f"/api/v1/devices/{device}/twin?module={MODULES[0]}", {"desired": {"secret": 1}})
    called(service, "PUT", f"/api/v1/groups/{group}", {"name": "Machines", "template": template})
    members = f"/api/v1/groups/{group}/members"
    assert [each["device_id"] for each in called(service, "GET", members)["items"]] == [f"{device}/{MODULES[0]}"]
    later = service.make_catalog(fresh("Later"))
    owner = service.service.registry.catalogs.get(later).catalog_id
    offer = service.service.registry.transfers.offer(catalog, device, owner, actor="test")
    service.service.registry.transfers.accept(later, offer.transfer_id, actor="test")
    assert called(service, "GET", members)["items"] == []
    called(service, "POST", f"/api/v1/hub-devices/{device}/modules", {"module_id": MODULES[0]})
    assert called(service, "GET", path)["template"] is None
    twin = called(service, "GET", f"/api/v1/devices/{device}/twin?module={MODULES[0]}")
    assert "secret" not in str(twin)
