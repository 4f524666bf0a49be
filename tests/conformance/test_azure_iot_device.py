# SPDX-License-Identifier: Apache-2.0
"""``azure-iot-device`` 2.14.0 against a whole service: our own short scripts, and the public samples unmodified.

The scripts always run; the samples where AZURE_IOT_SAMPLES_DIR names the ``samples`` folder of a checkout of
github.com/Azure/azure-iot-sdk-python.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh, wait_until
from tests.conformance.azure_sdk import Script, Sdk, https_hub, hub, sample, sas_connection, sdk
from tests.fixtures.certificates import chain_file, self_signed

__all__ = ["https_hub", "hub", "sdk"]

HUB = "async-hub-scenarios"  # the folder of the samples
Start = Callable[..., Script]


def values_of(hub: RunningService, device: str) -> dict[str, Any]:
    items = hub.call("GET", f"/api/v1/devices/{device}/telemetry").body["items"]
    return {item["metric"]: item["value"] for item in items}


@pytest.fixture
def device() -> str:
    return fresh("azure")


@pytest.fixture
def start(sdk: Sdk, hub: RunningService, tmp_path: Path) -> Start:
    """Starts a public sample, unmodified, with variables of the environment."""
    return partial(sdk.start_sample, hub, tmp_path)


@pytest.fixture
def connection(hub: RunningService, device: str) -> dict[str, str]:
    """The variable with the connection string of a device with symmetric keys."""
    return {"IOTHUB_DEVICE_CONNECTION_STRING": sas_connection(hub, device)["connection_string"]}


def call(hub: RunningService, device: str, method: str, payload: Any = None) -> Any:
    return hub.call("POST", f"/api/v1/devices/{device}/methods/{method}", {"payload": payload, "timeout_s": 20}).body


def wait_connected(hub: RunningService, device: str) -> None:
    wait_until(lambda: hub.call("GET", f"/api/v1/devices/{device}/telemetry").body["connected"], "connected", 30.0)


# -- the public samples, unmodified -------------------------------------------------------------------------------------


def test_sample_send_message(start: Start, hub: RunningService, device: str, connection: dict[str, str]) -> None:
    done = start(f"{HUB}/send_message.py", **connection).finish()
    assert done.count("done sending message") == 10
    assert len(hub.hub.series.messages(device, 20)) == 10


def test_sample_receive_direct_method(
    start: Start, hub: RunningService, device: str, connection: dict[str, str]
) -> None:
    running = start(f"{HUB}/receive_direct_method.py", **connection)
    wait_until(lambda: call(hub, device, "method1").get("status") == 200, "the method is taken", 30.0)
    assert call(hub, device, "method2", {"a": 1}) == {"status": 200, "payload": {"result": True, "data": 1234}}
    assert call(hub, device, "other")["status"] == 400
    assert "executed method2" in running.finish("q")


def test_sample_desired_properties(start: Start, hub: RunningService, device: str, connection: dict[str, str]) -> None:
    running = start(f"{HUB}/receive_twin_desired_properties_patch.py", **connection)
    running.wait_for("Press Q to quit")
    wait_connected(hub, device)
    wait_until(lambda: hub.hub.front.sessions[device].inboxes & 2, "it listens for desired properties", 30.0)
    hub.call("PATCH", f"/api/v1/devices/{device}/twin", {"desired": {"interval": 7}})
    running.wait_for("'interval': 7")
    running.finish("q")


def test_sample_reported_properties(start: Start, hub: RunningService, device: str, connection: dict[str, str]) -> None:
    start(f"{HUB}/update_twin_reported_properties.py", **connection).finish()
    reported = hub.call("GET", f"/api/v1/devices/{device}/twin").body["properties"]["reported"]
    assert "temperature" in reported


def test_sample_get_twin(start: Start, hub: RunningService, device: str, connection: dict[str, str]) -> None:
    hub.call("PATCH", f"/api/v1/devices/{device}/twin", {"desired": {"interval": 7}})
    assert "interval" in start(f"{HUB}/get_twin.py", **connection).finish()


def test_sample_receive_message(start: Start, hub: RunningService, device: str, connection: dict[str, str]) -> None:
    body = {"text": "close the valve", "properties": {"why": "frost & ice"}, "ack": "full"}
    hub.call("POST", f"/api/v1/devices/{device}/messages", body)
    running = start(f"{HUB}/receive_message.py", **connection)
    running.wait_for("close the valve")
    running.wait_for("frost & ice")
    running.finish("q")
    states = [each["state"] for each in hub.call("GET", f"/api/v1/devices/{device}/messages").body["items"]]
    assert states == ["success"]


@pytest.mark.parametrize("name", ["simple_thermostat.py", "temp_controller_with_thermostats.py"])
def test_sample_plug_and_play(
    start: Start, hub: RunningService, device: str, connection: dict[str, str], name: str
) -> None:
    running = start(f"pnp/{name}", IOTHUB_DEVICE_SECURITY_TYPE="connectionString", **connection)
    wait_until(lambda: values_of(hub, device), "telemetry", 60.0)
    model = hub.call("GET", f"/api/v1/hub-devices/{device}").body["model_id"]
    assert model.startswith("dtmi:com:example:"), model
    method = "getMaxMinReport" if name.startswith("simple") else "thermostat1*getMaxMinReport"
    answer = call(hub, device, method, "2026-11-24T00:00:00+00:00")
    assert answer["status"] == 200, answer
    assert "maxTemp" in answer["payload"]
    component = {} if name.startswith("simple") else {"thermostat1": {"__t": "c", "targetTemperature": 23}}
    hub.call("PATCH", f"/api/v1/devices/{device}/twin", {"desired": component or {"targetTemperature": 23}})

    def acknowledged() -> bool:
        reported = hub.call("GET", f"/api/v1/devices/{device}/twin").body["properties"]["reported"]
        place = reported if name.startswith("simple") else reported.get("thermostat1", {})
        return bool(isinstance(place.get("targetTemperature"), dict) and place["targetTemperature"].get("ac") == 200)

    wait_until(acknowledged, "the property is acknowledged", 30.0)
    running.finish("q")


# -- provisioning -------------------------------------------------------------------------------------------------------


def enrol(hub: RunningService, **body: Any) -> dict[str, Any]:
    made = hub.call("POST", "/api/v1/catalogs/Contoso/hub-enrolments", body)
    assert made.status == 200, made.body
    return dict(made.body)


def scope(hub: RunningService) -> str:
    return str(hub.call("GET", "/api/v1/catalogs/Contoso/hub-enrolments").body["id_scope"])


def registrations(hub: RunningService, enrolment: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"/api/v1/catalogs/Contoso/hub-enrolments/{enrolment['enrolment_id']}/registrations"
    return list(hub.call("GET", path).body["items"])


def x509_of(path: Path) -> dict[str, str]:
    """The same file holds certificate and key."""
    return {"X509_CERT_FILE": str(path), "X509_KEY_FILE": str(path)}


def provisioning(hub: RunningService) -> dict[str, str]:
    """The variables that say where the samples register."""
    return {"PROVISIONING_HOST": hub.host, "PROVISIONING_IDSCOPE": scope(hub)}


def provision_x509(start: Start, hub: RunningService, device: str, path: Path) -> None:
    place = {**provisioning(hub), "DPS_X509_REGISTRATION_ID": device}
    done = start(f"{HUB}/provision_x509.py", **place, **x509_of(path)).finish()
    assert done.count("done sending message") == 10, done


def test_sample_provision_x509_individual(start: Start, hub: RunningService, device: str, tmp_path: Path) -> None:
    path, pem, _ = self_signed(tmp_path, device)
    twin = {"desired": {"interval": 60}, "tags": {"floor": 2}}
    enrolment = enrol(hub, name=device, attestation="x509", certificate=pem, initial_twin=twin)
    provision_x509(start, hub, device, path)
    assert [each["device_id"] for each in registrations(hub, enrolment)] == [device]
    found = hub.call("GET", f"/api/v1/devices/{device}/twin").body
    assert (found["properties"]["desired"]["interval"], found["tags"]) == (60, {"floor": 2})
    shown = hub.call("GET", f"/api/v1/hub-devices/{device}").body
    assert (shown["trust_tier"], shown["authentication"]) == ("unattested", "selfSigned")


def test_sample_provision_x509_group(start: Start, hub: RunningService, device: str, tmp_path: Path) -> None:
    _, authority_pem, authority = self_signed(tmp_path, "Factory of tests", authority=True)
    enrolment = enrol(hub, name=f"g-{device}", group=True, attestation="x509", certificate=authority_pem)
    assert (enrolment["verified"], len(enrolment["possession_nonce"])) == (False, 48)
    _, proof, _ = self_signed(tmp_path, enrolment["possession_nonce"], issuer=authority)
    path = f"/api/v1/catalogs/Contoso/hub-enrolments/{enrolment['enrolment_id']}"
    assert hub.call("POST", f"{path}/verify", {"certificate": proof}).body["verified"] is True
    leaf, _, _ = self_signed(tmp_path, device, issuer=authority)
    provision_x509(start, hub, device, leaf)
    shown = hub.call("GET", f"/api/v1/hub-devices/{device}").body
    assert (shown["authentication"], shown["enrolment_id"]) == ("certificateAuthority", enrolment["enrolment_id"])


def test_sample_provision_symmetric_key(start: Start, hub: RunningService, device: str) -> None:
    key = enrol(hub, name=device, attestation="symmetricKey")["primary_key"]
    place = {**provisioning(hub), "PROVISIONING_REGISTRATION_ID": device, "PROVISIONING_SYMMETRIC_KEY": key}
    done = start(f"{HUB}/provision_symmetric_key.py", **place).finish()
    assert "done sending message" in done, done
    assert len(hub.hub.series.messages(device, 20)) > 0


def test_sample_provision_symmetric_key_with_payload(start: Start, hub: RunningService, device: str) -> None:
    made = enrol(hub, name=device, attestation="symmetricKey", returned_payload={"greeting": "hello"})
    own = {"PROVISIONING_REGISTRATION_ID_PAYLOAD": device, "PROVISIONING_SYMMETRIC_KEY_PAYLOAD": made["primary_key"]}
    start(f"{HUB}/provision_symmetric_key_with_payload.py", **provisioning(hub), **own).finish()
    assert registrations(hub, made)[0]["payload"] is not None


def thermostat(sdk: Sdk, hub: RunningService, device: str, folder: Path) -> tuple[Script, dict[str, Any]]:
    """The Plug and Play sample that provisions itself, started, and its enrolment."""
    made = enrol(hub, name=device, attestation="symmetricKey")
    place = {"ENDPOINT": hub.host, "ID_SCOPE": scope(hub), "DEVICE_ID": device, "DEVICE_KEY": made["primary_key"]}
    variables = {f"IOTHUB_DEVICE_DPS_{name}": value for name, value in place.items()}
    variables["IOTHUB_DEVICE_SECURITY_TYPE"] = "DPS"
    return sdk.start_sample(hub, folder, "pnp/simple_thermostat.py", **variables), made


def test_sample_plug_and_play_by_provisioning(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    running, made = thermostat(sdk, hub, device, tmp_path)
    wait_until(lambda: registrations(hub, made) and values_of(hub, device), "telemetry", 60.0)
    assert registrations(hub, made)[0]["payload"] == {"modelId": "dtmi:com:example:Thermostat;1"}
    running.finish("q")


# -- certificates -------------------------------------------------------------------------------------------------------


KINDS = ("attests", "certificate of its own")


@pytest.fixture(params=KINDS)
def certified(request: pytest.FixtureRequest, hub: RunningService, tmp_path: Path) -> tuple[str, Path]:
    return of_kind(request.param, hub, tmp_path)


def of_kind(kind: str, hub: RunningService, folder: Path) -> tuple[str, Path]:
    """A device with a certificate that opens the hub: (device id, file with certificate and key)."""
    if kind == "attests":
        return attested(hub, folder)
    device = fresh("azure")
    path, pem, _ = self_signed(folder, device)
    made = hub.call("POST", "/api/v1/catalogs/Contoso/hub-devices", {"device_id": device, "certificate": pem})
    assert made.status == 200, made.body
    return device, path


def attested(hub: RunningService, folder: Path) -> tuple[str, Path]:
    """A device that checked in: its id, and the client certificate of that check-in with its key."""
    made = hub.make_device()
    made.host = hub.host
    hub.service.registry.devices.claim("Contoso", [made.device_id], actor="test")
    with made:
        reply = made.check_in()
    return made.device_id, chain_file(folder / "attested.pem", made.client_key, reply.certificate_chain)


def test_sample_send_message_x509(start: Start, hub: RunningService, certified: tuple[str, Path]) -> None:
    device, path = certified
    done = start(f"{HUB}/send_message_x509.py", HOSTNAME=hub.host, DEVICE_ID=device, **x509_of(path)).finish()
    assert done.count("done sending message") == 10
    assert "tornado-warning=yes" in hub.hub.series.messages(device, 1)[0].topic


def test_sample_receive_message_x509(start: Start, hub: RunningService, certified: tuple[str, Path]) -> None:
    device, path = certified
    running = start(f"{HUB}/receive_message_x509.py", HOSTNAME=hub.host, DEVICE_ID=device, **x509_of(path))
    running.wait_for("Press Q to quit")
    hub.call("POST", f"/api/v1/devices/{device}/messages", {"text": "close the valve", "properties": {"a": "b"}})
    running.wait_for("close the valve")
    running.finish("q")


def test_sample_module_x509(start: Start, hub: RunningService, certified: tuple[str, Path]) -> None:
    device, path = certified
    assert hub.call("POST", f"/api/v1/hub-devices/{device}/modules", {"module_id": "edge"}).status == 200
    place = {"HOSTNAME": hub.host, "DEVICE_ID": device, "MODULE_ID": "edge"}
    start(f"{HUB}/send_message_via_module_x509.py", **place, **x509_of(path)).finish()
    assert len(hub.hub.series.messages(f"{device}/edge", 20)) == 10


# -- file upload --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_sample_upload_to_blob_x509(sdk: Sdk, https_hub: RunningService, tmp_path: Path, kind: str) -> None:
    script = tmp_path / "upload_to_blob_x509.py"  # it writes beside itself: not into the checkout
    script.symlink_to(sample(f"{HUB}/{script.name}"))
    device, path = of_kind(kind, https_hub, tmp_path)
    place = {"IOTHUB_HOSTNAME": https_hub.host, "IOTHUB_DEVICE_ID": device}
    done = sdk.start(script, https_hub, tmp_path, **place, **x509_of(path)).finish()
    assert "'status_code': 200" in done, done
    (found,) = https_hub.call("GET", f"/api/v1/devices/{device}/files").body["items"]
    assert (found["state"], found["name"]) == ("confirmed", "fakeBlobName12")
    got = https_hub.call("GET", f"/api/v1/devices/{device}/files/{found['upload_id']}")
    assert got.raw == b"Hello, World!"


def test_sample_send_message_over_websockets(sdk: Sdk, https_hub: RunningService, device: str, tmp_path: Path) -> None:
    own = {"IOTHUB_DEVICE_CONNECTION_STRING": sas_connection(https_hub, device)["connection_string"]}
    sdk.start_sample(https_hub, tmp_path, f"{HUB}/send_message_over_websockets.py", **own).finish()
    assert len(https_hub.hub.series.messages(device, 20)) > 0
