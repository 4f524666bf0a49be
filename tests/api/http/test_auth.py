# SPDX-License-Identifier: Apache-2.0
"""Every route needs a token of its role, except the declared public ones; nothing is read before that is known."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import pytest
from starlette.requests import Request
from tests.api.running_service import RunningService

from armillary.api.app import SHAPES
from armillary.api.central import table as central_table
from armillary.api.central.route import CentralRoute
from armillary.api.hawkbit.call import ROOT as DDI
from armillary.api.http import auth, route as rows
from armillary.api.http.routes import DeferredRoute
from armillary.api.http.shape import Shape, Shapes
from armillary.api.native.shape import SHAPE
from armillary.errors import PermissionDeniedError, UnauthenticatedError

PUBLIC_ROUTES = {
    "PUT /device-files/{path:path}",  # its address is signed: tests/hub/devices/test_file_upload.py
    "GET /api/v1/health",
    "GET /api/v1/openapi.json",
    # For web servers of others: authorities that every device shows, and random serial numbers.
    "GET /api/v1/public/root.pem",  # what every handshake with this service leads to
    "GET /api/v1/public/crl/{authority}.crl",
    "GET /api/v1/public/catalogs/{catalog_id}/crl.pem",
    "GET /api/v1/public/catalogs/{catalog_id}/chain.pem",
    # For strangers who report a vulnerability: tests/attacks/test_disclosure_attacks.py
    "GET /.well-known/security.txt",
    "GET /vulnerability-report",
    "POST /vulnerability-report",
    "POST /api/v1/public/vulnerability-reports",
}
SCRAPE_ROUTES = {"GET /metrics"}
FACTORY_ROUTES = {
    "GET /api/v1/factory/releases",
    *(f"POST /api/v1/factory/{name}" for name in ("devices", "tpm-challenges", "tpm-devices")),
}
# hawkBit's DDI: who asks is a controller with a token or certificate of its own (tests/attacks/test_bridge_attacks.py).
CONTROLLER_ROUTES = {
    f"{method} {DDI}{place}"
    for method, place in (
        ("GET", ""), ("GET", "/deploymentBase/{action}"), ("POST", "/deploymentBase/{action}/feedback"),
        ("GET", "/installedBase/{action}"), ("GET", "/cancelAction/{action}"),
        ("POST", "/cancelAction/{action}/feedback"), ("PUT", "/configData"), ("GET", "/confirmationBase"),
        ("GET", "/softwaremodules/{module}/artifacts"), ("GET", "/softwaremodules/{module}/artifacts/{filename}"),
        ("HEAD", "/softwaremodules/{module}/artifacts/{filename}"),
    )
}  # fmt: skip
_V1, _CATALOG = "/api/v1", "/api/v1/catalogs/{catalog}"
_AZURE = (
    "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.AzureSphere/catalogs/{catalog}"
)
_PRODUCT = f"{_AZURE}/products/{{product}}"
# Who may do what, said a second time by hand: the table is compared with this, and callers are tried by this. Whoever
# changes a role has to say so here. An Administrator changes who and what is trusted:
ADMINISTRATORS = {
    "POST /api/v1/log-witnesses", "POST /api/v1/log-witnesses/remove", "POST /api/v1/advisory-feed-keys",
    "POST /api/v1/notification-channels", "DELETE /api/v1/notification-channels/{channel_id}",
    "PATCH /api/v1/notification-channels/{channel_id}",
    "DELETE /api/v1/advisory-feed-keys/{key_id}", "PUT /api/v1/advisory-feeds/{feed_name}/max-age",
    f"DELETE {_AZURE}",
    f"POST {_AZURE}/certificates/{{serial}}/retrieveProofOfPossessionNonce",
    f"POST {_PRODUCT}/deviceGroups/{{device_group}}/devices/{{device}}/generateCapabilityImage",
    *(f"{method} /api/apiTokens/{{token}}" for method in ("GET", "PUT", "DELETE")), "GET /api/apiTokens",
    *(f"{method} /api/fileUploads" for method in ("PUT", "PATCH", "DELETE")),
    *(f"{method} /api/organizations/{{organisation}}" for method in ("PUT", "PATCH", "DELETE")),
    *(f"{method} {_V1}/organisations/{{organisation}}" for method in ("PUT", "DELETE")),
    f"PUT {_V1}/devices/{{device_id}}/organisation",
    f"GET {_V1}/people", f"POST {_V1}/people", f"GET {_V1}/people/{{person_id}}", f"DELETE {_V1}/people/{{person_id}}",
    *(f"POST {_V1}/people/{{person_id}}/{step}" for step in ("disable", "enable", "grants")),
    f"DELETE {_V1}/people/{{person_id}}/grants/{{grant_id}}",
    f"GET {_V1}/sessions", f"DELETE {_V1}/sessions/{{session_id}}",
    f"GET {_V1}/tokens", f"POST {_V1}/tokens", f"DELETE {_V1}/tokens/{{token_id}}",
    f"GET {_CATALOG}/hub-service-keys", f"POST {_CATALOG}/hub-service-keys",
    f"DELETE {_CATALOG}/hub-service-keys/{{name}}",
    f"PUT {_CATALOG}/rollout-approval", f"PUT {_CATALOG}/action-approval",
    *(f"POST {_V1}/playbooks/{{playbook}}/{verb}" for verb in ("enable", "disable")),
    f"PATCH {_V1}/disclosure", f"DELETE {_V1}/disclosure",
    f"PATCH {_CATALOG}/hub-admission", f"PATCH {_CATALOG}/attestation-policy",
    f"PATCH {_CATALOG}/bridge-admission", f"POST {_CATALOG}/bridge-authorities",
    f"DELETE {_CATALOG}/bridge-authorities/{{fingerprint}}",
    f"POST {_CATALOG}/attestation-policy/firmware", f"DELETE {_CATALOG}/attestation-policy/firmware/{{statement_id}}",
    f"POST {_V1}/releases", f"POST {_V1}/releases/corim", f"POST {_V1}/releases/{{release_id}}/expiry",
    f"POST {_V1}/releases/{{release_id}}/withdraw", f"POST {_V1}/security-floors", f"POST {_V1}/releases/drafts",
    *(f"POST {_V1}/releases/{{release_id}}/{step}" for step in (
        "sign", "publish", "promote", "sbom", "rollout", "rollout-preview")),
    f"POST {_V1}/os-feeds", f"DELETE {_V1}/os-feeds/{{feed}}",
    f"DELETE {_V1}/repository/waiting", f"POST {_V1}/repository/key-changes", f"POST {_V1}/repository/signatures",
    f"POST {_V1}/repository/clock-corrections",
    f"POST {_V1}/signing-keys/renew", f"POST {_V1}/signing-keys/use", f"DELETE {_V1}/signing-keys/{{key_serial}}",
    f"POST {_V1}/service-authorities/renew", f"POST {_V1}/application/import", f"PUT {_V1}/telemetry/retention",
}  # fmt: skip
# A Reader sees; some of it is asked with another verb, and there are no users to change:
READ_OTHERWISE = {
    *(f"{method} /api/users/{{user}}" for method in ("PUT", "PATCH", "DELETE")),
    f"DELETE {_V1}/me/sessions/{{session_id}}",
    "POST /api/query", f"POST {_V1}/group-preview", f"POST {_V1}/logs/{{log}}/proof",
    f"POST {_V1}/playbook-check",
    "POST /iothub/configurations/testQueries", "POST /iothub/devices/query",
    *(f"POST /prometheus/api/v1/{name}" for name in ("labels", "query", "query_exemplars", "query_range", "series")),
    f"POST {_AZURE}/certificates/{{serial}}/retrieveCertChain",
    *(f"POST {_AZURE}/{verb}" for verb in (
        "countDevices", "listDeployments", "listDeviceGroups", "listDeviceInsights", "listDevices")),
    f"POST {_PRODUCT}/countDevices", f"POST {_PRODUCT}/deviceGroups/{{device_group}}/countDevices",
}  # fmt: skip
# Everybody else who changes something is a Contributor; so is who gets a device's keys, what was in its memory, or its log.
KEYS_SHOWN = {
    "GET /api/devices/{device_id}/credentials",
    f"GET {_V1}/crash-dumps/{{dump_id}}", f"GET {_V1}/crash-dumps/{{dump_id}}/content",
    f"GET {_V1}/devices/{{device_id}}/log/lines",
}  # fmt: skip
FILLED = {
    "subscription": "s", "resource_group": "rg", "catalog": "Absent", "product": "Absent", "device_group": "Absent",
    "device": "0" * 128, "device_id": "0" * 128, "deployment": ".default", "serial": ".default", "location": "GLOBAL",
    "image": str(uuid.uuid4()), "operation": "x", "method": "m", "rest:path": "nothing/here",
}  # fmt: skip


def _path(template: str) -> str:
    path = template
    for name, value in FILLED.items():
        path = path.replace("{" + name + "}", value)
    while "{" in path:
        start, end = path.index("{"), path.index("}")
        path = path[:start] + str(uuid.uuid4()) + path[end + 1 :]
    if template.startswith((_V1, "/metrics")):
        return path
    version = "2022-10-31-preview" if central_table.is_central(template) else "2024-04-01"
    return f"{path}?api-version={version}"


def needed(key: str) -> str:
    """The role that a route needs, by what it does."""
    for routes, role in (
        (PUBLIC_ROUTES, rows.PUBLIC), (SCRAPE_ROUTES, rows.SCRAPE), (FACTORY_ROUTES, rows.FACTORY),
        (CONTROLLER_ROUTES, rows.CONTROLLER),
        (ADMINISTRATORS, "Administrator"), (READ_OTHERWISE, "Reader"), (KEYS_SHOWN, "Contributor"),
    ):  # fmt: skip
        if key in routes:
            return role
    return "Reader" if key.startswith("GET ") or "{rest:path}" in key else "Contributor"


ACCESS = {key: row.role for key, row in SHAPES.routes.items()}
ROLES = {key: needed(key) for key in ACCESS}


def test_the_mounted_routes_are_exactly_those_of_the_table(service: RunningService) -> None:
    mounted = {
        f"{method} {route.path}"
        for each in service.app.routes
        if isinstance(each, DeferredRoute)
        for route in (each.analyse(),)
        for method in route.methods or ()
    }
    central = {key for each in central_table.OPERATIONS for key in each.keys}
    assert not mounted & central
    assert mounted | central == set(ACCESS)
    assert all(isinstance(route, DeferredRoute | CentralRoute) for route in service.app.routes)


def test_the_table_gives_each_route_the_role_that_was_written_down_for_it() -> None:
    assert {key: (role, ROLES[key]) for key, role in ACCESS.items() if role != ROLES[key]} == {}
    assert set(ACCESS) >= ADMINISTRATORS | READ_OTHERWISE | KEYS_SHOWN


def test_no_route_is_mounted_without_a_row_and_none_has_two(service: RunningService) -> None:
    with pytest.raises(TypeError, match="row"):
        service.app.get("/api/v1/forgotten")(lambda: None)
    with pytest.raises(TypeError, match="role"):
        rows.Route("GET", "/api/v1/forgotten", lambda: None)  # type: ignore[call-arg]
    row = SHAPES.routes["GET /api/v1/me"]
    shape = Shape(routes=(row,), has=lambda _: True)
    with pytest.raises(ValueError, match="two rows for GET /api/v1/me"):
        Shapes(shape, shape)


def test_only_the_declared_routes_are_public() -> None:
    assert {key for key, role in ACCESS.items() if role == rows.PUBLIC} == PUBLIC_ROUTES
    assert {key for key, role in ACCESS.items() if role == rows.SCRAPE} == SCRAPE_ROUTES
    assert {key for key, role in ACCESS.items() if role == rows.FACTORY} == FACTORY_ROUTES
    assert {key for key, role in ACCESS.items() if role == rows.CONTROLLER} == CONTROLLER_ROUTES
    assert set(ACCESS.values()) == {rows.PUBLIC, rows.SCRAPE, rows.FACTORY, rows.CONTROLLER, *rows.RANK}


@pytest.mark.parametrize("key", sorted(set(ACCESS) - PUBLIC_ROUTES))
def test_no_route_answers_without_a_valid_token(service: RunningService, key: str) -> None:
    method, template = key.split(" ", 1)
    for headers in (
        {"Authorization": "Bearer arm_wrong"},
        {"Authorization": "Bearer arme_wrong"},
        {"Authorization": "Basic YTpi"},
        {"X-Forwarded-For": "8.8.8.8"},
    ):
        reply = service.call(method, _path(template), b"{" if method != "GET" else None, token=None, headers=headers)
        assert reply.status == 401, (key, headers, reply.raw)
        scheme = "TargetToken" if key in CONTROLLER_ROUTES else "Bearer"
        assert reply.headers["www-authenticate"] == f'{scheme} realm="armillary"'


@pytest.mark.parametrize("key", sorted(key for key, role in ROLES.items() if role in rows.RANK and role != "Reader"))
def test_a_role_below_the_routes_is_refused_before_the_body_is_read(service: RunningService, key: str) -> None:
    method, template = key.split(" ", 1)
    lower = {"Contributor": "Reader", "Administrator": "Contributor"}[ROLES[key]]
    reply = service.call(method, _path(template), b"{ not json", token=service.token_of(lower))
    assert reply.status == 403, (key, reply.raw)
    assert ROLES[key] in reply.raw.decode()


@pytest.mark.parametrize("key", sorted(key for key, role in ROLES.items() if role in rows.RANK))
def test_the_routes_own_role_gets_past_the_guard(service: RunningService, key: str) -> None:
    """Positive control: with the named role the answer is about the request, not about the caller."""
    method, template = key.split(" ", 1)
    body = b"{ not json" if method in ("POST", "PUT", "PATCH") else None
    reply = service.call(method, _path(template), body, token=service.token_of(ROLES[key]))
    assert reply.status not in (401, 403), (key, reply.raw)
    assert reply.status < 500, (key, reply.raw)


@pytest.mark.parametrize("key", sorted(CONTROLLER_ROUTES))
def test_no_operator_is_a_controller(service: RunningService, key: str) -> None:
    method, template = key.split(" ", 1)
    assert service.call(method, _path(template), token=service.token_of("Administrator")).status == 401


def test_roles_rise_and_unknown_words_reach_nothing() -> None:
    roles = ("Reader", "Contributor", "Administrator")
    for i, role in enumerate(roles):
        for j, needed in enumerate(roles):
            assert rows.allows(role, needed) is (i >= j)
    assert not rows.allows("Administrator", "public")
    assert not rows.allows("root", "Reader")


def test_a_revoked_token_stops_working_at_once(service: RunningService) -> None:
    made = service.call("POST", "/api/v1/tokens", {"name": "short", "role": "Reader"}).body
    assert service.call("GET", "/api/v1/me", token=made["secret"]).status == 200
    assert service.call("DELETE", f"/api/v1/tokens/{made['token_id']}").status == 204
    assert service.call("GET", "/api/v1/me", token=made["secret"]).status == 401


def test_an_expired_token_is_refused(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    made = service.service.tokens.create("ending", "Reader", actor="test", expires_at=int(time.time()) + 3600)
    assert service.call("GET", "/api/v1/me", token=made.secret).status == 200
    later = time.time() + 3601
    monkeypatch.setattr(type(service.service.context), "now", lambda _self: int(later))
    assert service.call("GET", "/api/v1/me", token=made.secret).status == 401


def test_metrics_answer_this_host_without_a_token_but_not_a_proxy_on_it(service: RunningService) -> None:
    assert service.call("GET", "/metrics", token=None).status == 200
    for name in ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"):
        assert service.call("GET", "/metrics", token=None, headers={name: "127.0.0.1"}).status == 401
    assert service.call("GET", "/metrics", token=service.token_of("Reader")).status == 200
    assert service.call("GET", "/metrics", token="arm_wrong").status == 401


def _scrape(peer: str | None, app: Any = None) -> Request:
    client, head = None if peer is None else (peer, 1), {"method": "GET", "path": "/metrics", "query_string": b""}
    return Request({"type": "http", "headers": [], "client": client, "app": app, **head})


@pytest.mark.parametrize(
    ("peer", "here"), [("127.0.0.1", True), ("::1", True), ("192.0.2.1", False), ("x", False), (None, False)]
)
def test_who_is_on_this_host(peer: str | None, here: bool) -> None:
    assert auth.from_this_host(_scrape(peer)) is here


def test_a_scrape_from_elsewhere_needs_a_token(service: RunningService) -> None:
    row = SHAPES.routes["GET /metrics"]
    assert asyncio.run(auth.admit(_scrape("127.0.0.1", service.app), row, SHAPE)) is None
    with pytest.raises(UnauthenticatedError):
        asyncio.run(auth.admit(_scrape("192.0.2.1", service.app), row, SHAPE))


def test_an_overlong_header_is_no_token(service: RunningService) -> None:
    assert service.call("GET", "/api/v1/me", token="a" * 600).status == 401


def test_the_refusal_names_the_role_and_how_to_get_it(service: RunningService) -> None:
    body = service.call("GET", "/api/v1/tokens", token=service.token_of("Reader")).body
    assert body["code"] == PermissionDeniedError.code
    assert body["remedy"] == "Use a token with the role Administrator: armillary token create --role Administrator."
