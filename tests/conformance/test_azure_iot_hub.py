# SPDX-License-Identifier: Apache-2.0
"""``azure-iot-hub`` 2.7.0's REST operations, unmodified, with a service key in its connection string.

Each test is a script of our own that the library's interpreter runs; what it prints as JSON is compared here.
``send_c2d_message`` is AMQP and not offered: the guide says what to use instead.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, wait_until
from tests.conformance.azure_sdk import Sdk, hub, sdk
from tests.conformance.test_azure_iot_device import attested
from tests.conformance.test_azure_iot_device_calls import DEVICE, said

__all__ = ["hub", "sdk"]

HEAD = """
import json, os, sys
from azure.iot.hub import IoTHubRegistryManager, IoTHubConfigurationManager
from azure.iot.hub.models import *
from msrest.exceptions import HttpOperationError
registry = IoTHubRegistryManager.from_connection_string(os.environ["SERVICE"])
configurations = IoTHubConfigurationManager.from_connection_string(os.environ["SERVICE"])
name = os.environ["NAME"]
out = {}
def status(call, *arguments, **options):
    try:
        call(*arguments, **options)
        return 200
    except HttpOperationError as error:
        return error.response.status_code
"""
TAIL = """
print(json.dumps({"out": out}))
"""


@pytest.fixture(scope="module")
def connection(hub: RunningService) -> dict[str, str]:
    """A connection string a role."""
    found = {}
    for role in ("Contributor", "Reader"):
        made = hub.call("POST", "/api/v1/catalogs/Contoso/hub-service-keys", {"name": f"k-{role}", "role": role})
        assert made.status == 200, made.body
        found[role] = made.body["connection_string"]
    return found


@pytest.fixture
def name() -> str:
    return f"hub-{uuid.uuid4().hex[:8]}"


def run(sdk: Sdk, hub: RunningService, folder: Path, service: str, name: str, body: str, **variables: str) -> Any:
    folder = folder / uuid.uuid4().hex
    folder.mkdir()
    done = sdk.start(HEAD + body + TAIL, hub, folder, SERVICE=service, NAME=name, **variables).finish()
    return json.loads(done.splitlines()[-1])["out"]


def test_registry(sdk: Sdk, hub: RunningService, connection: dict[str, str], name: str, tmp_path: Path) -> None:
    out = run(sdk, hub, tmp_path, connection["Contributor"], name, """
import base64
keys = [base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]
made = registry.create_device_with_sas(name, keys[0], keys[1], "enabled")
out["made"] = [made.device_id, made.status, made.authentication.type, made.authentication.symmetric_key.primary_key == keys[0]]
got = registry.get_device(name)
out["got"] = [got.etag == made.etag, got.authentication.symmetric_key.primary_key, got.connection_state]
out["again"] = status(registry.create_device_with_sas, name, keys[0], keys[1], "enabled")
changed = registry.update_device_with_sas(name, made.etag, keys[0], keys[1], "disabled", status_reason="lost")
out["changed"] = [changed.status, changed.status_reason, changed.etag != made.etag]
out["stale"] = status(registry.update_device_with_sas, name, made.etag, keys[0], keys[1], "enabled")
out["listed"] = name in [each.device_id for each in registry.get_devices(1000)]
out["thumbprint"] = registry.create_device_with_x509(name + "-x", "A" * 64, "B" * 40, "enabled").authentication.type
module = registry.create_module_with_sas(name, "edge", "me", keys[0], keys[1])
out["module"] = [module.device_id, module.module_id, len(registry.get_modules(name))]
out["module_gone"] = [status(registry.delete_module, name, "edge"), status(registry.get_module, name, "edge")]
out["stale_delete"] = status(registry.delete_device, name, made.etag)
out["deleted"] = [status(registry.delete_device, name, changed.etag), status(registry.get_device, name)]
out["never"] = status(registry.get_device, "nobody")
out["statistics"] = registry.get_device_registry_statistics().total_device_count > 0
out["connected"] = registry.get_service_statistics().connected_device_count
bulk = registry.bulk_create_or_update_devices([ExportImportDevice(id=name + str(n), import_mode="create", status="enabled",
    authentication=AuthenticationMechanism(type="sas")) for n in range(3)])
out["bulk"] = bulk.is_successful
""")  # fmt: skip
    assert out == {
        "made": [name, "enabled", "sas", True],
        "got": [True, None, "Disconnected"],
        "again": 409,
        "changed": ["disabled", "lost", True],
        "stale": 412,
        "listed": True,
        "thumbprint": "selfSigned",
        "module": [name, "edge", 1],
        "module_gone": [200, 404],
        "stale_delete": 412,
        "deleted": [200, 404],
        "never": 404,
        "statistics": True,
        "connected": 0,
        "bulk": True,
    }


def test_twins_and_queries(
    sdk: Sdk, hub: RunningService, connection: dict[str, str], name: str, tmp_path: Path
) -> None:
    out = run(sdk, hub, tmp_path, connection["Contributor"], name, """
