# SPDX-License-Identifier: Apache-2.0
"""A scene for tests of hub devices, twins and templates: a real service, a template with every kind of property, a
device that attests and hub devices of it, one of them connected."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.api.running_service import RunningService, wait_until
from tests.attacks.test_hub_device_attacks import Client
from tests.console.scene import Scene

from armillary.wire.hub.sas_token import decode_key, sign_sas_token

MODEL: dict[str, Any] = {
    "@context": ["dtmi:iotcentral:context;2", "dtmi:dtdl:context;2"],
    "@id": "dtmi:northwind:cooler;1",
    "@type": "Interface",
    "displayName": "Cooler",
    "contents": [
        {"@type": ["Telemetry", "Temperature"], "name": "temperature", "schema": "double", "unit": "degreeCelsius"},
        {"@type": "Telemetry", "name": "door", "schema": "boolean", "displayName": "Door open"},
        {
            "@type": ["Property", "Temperature", "NumberValue"],
            "name": "target",
            "displayName": "Target",
            "schema": "double",
            "unit": "degreeCelsius",
            "writable": True,
            "minValue": -30,
            "maxValue": 10,
        },
        {"@type": "Property", "name": "interval_s", "schema": "integer", "writable": True},
        {"@type": "Property", "name": "lamp", "displayName": "Lamp", "schema": "boolean", "writable": True},
        {
            "@type": "Property",
            "name": "mode",
            "displayName": "Mode",
            "writable": True,
            "schema": {
                "@type": "Enum",
                "valueSchema": "string",
                "enumValues": [
                    {"name": "eco", "displayName": "Saving", "enumValue": "eco"},
                    {"name": "turbo", "displayName": "Fast", "enumValue": "turbo"},
                ],
            },
        },
        {"@type": "Property", "name": "label", "schema": "string", "writable": True},
        {"@type": "Property", "name": "place", "schema": "geopoint", "writable": True},
        {"@type": "Property", "name": "firmware", "schema": "string"},
        {"@type": "Command", "name": "defrost"},
    ],
}
CLOUD = [
    {"name": "Customer", "schema": "string", "maximum_length": 40, "trim": True},
    {"name": "Limit", "schema": "double", "minimum": 0, "maximum": 100, "initial": 40, "unit": "degreeCelsius"},
    {"name": "Kind", "schema": {"enum": [{"value": 1, "name": "old"}, {"value": 2, "name": "new"}]}},
]


class HubScene(Scene):
    """The service with catalogs ``northwind``, where hub devices are let in, and ``contoso``, where they are not."""

    def __init__(self, running: RunningService) -> None:
        super().__init__(running, "Coolers")
        running.service.registry.catalogs.create("contoso", actor="test")
        self.call("PATCH", "/catalogs/northwind/hub-admission", {"certificates": False, "symmetric_keys": True})
        self.template("cooler")
        self.device = self.claimed()
        self.give(self.device.device_id)
        self.keys: dict[str, str] = {}
        for name in ("cooler-1", "cooler-2", "probe@yard"):
            self.make(name)
        self.give("cooler-1")
        self.client = self.connect("cooler-1")
        self.report("cooler-1", {"target": {"value": -18, "ac": 200, "av": 1, "ad": "done"}, "firmware": "4.2"})

    def call(self, method: str, path: str, body: object = None) -> Any:
        answer = self.running.call(method, f"/api/v1{path}", body)
        assert answer.status in (200, 201), (path, answer.body)
        return answer.body

    def template(self, name: str) -> None:
        """A published template of :data:`MODEL`."""
        body = {"display_name": "Cooler", "root": MODEL["@id"], "models": [MODEL], "cloud_properties": CLOUD}
        self.call("PUT", f"/templates/{name}", body)
        self.call("POST", f"/templates/{name}/publish")

    def give(self, device_id: str, name: str = "cooler") -> None:
        """Give a device a template."""
        self.call("PUT", f"/devices/{device_id}/template", {"template": name})

    def make(self, name: str, catalog: str = "northwind") -> None:
        """A hub device with a symmetric key."""
        made = self.call("POST", f"/catalogs/{catalog}/hub-devices", {"device_id": name, "authentication": "sas"})
        self.keys[name] = made["primary_key"]

    def connect(self, name: str) -> Client:
        """Its connection over MQTT."""
        password = sign_sas_token(f"localhost/devices/{name}", decode_key(self.keys[name]), int(time.time()) + 3600)
        client = Client(self.running, name, password=password)
        assert client.connack == 0
        client.client.publish(f"devices/{name}/messages/events/", json.dumps({"temperature": -17.5, "noise": 3}), qos=1)
        wait_until(lambda: self.running.hub.series.fleet.latest([name], "temperature", 1), "the first value")
        return client

    def report(self, name: str, properties: dict[str, Any]) -> None:
        """Reported properties of a connected device."""
        self.client.client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", json.dumps(properties), qos=0)
        known = self.running.hub.twins.get
        wait_until(lambda: set(properties) <= set(known(name).reported.properties), "the reported properties")

    def want_only(self, device_id: str, wanted: dict[str, Any]) -> None:
        """Want this of a device and nothing else."""
        nothing = dict.fromkeys(self.desired(device_id))
        self.running.hub.twins.change(device_id, desired={**nothing, **wanted})

    def desired(self, device_id: str) -> dict[str, Any]:
        """What is wanted of a device."""
        return dict(self.running.hub.twins.get(device_id).desired.properties)

    def close(self) -> None:
        """End the connection."""
        self.client.__exit__()
