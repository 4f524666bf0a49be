# SPDX-License-Identifier: Apache-2.0
"""Ordinary MQTT clients, unmodified, against our hub and our broker over TLS with device certificates.

paho-mqtt 2, aiomqtt, and mosquitto_pub and mosquitto_sub; MQTT 3.1.1 and 5; over TCP and, where the client can, over
WebSocket.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import paho.mqtt.client as mqtt
import pytest
from tests.fixtures.processes import killed_process
from tests.hub.running_hub import DEVICE, OTHER, Authority, RunningHub, authority, running, wait_until
from tests.hub.wire_client import device_context

from armillary.hub.link.tls import hub_context

__all__ = ["authority", "running"]  # fixtures

EVENTS = f"devices/{DEVICE}/messages/events/"
USERNAME = f"localhost/{DEVICE}/?api-version=2021-04-12"

PROTOCOLS = pytest.mark.parametrize("protocol", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["3.1.1", "5"])
TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "websockets"])
MOSQUITTO = pytest.mark.skipif(
    shutil.which("mosquitto_pub") is None, reason="needs mosquitto_pub: scripts/install-test-tools"
)


@pytest.fixture
def broker_port(running: RunningHub, authority: Authority) -> int:
    server = authority.folder / "server.pem"
    port: int = running.run(running.hub.start_broker(hub_context(server, server, authority.trusted), "127.0.0.1", 0))
    return port


class Paho:
    """A paho-mqtt 2 client on a port."""

    def __init__(
        self, authority: Authority, port: int, *, protocol: Any, transport: Any = "tcp", client_id: str = DEVICE,
        device_id: str = DEVICE, path: str = "/$iothub/websocket",
    ) -> None:  # fmt: skip
        self.connack: Any = None
        self.messages: list[Any] = []
        self.published: set[int] = set()
        self.subscribed: list[Any] = []
        self.paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol, transport=transport
        )
        if transport == "websockets":
            self.paho.ws_set_options(path=path)
        self.paho.tls_set_context(device_context(authority, device_id))
        self.paho.username_pw_set(f"localhost/{device_id}/?api-version=2021-04-12")
        self.paho.on_connect = self._on_connect
        self.paho.on_message = lambda _c, _u, message: self.messages.append(message)
        self.paho.on_publish = lambda _c, _u, mid, _r, _p: self.published.add(mid)
        self.paho.on_subscribe = lambda _c, _u, _m, reasons, _p: self.subscribed.append(reasons)
        self.paho.connect("localhost", port)
        self.paho.loop_start()
        wait_until(lambda: self.connack is not None, "CONNACK")
        assert self.connack == 0

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.connack = reason

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, properties: Any = None) -> None:
        mid = self.paho.publish(topic, payload, qos=qos, properties=properties).mid
        wait_until(lambda: mid in self.published, "the acknowledgement")

    def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        before = len(self.subscribed)
        self.paho.subscribe(topic_filter, qos)
        wait_until(lambda: len(self.subscribed) > before, "SUBACK")
        assert not self.subscribed[-1][0].is_failure

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


@PROTOCOLS
@TRANSPORTS
def test_paho_telemetry_twin_and_method(
    running: RunningHub, authority: Authority, protocol: Any, transport: str
) -> None:
    client = Paho(authority, running.port, protocol=protocol, transport=transport)
    properties, bag = None, "%24.sub=thermo&k=v"
    if protocol == mqtt.MQTTv5:
        properties, bag = mqtt.Properties(mqtt.PacketTypes.PUBLISH), ""
        properties.UserProperty = [("$.sub", "thermo"), ("k", "v")]
        properties.ContentType = "application/json"
    client.publish(EVENTS + bag, b'{"t":21}', properties=properties)
    last = wait_until(lambda: running.hub.series.last_values(DEVICE), "the value")[0]
    assert (last.metric, last.value) == ("thermo.t", 21.0)

    client.subscribe("$iothub/twin/res/#")
    client.subscribe("$iothub/methods/POST/#")
    client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", b'{"fw":"1"}')
    wait_until(lambda: client.messages, "the answer")
    assert client.messages.pop().topic.startswith("$iothub/twin/res/204/?$rid=1")
    call = running.start(running.hub.invoke_method(DEVICE, "blink", {"n": 1}))
    asked = wait_until(lambda: client.messages, "the call")[0]
    assert json.loads(asked.payload) == {"n": 1}
    answer_to = (
        asked.properties.ResponseTopic
        if protocol == mqtt.MQTTv5
        else f"$iothub/methods/res/200/?$rid={asked.topic.rpartition('=')[2]}"
    )
    client.publish(answer_to, b'{"ok":true}')
    assert call.result(10).payload == {"ok": True}
    client.close()


@PROTOCOLS
@TRANSPORTS
def test_paho_talks_to_another_through_the_broker(
    broker_port: int, authority: Authority, protocol: Any, transport: str
) -> None:
    options = {"protocol": protocol, "transport": transport, "path": "/mqtt"}
    one = Paho(authority, broker_port, client_id="one", **options)
    other = Paho(authority, broker_port, client_id="other", device_id=OTHER, **options)
    one.subscribe("plant/+/state", 2)
    for qos in range(3):
        other.publish(f"plant/{qos}/state", b"x" * 1000, qos=qos)
    wait_until(lambda: len(one.messages) == 3, "three messages")
    assert [(each.topic, each.qos) for each in one.messages] == [(f"plant/{qos}/state", qos) for qos in range(3)]
    one.close()
    other.close()


@PROTOCOLS
@TRANSPORTS
def test_aiomqtt(running: RunningHub, authority: Authority, protocol: Any, transport: Any) -> None:
    version = aiomqtt.ProtocolVersion.V5 if protocol == mqtt.MQTTv5 else aiomqtt.ProtocolVersion.V311

    async def talk() -> tuple[str, Any]:
        async with aiomqtt.Client(
            "localhost",
            running.port,
            identifier=DEVICE,
            username=USERNAME,
            protocol=version,
            transport=transport,
            websocket_path="/$iothub/websocket",
            tls_context=device_context(authority),
        ) as client:
            await client.publish(EVENTS, b'{"t":1}', qos=1)
            await client.subscribe("$iothub/twin/res/#")
            await client.publish("$iothub/twin/GET/?$rid=9", b" ")
            async for message in client.messages:
                return str(message.topic), json.loads(message.payload)  # type: ignore[arg-type]
        raise AssertionError("no answer")

    topic, twin = asyncio.run(asyncio.wait_for(talk(), 20))
    assert topic == "$iothub/twin/res/200/?$rid=9"
    assert twin == {"desired": {"$version": 1}, "reported": {"$version": 1}}
    assert len(running.hub.series.messages(DEVICE, 9)) == 1


def mosquitto(program: str, authority: Authority, port: int, version: str, *arguments: str) -> list[str]:
    pem = str(authority.device(DEVICE))
    tls = ["--cafile", str(authority.folder / "root.pem"), "--cert", pem, "--key", pem]
    return [program, "-h", "localhost", "-p", str(port), "-V", version, *tls, *arguments]


@MOSQUITTO
@pytest.mark.parametrize("version", ["311", "5"])
def test_mosquitto_pub_sends_telemetry(running: RunningHub, authority: Authority, version: str) -> None:
    options = ["-i", DEVICE, "-u", USERNAME, "-q", "1", "-m", '{"t":5}']
    topic = EVENTS + "$.ct=application%2Fjson&$.ce=utf-8&$.sub=thermo"
    if version == "5":
        topic = EVENTS
        options += ["-D", "publish", "user-property", "$.sub", "thermo"]
    command = mosquitto("mosquitto_pub", authority, running.port, version, *options, "-t", topic)
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    last = wait_until(lambda: running.hub.series.last_values(DEVICE), "the value")[0]
    assert (last.metric, last.value) == ("thermo.t", 5.0)


@MOSQUITTO
@pytest.mark.parametrize("version", ["311", "5"])
def test_mosquitto_sub_gets_desired_properties(running: RunningHub, authority: Authority, version: str) -> None:
    topic = "$iothub/twin/PATCH/properties/desired/#"
    options = ["-i", DEVICE, "-u", USERNAME, "-q", "1", "-C", "1", "-W", "20", "-t", topic]
    command = mosquitto("mosquitto_sub", authority, running.port, version, *options)
    with killed_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: running.hub.front.sessions and running.hub.front.sessions[DEVICE].inboxes, "it subscribed")
        running.hub.twins.change(DEVICE, desired={"interval": 5})
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
    assert json.loads(out) == {"interval": 5, "$version": 2}


@MOSQUITTO
@pytest.mark.parametrize("version", ["311", "5"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_mosquitto_pub_and_sub_through_the_broker(
    broker_port: int, authority: Authority, version: str, qos: str
) -> None:
    pub = mosquitto("mosquitto_pub", authority, broker_port, version, "-i", "pub", "-q", qos, "-t", "a/b")
    subprocess.run([*pub, "-r", "-m", "kept"], timeout=20, check=True)
    sub = mosquitto("mosquitto_sub", authority, broker_port, version, "-i", "sub", "-q", qos, "-t", "a/#")
    with killed_process([*sub, "-C", "2", "-W", "20"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.readline() == "kept\n"  # retained
        subprocess.run([*pub, "-m", "live"], timeout=20, check=True)
        out, _ = process.communicate(timeout=20)
    assert out == "live\n"


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Clients log a lot."""
    with caplog.at_level("WARNING"):
        yield


def test_the_clients_are_other_peoples() -> None:
    for module in (mqtt, aiomqtt):
        assert "site-packages" in Path(module.__file__ or "").parts