for n in range(5):
    registry.create_device_with_sas(name + "-" + str(n), None, None, "enabled")
    registry.update_twin(name + "-" + str(n), Twin(tags={"set": name, "floor": n},
        properties=TwinProperties(desired={"interval": n * 10, "deep": {"a": 1, "b": 2}})))
first = name + "-0"
twin = registry.get_twin(first)
out["twin"] = [twin.tags, twin.properties.desired["interval"], twin.properties.desired["$version"], twin.status]
patched = registry.update_twin(first, Twin(properties=TwinProperties(desired={"interval": 1})), twin.etag)
out["stale"] = status(registry.update_twin, first, Twin(tags={"x": 1}), twin.etag)
replaced = registry.replace_twin(first, Twin(tags={"set": name}, properties=TwinProperties(desired={"deep": {"b": 3}})), patched.etag)
out["replaced"] = [replaced.tags, {k: v for k, v in replaced.properties.desired.items() if not k.startswith("$")}]
def ask(text, size=None, token=None):
    return registry.query_iot_hub(QuerySpecification(query=text), token, size)
found = ask("SELECT * FROM devices WHERE tags.set = '%s' AND properties.desired.interval >= 20" % name)
out["found"] = [each.device_id for each in found.items]
pages, token = [], None
while True:
    page = ask("SELECT * FROM devices WHERE tags.set = '%s'" % name, 2, token)
    pages.append(len(page.items))
    token = page.continuation_token
    if not token:
        break
out["pages"] = sum(pages), max(pages)
out["wrong"] = status(ask, "DROP TABLE devices")
out["foreign_token"] = status(ask, "SELECT * FROM devices", 1, "bm9uc2Vuc2U=")
out["not_there"] = status(registry.get_twin, "nobody")
""")  # fmt: skip
    assert out == {
        "twin": [{"set": name, "floor": 0}, 0, 2, "enabled"],
        "stale": 412,
        "replaced": [{"set": name}, {"deep": {"b": 3}}],
        "found": [f"{name}-{n}" for n in (2, 3, 4)],
        "pages": [5, 2],
        "wrong": 400,
        "foreign_token": 400,
        "not_there": 404,
    }


def test_methods_of_a_connected_device(
    sdk: Sdk, hub: RunningService, connection: dict[str, str], tmp_path: Path
) -> None:
    device, path = attested(hub, tmp_path)
    body = """
def call(name_, **options):
    return registry.invoke_device_method(name, CloudToDeviceMethod(method_name=name_, payload={"n": 1}, **options))
result = call("blink", response_timeout_in_seconds=10, connect_timeout_in_seconds=30)
out["result"] = [result.status, result.payload]
device = registry.get_device(name)
out["device"] = [device.connection_state, device.authentication.type]
out["refused"] = [status(registry.delete_device, name), status(registry.update_device_with_sas, name, "*", None, None, "enabled")]
"""
    place = {"HUB": hub.host, "DEVICE": device, "X509_CERT_FILE": str(path), "X509_KEY_FILE": str(path)}
    running = sdk.start(DEVICE, hub, tmp_path, **place)
    out = run(sdk, hub, tmp_path, connection["Contributor"], device, body)
    said(running, "ready")
    running.finish("q")
    assert out["result"] == [207, {"echo": {"n": 1}}]
    assert out["device"] == ["Connected", "certificateAuthority"]
    assert out["refused"] == [409, 400]
    wait_until(lambda: device not in hub.hub.connected(), "gone")
    away = run(sdk, hub, tmp_path, connection["Contributor"], device, """
out["away"] = status(registry.invoke_device_method, name, CloudToDeviceMethod(method_name="blink"))
""")  # fmt: skip
    assert away["away"] == 404


def test_configurations(sdk: Sdk, hub: RunningService, connection: dict[str, str], name: str, tmp_path: Path) -> None:
    out = run(sdk, hub, tmp_path, connection["Contributor"], name, """
for n in range(3):
    registry.create_device_with_sas(name + str(n), None, None, "enabled")
    registry.update_twin(name + str(n), Twin(tags={"set": name, "floor": n}))
made = configurations.create_configuration(Configuration(id=name, labels={"a": "b"}, priority=5,
    target_condition="tags.set = '%s' AND tags.floor > 0" % name,
    content=ConfigurationContent(device_content={"properties.desired.climate": {"limit": 21}})))
