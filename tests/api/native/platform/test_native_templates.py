# SPDX-License-Identifier: Apache-2.0
"""Device templates over the API: import, publish, devices, cloud properties, migration; IoT Central's shape; scope."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh
from tests.twin.template.test_template import BODY, CENTRAL, CONTROLLER, THERMOSTAT

TEMPLATES = "/api/v1/templates"
CENTRAL_PATH = "/api/deviceTemplates"


def called(service: RunningService, method: str, path: str, body: object = None, **options: Any) -> Any:
    reply = service.call(method, path, body, **options)
    assert reply.status == 200, reply.raw
    return reply.body


def problem(service: RunningService, method: str, path: str, body: object = None, **options: Any) -> tuple[int, Any]:
    reply = service.call(method, path, body, **options)
    assert reply.status >= 400, reply.raw
    return reply.status, reply.body


@pytest.fixture
def device(service: RunningService, catalog: str) -> str:
    return service.claimed(catalog).device_id


@pytest.fixture
def template(service: RunningService) -> str:
    name = fresh("controller")
    called(service, "PUT", f"{TEMPLATES}/{name}", BODY)
    called(service, "POST", f"{TEMPLATES}/{name}/publish")
    return name


def path(device: str, what: str) -> str:
    return f"/api/v1/devices/{device}/{what}"


def test_models_are_imported_published_listed_and_shown(service: RunningService) -> None:
    name = fresh("thermostat")
    files = [{"name": "t.json", "content": json.dumps(THERMOSTAT, indent=1)}]
    made = called(service, "POST", f"{TEMPLATES}/{name}/import", {"documents": files})
    assert (made["version"], made["root"], made["published_versions"]) == (0, THERMOSTAT["@id"], [])
    assert [each["name"] for each in made["capabilities"]] == ["temperature", "target", "report"]
    published = called(service, "POST", f"{TEMPLATES}/{name}/publish")
    assert (published["version"], published["published_versions"]) == (1, [1])
    row = next(each for each in called(service, "GET", TEMPLATES + "?limit=1000")["items"] if each["name"] == name)
    assert (row["display_name"], row["versions"], row["capabilities"]) == ("Thermostat", [1], 3)
    assert called(service, "GET", f"{TEMPLATES}/{name}/versions/1")["body"]["version"] == 1
    again = problem(service, "POST", f"{TEMPLATES}/{name}/publish")
    assert (again[0], again[1]["code"]) == (409, "request.conflict")
    assert called(service, "DELETE", f"{TEMPLATES}/{name}")["documents"] == 2
    assert problem(service, "GET", f"{TEMPLATES}/{name}")[0] == 404


def test_every_fault_of_a_model_comes_with_its_line(service: RunningService) -> None:
    broken = json.dumps(
        {**THERMOSTAT, "contents": [{"@type": "Telemetry", "name": "1", "schema": "double"}, {"@type": "Thing"}]},
        indent=1,
    )
    status, body = problem(
        service, "POST", f"{TEMPLATES}/{fresh('bad')}/import", {"documents": [{"name": "bad.json", "content": broken}]}
    )
    assert (status, body["code"]) == (400, "model.invalid")
    first, second = body["invalid_params"]
    line = broken[: broken.index('"1"')].count("\n") + 1
    assert first["name"] == f"bad.json, line {line}, contents[0].name"
    assert "ClassTelemetryPropertyNamePattern" in first["reason"]
    assert second["name"].endswith("contents[1]")


def test_a_published_version_never_changes_and_a_draft_keeps_what_its_author_added(
    service: RunningService, template: str
) -> None:
    before = called(service, "GET", f"{TEMPLATES}/{template}/versions/1")
    fewer = {**CONTROLLER, "contents": CONTROLLER["contents"][:2]}  # type: ignore[index]
    files = [{"name": each["@id"], "content": json.dumps(each)} for each in (fewer, THERMOSTAT)]  # type: ignore[index]
    made = called(service, "POST", f"{TEMPLATES}/{template}/import", {"documents": files})
    assert {each["name"] for each in made["cloud_properties"]} == {"Customer", "Limit", "Kind", "Installed"}
    assert [each["name"] for each in made["views"]] == ["Overview", "Edit"]
    assert called(service, "GET", f"{TEMPLATES}/{template}/versions/1") == before
    published = called(service, "POST", f"{TEMPLATES}/{template}/publish")
    assert published["difference"]["removed"] == ["reboot", "serial"]
    assert not published["difference"]["compatible"]
    assert problem(service, "PUT", f"{TEMPLATES}/{template}.1", BODY)[0] == 400
    stale = problem(service, "PUT", f"{TEMPLATES}/{template}", BODY, headers={"If-Match": "d-1"})
    assert (stale[0], stale[1]["code"]) == (412, "request.precondition")


def test_an_import_with_an_etag_overwrites_nobody(service: RunningService, template: str) -> None:
    files = {"documents": [{"name": "t", "content": json.dumps(THERMOSTAT)}]}
    place, old = f"{TEMPLATES}/{template}", called(service, "GET", f"{TEMPLATES}/{template}")["etag"]
    called(service, "PUT", place, {**BODY, "display_name": "Theirs"})
    assert problem(service, "POST", f"{place}/import", files, headers={"If-Match": old})[0] == 412
    assert called(service, "GET", place)["display_name"] == "Theirs"
    fresh_etag = called(service, "GET", place)["etag"]
    assert (
        called(service, "POST", f"{place}/import", files, headers={"If-Match": fresh_etag})["root"] == THERMOSTAT["@id"]
    )


def test_publishing_says_before_what_differs_and_who_would_lose_what(
    service: RunningService, template: str, device: str
) -> None:
    place = f"{TEMPLATES}/{template}"
    assert problem(service, "POST", f"{place}/publish?dry_run=true")[0] == 409  # nothing differs
    called(service, "PUT", path(device, "template"), {"template": template})
    called(service, "PATCH", path(device, "cloud-properties"), {"Customer": "Ann", "Limit": 90})
    clouds = [{"name": "Limit", "schema": "double", "maximum": 50}, {"name": "Crew", "schema": "string"}]
    called(service, "PUT", place, {**BODY, "cloud_properties": clouds, "views": []})
    dry = called(service, "POST", f"{place}/publish?dry_run=true")
    assert (dry["version"], dry["devices"], dry["losing"]) == (2, 1, 1)
    assert dry["difference"]["added"] == ["Crew"]
    assert "Customer" in dry["difference"]["removed"]
    assert dry["difference"]["changed"] == {"Limit": "minimum differs"}
    assert set(dry["named"][0]["lost_cloud_properties"]) == {"Customer", "Limit"}
    assert called(service, "GET", place)["published_versions"] == [1]
    assert called(service, "GET", path(device, "template"))["cloud_properties"]["Customer"] == "Ann"
    called(service, "POST", f"{place}/publish")
    moved = called(service, "POST", f"{place}/migrate", {"dry_run": True})
    assert moved["named"] == dry["named"]  # what was said is what becomes


def test_a_device_has_a_template_cloud_properties_and_states(
    service: RunningService, template: str, device: str
) -> None:
    nothing = called(service, "GET", path(device, "template"))
    assert (nothing["template"], nothing["properties"], nothing["announced_model"]) == (None, [], None)
    assert problem(service, "PATCH", path(device, "cloud-properties"), {"Limit": 1})[0] == 404
    given = called(service, "PUT", path(device, "template"), {"template": template})
    assert (given["version"], given["loses_nothing"], given["cloud_properties"]) == (1, True, {"Limit": 40})
    cloud = called(service, "PATCH", path(device, "cloud-properties"), {"Customer": " Ann ", "Kind": 2})
    assert cloud["values"] == {"Limit": 40, "Customer": "Ann", "Kind": 2}
    status, body = problem(service, "PATCH", path(device, "cloud-properties"), {"Limit": 500})
    assert (status, body["code"]) == (400, "request.invalid")
    assert "at most 100" in body["detail"]
    stale = problem(service, "PATCH", path(device, "cloud-properties"), {"Limit": 1}, headers={"If-Match": "d-1"})
    assert stale[0] == 412
    dry = called(service, "PATCH", path(device, "properties") + "?dry_run=true", {"thermostat1.target": 21.5})
    assert dry["patch"] == {"thermostat1": {"__t": "c", "target": 21.5}}
    assert called(service, "GET", path(device, "twin"))["properties"]["desired"] == {"$version": 1, "$metadata": {}}
    shown = called(service, "PATCH", path(device, "properties"), {"thermostat1.target": 21.5})
    target = next(each for each in shown["properties"] if each["name"] == "thermostat1.target")
    assert (target["state"], target["desired"]) == ("pending", 21.5)
    assert called(service, "GET", path(device, "twin"))["properties"]["desired"]["thermostat1"]["__t"] == "c"
    assert problem(service, "PATCH", path(device, "properties"), {"serial": "x"})[0] == 400
    assert called(service, "GET", f"{TEMPLATES}/{template}/devices")["items"] == [
        {"device_id": device, "version": 1, "by": "operator", "device_name": f"Coffee {device[:8]}"}
    ]
    in_use = problem(service, "DELETE", f"{TEMPLATES}/{template}")
    assert (in_use[0], in_use[1]["code"]) == (409, "request.conflict")
    called(service, "DELETE", path(device, "template"))
    assert called(service, "GET", path(device, "cloud-properties"))["values"]["Customer"] == "Ann"
    called(service, "DELETE", f"{TEMPLATES}/{template}")


def test_a_migration_is_rehearsed_and_done_and_says_what_is_lost(
    service: RunningService, template: str, device: str
) -> None:
    called(service, "PUT", path(device, "template"), {"template": template})
    called(service, "PATCH", path(device, "cloud-properties"), {"Customer": "Ann", "Limit": 90})
    body = {**BODY, "cloud_properties": [{"name": "Limit", "schema": "double", "maximum": 50}], "views": []}
    called(service, "PUT", f"{TEMPLATES}/{template}", body)
    assert called(service, "POST", f"{TEMPLATES}/{template}/publish")["version"] == 2
    dry = called(service, "POST", f"{TEMPLATES}/{template}/migrate", {"dry_run": True})
    assert (dry["devices"], dry["losing"]) == (1, 1)
    assert set(dry["named"][0]["lost_cloud_properties"]) == {"Customer", "Limit"}
    assert called(service, "GET", path(device, "template"))["version"] == 1
    called(service, "POST", f"{TEMPLATES}/{template}/migrate", {})
    after = called(service, "GET", path(device, "template"))
    assert (after["version"], after["cloud_properties"]) == (2, {})
    assert called(service, "POST", f"{TEMPLATES}/{template}/migrate", {})["devices"] == 0
    back = called(service, "PUT", path(device, "template"), {"template": template, "version": 1, "dry_run": True})
    assert back["loses_nothing"]


def test_a_deleted_template_leaves_a_device_that_says_so(service: RunningService, template: str, device: str) -> None:
    called(service, "PUT", path(device, "template"), {"template": template})
    service.platform.documents.delete("template", f"{template}.1", by="test")
    shown = called(service, "GET", path(device, "template"))
    assert (shown["template"], shown["is_missing"]) == (template, True)


def refused(service: RunningService, method: str, path: str, body: Any = None, **options: Any) -> int:
    """The status of an error in IoT Central's shape."""
    reply = service.call(method, path, body, **options)
    assert set(reply.body["error"]) >= {"code", "message", "requestId", "time"}
    return reply.status


