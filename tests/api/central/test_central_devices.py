# SPDX-License-Identifier: Apache-2.0
"""Devices in IoT Central's shape over the real API: life, credentials, properties, telemetry, commands, modules."""

from __future__ import annotations

import base64
import ssl
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.api.central_client import Central, make_template
from tests.api.mqtt_device import HubDevice
from tests.api.running_service import RunningService, fresh, wait_until
from tests.fixtures.certificates import self_signed

from armillary.api.central import commands as central_commands
from armillary.api.central.commands import LastRuns
from armillary.platform.templates import templates
from armillary.wire.hub.sas_token import decode_key, derive_device_key, encode_key, sign_sas_token


@pytest.fixture
def central(service: RunningService) -> Central:
    return Central.new(service, "Central", certificates=True, symmetric_keys=True)


@pytest.fixture
def name() -> str:
    return fresh("fan")


def connect(central: Central, name: str) -> HubDevice:
    keys = central.good("GET", f"/devices/{name}/credentials")["symmetricKey"]
    return HubDevice(central.service, name, decode_key(keys["primaryKey"]))


def test_a_device_is_made_changed_listed_and_deleted(central: Central, name: str) -> None:
    template = make_template(central)
    body = {"displayName": "Fan of the hall", "template": template, "simulated": False, "enabled": True}
    made = central.good("PUT", f"/devices/{name}", body)
    assert made == {
        "id": name,
        "etag": made["etag"],
        "displayName": "Fan of the hall",
        "template": template,
        "simulated": False,
        "provisioned": False,
        "enabled": True,
        "organizations": [],
    }
    assert central.good("GET", f"/devices/{name}") == made
    assert central.good("PUT", f"/devices/{name}", body) == made  # the same again changes nothing
    changed = central.good("PATCH", f"/devices/{name}", {"enabled": False}, headers={"If-Match": made["etag"]})
    assert (changed["enabled"], changed["displayName"]) == (False, "Fan of the hall")
    assert changed["etag"] != made["etag"]
    central.refused("PATCH", f"/devices/{name}", {"displayName": "x"}, status=412, headers={"If-Match": made["etag"]})
    central.refused("PATCH", f"/devices/{name}", {"displayName": "x", "etag": made["etag"]}, status=412)
    central.refused("DELETE", f"/devices/{name}", status=412, headers={"If-Match": made["etag"]})
    assert [each["id"] for each in central.good("GET", "/devices")["value"]] == [name]
    assert central.good("DELETE", f"/devices/{name}", status=204) is None
    assert name in central.refused("GET", f"/devices/{name}", status=404)
    assert central.good("PUT", f"/devices/{name}", {})["displayName"] == name


def test_lists_come_in_pages(central: Central) -> None:
    names = [f"page-{n}" for n in range(7)]
    suffix = fresh("x")
    for each in names:
        central.good("PUT", f"/devices/{each}-{suffix}", {})
    seen, path, pages = [], "/devices?maxpagesize=3", 0
    while path:
        page = central.good("GET", path)
        seen += [each["id"] for each in page["value"]]
        link = page.get("nextLink", "")
        assert not link or link.startswith(f"https://localhost:{central.service.port}/api/devices?")
        path, pages = link.partition("/api")[2].replace("api-version=2022-07-31&", ""), pages + 1
    assert (seen, pages) == ([f"{each}-{suffix}" for each in names], 3)
    for wrong in ("maxpagesize=0", "maxpagesize=x", "$filter=a", "orderby=x"):
        central.refused("GET", f"/devices?{wrong}", status=400)


