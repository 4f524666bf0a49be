# SPDX-License-Identifier: Apache-2.0
"""What is answered in IoT Central's shape against what its public REST description says.

No client of that API is on PyPI (``test_iot_central_cli.py`` runs the Azure CLI's from a checkout). So every operation is called once, in the order in which a script would (the tour), and
each answer is looked at: against shapes written down here, always; and against the public OpenAPI file where
``AZURE_REST_API_SPECS_DIR`` names a checkout of github.com/Azure/azure-rest-api-specs (its
``specification/iotcentral/data-plane`` is enough). The file is read, never copied.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.api.central.test_central_devices import connect
from tests.api.central_client import VERSION, Central, make_template
from tests.api.mqtt_device import HubDevice
from tests.api.running_service import RunningService, fresh, running_service, wait_until
from tests.fixtures.certificates import self_signed

from armillary.api.central import access as central_access, files as central_files
from armillary.api.central.route import find
from armillary.api.central.table import OPERATIONS, loaded
from armillary.twin.central.query import HEAD
from armillary.wire.hub.sas_token import decode_key

CHECKOUT = os.environ.get("AZURE_REST_API_SPECS_DIR", "")
# Operations of the stable version that are not here, by the first word after the device (docs/reference/iot-central.md).
NOT_HERE = ("/devices/{}/relationships", "/devices/{}/relationships/{}")

TEXT, BOOL, LIST, DICT, NUMBER = str, bool, list, dict, (int, float)
# Path -> fields of a good answer that have to be there, by type. ``value`` stands for each entry of a list.
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "/devices/{}": {"id": TEXT, "etag": TEXT, "displayName": TEXT, "enabled": BOOL, "provisioned": BOOL,
                    "simulated": BOOL, "organizations": LIST},
    "/devices/{}/credentials": {"idScope": TEXT},
    "/devices/{}/attestation": {"type": TEXT},
    "/devices/{}/components": {"@type": LIST, "name": TEXT},
    "/devices/{}/modules": {"@type": LIST, "name": TEXT},
    "/devices/{}/commands/{}": {"id": TEXT, "responseCode": NUMBER},
    "/deviceTemplates/{}": {"@id": TEXT, "@type": LIST, "etag": TEXT, "displayName": TEXT, "capabilityModel": DICT},
    "/deviceGroups/{}": {"id": TEXT, "displayName": TEXT, "filter": TEXT, "description": TEXT, "etag": TEXT},
    "/jobs/{}": {"id": TEXT, "displayName": TEXT, "group": TEXT, "data": LIST, "status": TEXT},
    "/jobs/{}/devices": {"id": TEXT, "status": TEXT},
    "/jobs/{}/rerun/{}": {"id": TEXT, "group": TEXT, "data": LIST, "status": TEXT},
    "/scheduledJobs/{}": {"id": TEXT, "group": TEXT, "data": LIST, "schedule": DICT, "enabled": BOOL, "completed": BOOL,
                          "etag": TEXT},
    "/organizations/{}": {"id": TEXT, "displayName": TEXT},
    "/roles/{}": {"id": TEXT, "displayName": TEXT},
    "/apiTokens/{}": {"id": TEXT, "roles": LIST},
    "/enrollmentGroups/{}": {"id": TEXT, "displayName": TEXT, "enabled": BOOL, "type": TEXT, "attestation": DICT,
                             "etag": TEXT},
    "/enrollmentGroups/{}/certificates/{}": {"verified": BOOL, "info": DICT, "etag": TEXT},
    "/enrollmentGroups/{}/certificates/{}/generateVerificationCode": {"verificationCode": TEXT},
    "/fileUploads": {"container": TEXT, "connectionString": TEXT, "state": TEXT},
}  # fmt: skip
# Lists answer entries of what stands below them.
ENTRIES = {"/devices/{}/components", "/devices/{}/modules", "/jobs/{}/devices"}


def bare(path: str) -> str:
    """A path template without the names of its places."""
    return re.sub(r"\{[^}]*\}", "{}", re.sub(r"^/api/", "/", path))


@dataclass
class Tour:
    """Calls every operation; keeps (operation, status, body) of each good answer."""

    central: Central
    answers: list[tuple[str, str, int, Any]] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.central.call(method, path, body)
        assert reply.status < 300, (method, path, reply.raw)
        found = find(f"/api{path.partition('?')[0]}")
        assert found is not None
        self.answers.append((method, bare(found.operations[method].path), reply.status, reply.body))
        return reply.body


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("iot-central")
    with running_service(folder) as service:
        service.make_catalog("Contoso", certificates=True, symmetric_keys=True)
        tour = Tour(Central.of(service, "Contoso"))
        templates(tour)
        devices(tour, service)
        groups_and_jobs(tour)
        access(tour)
        enrollments(tour, folder)
        for path in ("/devices/fan-1", "/deviceGroups/fans", "/deviceTemplates/dtmi:contoso:TTour;1"):
            tour.call("DELETE", path)
        yield tour


def templates(tour: Tour) -> None:
    template = make_template(tour.central, "Tour")
    made = tour.call("GET", f"/deviceTemplates/{template}")
    tour.call("PUT", f"/deviceTemplates/{template}", {name: made[name] for name in ("@type", "capabilityModel")})
    tour.call("PATCH", f"/deviceTemplates/{template}", {"displayName": "Fan 2"})
    tour.call("GET", "/deviceTemplates")


def devices(tour: Tour, service: RunningService) -> None:
    place, template = "/devices/fan-1", "dtmi:contoso:TTour;1"
    tour.call("PUT", place, {"displayName": "Fan", "template": template})
    tour.call("PATCH", place, {"displayName": "Fan 1"})
    tour.call("GET", place)
    tour.call("GET", "/devices")
    key = service.call("POST", "/api/v1/hub-devices/fan-1/modules", {"module_id": "edge", "authentication": "sas"}).body
    with connect(tour.central, "fan-1") as device:
        for part in ("", "/components/settings", "/modules/edge", "/modules/edge/components/settings"):
            inner = {"voltage": 5} if "settings" in part else {"fanSpeed": 1.5}
            for method in ("PATCH", "PUT"):
                tour.call(method, f"{place}{part}/properties", inner)
            tour.call("GET", f"{place}{part}/properties")
        device.send({"temperature": 21.5})
        device.send({"noise": 3}, "$.sub=settings")
        wait_until(lambda: tour.central.good("GET", f"{place}/components/settings/telemetry/noise"), "decoded")
        tour.call("GET", f"{place}/telemetry/temperature")
        tour.call("GET", f"{place}/components/settings/telemetry/noise")
        for part, name in (("", "reboot"), ("/components/settings", "calibrate")):
            tour.call("POST", f"{place}{part}/commands/{name}", {"request": {"delay": 1}})
            tour.call("GET", f"{place}{part}/commands/{name}")
    with HubDevice(service, "fan-1/edge", decode_key(key["primary_key"])) as module:
        module.send({"heat": 3})
        wait_until(lambda: tour.central.good("GET", f"{place}/modules/edge/telemetry/heat"), "decoded")
        for part in ("", "/components/settings"):
            tour.call("GET", f"{place}/modules/edge{part}/telemetry/heat")
            tour.call("POST", f"{place}/modules/edge{part}/commands/go", {})
            tour.call("GET", f"{place}/modules/edge{part}/commands/go")
    for part in ("/components", "/modules", "/modules/edge/components"):
        tour.call("GET", place + part)
    tour.call("PUT", f"{place}/attestation", {"type": "symmetricKey"})
    tour.call("PATCH", f"{place}/attestation", {"type": "symmetricKey"})
    tour.call("GET", f"{place}/attestation")
    tour.call("DELETE", f"{place}/attestation")
    tour.call("GET", f"{place}/credentials")
    tour.call("PUT", "/devices/gone", {})
    tour.call("DELETE", "/devices/gone")


def groups_and_jobs(tour: Tour) -> None:
    text = HEAD + " WHERE " + '$template = "dtmi:contoso:TTour;1" AND fanSpeed > 0'
    group = {"displayName": "Fans", "filter": text}
    tour.call("PUT", "/deviceGroups/fans", group)
    tour.call("PATCH", "/deviceGroups/fans", {"description": "All"})
    for path in ("/deviceGroups", "/deviceGroups/fans", "/deviceGroups/fans/devices"):
        tour.call("GET", path)
    data = [{"type": "command", "target": "dtmi:contoso:TTour;1", "path": "reboot"}]
    job = {"displayName": "Reboot", "group": "fans", "data": data, "batch": {"type": "number", "value": 1}}
    tour.call("PUT", "/jobs/reboot", job)
    wait_until(lambda: tour.central.good("GET", "/jobs/reboot")["status"] != "running", "its end")
    for path in ("/jobs", "/jobs/reboot", "/jobs/reboot/devices"):
        tour.call("GET", path)
    tour.call("PUT", "/jobs/reboot/rerun/again")
    wait_until(lambda: tour.central.good("GET", "/jobs/reboot")["status"] != "running", "its end")
    platform = tour.central.service.platform
    store = platform.documents
    slow = {**store.get("job", "reboot").content, "retries": 9, "retry_after_s": 3600}
    store.put("job", "reboot", slow, by="test")
    platform.jobs.begin("reboot", by="test")
    tour.call("POST", "/jobs/reboot/stop")
    wait_until(lambda: tour.central.good("GET", "/jobs/reboot")["progress"]["pending"] == 1, "what is left")
    tour.call("POST", "/jobs/reboot/resume")
    end = {"type": "occurrences", "occurrences": 3}
    schedule = {"start": "2099-01-01T00:00:00Z", "recurrence": "daily", "end": end}
    tour.call("PUT", "/scheduledJobs/nightly", {**job, "schedule": schedule})
    tour.call("PATCH", "/scheduledJobs/nightly", {"description": "At night"})
    for path in ("/scheduledJobs", "/scheduledJobs/nightly", "/scheduledJobs/nightly/jobs"):
        tour.call("GET", path)
    tour.call("DELETE", "/scheduledJobs/nightly")


def access(tour: Tour) -> None:
    tour.call("PUT", "/organizations/emea", {"displayName": "EMEA"})
    tour.call("PATCH", "/organizations/emea", {"displayName": "Europe"})
    for path in ("/organizations", "/organizations/emea", "/roles"):
        tour.call("GET", path)
    role = tour.central.good("GET", "/roles")["value"][0]["id"]
    tour.call("GET", f"/roles/{role}")
    tour.call("PUT", "/apiTokens/script", {"roles": [{"role": role, "organization": "emea"}]})
    for path in ("/apiTokens", "/apiTokens/script"):
        tour.call("GET", path)
    tour.call("DELETE", "/apiTokens/script")
    tour.call("DELETE", "/organizations/emea")
    tour.call("GET", "/fileUploads")


def enrollments(tour: Tour, folder: Path) -> None:
    body = {"displayName": "line", "type": "iot", "attestation": {"type": "symmetricKey"}}
    tour.call("PUT", "/enrollmentGroups/line", body)
    tour.call("PATCH", "/enrollmentGroups/line", {"enabled": False})
    tour.call("PUT", "/enrollmentGroups/factory", {**body, "displayName": "factory", "attestation": {"type": "x509"}})
    _, pem, authority = self_signed(folder, fresh("Factory"), authority=True)
    place = "/enrollmentGroups/factory/certificates/primary"
    tour.call("PUT", place, {"certificate": pem})
    tour.call("GET", place)
    code = tour.call("POST", f"{place}/generateVerificationCode")["verificationCode"]
    tour.call("POST", f"{place}/verify", {"certificate": self_signed(folder, code, issuer=authority)[1]})
    for path in ("/enrollmentGroups", "/enrollmentGroups/line", "/enrollmentGroups/factory"):
        tour.call("GET", path)
    tour.call("DELETE", place)
    tour.call("DELETE", "/enrollmentGroups/factory")


def test_the_tour_calls_every_operation_that_is_here(tour: Tour) -> None:
    called = {(method, path) for method, path, _, _ in tour.answers}
    # Refused whatever is asked: docs/reference/iot-central.md.
    refused = {
        (each.method, bare(each.path))
        for each in OPERATIONS
        if loaded(each.endpoint) in (central_access.no_users, central_files.no_storage)
    }
    assert called | refused == {(each.method, bare(each.path)) for each in OPERATIONS if not each.preview}


def test_each_answer_has_its_shape_and_status(tour: Tour) -> None:
    checked = set()
    for method, path, status, body in tour.answers:
        if body is None:
            assert status == 204, (method, path)
            continue
        assert status == (
            202
            if path.endswith("/properties") and method != "GET"
            else 201
            if method == "POST" and "/commands/" in path
            else 200
        )
        is_list = (
            method == "GET" and set(body) <= {"value", "nextLink"} and "value" in body and "/telemetry/" not in path
        )
        shape = (
            SHAPES.get(path) or SHAPES.get(path + "/{}") or SHAPES.get(re.sub(r"/(modules|components)/\{\}", "", path))
        )
        if path in ENTRIES:
            shape = SHAPES[path]
        for entry in body["value"] if is_list else [body]:
            for name, kind in (shape or {}).items():
                assert isinstance(entry[name], kind), (method, path, name, entry)
                checked.add(path)
    assert {path for path in SHAPES if "/{}" in path} - checked == set()


@pytest.mark.skipif(not CHECKOUT, reason="set AZURE_REST_API_SPECS_DIR to a checkout of Azure/azure-rest-api-specs")
def test_the_public_description_has_what_is_here_and_its_answers_fit(tour: Tour) -> None:
    places = sorted(Path(CHECKOUT).rglob(f"stable/{VERSION}/iotcentral.json"))
    assert places, f"no stable/{VERSION}/iotcentral.json below {CHECKOUT}"
    document = json.loads(places[0].read_text("utf-8"))
    known = {
        (m.upper(), bare(path)): operation
        for path, at in document["paths"].items()
        for m, operation in at.items()
        if m in METHODS
    }
    ours = {(each.method, bare(each.path)) for each in OPERATIONS if not each.preview}
    assert ours - set(known) == set()
    assert {path for _, path in set(known) - ours} <= set(NOT_HERE)
    faults = []
    for method, path, status, body in tour.answers:
        answers = known[method, path]["responses"]
        if str(status) not in answers:
            faults.append(f"{method} {path}: {status} is none of {', '.join(answers)}")
        elif "schema" in answers[str(status)]:
            faults += [
                f"{method} {path}: {each}" for each in mismatches(document, answers[str(status)]["schema"], body, "")
            ]
    assert not faults, "\n".join(faults)


METHODS = ("get", "put", "patch", "post", "delete")
_KINDS: Mapping[str, Any] = {
    "string": str, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "array": list,
}  # fmt: skip


def mismatches(document: Any, schema: Mapping[str, Any], value: Any, where: str) -> list[str]:
    """What of a value is not as a schema of an OpenAPI 2 document says: types, needed fields, enums, all down."""
    if "$ref" in schema:
        target = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return mismatches(document, target, value, where)
    found = [each for part in schema.get("allOf", ()) for each in mismatches(document, part, value, where)]
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [*found, f"{where or 'body'}: expected {kind}, got {value!r:.60}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: expected one of {schema['enum']}, got {value!r:.60}")
    if isinstance(value, Mapping):
        found += [f"{where}.{name}: is needed" for name in schema.get("required", ()) if name not in value]
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                found += mismatches(document, inner, value[name], f"{where}.{name}")
    if isinstance(value, list):
        for index, each in enumerate(value):
            found += mismatches(document, schema.get("items", {}), each, f"{where}[{index}]")
    return found


def test_the_check_against_a_description_finds_what_is_wrong() -> None:
    document = {"definitions": {"A": {"type": "object", "required": ["a"], "properties": {
        "a": {"type": "string"}, "b": {"type": "array", "items": {"type": "integer", "enum": [1, 2]}}}}}}  # fmt: skip
    schema = {"allOf": [{"$ref": "#/definitions/A"}]}
    assert mismatches(document, schema, {"a": "x", "b": [1, 2], "c": None}, "") == []
    for wrong, count in (({}, 1), ({"a": 1}, 1), ([], 1), ({"a": "x", "b": [3, "y"]}, 2), ({"a": "x", "b": [True]}, 1)):
        assert len(mismatches(document, schema, wrong, "")) == count, wrong
