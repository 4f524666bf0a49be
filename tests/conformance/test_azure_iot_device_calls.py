# SPDX-License-Identifier: Apache-2.0
"""The calls that ``azure-iot-device`` offers, each driven by a short script of our own: no checkout is needed.

What the samples cannot show is here too: derived group keys, a device that registers again, refusals as the client sees
them, a module's input.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh, wait_until
from tests.conformance.azure_sdk import Script, Sdk, hub, sas_connection, sdk
from tests.conformance.test_azure_iot_device import attested, call, enrol, registrations, scope, values_of, x509_of
from tests.fixtures.certificates import self_signed

__all__ = ["hub", "sdk"]

# Prints what comes as JSON lines; stays until a line is typed.
DEVICE = """
import json, os, sys, threading
from azure.iot.device import X509, IoTHubDeviceClient, IoTHubModuleClient, Message, MethodResponse

def say(**what):
    print(json.dumps(what), flush=True)

if "CONNECTION" in os.environ:
    client = IoTHubDeviceClient.create_from_connection_string(
        os.environ["CONNECTION"], product_info=os.environ.get("MODEL", ""))
elif "MODULE" in os.environ:
    client = IoTHubModuleClient.create_from_x509_certificate(
        X509(os.environ["X509_CERT_FILE"], os.environ["X509_KEY_FILE"]),
        os.environ["HUB"], os.environ["DEVICE"], os.environ["MODULE"])
else:
    client = IoTHubDeviceClient.create_from_x509_certificate(
        X509(os.environ["X509_CERT_FILE"], os.environ["X509_KEY_FILE"]), os.environ["HUB"], os.environ["DEVICE"])
client.connect()
client.on_message_received = lambda message: say(
    message=message.data.decode(), properties=message.custom_properties, id=message.message_id,
    correlation=message.correlation_id, content_type=message.content_type, input=message.input_name, ack=message.ack)
client.on_twin_desired_properties_patch_received = lambda patch: say(desired=patch)
def method(request):
    say(method=request.name, payload=request.payload)
    client.send_method_response(MethodResponse.create_from_method_request(request, 207, {"echo": request.payload}))
client.on_method_request_received = method
message = Message(json.dumps({"speed": 12.5}))
message.message_id = "m-1"
message.content_type, message.content_encoding = "application/json", "utf-8"
message.custom_properties["a b"] = "1&2=3/4"
client.send_message(message)
twin = client.get_twin()
say(twin=twin)
client.patch_twin_reported_properties({"firmware": "1.2.3", "gone": None})
say(ready=True)
sys.stdin.readline()
client.shutdown()
"""

REGISTER = """
import base64, hashlib, hmac, json, os, sys
from azure.iot.device import ProvisioningDeviceClient, X509
name = os.environ["REGISTRATION"]
if "KEY" in os.environ:
    key = os.environ["KEY"]
    if "DERIVE" in os.environ:
        key = base64.b64encode(hmac.digest(base64.b64decode(key), name.encode(), "sha256")).decode()
    client = ProvisioningDeviceClient.create_from_symmetric_key(os.environ["HUB"], name, os.environ["SCOPE"], key)
else:
    client = ProvisioningDeviceClient.create_from_x509_certificate(
        os.environ["HUB"], name, os.environ["SCOPE"], X509(os.environ["X509_CERT_FILE"], os.environ["X509_KEY_FILE"]))
client.provisioning_payload = {"modelId": "dtmi:test:Pump;1"}
try:
    result = client.register()
    state = result.registration_state
    print(json.dumps({"status": result.status, "hub": state.assigned_hub, "device": state.device_id,
                      "payload": state.response_payload, "sub": state.sub_status}))
except Exception as error:
    print(json.dumps({"status": "error", "error": repr(error), "cause": repr(error.__cause__)}))
