# SPDX-License-Identifier: Apache-2.0
"""``azure-iot-device`` 2.14.0 against a whole service: our own short scripts, and the public samples unmodified.

The scripts always run; the samples where AZURE_IOT_SAMPLES_DIR names the ``samples`` folder of a checkout of
github.com/Azure/azure-iot-sdk-python.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, running_service, wait_until
from tests.conformance.azure_sdk import HTTPS_PORT, MQTT_PORT, Sdk, free_host, hub, samples, sas_connection, sdk
from tests.fixtures.certificates import chain_file, self_signed

__all__ = ["hub", "sdk"]


def values_of(hub: RunningService, device: str) -> dict[str, Any]:
    items = hub.call("GET", f"/api/v1/devices/{device}/telemetry").body["items"]
    return {item["metric"]: item["value"] for item in items}


def sample(*parts: str) -> Path:
    path = samples().joinpath(*parts)
    assert path.is_file(), path
    return path


@pytest.fixture
def device() -> str:
    return f"azure-{uuid.uuid4().hex[:8]}"


def call(hub: RunningService, device: str, method: str, payload: Any = None) -> Any:
    return hub.call("POST", f"/api/v1/devices/{device}/methods/{method}", {"payload": payload, "timeout_s": 20}).body


def wait_connected(hub: RunningService, device: str) -> None:
    wait_until(lambda: hub.call("GET", f"/api/v1/devices/{device}/telemetry").body["connected"], "connected", 30.0)


# -- the public samples, unmodified -------------------------------------------------------------------------------------


def test_sample_send_message(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    script = sample("async-hub-scenarios", "send_message.py")
    made = sas_connection(hub, device)
    done = sdk.start(script, hub, tmp_path, IOTHUB_DEVICE_CONNECTION_STRING=made["connection_string"]).finish()
    assert done.count("done sending message") == 10
    assert len(hub.hub.series.messages(device, 20)) == 10


def test_sample_receive_direct_method(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    script = sample("async-hub-scenarios", "receive_direct_method.py")
    made = sas_connection(hub, device)
    running = sdk.start(script, hub, tmp_path, IOTHUB_DEVICE_CONNECTION_STRING=made["connection_string"])
    wait_until(lambda: call(hub, device, "method1").get("status") == 200, "the method is taken", 30.0)
    assert call(hub, device, "method2", {"a": 1}) == {"status": 200, "payload": {"result": True, "data": 1234}}
    assert call(hub, device, "other")["status"] == 400
    assert "executed method2" in running.finish("q")


def test_sample_desired_properties(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    script = sample("async-hub-scenarios", "receive_twin_desired_properties_patch.py")
    made = sas_connection(hub, device)
    running = sdk.start(script, hub, tmp_path, IOTHUB_DEVICE_CONNECTION_STRING=made["connection_string"])
    running.wait_for("Press Q to quit")
    wait_connected(hub, device)
    wait_until(lambda: hub.hub.front.sessions[device].inboxes & 2, "it listens for desired properties", 30.0)
    hub.call("PATCH", f"/api/v1/devices/{device}/twin", {"desired": {"interval": 7}})
    running.wait_for("'interval': 7")
    running.finish("q")


def test_sample_reported_properties(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    script = sample("async-hub-scenarios", "update_twin_reported_properties.py")
    made = sas_connection(hub, device)
    sdk.start(script, hub, tmp_path, IOTHUB_DEVICE_CONNECTION_STRING=made["connection_string"]).finish()
    reported = hub.call("GET", f"/api/v1/devices/{device}/twin").body["properties"]["reported"]
    assert "temperature" in reported


def test_sample_get_twin(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    script = sample("async-hub-scenarios", "get_twin.py")
    made = sas_connection(hub, device)
    hub.call("PATCH", f"/api/v1/devices/{device}/twin", {"desired": {"interval": 7}})
    done = sdk.start(script, hub, tmp_path, IOTHUB_DEVICE_CONNECTION_STRING=made["connection_string"]).finish()
    assert "interval" in done


def test_sample_receive_message(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    script = sample("async-hub-scenarios", "receive_message.py")
    made = sas_connection(hub, device)
    body = {"text": "close the valve", "properties": {"why": "frost & ice"}, "ack": "full"}
    hub.call("POST", f"/api/v1/devices/{device}/messages", body)
    running = sdk.start(script, hub, tmp_path, IOTHUB_DEVICE_CONNECTION_STRING=made["connection_string"])
    running.wait_for("close the valve")
    running.wait_for("frost & ice")
    running.finish("q")
    states = [each["state"] for each in hub.call("GET", f"/api/v1/devices/{device}/messages").body["items"]]
    assert states == ["success"]


@pytest.mark.parametrize("name", ["simple_thermostat.py", "temp_controller_with_thermostats.py"])
def test_sample_plug_and_play(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path, name: str) -> None:
    script = sample("pnp", name)
    made = sas_connection(hub, device)
    running = sdk.start(
        script,
        hub,
        tmp_path,
        IOTHUB_DEVICE_SECURITY_TYPE="connectionString",
        IOTHUB_DEVICE_CONNECTION_STRING=made["connection_string"],
        PYTHONPATH=str(script.parent),
    )
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


def provision_x509(sdk: Sdk, hub: RunningService, device: str, folder: Path, path: Path) -> str:
    script = sample("async-hub-scenarios", "provision_x509.py")
    place = {"PROVISIONING_HOST": hub.host, "PROVISIONING_IDSCOPE": scope(hub), "DPS_X509_REGISTRATION_ID": device}
    done = sdk.start(script, hub, folder, **place, **x509_of(path)).finish()
    assert done.count("done sending message") == 10, done
    return done


def test_sample_provision_x509_individual(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    path, pem, _ = self_signed(tmp_path, device)
    twin = {"desired": {"interval": 60}, "tags": {"floor": 2}}
    enrolment = enrol(hub, name=device, attestation="x509", certificate=pem, initial_twin=twin)
    provision_x509(sdk, hub, device, tmp_path, path)
    assert [each["device_id"] for each in registrations(hub, enrolment)] == [device]
    found = hub.call("GET", f"/api/v1/devices/{device}/twin").body
    assert (found["properties"]["desired"]["interval"], found["tags"]) == (60, {"floor": 2})
    shown = hub.call("GET", f"/api/v1/hub-devices/{device}").body
    assert (shown["trust_tier"], shown["authentication"]) == ("unattested", "selfSigned")


def test_sample_provision_x509_group(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    _, authority_pem, authority = self_signed(tmp_path, "Factory of tests", authority=True)
    enrolment = enrol(hub, name=f"g-{device}", group=True, attestation="x509", certificate=authority_pem)
    assert (enrolment["verified"], len(enrolment["possession_nonce"])) == (False, 48)
    _, proof, _ = self_signed(tmp_path, enrolment["possession_nonce"], issuer=authority)
    path = f"/api/v1/catalogs/Contoso/hub-enrolments/{enrolment['enrolment_id']}"
    assert hub.call("POST", f"{path}/verify", {"certificate": proof}).body["verified"] is True
    leaf, _, _ = self_signed(tmp_path, device, issuer=authority)
    provision_x509(sdk, hub, device, tmp_path, leaf)
    shown = hub.call("GET", f"/api/v1/hub-devices/{device}").body
    assert (shown["authentication"], shown["enrolment_id"]) == ("certificateAuthority", enrolment["enrolment_id"])


def test_sample_provision_symmetric_key(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    script = sample("async-hub-scenarios", "provision_symmetric_key.py")
    made = enrol(hub, name=device, attestation="symmetricKey")
    done = sdk.start(
        script,
        hub,
        tmp_path,
        PROVISIONING_HOST=hub.host,
        PROVISIONING_IDSCOPE=scope(hub),
        PROVISIONING_REGISTRATION_ID=device,
        PROVISIONING_SYMMETRIC_KEY=made["primary_key"],
    ).finish()
    assert "done sending message" in done, done
    assert len(hub.hub.series.messages(device, 20)) > 0


def test_sample_provision_symmetric_key_with_payload(
    sdk: Sdk, hub: RunningService, device: str, tmp_path: Path
) -> None:
    script = sample("async-hub-scenarios", "provision_symmetric_key_with_payload.py")
    made = enrol(hub, name=device, attestation="symmetricKey", returned_payload={"greeting": "hello"})
    running = sdk.start(
        script,
        hub,
        tmp_path,
        PROVISIONING_HOST=hub.host,
        PROVISIONING_IDSCOPE=scope(hub),
        PROVISIONING_REGISTRATION_ID_PAYLOAD=device,
        PROVISIONING_SYMMETRIC_KEY_PAYLOAD=made["primary_key"],
    )
    running.finish()
    assert registrations(hub, made)[0]["payload"] is not None


def test_sample_plug_and_play_by_provisioning(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    script = sample("pnp", "simple_thermostat.py")
    made = enrol(hub, name=device, attestation="symmetricKey")
    running = sdk.start(
        script,
        hub,
        tmp_path,
        IOTHUB_DEVICE_SECURITY_TYPE="DPS",
        IOTHUB_DEVICE_DPS_ENDPOINT=hub.host,
        IOTHUB_DEVICE_DPS_ID_SCOPE=scope(hub),
        IOTHUB_DEVICE_DPS_DEVICE_ID=device,
        IOTHUB_DEVICE_DPS_DEVICE_KEY=made["primary_key"],
        PYTHONPATH=str(script.parent),
    )
    wait_until(lambda: registrations(hub, made) and values_of(hub, device), "telemetry", 60.0)
    assert registrations(hub, made)[0]["payload"] == {"modelId": "dtmi:com:example:Thermostat;1"}
    running.finish("q")


# -- certificates -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["attests", "certificate of its own"])
def certified(request: pytest.FixtureRequest, hub: RunningService, device: str, tmp_path: Path) -> tuple[str, Path]:
    """A device with a certificate that opens the hub: (device id, file with certificate and key)."""
    if request.param == "attests":
        return attested(hub, tmp_path)
    path, pem, _ = self_signed(tmp_path, device)
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


def test_sample_send_message_x509(sdk: Sdk, hub: RunningService, certified: tuple[str, Path], tmp_path: Path) -> None:
    device, path = certified
    script = sample("async-hub-scenarios", "send_message_x509.py")
    done = sdk.start(script, hub, tmp_path, HOSTNAME=hub.host, DEVICE_ID=device, **x509_of(path)).finish()
    assert done.count("done sending message") == 10
    assert "tornado-warning=yes" in hub.hub.series.messages(device, 1)[0].topic


def test_sample_receive_message_x509(
    sdk: Sdk, hub: RunningService, certified: tuple[str, Path], tmp_path: Path
) -> None:
    device, path = certified
    script = sample("async-hub-scenarios", "receive_message_x509.py")
    running = sdk.start(script, hub, tmp_path, HOSTNAME=hub.host, DEVICE_ID=device, **x509_of(path))
    running.wait_for("Press Q to quit")
    hub.call("POST", f"/api/v1/devices/{device}/messages", {"text": "close the valve", "properties": {"a": "b"}})
    running.wait_for("close the valve")
    running.finish("q")


def test_sample_module_x509(sdk: Sdk, hub: RunningService, certified: tuple[str, Path], tmp_path: Path) -> None:
    device, path = certified
    assert hub.call("POST", f"/api/v1/hub-devices/{device}/modules", {"module_id": "edge"}).status == 200
    script = sample("async-hub-scenarios", "send_message_via_module_x509.py")
    place = {"HOSTNAME": hub.host, "DEVICE_ID": device, "MODULE_ID": "edge"}
    sdk.start(script, hub, tmp_path, **place, **x509_of(path)).finish()
    assert len(hub.hub.series.messages(f"{device}/edge", 20)) == 10


# -- file upload --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def https_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A hub whose second port is 443: the client asks there, and nowhere else, for a place for a file."""
    host = free_host(MQTT_PORT, HTTPS_PORT)
    places = {"host": host, "public_host": host, "hub_port": MQTT_PORT, "websocket_port": str(HTTPS_PORT)}
    with running_service(tmp_path_factory.mktemp("azure-443"), **places) as running:
        running.service.registry.catalogs.create("Contoso", actor="test")
        running.service.hub_access.identities.set_admission(
            "Contoso", actor="test", certificates=True, symmetric_keys=True
        )
        yield running