def test_what_is_wrong_is_named_and_nothing_is_left(central: Central, name: str) -> None:
    for body, word in (
        ({"template": "dtmi:nobody:knows;1"}, "template"), ({"simulated": True}, "simulated"), ({"enabled": 1}, "enabled"),
        ({"displayName": ""}, "displayName"), ({"colour": "red"}, "colour"), ({"id": "other"}, "id"), ([], "object"),
        ({"type": ["gateway"]}, "type"), ({"organizations": ["nowhere"]}, "organisation"), ({"organizations": "x"}, "list"),
    ):  # fmt: skip
        reply = central.call("PUT", f"/devices/{name}", body)
        assert reply.status in (400, 404), (body, reply.raw)
        assert word in reply.body["error"]["message"]
        central.refused("GET", f"/devices/{name}", status=404)
    central.refused("PUT", f"/devices/{'f' * 128}", {}, status=400)
    central.refused("PATCH", f"/devices/{name}", {}, status=404)
    central.refused("PUT", f"/devices/{name}", {}, status=412, headers={"If-Match": "*"})
    group = {"displayName": "x", "filter": "SELECT * FROM devices WHERE $provisioned = true"}
    for place, body in ((f"/devices/{name}", {}), (f"/deviceGroups/{name}", group)):
        central.good("PUT", place, body, headers={"If-None-Match": "*"})
        central.refused("PUT", place, body, status=412, headers={"If-None-Match": "*"})


def test_versions_methods_and_paths(central: Central, name: str) -> None:
    assert "api-version" in central.refused("GET", "/devices", status=400, version="")
    for version in ("2020-01-01", "2024-04-01"):
        assert "2022-07-31" in central.refused("GET", "/devices", status=400, version=version)
    for version in ("1.0", "2022-05-31", "2022-10-31-preview"):
        central.good("GET", "/devices", version=version)
    central.good("PUT", f"/devices/{name}", {})
    reply = central.call("POST", f"/devices/{name}", {})
    assert (reply.status, reply.headers["allow"]) == (405, "DELETE, GET, HEAD, PATCH, PUT")
    assert reply.body["error"]["code"] == "MethodNotAllowed"
    central.refused("GET", f"/devices/{name}/relationships", status=404)
    central.refused("PUT", f"/devices/{name}", b"{ not json", status=400)
    reply = central.service.call("GET", "/api/devices?api-version=2022-07-31", token=None)
    assert (reply.status, reply.body["error"]["code"]) == (401, "Unauthorized")
    assert central.call("OPTIONS", "/devices").status == 405
    assert (central.call("HEAD", "/devices").status, central.call("HEAD", "/devices").raw) == (200, b"")


def test_a_token_is_taken_in_every_form_that_scripts_send(central: Central) -> None:
    path = "/api/devices?api-version=2022-07-31"
    for header in (
        central.token, f"Bearer {central.token}", f"SharedAccessSignature sr=a&sig={central.token}&skn=b&se=1",
    ):  # fmt: skip
        assert central.service.call("GET", path, token=None, headers={"Authorization": header}).status == 200, header
    for header in (
        "SharedAccessSignature sr=a&skn=b", f"Basic {central.token}", f"SharedAccessSignature sig={central.token}&sig=x",
        "SharedAccessSignature sr=a&sig=arm_wrong&skn=b", f"{central.token} {central.token}", " ",
    ):  # fmt: skip
        assert central.service.call("GET", path, token=None, headers={"Authorization": header}).status == 401, header
    plain = {"Authorization": central.token}  # elsewhere it has to be a bearer token
    assert central.service.call("GET", "/api/v1/me", token=None, headers=plain).status == 401


def test_credentials_are_made_when_they_are_first_asked_for_and_shown_once(central: Central, name: str) -> None:
    central.good("PUT", f"/devices/{name}", {})
    central.refused("GET", f"/devices/{name}/attestation", status=404)
    shown = central.good("GET", f"/devices/{name}/credentials")
    keys = shown["symmetricKey"]
    with HubDevice(central.service, name, decode_key(keys["secondaryKey"])) as device:
        assert device.connack == [0]
    assert central.good("GET", f"/devices/{name}/credentials") == {"idScope": shown["idScope"]}
    empty = {"type": "symmetricKey", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}}
    assert central.good("GET", f"/devices/{name}/attestation") == empty
    mine = {"primaryKey": encode_key(b"p" * 32), "secondaryKey": encode_key(b"s" * 32)}
    path, body = f"/devices/{name}/attestation", {"type": "symmetricKey", "symmetricKey": mine}
    assert central.good("PUT", path, body) == body
    with HubDevice(central.service, name, b"p" * 32) as device:
        assert device.connack == [0]
    made = central.good("PATCH", path, {"type": "symmetricKey"})["symmetricKey"]
    assert made["primaryKey"] not in ("", mine["primaryKey"])
    central.good("DELETE", path, status=204)
    with HubDevice(central.service, name, decode_key(made["primaryKey"])) as device:
        assert device.connack != [0]
    for wrong in ({}, {"type": "tpm"}, {"type": "symmetricKey", "symmetricKey": {"primaryKey": "x"}}, {"type": "x509"}):
        central.refused("PUT", path, wrong, status=400)


