# SPDX-License-Identifier: Apache-2.0
"""Native routes of the hub with a real MQTT client: telemetry, series, live streams, twins, direct methods."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
from tests.api.mqtt_device import Connected
from tests.api.running_service import RunningService, wait_until


@pytest.fixture
def device(service: RunningService, catalog: str) -> Iterator[Connected]:
    connected = Connected(service, service.claimed(catalog))
    yield connected
    connected.close()


def test_telemetry_is_shown_and_charted(service: RunningService, device: Connected) -> None:
    path = f"/api/v1/devices/{device.device_id}/telemetry"
    before = int(time.time() * 1000) - 1000
    device.send({"temperature": 91.5, "boiler": {"on": True}, "mode": "brew"})
    wait_until(lambda: service.call("GET", path).body["items"], "telemetry to be shown")
    found = service.call("GET", path).body
    assert {item["metric"]: item["value"] for item in found["items"]} == {
        "temperature": 91.5,
        "boiler.on": True,
        "mode": "brew",
    }
    assert found["connected"] is True
    end = int(time.time() * 1000) + 1000
    series = service.call("GET", f"{path}/series?metric=temperature&start_ms={before}&end_ms={end}").body
    assert (series["bucket_ms"], [point[1:] for point in series["points"]]) == (0, [[1, 91.5, 91.5, 91.5]])
    assert service.call("GET", f"{path}/series?metric=absent&start_ms={before}&end_ms={end}").status == 404
    assert service.call("GET", f"{path}/series?metric=temperature&start_ms={end}&end_ms={before}").status == 400
    for query in ("", "?metric=x", "?metric=x&start_ms=a&end_ms=1", "?metric=x&start_ms=0&end_ms=1&max_points=0"):
        assert service.call("GET", f"{path}/series{query}").status == 400


def test_values_stream_as_they_arrive(service: RunningService, device: Connected) -> None:
    connection = service.connection()
    connection.request(
        "GET",
        f"/api/v1/devices/{device.device_id}/telemetry/stream",
        headers={"Authorization": f"Bearer {service.token_of('Reader')}"},
    )
    response = connection.getresponse()
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.readline() == b": listening\n"
    device.send({"temperature": 12})
    lines = [response.readline() for _ in range(3)]
    assert lines[1] == b"event: telemetry\n"
    event = json.loads(lines[2].removeprefix(b"data: "))
    assert (event["device_id"], event["values"]) == (device.device_id, {"temperature": 12})
    connection.close()


def test_a_method_is_called_and_answered(service: RunningService, device: Connected) -> None:
    path = f"/api/v1/devices/{device.device_id}/methods/brew"
    reply = service.call("POST", path, {"payload": {"cups": 2}, "timeout_s": 10})
    assert (reply.status, reply.body) == (200, {"status": 200, "payload": {"got": {"cups": 2}}})
    line = service.call("GET", "/api/v1/audit?limit=1").body["items"][0]
    assert (line["operation"], line["target"], line["detail"]) == (
        "device.method",
        device.device_id,
        {"method": "brew"},
    )
    for body in ({"timeout_s": 0}, {"timeout_s": 301}, {"payloads": 1}):
        assert service.call("POST", path, body).status == 400


def test_a_method_on_a_device_that_is_away(service: RunningService) -> None:
    away = service.make_device()
    reply = service.call("POST", f"/api/v1/devices/{away.device_id}/methods/brew", {})
    assert (reply.status, reply.body["code"]) == (409, "request.device-offline")


def test_a_twin_is_patched_with_its_etag(service: RunningService, device: Connected) -> None:
    path = f"/api/v1/devices/{device.device_id}/twin"
    empty = service.call("GET", path).body
    assert empty["deviceId"] == device.device_id
    patched = service.call("PATCH", path, {"desired": {"strength": 3}}).body
    assert patched["properties"]["desired"]["strength"] == 3
    stale = service.call("PATCH", path, {"desired": {"strength": 4}}, headers={"If-Match": empty["etag"]})
    assert (stale.status, stale.body["code"]) == (412, "request.precondition")
    fresh = service.call("PATCH", path, {"desired": {"strength": None}}, headers={"If-Match": patched["etag"]})
    assert "strength" not in fresh.body["properties"]["desired"]
    assert service.call("PATCH", path, {"tags": {"site": "lab"}}).body["tags"] == {"site": "lab"}
    for body in ({}, {"desired": {}, "tags": {}}, {"desired": []}, {"desired": {"$bad": 1}}):
        assert service.call("PATCH", path, body).status == 400, body


def test_revoking_closes_the_devices_connection(service: RunningService, device: Connected) -> None:
    gone = threading.Event()
    device.client.on_disconnect = lambda *_: gone.set()
    service.call("POST", f"/api/v1/devices/{device.device_id}/revoke", {"reason": "stolen"})
    assert gone.wait(20)


def test_live_streams_have_a_limit_and_give_their_place_back(
    service: RunningService, device: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = service.app.state.budgets.streams
    monkeypatch.setattr(streams, "total", 2)
    path = f"/api/v1/devices/{device.device_id}/telemetry/stream"
    token = {"Authorization": f"Bearer {service.token}"}
    wait_until(lambda: len(streams) == 0, "earlier streams ended")
    held = []
    for _ in range(2):
        connection = service.connection()
        connection.request("GET", path, headers=token)
        held.append((connection, connection.getresponse()))
        assert held[-1][1].readline() == b": listening\n"
    refused = service.call("GET", path)
    assert (refused.status, refused.headers["retry-after"]) == (429, "30")
    for connection, _ in held:
        connection.close()
    for _, response in held:
        response.close()
    wait_until(lambda: len(streams) == 0, "the streams ended with their connections")