@pytest.mark.parametrize("kind", ["attests", "certificate of its own"])
def test_sample_upload_to_blob_x509(
    sdk: Sdk, https_hub: RunningService, device: str, tmp_path: Path, kind: str
) -> None:
    script = tmp_path / "upload_to_blob_x509.py"  # it writes beside itself: not into the checkout
    script.symlink_to(sample("async-hub-scenarios", "upload_to_blob_x509.py"))
    if kind == "attests":
        device, path = attested(https_hub, tmp_path)
    else:
        path, pem, _ = self_signed(tmp_path, device)
        body = {"device_id": device, "certificate": pem}
        assert https_hub.call("POST", "/api/v1/catalogs/Contoso/hub-devices", body).status == 200
    place = {"IOTHUB_HOSTNAME": https_hub.host, "IOTHUB_DEVICE_ID": device}
    done = sdk.start(script, https_hub, tmp_path, **place, **x509_of(path)).finish()
    assert "'status_code': 200" in done, done
    (found,) = https_hub.call("GET", f"/api/v1/devices/{device}/files").body["items"]
    assert (found["state"], found["name"]) == ("confirmed", "fakeBlobName12")
    got = https_hub.call("GET", f"/api/v1/devices/{device}/files/{found['upload_id']}")
    assert got.raw == b"Hello, World!"


def test_sample_send_message_over_websockets(sdk: Sdk, https_hub: RunningService, device: str, tmp_path: Path) -> None:
    script = sample("async-hub-scenarios", "send_message_over_websockets.py")
    made = sas_connection(https_hub, device)
    sdk.start(script, https_hub, tmp_path, IOTHUB_DEVICE_CONNECTION_STRING=made["connection_string"]).finish()
    assert len(https_hub.hub.series.messages(device, 20)) > 0
