# SPDX-License-Identifier: Apache-2.0
"""What all native routes have in common: their description, headers, limits and problems."""

from __future__ import annotations

import base64
import json

import pytest
from tests.api.running_service import RunningService, application


def test_the_description_is_openapi_3_1_and_complete(service: RunningService) -> None:
    document = service.call("GET", "/api/v1/openapi.json", token=None).body
    assert document["openapi"].startswith("3.1")
    described = {f"{method.upper()} {path}" for path, found in document["paths"].items() for method in found}
    native = {key for key in _native_keys(service) if "{rest:path}" not in key}
    assert described == native
    ids = [operation["operationId"] for found in document["paths"].values() for operation in found.values()]
    assert len(ids) == len(set(ids))
    for found in document["paths"].values():
        for operation in found.values():
            assert operation["description"] or operation["summary"]
            assert "default" in operation["responses"]
            assert "422" not in operation["responses"]
    assert document["paths"]["/api/v1/tokens"]["post"]["x-armillary-role"] == "Administrator"
    assert document["paths"]["/api/v1/health"]["get"]["security"] == []


def _native_keys(service: RunningService) -> set[str]:
    from armillary.api.native.shape import SHAPE  # noqa: PLC0415 - one test's

    return {key for row in (*SHAPE.routes, *SHAPE.unknown) if SHAPE.has(row.path) for key in row.keys}


def test_answers_are_not_stored_and_not_guessed(service: RunningService) -> None:
    for path in ("/api/v1/fleet", "/api/v1/absent", "/metrics"):
        headers = service.call("GET", path).headers
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
        assert "server" not in {name.lower() for name in headers}


# -- what goes wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 5000, b"null", b'"x"', b'{"reason": ["x"]}'])
def test_malformed_bodies_are_problems(service: RunningService, body: bytes) -> None:
    reply = service.call("POST", f"/api/v1/devices/{'0' * 128}/revoke", body)
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.body["status"], reply.body["code"]) == (400, "request.invalid")
    assert reply.body["detail"]


def test_unknown_fields_are_refused(service: RunningService) -> None:
    reply = service.call("POST", "/api/v1/tokens", {"name": "x", "role": "Reader", "rolle": "Administrator"})
    assert reply.body["invalid_params"] == [{"name": "rolle", "reason": "is not known here"}]


def test_a_body_of_another_type_is_refused(service: RunningService) -> None:
    headers = {"Content-Type": "text/plain"}
    assert service.call("POST", "/api/v1/tokens", b'{"name":"x","role":"Reader"}', headers=headers).status == 400


def test_huge_bodies_are_refused_early(service: RunningService) -> None:
    big = json.dumps({"name": "x" * 400_000, "role": "Reader"}).encode()
    reply = service.call("POST", "/api/v1/tokens", big)
    assert (reply.status, reply.body["code"]) == (413, "request.too-large")
    connection = service.connection()
    connection.request(
        "POST",
        "/api/v1/tokens",
        body=(b" " * 65_536 for _ in range(8)),  # no length announced
        headers={"Authorization": f"Bearer {service.token}", "Content-Type": "application/json"},
    )
    assert connection.getresponse().status == 413
    connection.close()
    announced = {"Content-Length": str(1 << 40)}
    connection = service.connection()
    connection.putrequest("POST", "/api/v1/tokens")
    for name, value in {"Authorization": f"Bearer {service.token}", **announced}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_an_image_body_may_be_larger_but_not_endless(service: RunningService, catalog: str) -> None:
    _, package = application(size=600_000)
    body = {"properties": {"image": base64.b64encode(package).decode()}}
    assert service.azure("POST", f"/{catalog}/uploadImage", body).status == 202
    connection = service.connection()
    path = f"/subscriptions/0/resourceGroups/rg/providers/Microsoft.AzureSphere/catalogs/{catalog}/uploadImage"
    connection.putrequest("POST", f"{path}?api-version=2024-04-01")
    connection.putheader("Authorization", f"Bearer {service.token}")
    connection.putheader("Content-Length", str(60 << 20))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_unknown_paths_and_methods_are_problems(service: RunningService) -> None:
    reply = service.call("GET", "/api/v2/devices")
    assert (reply.status, reply.body["code"]) == (404, "request.no-route")
    reply = service.call("PUT", "/api/v1/tokens", {})
    assert (reply.status, reply.body["code"], reply.headers["allow"]) == (405, "request.method", "GET, HEAD, POST")


def test_a_bug_of_ours_says_nothing_of_our_insides(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_catalog: str | None = None) -> None:
        raise KeyError("secret of the service")

    monkeypatch.setattr(service.service.registry.devices, "summary", broken)
    reply = service.call("GET", "/api/v1/fleet")
    assert (reply.status, reply.body["code"]) == (500, "service.bug")
    assert "secret" not in reply.raw.decode()
