# SPDX-License-Identifier: Apache-2.0
"""Dashboards over the API with a real MQTT client: documents, the data of every tile at once, live values, who may."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.mqtt_device import Connected
from tests.api.running_service import RunningService, wait_until

from armillary.api.native.dashboard_live import LiveResponse

AT = "/api/v1/dashboards"


@pytest.fixture
def device(service: RunningService, catalog: str) -> Iterator[Connected]:
    connected = Connected(service, service.claimed(catalog))
    yield connected
    connected.close()


def tile(kind: str, y: int, device: str, **fields: Any) -> dict[str, Any]:
    return {"id": kind, "kind": kind, "x": 0, "y": y, "w": 4, "h": 2, "source": {"device": device}, **fields}


def body_of(device: str) -> dict[str, Any]:
    tiles = [
        tile("kpi", 0, device, value="flow", sparkline=True, thresholds=[{"from": 10, "state": "bad"}]),
        tile("line", 2, device, values=["flow"], range_s=900),
        tile("bar", 4, device, values=["flow"], aggregate="last"),
        tile("heatmap", 6, device, value="flow", range_s=7200, bucket_s=3600),
        tile("map", 8, device, location="spot", value="flow"),
        tile("floor-plan", 10, device, image="a/b.svg", value="flow", places=[{"device": device, "x": 0.5, "y": 0.5}]),
        tile("property", 12, device, names=["mode"]),
        tile("last-values", 14, device, values=["flow", "on"]),
        tile("command", 16, device, command="flush", label="Flush"),
        tile("gauge", 18, device, value="flow", low=0, high=20),
        tile("alerts", 20, device),
        tile("commands", 22, device, buttons=[{"label": "Flush", "command": "flush"}]),
        {"id": "text", "kind": "text", "x": 4, "y": 0, "w": 2, "h": 2, "text": "hello"},
    ]
    return {"name": "Water", "tiles": tiles}


def put(service: RunningService, name: str, body: object, **headers: str) -> Any:
    return service.call("PUT", f"{AT}/{name}", body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_a_dashboard_is_kept_changed_with_its_etag_and_deleted(service: RunningService, device: Connected) -> None:
    body = body_of(device.device_id)
    made = put(service, "etag-water", body)
    assert made.status == 200
    assert made.body["body"] == body
    assert any(each["id"] == "etag-water" for each in service.call("GET", AT).body["items"])
    stale = put(service, "etag-water", {**body, "name": "x"}, if_match="d-0")
    assert (stale.status, stale.body["code"]) == (412, "request.precondition")
    changed = put(service, "etag-water", {**body, "name": "x"}, if_match=made.body["etag"])
    assert changed.body["version"] == 2
    newest = service.service.audit.list(limit=1).items[0]
    assert (newest.operation, newest.target) == ("dashboard.put", "etag-water")
    assert service.call("DELETE", f"{AT}/etag-water").status == 200
    assert service.call("GET", f"{AT}/etag-water").status == 404


def test_a_dashboard_that_says_nothing_sensible_is_refused_by_tile_and_field(service: RunningService) -> None:
    body = {"name": "Water", "tiles": [tile("kpi", 0, "ab" * 64, value="flow", range_s=1)]}
    answer = put(service, "bad", body)
    assert answer.status == 400
    assert "tile 'kpi': range_s: expected 60 to" in answer.body["detail"]
    assert "dashboards.md" in answer.body["remedy"]


def test_one_answer_has_the_data_of_every_tile(service: RunningService, device: Connected) -> None:
    put(service, "water", body_of(device.device_id))
    device.send({"flow": 9.5, "on": True, "spot": {"lat": 47.5, "lon": 8.5}})
    device.send({"flow": 10.5})
    service.hub.twins.change(device.device_id, desired={"mode": "eco"})
    path = f"{AT}/water/data"
    wait_until(lambda: service.call("GET", path).body["tiles"]["kpi"]["value"] == 10.5, "the second value")
    tiles = service.call("GET", path).body["tiles"]
    assert set(tiles) == {each["id"] for each in body_of(device.device_id)["tiles"]} - {"text"}
    assert not [each for each in tiles.values() if "error" in each]
    assert tiles["kpi"]["state"] == "bad"
    assert tiles["line"]["series"][0]["values"] == [9.5, 10.5]
    assert tiles["bar"]["bars"][0]["values"] == [10.5]
    assert [each for each in tiles["heatmap"]["rows"][0]["values"] if each is not None] == [10.0]
    assert tiles["map"]["dots"][0] | {"at_ms": 0} == {
        "device_id": device.device_id,
        "label": tiles["map"]["dots"][0]["label"],
        "lat": 47.5,
        "lon": 8.5,
        "value": 10.5,
        "at_ms": 0,
        "state": "",
    }
    assert tiles["floor-plan"]["spots"][0]["value"] == 10.5
    assert tiles["property"]["rows"][0]["values"] == ["eco"]
    assert tiles["last-values"]["rows"][0]["values"] == [10.5, True]
    assert (tiles["gauge"]["value"], "points" in tiles["gauge"]) == (10.5, False)
    assert [value for _, value in tiles["kpi"]["points"]] == [9.5, 10.5]
    assert (tiles["alerts"]["alerts"], tiles["alerts"]["more"]) == ([], False)
    assert tiles["commands"]["connected"] == 1
    assert tiles["command"] | {"labels": []} == {"kind": "command", "devices": 1, "connected": 1, "labels": []}


def test_a_tile_whose_devices_are_gone_spoils_no_other(service: RunningService, device: Connected) -> None:
    body = body_of(device.device_id)
    body["tiles"][0]["source"] = {"group": "never-made"}
    put(service, "half", body)
    tiles = service.call("GET", f"{AT}/half/data").body["tiles"]
    assert tiles["kpi"]["error"]["message"] == "there is no segment 'never-made'"
    assert "error" not in tiles["line"]


def test_points_are_capped_at_what_the_caller_can_draw(service: RunningService, device: Connected) -> None:
    put(service, "capped", body_of(device.device_id))
    for number in range(40):
        device.send({"flow": number})
    path = f"{AT}/capped/data?points=5&range_s=3600"
    wait_until(lambda: service.call("GET", path).body["tiles"]["kpi"]["value"] == 39, "forty values")
    line = service.call("GET", path).body["tiles"]["line"]
    assert 1 <= len(line["series"][0]["at_ms"]) <= 5
    assert service.call("GET", f"{AT}/capped/data?points=0").status == 400


def test_live_values_are_streamed_once_a_second(service: RunningService, device: Connected) -> None:
    put(service, "live", body_of(device.device_id))
    connection = service.connection()
    connection.request("GET", f"{AT}/live/live", headers={"Authorization": f"Bearer {service.token}"})
    answer = connection.getresponse()
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    assert answer.readline() == b": listening\n"
    for number in range(20):  # faster than a reader is told: it gets the newest only
        device.send({"flow": number, "unseen": 1})
    seen: list[dict[str, Any]] = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not any(each["value"] == 19 for each in seen):
        line = answer.readline()
        if line.startswith(b"data: "):
            seen += json.loads(line[6:])["items"]
    connection.close()
    assert {each["name"] for each in seen} == {"flow"}
    assert len(seen) < 20
    wait_until(lambda: len(service.app.state.budgets.streams) == 0, "the stream to be given back")


def test_a_reader_that_takes_nothing_is_let_go_and_counted(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("armillary.api.native.dashboard_live.SHED_S", 0.05)
    before = service.hub.counters()["live_readers_shed"]

    async def main() -> None:
        async def events() -> Any:
            while True:
                yield b"event: values\n\n"

        async def blocked(_message: object) -> None:
            await asyncio.Event().wait()

        response = LiveResponse(service.hub.live.shed, events())
        await response.stream_response(blocked)

    asyncio.run(main())
    assert service.hub.counters()["live_readers_shed"] == before + 1


def test_a_token_of_one_catalog_sees_its_own_devices_only(
    service: RunningService, device: Connected, catalog: str
) -> None:
    other = service.token_for(service.make_catalog("elsewhere"))
    put(service, "shared-one", body_of(device.device_id))
    assert service.call("GET", f"{AT}/shared-one/data", token=other).status == 403  # it must name its catalog
    assert service.call("GET", f"{AT}/shared-one/data?catalog={catalog}", token=other).status == 404
    tiles = service.call("GET", f"{AT}/shared-one/data?catalog=elsewhere", token=other).body["tiles"]
    assert {each["error"]["code"] for each in tiles.values()} == {"request.not-found"}
    assert "10.5" not in json.dumps(tiles)
    own = service.token_for(catalog, "Reader")
    tiles = service.call("GET", f"{AT}/shared-one/data?catalog={catalog}", token=own).body["tiles"]
    assert not [each for each in tiles.values() if "error" in each]
    # A dashboard of all catalogs is not changed by who speaks for one; its own is.
    assert (
        service.call("PUT", f"{AT}/shared-one?catalog=elsewhere", {"name": "x", "tiles": []}, token=other).status == 403
    )
    assert (
        service.call("PUT", f"{AT}/their-own?catalog=elsewhere", {"name": "x", "tiles": []}, token=other).status == 200
    )
    assert service.call("GET", f"{AT}/their-own?catalog={catalog}", token=own).status == 404