def test_iot_centrals_shape(service: RunningService) -> None:
    mark = uuid.uuid4().hex[:8]
    identifier = f"dtmi:contoso:T{mark};1"
    version = "?api-version=2022-07-31"
    body = json.loads(json.dumps(CENTRAL).replace("dtmi:contoso:mythermostattemplate;1", identifier))
    made = called(service, "PUT", f"{CENTRAL_PATH}/{identifier}{version}", body)
    assert (made["@id"], made["displayName"]) == (identifier, "Thermostat")
    assert made["@type"] == ["ModelDefinition", "DeviceModel"]
    got = called(service, "GET", f"{CENTRAL_PATH}/{identifier}{version}")
    assert got == made
    cloud = [each for each in got["capabilityModel"]["contents"] if "Cloud" in each["@type"]]
    assert [each["name"] for each in cloud] == ["CustomerName"]
    assert identifier in [
        each["@id"] for each in called(service, "GET", CENTRAL_PATH + version + "&maxpagesize=100")["value"]
    ]
    assert called(service, "PUT", f"{CENTRAL_PATH}/{identifier}{version}", body) == made
    changed = {**body, "displayName": "Other"}
    again = called(service, "PUT", f"{CENTRAL_PATH}/{identifier}{version}", changed, headers={"If-Match": made["etag"]})
    assert again["displayName"] == "Other"
    stale = refused(service, "PUT", f"{CENTRAL_PATH}/{identifier}{version}", body, headers={"If-Match": made["etag"]})
    assert stale == 412
    assert refused(service, "GET", f"{CENTRAL_PATH}/{identifier}?api-version=1999-01-01") == 400
    assert service.call("DELETE", f"{CENTRAL_PATH}/{identifier}{version}").status == 204
    assert refused(service, "GET", f"{CENTRAL_PATH}/{identifier}{version}") == 404


