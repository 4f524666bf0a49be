# SPDX-License-Identifier: Apache-2.0
"""Native routes: manufacture, devices, findings, releases, audit, tokens, status, description, problems."""

from __future__ import annotations

import base64
import re
import time
import uuid
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from tests.api.running_service import RunningService, application, device_request, fresh, fresh_os_version, wait_until

from armillary.api.native.service.requests import FactoryBody
from armillary.api.native.service.tpm import TpmDeviceBody
from armillary.errors import DataFolderError
from armillary.sim.device.wire_device import components_of
from armillary.wire.image import package as image_package

PROTOCOL = Path(__file__).parents[4] / "docs" / "reference" / "device-protocol.md"


def _uploaded(service: RunningService, catalog: str) -> str:
    _, package = application()
    return str(service.service.updates.images.upload(catalog, package, actor="test").image_id)


def _issued(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, InvalidSignature):
        return False
    return True


# -- manufacture and devices -------------------------------------------------------------------------------------


def test_manufacture_gives_a_device_all_it_will_trust(service: RunningService) -> None:
    reply = service.call("POST", "/api/v1/factory/devices", {"csr": device_request(), "chip": "mt3620"})
    assert reply.status == 201
    made = reply.body
    assert set(made) == {
        "device_id", "identity_certificate", "service_root", "trusted_os_certificates", "trusted_image_certificates",
        "os_version", "boot_components", "device_endpoint", "service_name", "repository_root", "time",
    }  # fmt: skip
    (leaf,) = (x509.load_pem_x509_certificate(pem.encode()) for pem in made["identity_certificate"])
    silicon = service.service.authority.silicon.certificates()
    assert any(_issued(leaf, x509.load_der_x509_certificate(der)) for der in silicon)
    root = x509.load_pem_x509_certificate(made["service_root"].encode())
    for pem in made["trusted_os_certificates"] + made["trusted_image_certificates"]:
        x509.load_pem_x509_certificate(pem.encode()).verify_directly_issued_by(root)
    packages = {item["name"]: base64.b64decode(item["package"]) for item in made["boot_components"]}
    assert len(components_of(packages)) == len(packages) > 0
    assert made["device_endpoint"] == f"https://localhost:{service.service.device_address.port}"
    shown = service.call("GET", f"/api/v1/devices/{made['device_id'].upper()}").body
    assert (shown["trust_tier"], shown["health"], shown["catalog"]) == ("software", "never", None)
    assert shown["last_check_in"] is None


def test_what_the_protocols_document_says_of_the_factory_is_so(service: RunningService) -> None:
    section = PROTOCOL.read_text("utf-8").partition("## Enrolment at the factory")[2].partition("\n## ")[0]
    asked, answered, *_ = section.split("| member | what it is |")[1:]
    made = service.call("POST", "/api/v1/factory/devices", {"csr": device_request(), "chip": "mt3620"}).body
    assert set(re.findall(r"^\| `(\w+)` \|", answered, re.MULTILINE)) == set(made)
    assert set(re.findall(r"^\| `(\w+)` \|", asked, re.MULTILINE)) == set(FactoryBody.model_fields)
    named = set(re.findall(r"`(\w+)`", section.partition("**With a TPM**")[2]))
    assert set(TpmDeviceBody.model_fields) | {"credential_blob", "encrypted_seed"} <= named
    # The event log that the section describes is the one that the release expects, in its order.
    of_chip = service.service.releases.list(chip="mt3620")  # other tests have added some
    (release,) = [each for each in of_chip if each.version == made["os_version"]]
    expected = [(each.name, each.image_type, each.image_id, each.digest) for each in release.components]
    parsed = [(each["name"], base64.b64decode(each["package"])) for each in made["boot_components"]]
    events = [(name, image_package.parse(package), sha256(package).digest()) for name, package in parsed]
    assert [(name, each.image_type, each.image_id, digest) for name, each, digest in events] == expected


def test_the_factory_says_the_tier_and_cannot_say_silicon(service: RunningService) -> None:
    body = {"csr": device_request(), "chip": "mt3620", "trust_tier": "simulated"}
    made = service.call("POST", "/api/v1/factory/devices", body).body
    assert service.call("GET", f"/api/v1/devices/{made['device_id']}").body["trust_tier"] == "simulated"
    body = {"csr": device_request(), "chip": "mt3620", "trust_tier": "silicon"}
    assert service.call("POST", "/api/v1/factory/devices", body).status == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"csr": "nothing", "chip": "mt3620"},
        {"csr": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "chip": "mt3620"},
        {"csr": "x" * 9000, "chip": "mt3620"},
        {"csr": 1, "chip": "mt3620"},
    ],
)
def test_manufacture_of_nonsense(service: RunningService, body: dict[str, Any]) -> None:
    assert service.call("POST", "/api/v1/factory/devices", body).status == 400