"""


@pytest.fixture
def device() -> str:
    return fresh("calls")


def said(script: Script, key: str) -> Any:
    """Wait until the script has said something with ``key``."""

    def find() -> Any:
        lines = [line for line in script.output.splitlines() if line.startswith('{"')]
        # The client's own log may stand behind it on the line.
        documents = (json.JSONDecoder().raw_decode(line)[0] for line in lines)
        found = [each for each in documents if key in each]
        return found[-1] if found else script.process.poll() is not None and {}

    found = wait_until(find, f"{key} in {script.output}", 40.0) or {}
    assert key in found, script.output
    return found


def walk(hub: RunningService, running: Script, device: str) -> None:
    """Every call once, from both ends."""
    twin = said(running, "twin")["twin"]
    assert (twin["desired"]["$version"], twin["reported"]["$version"]) == (1, 1)
    said(running, "ready")
    wait_until(lambda: values_of(hub, device) == {"speed": 12.5}, "the value")
    topic = hub.hub.series.messages(device, 1)[0].topic
    assert "a%20b=1%262%3D3%2F4" in topic
    assert call(hub, device, "blink", {"times": 3}) == {"status": 207, "payload": {"echo": {"times": 3}}}
    before = hub.call("GET", f"/api/v1/devices/{device}/twin").body
    assert before["properties"]["reported"]["firmware"] == "1.2.3"
    stale = {"If-Match": '"tw-99"'}
    path = f"/api/v1/devices/{device}/twin"
    assert hub.call("PATCH", path, {"desired": {"x": 1}}, headers=stale).status == 412
    changed = hub.call("PATCH", path, {"desired": {"x": 1}}, headers={"If-Match": f'"{before["etag"]}"'})
    assert changed.status == 200
    assert said(running, "desired")["desired"] == {"x": 1, "$version": 2}
    body = {
        "text": "hello", "properties": {"k": "v w"}, "message_id": "mid-1", "correlation_id": "cid-1",
        "content_type": "text/plain", "ack": "full",
    }  # fmt: skip
    assert hub.call("POST", f"/api/v1/devices/{device}/messages", body).status == 200
    got = said(running, "message")
    assert (got["message"], got["properties"], got["id"]) == ("hello", {"k": "v w"}, "mid-1")
    assert (got["correlation"], got["content_type"], got["ack"]) == ("cid-1", "text/plain", "full")
    states = hub.call("GET", f"/api/v1/devices/{device}/messages").body["items"]
    wait_until(
        lambda: hub.call("GET", f"/api/v1/devices/{device}/messages").body["items"][0]["state"] == "success",
        str(states),
    )
    running.finish("q")


def test_every_call_with_a_symmetric_key(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    made = sas_connection(hub, device)
    walk(hub, sdk.start(DEVICE, hub, tmp_path, CONNECTION=made["connection_string"]), device)


def test_every_call_of_a_device_that_attests(sdk: Sdk, hub: RunningService, tmp_path: Path) -> None:
    device, path = attested(hub, tmp_path)
    walk(hub, sdk.start(DEVICE, hub, tmp_path, HUB=hub.host, DEVICE=device, **x509_of(path)), device)


def test_a_module_gets_its_input_and_has_a_twin_of_its_own(sdk: Sdk, hub: RunningService, tmp_path: Path) -> None:
    device, path = attested(hub, tmp_path)
    assert hub.call("POST", f"/api/v1/hub-devices/{device}/modules", {"module_id": "edge"}).status == 200
    running = sdk.start(DEVICE, hub, tmp_path, HUB=hub.host, DEVICE=device, MODULE="edge", **x509_of(path))
    said(running, "ready")
    own = f"/api/v1/devices/{device}/twin"
    assert hub.call("GET", f"{own}?module=edge").body["properties"]["reported"]["firmware"] == "1.2.3"
    assert "firmware" not in hub.call("GET", own).body["properties"]["reported"]
    answer = hub.call("POST", f"/api/v1/devices/{device}/methods/blink?module=edge", {"payload": 1}).body
    assert answer == {"status": 207, "payload": {"echo": 1}}
    hub.call("POST", f"/api/v1/devices/{device}/messages?module=edge", {"text": "in", "input": "lane"})
    got = said(running, "message")
    assert (got["message"], got["input"]) == ("in", "lane")
    running.finish("q")


def test_a_group_of_derived_keys_registers_and_connects(
    sdk: Sdk, hub: RunningService, device: str, tmp_path: Path
) -> None:
    group = enrol(hub, name=f"g-{device}", group=True, attestation="symmetricKey", returned_payload={"zone": 4})
    place = {"HUB": hub.host, "SCOPE": scope(hub), "REGISTRATION": device}
    found = said(sdk.start(REGISTER, hub, tmp_path, KEY=group["secondary_key"], DERIVE="1", **place), "status")
    assert found == {
        "status": "assigned", "hub": hub.host, "device": device, "payload": '{"zone": 4}', "sub": "initialAssignment",
    }  # fmt: skip
    again = said(sdk.start(REGISTER, hub, tmp_path, KEY=group["primary_key"], DERIVE="1", **place), "status")
    assert again["status"] == "assigned"
    assert len(registrations(hub, group)) == 1
    assert registrations(hub, group)[0]["payload"] == {"modelId": "dtmi:test:Pump;1"}


def test_who_may_not_register_is_told_so(sdk: Sdk, hub: RunningService, device: str, tmp_path: Path) -> None:
    place = {"HUB": hub.host, "SCOPE": scope(hub), "REGISTRATION": device}
    key = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="

    def status(**variables: str) -> Any:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        return said(sdk.start(REGISTER, hub, folder, **{**place, **variables}), "status")["status"]

    assert status(KEY=key) == "error"  # no enrolment
    made = enrol(hub, name=device, attestation="symmetricKey")
    assert status(KEY=key) == "error"  # another key
    assert status(KEY=made["primary_key"], SCOPE="0ne000000000000") == "error"
    assert status(KEY=made["primary_key"]) == "assigned"
    hub.call("PATCH", f"/api/v1/hub-devices/{device}", {"enabled": False})
    assert status(KEY=made["primary_key"]) == "error"
    hub.call("PATCH", f"/api/v1/hub-devices/{device}", {"enabled": True})
    hub.call("PATCH", f"/api/v1/catalogs/Contoso/hub-enrolments/{made['enrolment_id']}", {"enabled": False})
    assert status(KEY=made["primary_key"]) == "error"


def test_a_name_that_an_operator_gave_is_not_taken_over(
    sdk: Sdk, hub: RunningService, device: str, tmp_path: Path
) -> None:
    sas_connection(hub, device)
    path, pem, _ = self_signed(tmp_path, device)
    enrol(hub, name=device, attestation="x509", certificate=pem)
    place = {"HUB": hub.host, "SCOPE": scope(hub), "REGISTRATION": device}
    found = said(sdk.start(REGISTER, hub, tmp_path, **place, **x509_of(path)), "status")
    assert (found["status"], "failed registration status" in found["cause"]) == ("error", True)
    assert hub.call("GET", f"/api/v1/hub-devices/{device}").body["authentication"] == "sas"