def test_a_token_of_one_catalog_has_its_own_templates(service: RunningService, catalog: str, device: str) -> None:
    mine, theirs, everyones = fresh("mine"), fresh("theirs"), fresh("all")
    token, other = service.token_for(catalog), service.make_catalog(fresh("Other"))
    called(service, "PUT", f"{TEMPLATES}/{theirs}", {**BODY, "catalog": other})
    called(service, "POST", f"{TEMPLATES}/{theirs}/publish")
    called(service, "PUT", f"{TEMPLATES}/{everyones}", BODY)
    called(service, "POST", f"{TEMPLATES}/{everyones}/publish")
    query = f"?catalog={catalog}"
    made = called(service, "PUT", f"{TEMPLATES}/{mine}{query}", BODY, token=token)
    assert made["catalog"] == catalog
    called(service, "POST", f"{TEMPLATES}/{mine}/publish{query}", token=token)
    seen = {each["name"] for each in called(service, "GET", f"{TEMPLATES}{query}&limit=1000", token=token)["items"]}
    assert {mine, everyones} <= seen
    assert theirs not in seen
    assert service.call("GET", f"{TEMPLATES}/{theirs}{query}", token=token).status == 404
    assert service.call("GET", f"{TEMPLATES}/{mine}", token=token).status == 403
    assert service.call("PUT", f"{TEMPLATES}/{theirs}{query}", BODY, token=token).status == 409
    assert service.call("DELETE", f"{TEMPLATES}/{everyones}{query}", token=token).status == 403
    assert service.call("PUT", path(device, "template"), {"template": theirs}, token=token).status == 404
    assert service.call("PUT", path(device, "template"), {"template": everyones}, token=token).status == 200
    assert service.call("PUT", path(device, "template"), {"template": mine}, token=token).status == 200
    before = called(service, "GET", f"{TEMPLATES}/{theirs}")
    page = f"{CENTRAL_PATH}?api-version=2022-07-31&maxpagesize=100"
    shown = {each["@id"] for each in called(service, "GET", page, token=token)["value"]}
    word = {name: f"dtmi:armillary:template_{name.replace('-', '_')};1" for name in (mine, theirs, everyones)}
    assert word[theirs] not in shown
    assert {word[mine], word[everyones]} <= shown
    for name, status, put in ((theirs, 404, 200), (everyones, 403, 403)):  # theirs is as good as none: one is made
        path_of = f"{CENTRAL_PATH}/{word[name]}?api-version=2022-07-31"
        assert service.call("DELETE", path_of, token=token).status == status
        assert service.call("PUT", path_of, CENTRAL, token=token).status == put
    assert called(service, "GET", f"{TEMPLATES}/{theirs}")["display_name"] == before["display_name"]