def test_manufacture_of_an_unknown_chip(service: RunningService) -> None:
    reply = service.call("POST", "/api/v1/factory/devices", {"csr": device_request(), "chip": "z80"})
    assert (reply.status, reply.body["code"]) == (404, "request.not-found")


def test_the_same_key_is_the_same_device(service: RunningService) -> None:
    body = {"csr": device_request(), "chip": "mt3620"}
    first = service.call("POST", "/api/v1/factory/devices", body).body
    again = service.call("POST", "/api/v1/factory/devices", body)
    assert (again.status, again.body["device_id"]) == (201, first["device_id"])
    other = service.call("POST", "/api/v1/factory/devices", {**body, "chip": "imx8mp"})
    assert (other.status, other.body["code"]) == (409, "request.conflict")


def test_a_device_shows_why_it_is_trusted(service: RunningService, catalog: str) -> None:
    device = service.claimed(catalog)
    path = f"/api/v1/devices/{device.device_id}"
    with device:
        device.check_in()
    shown = service.call("GET", path).body
    assert (shown["health"], shown["verdict"], shown["os_version"]) == (
        "attested",
        "attested",
        device.factory.os_version,
    )
    steps = shown["last_check_in"]["steps"]
    assert [step["number"] for step in steps] == list(range(1, len(steps) + 1))
    without_tpm = {step["name"] for step in steps if step["result"] == "not-run"}
    assert without_tpm == {"tpm quote", "firmware log"}
    assert {step["result"] for step in steps if step["name"] not in without_tpm} == {"pass"}
    assert all(step["name"] and step["prevents"] for step in steps)
    (check_in,) = service.call("GET", f"{path}/check-ins").body["items"]
    assert check_in == shown["last_check_in"]
    assert service.call("GET", f"{path}/refusals").body == {"items": [], "next": None}
    assert service.call("GET", f"{path}/outcomes").body == {"items": [], "next": None}
    assert service.call("GET", f"{path}/error-reports").body == {"items": [], "next": None}


def test_a_held_device_is_shown_and_released(service: RunningService, catalog: str) -> None:
    device = replace(service.claimed(catalog), lineage=b"")
    path = f"/api/v1/devices/{device.device_id}"
    with device:
        assert device.check_in().verdict == "attested"
        assert service.call("GET", path).body["held_at"] is None
        assert service.call("POST", f"{path}/release").status == 409
        device.check_in()
        attested_at = service.call("GET", path).body["last_attested_at"]
        assert attested_at == service.call("GET", path).body["last_check_in_at"]
        time.sleep(1.1)  # the records count seconds
        device.lineage, device.challenge = b"", b""  # as if its storage were from before the first check-in
        assert device.check_in().verdict == "update-only"
        shown = service.call("GET", path).body
        assert shown["held_at"] == shown["last_check_in_at"] > shown["last_attested_at"] == attested_at
        (failed,) = [step for step in shown["last_check_in"]["steps"] if step["result"] == "fail"]
        assert (failed["name"], "two machines" in failed["detail"]) == ("lineage", True)
        assert service.call("POST", f"{path}/release").body["held_at"] is None
        assert device.check_in().verdict == "attested"


def test_revoking_shuts_a_device_out_and_restoring_lets_it_in(service: RunningService, catalog: str) -> None:
    device = service.claimed(catalog)
    path = f"/api/v1/devices/{device.device_id}"
    assert service.call("POST", f"{path}/revoke", {}).status == 400
    for unkept, named in (("sto\0len", "U+0000"), ("two\nlines", "U+000A"), ("", "")):
        refused = service.call("POST", f"{path}/revoke", {"reason": unkept})
        [wrong] = refused.body["invalid_params"]
        assert (refused.status, wrong["name"], named in wrong["reason"]) == (400, "reason", True)
    revoked = service.call("POST", f"{path}/revoke", {"reason": "stolen"})
    assert (revoked.body["health"], revoked.body["revoked_reason"]) == ("revoked", "stolen")
    assert service.call("POST", f"{path}/revoke", {"reason": "again"}).status == 409
    with device:
        assert device.exchange("GET", "/v1/challenge").status == 403
    refused = wait_until(lambda: service.call("GET", f"{path}/refusals").body["items"], "the refusal to be recorded")
    assert refused[0]["code"] == "device.revoked"
    assert service.call("POST", f"{path}/restore").body["revoked_at"] is None
    with device:
        device.check_in()
    lines = service.call("GET", "/api/v1/audit?limit=1000").body["items"]
    mine = [line["operation"] for line in lines if line["target"] == device.device_id]
    assert mine[:2] == ["device.restore", "device.revoke"]


