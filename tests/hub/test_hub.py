# SPDX-License-Identifier: Apache-2.0
"""The hub end to end: real paho-mqtt clients over real TLS."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from tests.hub.running_hub import DEVICE, OTHER, RunningHub, wait_until

from armillary.engines.series.retention import Retention
from armillary.errors import ConflictError, DeviceOfflineError, DeviceTimeoutError, InvalidArgumentError, WireError
from armillary.hub.hub import Hub
from armillary.settings import Settings

EVENTS = f"devices/{DEVICE}/messages/events/"
DESIRED = "$iothub/twin/PATCH/properties/desired/#"
ANSWERS = "$iothub/twin/res/#"
METHODS = "$iothub/methods/POST/#"


def test_telemetry_becomes_latest_values_series_and_messages(running: RunningHub, client: Any) -> None:
    before = int(time.time() * 1000)
    for step in range(20):
        client.telemetry({"air": {"co2": 600 + step}, "open": step % 2 == 0, "state": f"s{step}"})
    series = running.hub.series
    wait_until(lambda: running.hub.counters()["messages_decoded"] == 20, "20 messages decoded")
    latest = {each.metric: each.value for each in series.last_values(DEVICE)}
    assert latest == {"air.co2": 619.0, "open": False, "state": "s19"}
    found = series.query(DEVICE, "air.co2", before - 1000, before + 60_000, 100)
    assert [bucket.mean for bucket in found.buckets] == [600.0 + step for step in range(20)]
    assert [each.name for each in series.metrics(DEVICE)] == ["air.co2", "open", "state"]
    assert len(series.messages(DEVICE, 5)) == 5
    assert json.loads(series.messages(DEVICE, 1)[0].payload)["state"] == "s19"


def test_property_bag_sets_component_and_time(running: RunningHub, client: Any) -> None:
    client.telemetry(
        {"t": 1},
        "$.ct=application%2Fjson&%24.ce=utf-8&%24.sub=thermo&iothub-creation-time-utc=2026-01-02T03%3A04%3A05Z",
    )
    last = wait_until(lambda: running.hub.series.last_values(DEVICE), "the value")[0]
    assert (last.metric, last.at_ms) == ("thermo.t", 1767323045000)


def test_what_cannot_be_decoded_is_kept_acknowledged_and_visible(running: RunningHub, client: Any) -> None:
    client.telemetry(b'{"t": NaN}')
    client.telemetry(b"\xff\xfe", "$.ct=application/octet-stream")
    wait_until(lambda: running.hub.counters()["messages_decoded"] == 2, "both looked at")
    counters = running.hub.counters()
    assert (counters["messages_undecodable"], counters["messages_opaque"]) == (1, 1)
    row = running.hub.series.device(DEVICE)
    assert row is not None
    assert row.fault_count == 1
    assert row.fault_reason is not None
    assert "NaN" in row.fault_reason
    assert [each.payload for each in running.hub.series.messages(DEVICE, 9)] == [b"\xff\xfe", b'{"t": NaN}']


def test_twin_from_both_sides(running: RunningHub, client: Any) -> None:
    assert client.subscribe(ANSWERS, DESIRED) == [1, 1]
    client.publish("$iothub/twin/GET/?$rid=g1", b" ")
    topic, body = client.take("$iothub/twin/res/200/")
    assert topic == "$iothub/twin/res/200/?$rid=g1"
    assert json.loads(body) == {"desired": {"$version": 1}, "reported": {"$version": 1}}

    twin = running.hub.twins.change(DEVICE, desired={"interval": 5, "led": {"on": True}})
    assert twin.desired.version == 2
    topic, body = client.take("$iothub/twin/PATCH/properties/desired/")
    assert topic == "$iothub/twin/PATCH/properties/desired/?$version=2"
    assert json.loads(body) == {"interval": 5, "led": {"on": True}, "$version": 2}

    client.publish("$iothub/twin/PATCH/properties/reported/?$rid=7", b'{"interval":5,"fw":"1.2"}')
    assert client.take("$iothub/twin/res/204/")[0] == "$iothub/twin/res/204/?$rid=7&$version=2"
    client.publish("$iothub/twin/PATCH/properties/reported/?$rid=8", b'{"fw":null}')
    client.publish("$iothub/twin/GET/?$rid=g2", b" ")
    body = json.loads(client.take("$iothub/twin/res/200/")[1])
    assert body["reported"] == {"interval": 5, "$version": 3}
    assert running.hub.twins.get(DEVICE).reported.properties == {"interval": 5}


def test_a_bad_report_is_answered_with_400_and_changes_nothing(running: RunningHub, client: Any) -> None:
    client.subscribe(ANSWERS)
    for number, body in enumerate((b"[1]", b"{", b'{"a.b":1}', b'{"big":"' + b"x" * 5000 + b'"}', b"\xff")):
        client.publish(f"$iothub/twin/PATCH/properties/reported/?$rid={number}", body)
        assert client.take("$iothub/twin/res/400/")[0] == f"$iothub/twin/res/400/?$rid={number}"
    assert running.hub.twins.get(DEVICE).reported.version == 1
    assert running.hub.counters()["twin_reports_refused"] == 5


def test_operators_cannot_overwrite_each_other_unseen(running: RunningHub) -> None:
    first = running.hub.twins.change(DEVICE, desired={"a": 1})
    running.hub.twins.change(DEVICE, desired={"a": 2}, if_match=first.etag)
    with pytest.raises(ConflictError):
        running.hub.twins.change(DEVICE, desired={"a": 3}, if_match=first.etag)
    with pytest.raises(InvalidArgumentError):
        running.hub.twins.change(DEVICE, desired={"a": "x" * 40_000})
    assert running.hub.twins.change(DEVICE, tags={"site": "b"}).tags == {"site": "b"}
    assert running.hub.twins.get(DEVICE).desired.properties == {"a": 2}


def test_a_blocking_patch_in_the_hubs_own_loop_is_a_bug_said_at_once(running: RunningHub) -> None:
    with pytest.raises(RuntimeError, match="submit_desired"):
        running.call(lambda: running.hub.twins.change(DEVICE, desired={"a": 1}))
    assert running.call(running.hub.twins.submit_desired, DEVICE, {"a": 1}).result(10).desired.version == 2


def test_retention_comes_from_settings(tmp_path: Any) -> None:
    settings = Settings(values_retention_days=3, messages_retention_days=2)
    hub = Hub(tmp_path / "hub", settings=settings, authenticate=lambda _: "")
    assert hub.series._retention == Retention(values_days=3, messages_days=2)
    asyncio.run(hub.close())
    with pytest.raises(InvalidArgumentError):
        Settings(values_retention_days=0)


def test_direct_method(running: RunningHub, client: Any) -> None:
    client.subscribe(METHODS)
    call = running.start(running.hub.invoke_method(DEVICE, "brew", {"cups": 2}, 10))
    topic, body = client.take("$iothub/methods/POST/brew/")
    assert json.loads(body) == {"cups": 2}
    request_id = topic.split("$rid=")[1]
    client.publish(f"$iothub/methods/res/201/?$rid={request_id}", b'{"ok":true}')
    result = call.result(10)
    assert (result.status, result.payload) == (201, {"ok": True})


def test_a_method_called_from_another_event_loop(running: RunningHub, client: Any) -> None:
    client.subscribe(METHODS)

    async def play() -> Any:
        call = asyncio.ensure_future(running.hub.invoke_method(DEVICE, "m", None, 10))
        topic, body = await asyncio.to_thread(client.take, "$iothub/methods/POST/m/")
        assert body == b"null"
        client.publish(f"$iothub/methods/res/200/?$rid={topic.split('$rid=')[1]}", b"no json")
        return await call

    assert asyncio.run(play()).payload == "no json"


def test_methods_that_get_no_answer(running: RunningHub, client: Any) -> None:
    with pytest.raises(DeviceOfflineError):
        running.run(running.hub.invoke_method(OTHER, "m"))
    with pytest.raises(DeviceOfflineError):  # connected, but not subscribed
        running.run(running.hub.invoke_method(DEVICE, "m"))
    client.subscribe(METHODS)
    with pytest.raises(WireError):
        running.run(running.hub.invoke_method(DEVICE, "a/b"))
    with pytest.raises(DeviceTimeoutError):
        running.run(running.hub.invoke_method(DEVICE, "m", None, 0.05))
    call = running.start(running.hub.invoke_method(DEVICE, "m", None, 60))
    client.take("$iothub/methods/POST/m/")
    wait_until(lambda: running.hub.counters()["methods_invoked"] == 2, "the second call")
    client.close()
    with pytest.raises(DeviceOfflineError):
        call.result(10)


def test_live_values_reach_listeners(running: RunningHub, client: Any) -> None:
    live = running.call(running.hub.live.listen, DEVICE)
    client.telemetry({"t": 21.5})
    found = running.run(anext(live))
    assert (found.device_id, dict(found.values)) == (DEVICE, {"t": 21.5})
    running.call(live.close)


def test_a_slow_listener_loses_the_oldest_and_it_is_counted(running: RunningHub, client: Any) -> None:
    live = running.call(running.hub.live.listen, None)
    for step in range(300):
        client.publish(EVENTS, json.dumps({"n": step}).encode(), qos=0)
    client.telemetry({"n": 300})
    wait_until(lambda: running.hub.counters()["live_values_dropped"] == 301 - 256, "45 dropped")
    assert running.run(anext(live)).values == {"n": 45.0}
    running.call(live.close)


def test_connected_and_last_seen(running: RunningHub, client: Any) -> None:
    assert running.hub.connected() == {DEVICE}
    seen = running.hub.last_seen_ms(DEVICE)
    assert seen is not None
    assert abs(seen - time.time() * 1000) < 5000
    assert running.hub.last_seen_ms(OTHER) is None
    client.close()
    wait_until(lambda: not running.hub.connected(), "the device is gone")
    assert running.hub.last_seen_ms(DEVICE) >= seen - 5


def test_a_device_that_connects_again_takes_over(running: RunningHub, client: Any) -> None:
    second = running.client().ready()
    client.is_cut_off()
    assert running.hub.connected() == {DEVICE}
    assert running.hub.counters()["connections_taken_over"] == 1
    second.telemetry({"t": 1})


def test_a_persistent_session_keeps_its_subscriptions_even_over_a_restart(running: RunningHub) -> None:
    client = running.client(clean=False).ready()
    assert client.session_present is False
    client.subscribe(DESIRED, METHODS)
    running.restart()
    again = running.client(clean=False).ready()
    assert again.session_present is True
    running.hub.twins.change(DEVICE, desired={"a": 1})
    again.take("$iothub/twin/PATCH/properties/desired/")
    again.close()
    wait_until(lambda: not running.hub.connected(), "gone")
    assert running.client(clean=True).ready().session_present is False


def test_values_survive_a_restart(running: RunningHub, client: Any) -> None:
    client.telemetry({"t": 5})
    running.restart()
    assert [each.value for each in running.hub.series.last_values(DEVICE)] == [5.0]


def test_tls_1_2_for_the_azure_client(running: RunningHub) -> None:
    client = running.client(tls_1_2=True).ready()
    client.telemetry({"t": 1})


def test_mqtt_5(running: RunningHub) -> None:
    client = running.client(protocol=mqtt.MQTTv5).ready()
    assert client.subscribe(ANSWERS, "devices/x/#") == [1, 0x8F]
    properties = mqtt.Properties(mqtt.PacketTypes.PUBLISH)
    properties.UserProperty = [("$.sub", "pump")]
    properties.ContentType = "application/json"
    mid = client.paho.publish(EVENTS, b'{"rpm":900}', qos=1, properties=properties).mid
    wait_until(lambda: mid in client.published, "PUBACK")
    assert wait_until(lambda: running.hub.series.last_values(DEVICE), "value")[0].metric == "pump.rpm"
    client.publish("$iothub/twin/GET/?$rid=1", b" ")
    client.take("$iothub/twin/res/200/")
    running.hub.disconnect(DEVICE)
    client.is_cut_off()
    assert client.lost[0].value == 0x98  # administrative action


def test_the_will_of_a_vanished_device_is_kept(running: RunningHub) -> None:
    client = running.client(will=(EVENTS, b'{"gone":true}')).ready()
    client.paho.socket().close()
    wait_until(lambda: running.hub.series.last_values(DEVICE), "the will")
    assert running.hub.series.last_values(DEVICE)[0].metric == "gone"
    client.close()
    polite = running.client(will=(EVENTS, b'{"rude":true}')).ready()
    polite.close()
    wait_until(lambda: not running.hub.connected(), "gone")
    assert [each.metric for each in running.hub.series.last_values(DEVICE)] == ["gone"]


def test_keep_alive_zero_stays_and_a_silent_client_goes(running: RunningHub) -> None:
    patient = running.client(keepalive=0).ready()
    started = time.monotonic()
    silent = running.client(OTHER, keepalive=1).ready()
    silent.paho.loop_stop()
    wait_until(lambda: running.hub.connected() == {DEVICE}, "the silent one is dropped")
    assert time.monotonic() - started > 1.0
    assert running.hub.counters()["connections_silent"] == 1
    patient.telemetry({"t": 1})
