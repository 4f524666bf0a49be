# SPDX-License-Identifier: Apache-2.0
"""Organisations, roles, API tokens, enrolment groups and file storage in IoT Central's shape over the real API."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest
from tests.api.central_client import VERSION, Central
from tests.api.running_service import RunningService, fresh
from tests.fixtures.certificates import self_signed

from armillary.errors import ArmillaryError
from armillary.twin.central.job import iso
from armillary.wire.hub.credentials import HubCredentials
from armillary.wire.hub.sas_token import decode_key, derive_device_key, encode_key, sign_sas_token

ADMINISTRATOR, BUILDER, OPERATOR = (
    "ca310b8d-2f4a-44e0-a36e-957c202cd8d4", "344138e9-8de4-4497-8c54-5237e96d6aaf", "ae2c9854-393b-4f97-8c42-479d70ce626e",
)  # fmt: skip
ORG_VIEWER = "84cc62c1-dabe-49d3-b16e-8b291232b285"


@pytest.fixture(scope="module")
def central(service: RunningService) -> Central:
    return Central.new(service, "Access", certificates=True, symmetric_keys=True)


def test_organisations(central: Central) -> None:
    top, below = fresh("emea"), fresh("north")
    assert central.good("PUT", f"/organizations/{top}", {"displayName": "EMEA"}) == {"id": top, "displayName": "EMEA"}
    made = central.good("PUT", f"/organizations/{below}", {"displayName": "North", "parent": top})
    assert made == {"id": below, "displayName": "North", "parent": top}
    assert central.good("GET", f"/organizations/{below}") == made
    assert [each["id"] for each in central.good("GET", "/organizations")["value"]] == sorted((top, below))
    assert central.good("PATCH", f"/organizations/{below}", {"displayName": "N"})["parent"] == top
    assert central.good("PATCH", f"/organizations/{below}", {"parent": None}) == {"id": below, "displayName": "N"}
    central.good("PATCH", f"/organizations/{below}", {"parent": top})
    central.refused("PUT", f"/organizations/{top}", {"parent": below}, status=409)
    central.refused("PUT", f"/organizations/{fresh('x')}", {"parent": "nowhere"}, status=409)
    for wrong in ({"colour": 1}, {"displayName": 5}, {"id": "other"}, []):
        central.refused("PUT", f"/organizations/{top}", wrong, status=400)
    central.refused("DELETE", f"/organizations/{top}", status=409)
    device = fresh("dev")
    central.good("PUT", f"/devices/{device}", {"organizations": [below]})
    one = Central.of(central.service, central.catalog, organisation=below)
    assert [each["id"] for each in one.good("GET", "/organizations")["value"]] == [below]
    assert one.good("GET", f"/organizations/{below}")["id"] == below
    one.refused("GET", f"/organizations/{top}", status=403)
    one.refused("PUT", f"/organizations/{below}", {}, status=403)
    central.refused("DELETE", f"/organizations/{below}", status=409)


def test_roles_and_users(central: Central) -> None:
    roles = central.good("GET", "/roles")["value"]
    assert {"id": ADMINISTRATOR, "displayName": "Administrator"} in roles
    assert len(roles) == 6
    assert central.good("GET", f"/roles/{OPERATOR}") == {"id": OPERATOR, "displayName": "Operator"}
    central.refused("GET", "/roles/nobody", status=404)
    for method, path in (("GET", "/users"), ("GET", "/users/a"), ("PUT", "/users/a"), ("DELETE", "/users/a")):
        assert "tokens" in central.refused(method, path, {} if method == "PUT" else None, status=404)


def test_an_api_token_is_shown_once_works_as_it_is_and_is_revoked(central: Central) -> None:
    name = fresh("script")
    made = central.good("PUT", f"/apiTokens/{name}", {"roles": [{"role": BUILDER}]})
    token = made.pop("token")
    assert token.startswith(f"SharedAccessSignature sr={central.catalog}&sig=arm_")
    assert made["roles"] == [{"role": BUILDER}]
    assert (
        abs(time.mktime(time.strptime(made["expiry"][:19], "%Y-%m-%dT%H:%M:%S")) - time.time() - 365 * 86_400) < 90_000
    )
    path = f"/api/devices?api-version={VERSION}"
    call = central.service.call
    assert call("GET", path, token=None, headers={"Authorization": token}).status == 200
    organisations = f"/api/organizations/{fresh('x')}?api-version={VERSION}"
    assert call("PUT", organisations, {}, token=None, headers={"Authorization": token}).status == 403  # a Builder
    assert central.good("GET", f"/apiTokens/{name}") == made
    assert made in central.good("GET", "/apiTokens?maxpagesize=100")["value"]
    central.refused("PUT", f"/apiTokens/{name}", {"roles": [{"role": BUILDER}]}, status=409)
    central.good("DELETE", f"/apiTokens/{name}", status=204)
    assert call("GET", path, token=None, headers={"Authorization": token}).status == 401
    central.refused("GET", f"/apiTokens/{name}", status=404)
    central.refused("DELETE", f"/apiTokens/{name}", status=404)


def test_api_tokens_of_an_organisation_and_what_none_can_be(central: Central) -> None:
    organisation, name = fresh("org"), fresh("viewer")
    central.good("PUT", f"/organizations/{organisation}", {})
    roles = [{"role": ORG_VIEWER, "organization": organisation}]
    expiry = "2099-01-02T03:04:05.000Z"
    made = central.good("PUT", f"/apiTokens/{name}", {"roles": roles, "expiry": expiry})
    assert (made["roles"], made["expiry"]) == (roles, expiry)
    kept = next(each for each in central.service.service.tokens.list() if each.name == name)
    assert (kept.role, kept.organisation) == ("Reader", organisation)
    for wrong in (
        {}, {"roles": []}, {"roles": [{"role": "Reader"}]}, {"roles": [{"role": ORG_VIEWER}]}, {"roles": roles * 2},
        {"roles": roles, "expiry": "2001-01-01"}, {"roles": roles, "expiry": "later"}, {"roles": roles, "colour": 1},
        {"roles": [{"role": ORG_VIEWER, "organization": "nowhere"}]}, {"roles": [{"role": 5}]},
    ):  # fmt: skip
        reply = central.call("PUT", f"/apiTokens/{fresh('t')}", wrong)
        assert reply.status in (400, 404), (wrong, reply.raw)
    names = {each["id"] for each in central.good("GET", "/apiTokens?maxpagesize=100")["value"]}
    stranger = Central.new(central.service, "Other")
    assert not names & {each["id"] for each in stranger.good("GET", "/apiTokens")["value"]}
    for method in ("GET", "DELETE"):
        stranger.refused(method, f"/apiTokens/{name}", status=404)
        stranger.refused(method, f"/apiTokens/{kept.token_id}", status=404)
    stranger.refused("PUT", f"/apiTokens/{fresh('t')}", {"roles": roles}, status=404)  # an organisation of another
    central.refused("GET", f"/apiTokens/{'x' * 65}", status=404)


def test_a_token_of_one_catalog_makes_none_that_outlives_it_or_passes_for_another(
    central: Central, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, tokens = {"roles": [{"role": ADMINISTRATOR}]}, central.service.service.tokens
    ends = int(time.time()) + 3600
    brief = Central.of(central.service, central.catalog, expires_at=ends)
    made = brief.good("PUT", f"/apiTokens/{fresh('t')}", body)
    assert made["expiry"] == iso(ends)
    later = {**body, "expiry": iso(time.time() + 7200)}
    brief.refused("PUT", f"/apiTokens/{fresh('t')}", later, status=400)
    central.good("PUT", f"/apiTokens/{fresh('t')}", later)  # one that lasts may
    boss = fresh("Boss")
    tokens.create(boss, "Administrator", actor="test")
    for name in (boss, boss.upper(), "service", "planner"):
        central.refused("PUT", f"/apiTokens/{name}", body, status=409)
    free = fresh("free")
    Central.new(central.service, "Other").good("PUT", f"/apiTokens/{free}", body)
    central.good("PUT", f"/apiTokens/{free}", body)  # of another catalog nobody learns anything
    monkeypatch.setattr("armillary.service.registry.tokens._check_name", lambda *_: None)
    central.good("PUT", f"/apiTokens/{boss}", body)  # the control: the audit log would take it for the other


def test_a_time_that_no_answer_can_say_is_refused(central: Central) -> None:
    body = {"roles": [{"role": ADMINISTRATOR}]}
    for expiry in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"):
        central.refused("PUT", f"/apiTokens/{fresh('t')}", {**body, "expiry": expiry}, status=400)
    far = fresh("far")
    central.service.service.tokens.create(far, "Reader", actor="test", catalog=central.catalog, expires_at=2**40)
    assert central.good("GET", f"/apiTokens/{far}")["expiry"] == "9999-12-31T23:59:59.000Z"


def admitted(central: Central, name: str, key: bytes | None, certificate: bytes | None = None) -> bool:
    """Whether the provisioning service would let a device in."""
    scope = central.good("GET", "/enrollmentGroups")["value"][0]["idScope"]
    token = None if key is None else sign_sas_token(f"{scope}/registrations/{name}", key, int(time.time()) + 60)
    try:
        central.service.service.hub_access.enrolments.authenticate(
            scope, name, HubCredentials(certificate, name, token)
        )
    except ArmillaryError:
        return False
    return True


def test_an_enrolment_group_of_symmetric_keys(central: Central) -> None:
    name, mine = fresh("line"), {"primaryKey": encode_key(b"a" * 32), "secondaryKey": encode_key(b"b" * 32)}
    body = {"displayName": name, "enabled": True, "type": "iot", "attestation": {"type": "symmetricKey"}}
    made = central.good("PUT", f"/enrollmentGroups/{name}", body)
    keys = made["attestation"]["symmetricKey"]
    assert {each: made[each] for each in ("id", "displayName", "enabled", "type")} == {
        "id": name, "displayName": name, "enabled": True, "type": "iot",
    }  # fmt: skip
    assert admitted(central, "d1", derive_device_key(decode_key(keys["secondaryKey"]), "d1"))
    shown = central.good("GET", f"/enrollmentGroups/{name}")
    assert shown["attestation"]["symmetricKey"] == {"primaryKey": "", "secondaryKey": ""}
    assert [each["id"] for each in central.good("GET", "/enrollmentGroups?maxpagesize=100")["value"]].count(name) == 1
    other = fresh("line")
    given = {"type": "symmetricKey", "symmetricKey": mine}
    assert central.good("PUT", f"/enrollmentGroups/{other}", {**body, "attestation": given})["attestation"] == given
    assert admitted(central, "d2", derive_device_key(b"a" * 32, "d2"))
    changed = central.good(
        "PATCH", f"/enrollmentGroups/{other}", {"enabled": False}, headers={"If-Match": shown["etag"]}, status=412
    )
    assert "etag" not in changed
    central.good("PATCH", f"/enrollmentGroups/{other}", {"enabled": False})
    assert not admitted(central, "d2", derive_device_key(b"a" * 32, "d2"))
    central.refused("PUT", f"/enrollmentGroups/{other}", body, status=409)
    for wrong in (
        {"attestation": {"type": "tpm"}}, {"type": "iotEdge"}, {"colour": 1}, {"id": "other"}, {"attestation": None},
        {"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": "x"}}}, {"enabled": "yes"},
    ):  # fmt: skip
        central.refused("PUT", f"/enrollmentGroups/{fresh('w')}", {**body, **wrong}, status=400)
    central.refused("PATCH", f"/enrollmentGroups/{other}", {"attestation": {"type": "x509"}}, status=400)
    shut = fresh("shut")
    closed = central.good("PUT", f"/enrollmentGroups/{shut}", {**body, "enabled": False, "attestation": given})
    assert closed["enabled"] is False
    lines = [line.operation for line in central.service.service.audit.list(limit=20).items if line.target == shut]
    assert lines == ["hub-enrolment.create"]  # in one step: at no time could a device register
    assert not admitted(central, "d3", derive_device_key(b"a" * 32, "d3"))
    central.good("DELETE", f"/enrollmentGroups/{other}", status=204)
    central.refused("GET", f"/enrollmentGroups/{other}", status=404)


def test_an_authority_comes_later_and_lets_nobody_in_before_its_proof(central: Central, tmp_path: Path) -> None:
    name = fresh("factory")
    _, pem, authority = self_signed(tmp_path, f"Factory {name}", authority=True)
    leaf = self_signed(tmp_path, f"dev-{name}", issuer=authority)[2][1]
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - only here

    der = leaf.public_bytes(Encoding.DER)
    body = {"displayName": name, "type": "iot", "attestation": {"type": "x509"}}
    made = central.good("PUT", f"/enrollmentGroups/{name}", body)
    assert made["attestation"] == {"type": "x509"}
    assert not admitted(central, f"dev-{name}", None, der)
    place = f"/enrollmentGroups/{name}/certificates/primary"
    for method, path in (("GET", place), ("POST", f"{place}/generateVerificationCode"), ("DELETE", place)):
        central.refused(method, path, status=404)
    encoded = base64.b64encode(pem.encode()).decode()
    shown = central.good("PUT", place, {"certificate": encoded, "verified": True})
    assert shown["verified"] is False
    assert len(shown["info"]["sha1Thumbprint"]) == 40
    assert not admitted(central, f"dev-{name}", None, der)  # whatever the body said
    code = central.good("POST", f"{place}/generateVerificationCode")["verificationCode"]
    _, stranger, _ = self_signed(tmp_path, code)
    central.refused("POST", f"{place}/verify", {"certificate": stranger}, status=400)
    _, proof, _ = self_signed(tmp_path, code, issuer=authority)
    assert central.good("POST", f"{place}/verify", {"certificate": proof}, status=204) is None
    assert central.good("GET", place)["verified"] is True
    assert central.good("GET", f"/enrollmentGroups/{name}")["attestation"]["x509"]["signingCertificates"].keys() == {
        "primary"
    }
    assert admitted(central, f"dev-{name}", None, der)
    central.refused("POST", f"{place}/generateVerificationCode", status=409)
    central.refused("PUT", place.replace("primary", "secondary"), {"certificate": pem}, status=400)
    central.refused("PUT", place, {"certificate": proof}, status=400)  # no authority
    _, other, _ = self_signed(tmp_path, f"Other {name}", authority=True)
    assert central.good("PUT", place, {"certificate": other})["verified"] is False
    assert not admitted(central, f"dev-{name}", None, der)
    central.good("DELETE", place, status=204)
    central.refused("GET", place, status=404)
    again = fresh("factory")  # the name of the first authority is free again
    attestation = {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": pem}}}}
    made = central.good("PUT", f"/enrollmentGroups/{again}", {**body, "attestation": attestation, "displayName": again})
    assert made["attestation"]["x509"]["signingCertificates"]["primary"]["verified"] is False


def test_files_are_kept_here(central: Central) -> None:
    shown = central.good("GET", "/fileUploads")
    assert (shown["state"], shown["sasTtl"], shown["connectionString"]) == ("succeeded", "PT1H", "")
    for method in ("PUT", "PATCH", "DELETE"):
        central.refused(method, "/fileUploads", {} if method != "DELETE" else None, status=409)