def sorted_ids(service: RunningService, query: str) -> list[str]:
    """Ids of the devices on all pages of a sorted list."""
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = service.call("GET", f"/api/v1/devices?{query}&limit=2{after and f'&after={quote(after)}'}").body
        found += [item["device_id"] for item in page["items"]]
        after = page["next"]
    return found


def test_devices_are_filtered_and_paged(service: RunningService, catalog: str) -> None:
    devices = [service.claimed(catalog) for _ in range(3)]
    lone = service.claimed(catalog, "Development")
    with devices[0] as device:
        device.check_in()
    found: list[str] = []
    after = ""
    while True:
        page = service.call("GET", f"/api/v1/devices?catalog={catalog}&group=Production&limit=2{after}").body
        found += [item["device_id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == sorted(device.device_id for device in devices)
    assert sorted_ids(service, f"catalog={catalog}&sort=name") == sorted([*found, lone.device_id])  # named by their ids
    assert sorted_ids(service, f"catalog={catalog}&sort=last_check_in_at")[0] == devices[0].device_id
    assert sorted_ids(service, f"catalog={catalog}&sort=-group")[-1] == lone.device_id
    for query, ids in (
        ("health=attested", [devices[0].device_id]),
        ("group=development", [lone.device_id]),
        (f"text={lone.device_id[:20].upper()}", [lone.device_id]),
        ("claimed=false", []),
        ("chip=imx8mp", []),
        ("tier=software&group=Development", [lone.device_id]),
        ("tier=simulated", []),
        ("verdict=attested", [devices[0].device_id]),
        (f"os_version={devices[0].factory.os_version}", [devices[0].device_id]),
    ):
        listed = service.call("GET", f"/api/v1/devices?catalog={catalog}&{query}").body["items"]
        assert [item["device_id"] for item in listed] == ids, query


@pytest.mark.parametrize(
    "query",
    [
        "health=splendid",
        "text=xyz",
        "limit=0",
        "limit=1001",
        "limit=x",
        "claimed=perhaps",
        "image=1",
        "chip=" + "a" * 65,
        "sort=installed",
        "sort=--name",
        "sort=name&after=" + "a" * 128,
        "sort=name&after=%5B%22%5Cu0000%22,1%5D",
    ],
)
def test_filters_that_make_no_sense(service: RunningService, query: str) -> None:
    reply = service.call("GET", f"/api/v1/devices?{query}")
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.body["remedy"]


@pytest.mark.parametrize("device_id", ["a%20b", "g" * 129, "%C3%A4", "a%2Cb"])
def test_ids_that_are_none(service: RunningService, device_id: str) -> None:
    assert service.call("GET", f"/api/v1/devices/{device_id}").status == 400
    assert service.call("POST", f"/api/v1/devices/{device_id}/restore").status == 400


@pytest.mark.parametrize("device_id", ["x", "g" * 128, "0" * 127])
def test_ids_that_no_device_has(service: RunningService, device_id: str) -> None:
    assert service.call("GET", f"/api/v1/devices/{device_id}").status == 404
    assert service.call("POST", f"/api/v1/devices/{device_id}/restore").status == 404


def test_devices_that_do_not_exist(service: RunningService) -> None:
    for tail in ("", "/check-ins", "/outcomes", "/error-reports", "/deployment", "/telemetry", "/twin"):
        reply = service.call("GET", f"/api/v1/devices/{'0' * 128}{tail}")
        assert (reply.status, reply.body["code"]) == (404, "request.not-found"), tail


def test_the_fleet_in_numbers(service: RunningService, catalog: str) -> None:
    device = service.claimed(catalog)
    with device:
        device.check_in()
    service.claimed(catalog)
    fleet = service.call("GET", f"/api/v1/fleet?catalog={catalog}").body
    assert fleet["devices"] == 2
    assert {word: count for word, count in fleet["health"].items() if count} == {"attested": 1, "never": 1}
    assert fleet["tiers"] == {"software": 2}
    assert service.call("GET", "/api/v1/fleet").body["devices"] >= 2
    assert service.call("GET", "/api/v1/fleet?catalog=Absent").status == 404


# -- deployments and roll-outs -----------------------------------------------------------------------------------


def test_why_a_device_does_not_run_its_deployment(service: RunningService, catalog: str) -> None:
    device = service.claimed(catalog)
    path = f"/api/v1/devices/{device.device_id}/deployment"
    assert service.call("GET", path).body["status"] == "none"
    image = uuid.UUID(_uploaded(service, catalog))
    service.service.updates.deployments.create(catalog, "Coffee", "Production", [image], actor="test")
    assert service.call("GET", path).body["status"] == "unknown"
    with device:
        device.check_in()
    state = service.call("GET", path).body
    told = "The device was offered the images; it reports them when their trial has ended."
    assert (state["status"], state["reason"]) == ("waiting", told)
    assert state["images"] == [
        {"state": None, "name": "Blink", "version": "", "image_id": str(image), "wanted": True, "installed": False}
    ]
    service.service.registry.lifecycle.revoke(device.device_id, reason="test", actor="test")
    assert service.call("GET", path).body["reason"] == "The device is revoked."


# -- findings, releases, audit, tokens ---------------------------------------------------------------------------


def test_a_finding_is_acknowledged_and_closed(service: RunningService, catalog: str) -> None:
    device = service.claimed(catalog)
    with device:
        body = device.request_body()
        assert device.exchange("POST", "/v1/check-in", body).status == 200
        assert device.exchange("POST", "/v1/check-in", body).status == 401  # the same proof again
    query = f"/api/v1/findings?device={device.device_id}&kind=proof-replayed"
    (found,) = wait_until(lambda: service.call("GET", query).body["items"], "the watch to see the replay")
    path = f"/api/v1/findings/{found['finding_id']}"
    assert service.call("GET", path).body == found
    assert found["status"] == "open"
    assert service.call("POST", f"{path}/acknowledge").body["status"] == "acknowledged"
    assert service.call("POST", f"{path}/close").body["status"] == "closed"
    assert service.call("POST", f"{path}/close").status == 409
    assert service.call("GET", f"{query}&status=living").body["items"] == []
    assert service.call("GET", "/api/v1/findings?status=strange").status == 400
    assert service.call("GET", f"/api/v1/findings/{uuid.uuid4()}").status == 404


def test_a_release_is_published_and_shown(service: RunningService) -> None:
    version = fresh_os_version()
    made = service.call("POST", "/api/v1/releases", {"chip": "imx8mp", "version": version, "feed": "RetailEval"})
    assert made.status == 201
    first = service.call("GET", "/api/v1/releases?chip=imx8mp").body["items"][-1]
    assert {part["security_version"] for part in made.body["components"]} == {
        part["security_version"] for part in first["components"]
    }
    assert all(len(part["digest"]) == 64 for part in made.body["components"])
    assert service.call("GET", f"/api/v1/releases/{made.body['release_id']}").body == made.body
    assert service.call("POST", "/api/v1/releases", {"chip": "imx8mp", "version": version}).status == 409
    assert service.call("POST", "/api/v1/releases", {"chip": "z80", "version": "1"}).status == 404


def test_a_security_floor_only_rises(service: RunningService) -> None:
    body = {"chip": "imx8mp", "image_type": 1, "minimum": 1}
    part = service.call("GET", "/api/v1/releases?chip=imx8mp").body["items"][0]["components"][0]
    body["image_type"] = part["image_type"]
    assert service.call("POST", "/api/v1/security-floors", body).body["minimum"] == 1
    assert service.call("POST", "/api/v1/security-floors", {**body, "minimum": 0}).status == 409
    assert service.call("POST", "/api/v1/security-floors", {**body, "minimum": 31}).status == 400
    floors = service.call("GET", "/api/v1/security-floors?chip=imx8mp").body["items"]
    assert [(floor["image_type"], floor["minimum"]) for floor in floors] == [(part["image_type"], 1)]


def test_the_audit_log_names_the_operator_and_verifies(service: RunningService, catalog: str) -> None:
    token = service.token_of("Contributor")
    path = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.AzureSphere/catalogs"
    service.call("PUT", f"{path}/{catalog}/products/Audited?api-version=2024-04-01", {}, token=token)
    first = service.call("GET", "/api/v1/audit?limit=2").body
    line = first["items"][0]
    assert (line["actor"], line["operation"], line["target"]) == (
        "Contributor-token",
        "product.create",
        f"{catalog}/Audited",
    )
    assert line["previous_hash"] == first["items"][1]["hash"]
    second = service.call("GET", f"/api/v1/audit?limit=2&after={first['next']}").body
    assert second["items"][0]["number"] == first["items"][1]["number"] - 1
    of_product = service.call("GET", f"/api/v1/audit?target={catalog}/Audited").body
    assert of_product == {"items": [line], "next": None}
    verified = service.call("GET", "/api/v1/audit/verification").body
    assert (verified["broken_at"], verified["head"]) == (None, line["hash"])
    assert service.call("GET", "/api/v1/audit?after=x").status == 400


def test_tokens_show_their_secret_once(service: RunningService) -> None:
    made = service.call("POST", "/api/v1/tokens", {"name": "ci", "role": "Contributor", "lifetime_s": 3600})
    assert made.status == 201
    assert service.call("GET", "/api/v1/me", token=made.body["secret"]).body["name"] == "ci"
    listed = service.call("GET", "/api/v1/tokens")
    assert made.body["secret"] not in listed.raw.decode()
    mine = next(item for item in listed.body["items"] if item["token_id"] == made.body["token_id"])
    assert mine["expires_at"] == mine["created_at"] + 3600
    for body in (
        {"name": "x", "role": "root"},
        {"name": "", "role": "Reader"},
        {"name": "x"},
        {"name": "x", "role": "Reader", "lifetime_s": 1},
    ):
        assert service.call("POST", "/api/v1/tokens", body).status == 400
    assert service.call("DELETE", f"/api/v1/tokens/{uuid.uuid4()}").status == 404


# -- the service itself ------------------------------------------------------------------------------------------


def test_status_says_how_each_part_is(service: RunningService) -> None:
    wait_until(lambda: service.call("GET", "/api/v1/status").body["status"] == "ok", "the service to be well")
    found = service.call("GET", "/api/v1/status").body
    assert [check["name"] for check in found["checks"]] == [
        "records", "hub", "rules", "device-endpoint", "verifier", "planner", "watch", "disk", "repository",
        "advisories", "notifications", "server-certificate",
    ]  # fmt: skip
    assert found["device_endpoint"] == f"https://localhost:{service.service.device_address.port}"
    assert found["hub"] == f"mqtts://localhost:{service.hub_port}"


def test_metrics_are_the_fleets_own_numbers(service: RunningService, catalog: str) -> None:
    service.claimed(catalog)
    reply = service.call("GET", "/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = dict(line.rsplit(" ", 1) for line in reply.raw.decode().splitlines() if line and not line.startswith("#"))
    fleet = service.call("GET", "/api/v1/fleet").body
    assert float(lines['armillary_devices{health="never"}']) == fleet["health"]["never"]
    assert (lines["armillary_notifications_channels"], lines["armillary_notifications_dropped_total"]) == ("0.0", "0.0")
    assert float(lines["armillary_devices_unclaimed"]) == fleet["unclaimed"]
    assert "armillary_hub_connected" in lines
    assert lines['armillary_device_workers{state="ready"}'] == "0.0"  # this service serves devices itself


def test_status_and_metrics_show_lines_that_the_audit_log_does_not_take(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_entries: object) -> None:
        raise DataFolderError("the disk refuses", remedy="Wait.")

    with monkeypatch.context() as broken:
        broken.setattr(service.service.audit.outboxes, "append", away)
        group = fresh("group")
        assert service.call("PUT", f"/api/v1/groups/{group}", {"name": "Untold"}).status == 200
        assert service.call("GET", "/api/v1/status").body["checks"][0]["status"] == "degraded"
        assert "armillary_hub_audit_lines_waiting 1.0" in service.call("GET", "/metrics").raw.decode()
        assert service.call("GET", f"/api/v1/audit?target={group}").body["items"] == []
    (line,) = service.call("GET", f"/api/v1/audit?target={group}").body["items"]
    assert line["operation"] == "group.put"
    assert service.call("GET", "/api/v1/status").body["checks"][0]["status"] == "ok"


def test_metrics_show_each_device_worker(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = [
        {"number": 0, "pid": 7, "state": "ready", "restarts": 0, "connections": 3, "check_ins": 40},
        {"number": 1, "pid": 8, "state": "starting", "restarts": 2, "connections": 0, "check_ins": 5},
    ]
    monkeypatch.setattr(service.service.serving, "describe_workers", lambda: workers)
    text = service.call("GET", "/metrics").raw.decode()
    for line in (
        'armillary_device_workers{state="ready"} 1.0',
        'armillary_device_workers{state="starting"} 1.0',
        'armillary_device_worker_connections{worker="0"} 3.0',
        'armillary_device_worker_restarts{worker="1"} 2.0',
        'armillary_device_worker_check_ins_total{worker="0"} 40.0',
    ):
        assert line in text.splitlines(), line
