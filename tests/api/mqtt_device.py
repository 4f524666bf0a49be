# SPDX-License-Identifier: Apache-2.0
"""Devices that speak MQTT with the hub of a running service, as their own programs do."""

from __future__ import annotations

import json
import ssl
import threading
import time
from typing import Any, Self

import paho.mqtt.client as mqtt
from tests.api.running_service import RunningService, wait_until

from armillary.sim.device.wire_device import WireDevice
from armillary.wire.hub.sas_token import sign_sas_token


class MqttDevice:
    """A device with a connection; ``connack`` is [0] if it was let in."""

    def __init__(
        self, service: RunningService, identity: str, context: ssl.SSLContext, password: str | None = None
    ) -> None:
        self.device_id = identity
        self.desired: list[Any] = []
        self.connack: list[int] = []
        self._subscribed = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=identity, reconnect_on_failure=False)
        self.client.username_pw_set(f"localhost/{identity}/?api-version=2021-04-12", password)
        self.client.tls_set_context(context)
        self.client.on_message = self._message
        self.client.on_connect = lambda _c, _u, _f, reason, _p: self.connack.append(reason.value)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.connect("localhost", service.hub_port)
        self.client.loop_start()
        wait_until(lambda: self.connack, "CONNACK")
        if self.connack == [0]:
            self.client.subscribe([("$iothub/methods/POST/#", 0), ("$iothub/twin/PATCH/properties/desired/#", 0)])
            assert self._subscribed.wait(20)

    def answer(self, name: str, payload: Any) -> tuple[int, dict[str, Any]]:  # noqa: ARG002 - HubDevice says it
        """Status and payload of a method's answer."""
        return 200, {"got": payload}

    def _message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if "/twin/" in message.topic:
            self.desired.append(json.loads(message.payload))
            return
        name, _, request_id = message.topic.partition("/POST/")[2].partition("/?$rid=")
        status, answer = self.answer(name, json.loads(message.payload or b"null"))
        client.publish(f"$iothub/methods/res/{status}/?$rid={request_id}", json.dumps(answer))

    def send(self, values: dict[str, Any], bag: str = "") -> None:
        place = self.device_id.replace("/", "/modules/")
        self.client.publish(f"devices/{place}/messages/events/{bag}", json.dumps(values), qos=1).wait_for_publish(20)

    def report(self, values: dict[str, Any]) -> None:
        topic = "$iothub/twin/PATCH/properties/reported/?$rid=1"
        self.client.publish(topic, json.dumps(values), qos=1).wait_for_publish(20)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Connected(MqttDevice):
    """A device that checked in and speaks MQTT with the certificate it got."""

    def __init__(self, service: RunningService, device: WireDevice) -> None:
        super().__init__(service, device.device_id, service.client_context(device))
        assert self.connack == [0]


class HubDevice(MqttDevice):
    """A hub device or module with a symmetric key; says in its answers which method was called."""

    def __init__(self, service: RunningService, identity: str, key: bytes) -> None:
        resource = f"localhost/devices/{identity.replace('/', '/modules/')}"
        password = sign_sas_token(resource, key, int(time.time()) + 600)
        super().__init__(service, identity, ssl.create_default_context(cafile=str(service.root)), password)

    def answer(self, name: str, payload: Any) -> tuple[int, dict[str, Any]]:
        return 201, {"called": name, "with": payload}