def test_a_certificate_of_its_own(central: Central, name: str, tmp_path: Path) -> None:
    _, pem, _ = self_signed(tmp_path, name)
    central.good("PUT", f"/devices/{name}", {})
    path = f"/devices/{name}/attestation"
    first = central.good(
        "PUT", path, {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": pem}}}}
    )
    primary = first["x509"]["clientCertificates"]["primary"]
    assert ssl.DER_cert_to_PEM_cert(base64.b64decode(primary["certificate"])) == pem
    assert len(primary["info"]["sha1Thumbprint"]) == 40
    encoded = base64.b64encode(pem.encode()).decode()
    for given in (primary["certificate"], encoded):
        body = {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": given}}}}
        assert central.good("PUT", path, body) == first
    assert central.good("GET", path) == first
    assert central.good("GET", f"/devices/{name}/credentials")["x509"] == first["x509"]
    body = {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": "no certificate"}}}}
    central.refused("PUT", path, body, status=400)


def test_properties_telemetry_and_commands(central: Central, name: str) -> None:
    central.good("PUT", f"/devices/{name}", {"template": make_template(central)})
    place = f"/devices/{name}"
    with connect(central, name) as device:
        written = {"fanSpeed": 30.5, "Customer": "Contoso", "settings": {"voltage": 25}}
        shown = central.good("PATCH", f"{place}/properties", written, status=202)
        assert shown["$metadata"]["fanSpeed"] == {"desiredValue": 30.5, "desiredVersion": 2}
        assert shown["settings"]["$metadata"]["voltage"]["desiredValue"] == 25
        assert shown["Customer"] == "Contoso"
        wait_until(lambda: device.desired, "the device is told")
        told = {"fanSpeed": 30.5, "settings": {"__t": "c", "voltage": 25}, "$version": 2}
        assert device.desired[0] == told
        device.report(
            {
                "model": "F1",
                "fanSpeed": {"value": 30.5, "ac": 200, "av": 2, "ad": "done"},
                "settings": {"__t": "c", "voltage": {"value": 25, "ac": 203, "av": 2}},
                "odd": 1,
            }
        )
        shown = wait_until(lambda: (p := central.good("GET", f"{place}/properties")).get("odd") and p, "reported")
        assert (shown["model"], shown["fanSpeed"], shown["settings"]["voltage"], shown["odd"]) == ("F1", 30.5, 25, 1)
        stands = shown["$metadata"]["fanSpeed"]
        assert (stands["ackCode"], stands["ackVersion"], stands["ackDescription"]) == (200, 2, "done")
        assert stands["lastUpdateTime"].endswith("Z")
        assert central.good("GET", f"{place}/components/settings/properties") == shown["settings"]
        both = central.good("GET", f"{place}/components")["value"]
        assert [(each["name"], each["@type"]) for each in both] == [("settings", ["Component"])]

        assert central.good("GET", f"{place}/telemetry/temperature") == {}
        device.send({"temperature": 21.5, "place": {"x": 1, "y": 2}})
        device.send({"noise": 7}, "$.sub=settings")
        last = wait_until(lambda: central.good("GET", f"{place}/components/settings/telemetry/noise"), "decoded")
        assert last["value"] == 7
        assert central.good("GET", f"{place}/telemetry/temperature")["value"] == 21.5
        assert central.good("GET", f"{place}/telemetry/place")["value"] == {"x": 1, "y": 2}
        for unknown in ("/telemetry/nothing", "/components/other/properties", "/commands/nothing"):
            central.refused("GET", place + unknown, status=404)

        assert central.good("GET", f"{place}/commands/reboot") == {"value": []}
        done = central.good("POST", f"{place}/commands/reboot", {"request": 5}, status=201)
        assert (done["responseCode"], done["request"]) == (201, 5)
        assert done["response"] == {"called": "reboot", "with": 5}
        assert central.good("GET", f"{place}/commands/reboot") == {"value": [done]}
        inner = central.good("POST", f"{place}/components/settings/commands/calibrate", {}, status=201)
        assert inner["response"] == {"called": "settings*calibrate", "with": None}
        for wrong in ({"responseTimeout": 1}, {"connectionTimeout": 31}, {"responseTimeout": "5"}, []):
            central.refused("POST", f"{place}/commands/reboot", wrong, status=400)
        central.refused("POST", f"{place}/commands/nothing", {}, status=404)
    wait_until(lambda: name not in central.service.hub.connected(), "it is gone")
    central.refused("POST", f"{place}/commands/reboot", {}, status=409)


def test_writing_properties_keeps_to_the_template_and_replacing_takes_away(central: Central, name: str) -> None:
    central.good("PUT", f"/devices/{name}", {"template": make_template(central)})
    place = f"/devices/{name}/properties"
    central.good("PATCH", place, {"fanSpeed": 1, "Customer": "A", "settings": {"voltage": 2, "current": 3}}, status=202)
    before = central.good("GET", place)
    for wrong in ({"fanSpeed": "fast"}, {"model": "x"}, {"unknown": 1}, {"Customer": 5}, {"settings": 1}, []):
        central.refused("PATCH", place, wrong, status=400)
        central.refused(
            "PATCH", place, {**wrong, "fanSpeed": 9, "Customer": "B"} if wrong == {"unknown": 1} else wrong, status=400
        )
        assert central.good("GET", place) == before
    assert central.good("PATCH", place, before, status=202)["$metadata"]["fanSpeed"]["desiredValue"] == 1
    component = f"/devices/{name}/components/settings/properties"
    shown = central.good("PUT", component, {"current": 4}, status=202)
    assert set(shown["$metadata"]) == {"current"}
    shown = central.good("PATCH", component, {"voltage": 6}, status=202)
    assert set(shown["$metadata"]) == {"current", "voltage"}
    shown = central.good("PUT", place, {"fanSpeed": 7}, status=202)
    assert (set(shown["$metadata"]), shown.get("Customer"), shown.get("settings")) == ({"fanSpeed"}, None, None)


def test_a_device_without_a_template_takes_what_its_twin_takes(central: Central, name: str) -> None:
    central.good("PUT", f"/devices/{name}", {})
    place = f"/devices/{name}"
    shown = central.good("PATCH", f"{place}/properties", {"a": 1, "b": {"c": 2}}, status=202)
    assert shown["$metadata"]["b"]["desiredValue"] == {"c": 2}
    assert set(central.good("PUT", f"{place}/properties", {"d": 1}, status=202)["$metadata"]) == {"d"}
    central.good("PATCH", f"{place}/components/part/properties", {"x": 1}, status=202)
    central.good("PUT", f"{place}/components/part/properties", {"y": 1}, status=202)
    assert set(central.good("GET", f"{place}/components/part/properties")["$metadata"]) == {"y"}
    assert central.good("GET", f"{place}/components")["value"] == [{"@type": ["Component"], "name": "part"}]


def test_the_last_run_is_its_owners_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, alice, bob = LastRuns(), uuid.uuid4(), uuid.uuid4()
    shown = {"id": "1", "responseCode": 200, "response": "secret"}
    runs.remember("d", "reboot", alice, shown)
    assert runs.of("d", "reboot", alice) == [shown]
    assert runs.of("d", "reboot", bob) == runs.of("d", "other", alice) == []  # the device has changed hands
    runs.remember("d", "reboot", alice, {**shown, "response": "x" * 5000})
    assert runs.of("d", "reboot", alice) == [{"id": "1", "responseCode": 200}]
    monkeypatch.setattr(central_commands, "MAX_REMEMBERED", 3)
    for n in range(5):
        runs.remember(f"d{n}", "reboot", alice, shown)
    assert [n for n in range(5) if runs.of(f"d{n}", "reboot", alice)] == [2, 3, 4]


def test_a_device_that_awaits_its_keys_gets_none_by_the_way(central: Central, name: str) -> None:
    central.good("PUT", f"/devices/{name}", {"displayName": "Later"})
    for enabled in (False, True):
        assert central.good("PATCH", f"/devices/{name}", {"enabled": enabled})["provisioned"] is False
        changed = central.service.call("PATCH", f"/api/v1/hub-devices/{name}", {"enabled": enabled})
        assert (changed.status, "primary_key" in changed.body) == (200, False)
    assert central.service.call("GET", f"/api/v1/devices/{name}/template").body["name"] == "Later"
    made = central.service.call("PATCH", f"/api/v1/hub-devices/{name}", {"new_keys": True}).body
    with HubDevice(central.service, name, decode_key(made["primary_key"])) as device:
        assert device.connack == [0]


def test_a_template_is_patched_and_keeps_the_rest(central: Central) -> None:
    template = make_template(central)
    before = central.good("GET", f"/deviceTemplates/{template}")
    patch = {"displayName": "Fan of a new kind", "description": "Better"}
    central.refused("PATCH", f"/deviceTemplates/{template}", patch, status=412, headers={"If-Match": "x"})
    after = central.good("PATCH", f"/deviceTemplates/{template}", patch, headers={"If-Match": before["etag"]})
    assert (after["displayName"], after["description"], after["@id"]) == (*patch.values(), template)
    names = [each["name"] for each in after["capabilityModel"]["contents"]]
    assert names == [each["name"] for each in before["capabilityModel"]["contents"]]
    assert central.good("PATCH", f"/deviceTemplates/{template}", patch)["etag"] == after["etag"]
    central.refused("PATCH", f"/deviceTemplates/{template}", {"capabilityModel": None}, status=400)
    central.refused("PATCH", "/deviceTemplates/dtmi:no:such;1", patch, status=404)


def test_a_template_that_has_all_its_versions_stays_as_it_is(central: Central, monkeypatch: pytest.MonkeyPatch) -> None:
    template = make_template(central)
    store = central.service.platform.documents

    def drafts() -> list[Any]:
        return [each for each in store.list("template", limit=1000).items if ":" not in each.id]

    before = drafts()
    monkeypatch.setattr(templates, "MAX_VERSIONS", 1)
    central.refused("PATCH", f"/deviceTemplates/{template}", {"displayName": "One more"}, status=409)
    assert drafts() == before


def test_modules(central: Central, name: str) -> None:
    central.good("PUT", f"/devices/{name}", {})
    key = encode_key(b"m" * 32)
    made = central.service.call(
        "POST", f"/api/v1/hub-devices/{name}/modules", {"module_id": "edge", "authentication": "sas"}
    )
    assert made.status == 200, made.raw
    assert key != made.body["primary_key"]
    place = f"/devices/{name}/modules"
    assert central.good("GET", place) == {"value": [{"@type": ["Module"], "name": "edge"}]}
    central.good("PATCH", f"{place}/edge/properties", {"speed": 5}, status=202)
    with HubDevice(central.service, f"{name}/edge", decode_key(made.body["primary_key"])) as module:
        assert module.connack == [0]
        module.send({"heat": 3})
        wait_until(lambda: central.good("GET", f"{place}/edge/telemetry/heat"), "decoded")
        done = central.good("POST", f"{place}/edge/commands/go", {"request": "x"}, status=201)
        assert done["response"] == {"called": "go", "with": "x"}
        assert central.good("GET", f"{place}/edge/commands/go")["value"] == [done]
    assert central.good("GET", f"{place}/edge/components") == {"value": []}
    central.refused("GET", f"{place}/other/properties", status=404)


def test_a_device_that_attests(central: Central, service: RunningService) -> None:
    service.service.registry.products.create(central.catalog, "Coffee", actor="test")
    service.service.registry.groups.create_defaults(central.catalog, "Coffee", actor="test")
    made = service.claimed(central.catalog, tier="simulated")
    place = f"/devices/{made.device_id}"
    shown = central.good("PATCH", place, {"displayName": "Machine 1", "simulated": True})
    assert (shown["displayName"], shown["simulated"], shown["enabled"]) == ("Machine 1", True, True)
    assert central.good("GET", f"{place}/credentials").keys() == {"idScope"}
    central.refused("PATCH", place, {"enabled": False}, status=409)
    central.refused("DELETE", place, status=409)
    central.refused("GET", f"{place}/attestation", status=409)
    assert [each["id"] for each in central.good("GET", "/devices")["value"]] == [made.device_id]


def test_a_device_that_was_made_ahead_registers_by_its_group(central: Central, name: str) -> None:
    """IoT Central's usual way: somebody names the device, it registers with a key that is derived from the group's."""
    enrolments = f"/api/v1/catalogs/{central.catalog}/hub-enrolments"
    body = {"name": fresh("g"), "group": True, "attestation": "symmetricKey"}
    group = central.service.call("POST", enrolments, body).body
    template = make_template(central)
    central.good("PUT", f"/devices/{name}", {"template": template, "displayName": "Ahead"})
    other = fresh("taken")
    central.good("PUT", f"/devices/{other}", {})
    central.good("GET", f"/devices/{other}/credentials")
    enrolled = central.service.service.hub_access.enrolments
    scope = central.good("GET", f"/devices/{other}/credentials")["idScope"]
    results = {}
    for each in (name, other):
        from armillary.wire.hub.credentials import HubCredentials  # noqa: PLC0415
        from armillary.wire.hub.provisioning import RegistrationRequest  # noqa: PLC0415

        key = derive_device_key(decode_key(group["primary_key"]), each)
        token = sign_sas_token(f"{scope}/registrations/{each}", key, int(time.time()) + 60)
        applicant = enrolled.authenticate(scope, each, HubCredentials(None, each, token))
        results[each] = enrolled.register(applicant, RegistrationRequest(each))
    assert (results[name].status, results[name].device_id) == ("assigned", name)
    assert results[other].status == "failed"  # it has keys of its own: a group's key takes no such device over
    shown = central.good("GET", f"/devices/{name}")
    assert (shown["provisioned"], shown["template"], shown["displayName"]) == (True, template, "Ahead")
    central.refused("GET", f"/devices/{name}/attestation", status=404)
    assert central.good("GET", f"/devices/{name}/credentials").keys() == {"idScope"}


@pytest.fixture(scope="module")
def tree(service: RunningService) -> dict[str, Any]:
    """Two organisations of one catalog, a device in each, a token of the first."""
    boss = Central.new(service, "Tree")
    catalog = boss.catalog
    ids = {word: fresh(word) for word in ("north", "south")}
    for word, each in ids.items():
        body = {"name": word, "catalog": catalog, "parent": None}
        assert service.call("PUT", f"/api/v1/organisations/{each}", body).status == 200
        made = boss.good("PUT", f"/devices/dev-{each}", {"organizations": [each]})
        assert made["organizations"] == [each]
    return {"boss": boss, "north": Central.of(service, catalog, organisation=ids["north"]), "ids": ids}


def test_a_token_of_an_organisation_reaches_its_own_devices(tree: dict[str, Any]) -> None:
    north, boss, ids = tree["north"], tree["boss"], tree["ids"]
    mine, theirs = f"/devices/dev-{ids['north']}", f"/devices/dev-{ids['south']}"
    assert [each["id"] for each in north.good("GET", "/devices")["value"]] == [f"dev-{ids['north']}"]
    north.good("PATCH", mine, {"displayName": "Ours"})
    north.good("PATCH", mine, {"organizations": [ids["north"]]})  # where it is already
    for path in (theirs, f"{theirs}/properties", f"{theirs}/credentials", f"{theirs}/telemetry/x"):
        north.refused("GET", path, status=404)
        boss.call("GET", path)
    north.refused("PATCH", mine, {"organizations": []}, status=403)
    north.refused("PUT", f"/devices/{fresh('new')}", {}, status=404)
    north.refused("GET", "/deviceTemplates", status=403)
    plain = Central.of(boss.service, boss.catalog, "Contributor")
    plain.refused("PATCH", mine, {"organizations": []}, status=403)
    assert boss.good("PATCH", theirs, {"organizations": []})["organizations"] == []
    foreign = fresh("foreign")
    body = {"name": "x", "catalog": boss.service.make_catalog(fresh("Other")), "parent": None}
    assert boss.service.call("PUT", f"/api/v1/organisations/{foreign}", body).status == 200
    boss.refused("PATCH", theirs, {"organizations": [foreign]}, status=404)
    boss.service.platform.organisations.assign(f"dev-{ids['south']}", foreign, by="an earlier owner")
    assert boss.good("GET", theirs)["organizations"] == []
