# SPDX-License-Identifier: Apache-2.0
"""Enrolment tokens over the API: what one opens, and that it opens nothing else."""

from __future__ import annotations

import pytest
from tests.api.running_service import RunningService, device_request

from armillary.api.app import SHAPES
from armillary.api.http.route import RANK

TOKENS = "/api/v1/catalogs/{}/enrolment-tokens"
FACTORY = "/api/v1/factory/devices"


@pytest.fixture
def secret(service: RunningService, catalog: str) -> str:
    body = {"product": "Coffee", "group": "Production", "chip": "mt3620"}
    made = service.call("POST", TOKENS.format(catalog), body, token=service.token_of("Contributor"))
    assert made.status == 201, made.body
    assert (made.body["used"], made.body["uses"], made.body["group"]) == (0, 1, "Production")
    return str(made.body["secret"])


def test_a_token_enrols_a_device_into_its_group(service: RunningService, catalog: str, secret: str) -> None:
    body = {"csr": device_request(), "chip": "mt3620"}
    made = service.call("POST", FACTORY, body, token=secret)
    assert made.status == 201, made.body
    device = service.call("GET", f"/api/v1/devices/{made.body['device_id']}").body
    assert (device["catalog"], device["group"], device["trust_tier"]) == (catalog, "Production", "software")
    again = service.call("POST", FACTORY, body, token=secret)
    assert (again.status, again.body["device_id"]) == (201, device["device_id"])
    other = service.call("POST", FACTORY, {"csr": device_request(), "chip": "mt3620"}, token=secret)
    assert (other.status, other.body["code"]) == (409, "request.conflict")
    assert "enrolment-token create" in other.body["remedy"]
    listed = service.call("GET", TOKENS.format(catalog), token=service.token_of("Reader"))
    assert [one["used"] for one in listed.body["items"]] == [1]
    assert secret not in listed.raw.decode()
    assert "secret" not in listed.raw.decode()


def test_its_word_about_its_own_trust_counts_for_nothing(service: RunningService, secret: str) -> None:
    body = {"csr": device_request(), "chip": "mt3620", "trust_tier": "simulated"}
    made = service.call("POST", FACTORY, body, token=secret)
    assert service.call("GET", f"/api/v1/devices/{made.body['device_id']}").body["trust_tier"] == "software"


def test_it_opens_nothing_but_the_factory(service: RunningService, secret: str) -> None:
    opened = []
    for key in sorted(key for key, row in SHAPES.routes.items() if row.role in RANK):
        method, path = key.split(" ", 1)
        for part in ("subscription", "resource_group", "catalog", "product", "device_group", "location", "operation"):
            path = path.replace("{" + part + "}", "x")
        reply = service.call(method, path.split("{", 1)[0], token=secret)
        if reply.status != 401:
            opened.append((key, reply.status, reply.raw))
    assert opened == []


def test_a_revoked_token_opens_nothing(service: RunningService, catalog: str, secret: str) -> None:
    (token,) = service.call("GET", TOKENS.format(catalog)).body["items"]
    place = f"{TOKENS.format(catalog)}/{token['token_id']}"
    assert service.call("DELETE", place).status == 204
    assert service.call("POST", FACTORY, {"csr": device_request(), "chip": "mt3620"}, token=secret).status == 401


def test_what_is_wrong_is_said(service: RunningService, catalog: str) -> None:
    for body, status in (
        ({"uses": 0}, 400),
        ({"lifetime_s": 31 * 86400}, 400),
        ({"product": "Absent", "group": "x"}, 404),
        ({"chip": "z80"}, 404),
        ({"scope": "all"}, 400),
    ):
        reply = service.call("POST", TOKENS.format(catalog), body)
        assert reply.status == status, reply.body
        assert reply.body["remedy"]
    assert service.call("GET", TOKENS.format("Absent")).status == 404