out["made"] = [made.id, made.priority, made.system_metrics.results["appliedCount"]]
out["set"] = ["climate" in registry.get_twin(name + str(n)).properties.desired for n in range(3)]
got = configurations.get_configuration(name)
out["got"] = [got.etag == made.etag, got.target_condition == made.target_condition]
out["again"] = status(configurations.create_configuration, Configuration(id=name))
changed = configurations.update_configuration(Configuration(id=name, priority=6, target_condition="*"), got.etag)
out["changed"] = [changed.priority, changed.etag != got.etag]
out["stale"] = status(configurations.update_configuration, Configuration(id=name), got.etag)
out["listed"] = name in [each.id for each in configurations.get_configurations()]
answer = configurations.test_configuration_queries(ConfigurationQueriesTestInput(target_condition="tags.x = ", custom_metric_queries={"m": "SELECT * FROM devices"}))
out["tested"] = [bool(answer.target_condition_error), answer.custom_metric_query_errors]
out["deleted"] = [status(configurations.delete_configuration, name), status(configurations.get_configuration, name)]
""")  # fmt: skip
    assert out == {
        "made": [name, 5, 2],
        "set": [False, True, True],
        "got": [True, True],
        "again": 409,
        "changed": [6, True],
        "stale": 412,
        "listed": True,
        "tested": [True, {}],
        "deleted": [200, 404],
    }


def test_a_role_is_a_role_and_a_key_is_gone_at_once(
    sdk: Sdk, hub: RunningService, connection: dict[str, str], name: str, tmp_path: Path
) -> None:
    body = """
out["reads"] = status(registry.get_device_registry_statistics)
out["writes"] = status(registry.create_device_with_sas, name, None, None, "enabled")
"""
    assert run(sdk, hub, tmp_path, connection["Reader"], name, body) == {"reads": 200, "writes": 403}
    made = hub.call("POST", "/api/v1/catalogs/Contoso/hub-service-keys", {"name": name, "role": "Contributor"}).body
    assert run(sdk, hub, tmp_path, made["connection_string"], name, body) == {"reads": 200, "writes": 200}
    assert hub.call("DELETE", f"/api/v1/catalogs/Contoso/hub-service-keys/{name}").status == 200
    assert run(sdk, hub, tmp_path, made["connection_string"], name, body) == {"reads": 401, "writes": 401}
    other = made["connection_string"].replace(f"Name={name}", "Name=k-Reader")
    assert run(sdk, hub, tmp_path, other, name, body) == {"reads": 401, "writes": 401}


def test_a_bearer_token_works_too(sdk: Sdk, hub: RunningService, name: str, tmp_path: Path) -> None:
    out = run(sdk, hub, tmp_path, "HostName=x;SharedAccessKeyName=x;SharedAccessKey=eA==", name, """
import time
from azure.core.credentials import AccessToken
class Operator:
    def get_token(self, *scopes, **options):
        return AccessToken(os.environ["TOKEN"], int(time.time()) + 3600)
registry = IoTHubRegistryManager.from_token_credential(os.environ["ADDRESS"], Operator())
out["statistics"] = status(registry.get_device_registry_statistics)
""", TOKEN=hub.token, ADDRESS=f"{hub.host}:{hub.port}")  # fmt: skip
    assert out == {"statistics": 200}


def test_another_catalogs_key_sees_nothing_of_ours(
    sdk: Sdk, hub: RunningService, connection: dict[str, str], name: str, tmp_path: Path
) -> None:
    run(
        sdk,
        hub,
        tmp_path,
        connection["Contributor"],
        name,
        'registry.create_device_with_sas(name, None, None, "enabled")',
    )
    hub.service.registry.catalogs.create(f"E-{name}", actor="test")
    try:
        path = f"/api/v1/catalogs/E-{name}/hub-service-keys"
        made = hub.call("POST", path, {"name": "theirs", "role": "Contributor"}).body
        out = run(sdk, hub, tmp_path, made["connection_string"], name, """
out["seen"] = [status(registry.get_device, name), status(registry.get_twin, name), status(registry.delete_device, name)]
out["taken"] = status(registry.create_device_with_sas, name, None, None, "enabled")
out["listed"] = len(registry.get_devices(10))
out["queried"] = len(registry.query_iot_hub(QuerySpecification(query="SELECT * FROM devices")).items)
""")  # fmt: skip
        assert out == {"seen": [404, 404, 404], "taken": 409, "listed": 0, "queried": 0}
    finally:
        hub.service.registry.catalogs.delete(f"E-{name}", actor="test")
