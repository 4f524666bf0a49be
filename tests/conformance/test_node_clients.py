# SPDX-License-Identifier: Apache-2.0
"""npm's ``azure-iothub``, ``azure-iot-device-mqtt``, ``azure-iot-provisioning-device-mqtt`` and ``mqtt``, unmodified.

The hub listens on 8883 and 443 of a loopback address of its own: these clients know no other ports. Each script is one
process with many checks; what each check found is compared here.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService
from tests.conformance import node_clients
from tests.conformance.azure_sdk import HTTPS_PORT, azure_hub, sas_connection
from tests.conformance.test_azure_iot_device import attested
from tests.e2e.guides.blocks import block_of
from tests.fixtures.certificates import self_signed

NAME = "node-1"
WAYS = ("mqtt", "websocket")
METHODS = [
    [200, {"got": {"a": [1, None]}}],
    [200, {"got": None}],
    [200, {"got": None}],
    [200, {"got": "text"}],
    [417, None],
]
OF_DEVICE: dict[str, Any] = {
    "opens": True,
    "telemetry": [3],
    "methods, with a payload, without, and with null": METHODS,
    "cloud-to-device": "hello",
    "closes": True,
}
SERVICE: dict[str, Any] = {
    "a device is made, read, changed and deleted": ["string", NAME, None, 409, "disabled", "lost", 404],
    "devices are listed, made in bulk, changed in bulk and removed": [True, True, 20, ["disabled"], True],
    "an edge device is refused by name": True,
    "two equal keys are two keys": True,
    "modules": [["camera"], True, 0],
    "twins are merged, guarded and cleared": [{"a": 1}, 412, [], {"site": "Oslo", "floor": 2}, {"site": "Oslo"}],
    "queries": [
        7,
        3,
        [{"n": 5}],
        400,
        [{"floor": 0, "n": 3}, {"floor": 1, "n": 2}, {"floor": 2, "n": 2}],
        [{"n": 2}, {"n": 3}],
        [],
    ],
    "statistics": [True, 0],
    "configurations": [3, {"a": 1}, True],
    "what is not offered is refused with a reason": [404, 404],
    "a wrong key is let in nowhere": 401,
}
BROKER = [["kept", 1, True], ["live 0", 0, False], ["live 1", 1, False], ["live 2", 2, False]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    node_clients.node()
    settings = {"websocket_port": str(HTTPS_PORT), "broker_port": "0"}
    with azure_hub(tmp_path_factory.mktemp("node"), HTTPS_PORT, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def given(hub: RunningService, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the scripts are told: addresses, keys, certificates."""
    folder = tmp_path_factory.mktemp("certificates")
    key = post(hub, "hub-service-keys", {"name": "node", "role": "Contributor"})
    assert key["connection_string"].startswith(f"HostName={hub.host};SharedAccessKeyName=node;")  # no port in it
    own, pem, _ = self_signed(folder, "own-1")
    post(hub, "hub-devices", {"device_id": "own-1", "certificate": pem})
    return {
        "api": hub.address,
        "token": hub.token,
        "host": hub.host,
        "hubPort": hub.hub_port,
        "brokerPort": hub.ports["broker_port"],
        "service": key["connection_string"],
        "name": NAME,
        "sas": {
            way: {"device": f"sas-{way}", "connection": sas_connection(hub, f"sas-{way}")["connection_string"]}
            for way in WAYS
        },
        "x509": {"device": "own-1", "file": str(own)},
        "attested": dict(zip(("device", "file"), map(str, attested(hub, folder)), strict=True)),
        "scope": hub.call("GET", "/api/v1/catalogs/Contoso/hub-enrolments").body["id_scope"],
        "enrolments": {way: enrolments(hub, folder, way) for way in WAYS},
    }


def post(hub: RunningService, what: str, body: dict[str, Any]) -> dict[str, Any]:
    made = hub.call("POST", f"/api/v1/catalogs/Contoso/{what}", body)
    assert made.status == 200, made.body
    return dict(made.body)


def enrolments(hub: RunningService, folder: Path, way: str) -> dict[str, dict[str, str]]:
    """One of each kind."""
    names = {kind: f"dps-{kind}-{way}" for kind in ("symmetric", "x509", "group")}
    one = post(hub, "hub-enrolments", {"name": names["symmetric"], "attestation": "symmetricKey"})
    many = post(hub, "hub-enrolments", {"name": f"many-{way}", "group": True, "attestation": "symmetricKey"})
    derived = hmac.digest(base64.b64decode(many["primary_key"]), names["group"].encode(), "sha256")
    path, pem, _ = self_signed(folder, names["x509"])
    post(hub, "hub-enrolments", {"name": names["x509"], "certificate": pem})
    return {
        "symmetric": {"id": names["symmetric"], "key": one["primary_key"]},
        "group": {"id": names["group"], "key": base64.b64encode(derived).decode()},
        "x509": {"id": names["x509"], "file": str(path)},
    }


def compare(found: dict[str, dict[str, Any]], expected: dict[str, Any]) -> None:
    """Every check by its name, all of them at once."""
    assert {name: line.get("value", line.get("error")) for name, line in found.items()} == expected


def test_services(hub: RunningService, given: dict[str, Any]) -> None:
    compare(node_clients.run("service.js", hub.root, given), SERVICE)


def test_devices(hub: RunningService, given: dict[str, Any]) -> None:
    expected: dict[str, Any] = {"a certificate of its own": True}
    for way in WAYS:
        expected |= {f"{way}: {what}": value for what, value in OF_DEVICE.items()}
        expected[f"{way}: twin"] = [7, 41, way, "Connected"]
        expected[f"{way}: file upload"] = [["confirmed", 80 << 20 if way == "mqtt" else 5000]]
        for kind, what in (("symmetric", "symmetric key"), ("group", "key of a group"), ("x509", "certificate")):
            expected[f"{way}: registers with a {what}"] = [hub.host, f"dps-{kind}-{way}"]
        expected[f"{way}: a wrong key registers nobody"] = "refused"
    compare(node_clients.run("device.js", hub.root, given), expected)


def test_plain_mqtt(hub: RunningService, given: dict[str, Any]) -> None:
    expected: dict[str, Any] = {"a client that shows nothing is refused": "refused"}
    for level in (4, 5):
        for way in ("mqtts", "wss"):
            expected[f"hub: {level} {way}"] = ["$iothub/twin/res/200/?$rid=9", ["desired", "reported"]]
            unit = "C" if level == 5 else None
            expected[f"broker: {level} {way}"] = [[*each, unit] for each in BROKER]
    compare(node_clients.run("plain_mqtt.js", hub.root, given), expected)


def test_the_guides_script_runs_as_it_stands(hub: RunningService, given: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "both.js"
    path.write_text(block_of("docs/guides/azure-iot-clients.md", "both.js"), "utf-8")
    device = sas_connection(hub, "cable-7")["connection_string"]
    shown = node_clients.start(path, hub.root, SERVICE=given["service"], DEVICE=device)
    assert shown.splitlines() == ['method: 200 {"blinked":3}', "found: cable-7 Connected"]