def test_a_hub_device_has_a_template_like_any_other(service: RunningService, catalog: str, template: str) -> None:
    called(service, "PATCH", f"/api/v1/catalogs/{catalog}/hub-admission", {"symmetric_keys": True})
    name = f"Pump:{uuid.uuid4().hex[:8]}@North"
    made = service.call("POST", f"/api/v1/catalogs/{catalog}/hub-devices", {"device_id": name, "authentication": "sas"})
    assert made.status in (200, 201), made.raw
    called(service, "PUT", path(name, "template"), {"template": template})
    assert called(service, "PATCH", path(name, "cloud-properties"), {"Customer": "Ann"})["values"]["Customer"] == "Ann"
    shown = called(service, "PATCH", path(name, "properties"), {"thermostat1.target": 20})
    assert (shown["device_id"], shown["template"]) == (name, template)


def test_a_template_that_cannot_be_read_is_listed_with_its_fault_and_stops_no_other(
    service: RunningService, template: str
) -> None:
    broken = fresh("broken")
    for each in (broken, f"{broken}.1"):
        service.platform.documents.put("template", each, {"root": "dtmi:a:b;1", "models": 5}, by="test")
    rows = {each["name"]: each for each in called(service, "GET", f"{TEMPLATES}?limit=1000")["items"]}
    assert rows[template]["fault"] is None
    assert "models" in rows[broken]["fault"]
    assert called(service, "GET", f"{CENTRAL_PATH}?api-version=2022-07-31")["value"]
    assert problem(service, "GET", f"{TEMPLATES}/{broken}")[0] == 400
    assert called(service, "DELETE", f"{TEMPLATES}/{broken}")["documents"] == 2
