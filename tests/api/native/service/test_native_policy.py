# SPDX-License-Identifier: Apache-2.0
"""Attestation policies and the life of releases over the operator API."""

from __future__ import annotations

import base64
import dataclasses
import uuid
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh_os_version

from armillary.wire.attestation import corim


def path(catalog: str) -> str:
    return f"/api/v1/catalogs/{catalog}/attestation-policy"


def published(service: RunningService, chip: str = "imx8mp") -> Any:
    return service.call("POST", "/api/v1/releases", {"chip": chip, "version": fresh_os_version()}).body


def test_a_policy_is_shown_changed_and_kept_in_versions(service: RunningService, catalog: str) -> None:
    assert service.call("GET", path("nowhere")).status == 404
    shown = service.call("GET", path(catalog)).body
    assert shown == {
        "catalog": catalog,
        "version": 0,
        "minimum_tier": "simulated",
        "chips": [],
        "minimum_security_versions": {},
        "older_releases_until": None,
        "maximum_release_age_days": None,
        "firmware_log": False,
        "mechanisms": [],
        "changed_at": None,
        "changed_by": "",
    }
    made = service.call("PATCH", path(catalog), {"minimum_tier": "tpm", "maximum_release_age_days": 180}).body
    assert (made["version"], made["minimum_tier"], made["changed_by"]) == (1, "tpm", "first-start")
    again = service.call("PATCH", path(catalog), {"maximum_release_age_days": None, "if_version": 1}).body
    assert (again["version"], again["minimum_tier"], again["maximum_release_age_days"]) == (2, "tpm", None)
    assert service.call("GET", path(catalog.lower())).body == again
    assert service.call("GET", path(catalog) + "/versions").body == {"items": [again, made], "next": None}
    stale = service.call("PATCH", path(catalog), {"minimum_tier": "software", "if_version": 1})
    assert (stale.status, stale.body["code"]) == (409, "request.conflict")


def test_a_minimum_that_falls_is_a_conflict(service: RunningService, catalog: str) -> None:
    kind = str(published(service)["components"][0]["image_type"])
    assert service.call("PATCH", path(catalog), {"minimum_security_versions": {kind: 1}}).status == 200
    refused = service.call("PATCH", path(catalog), {"minimum_security_versions": {kind: 0}})
    assert refused.status == 409
    assert "would lower it" in refused.body["detail"]
    assert "only rise" in refused.body["remedy"]


@pytest.mark.parametrize(
    "body",
    [
        {"minimum_teir": "tpm"},
        {"minimum_tier": "hardware"},
        {"minimum_tier": None},
        {"chips": ["mt3620"] * 65},
        {"minimum_security_versions": {"x": 1}},
        {"minimum_security_versions": {"1": 32}},
        {"minimum_security_versions": {"1": True}},
        {"older_releases_until": -1},
        {"maximum_release_age_days": 0},
        {"firmware_log": 1},
        {"mechanisms": ["memory-limt"]},
        {"mechanisms": "memory-limit"},
        {"if_version": -1, "chips": []},
    ],
)
def test_what_is_no_policy_is_refused(service: RunningService, catalog: str, body: Any) -> None:
    refused = service.call("PATCH", path(catalog), body)
    assert (refused.status, refused.body["code"]) == (400, "request.invalid")
    assert service.call("GET", path(catalog)).body["version"] == 0


def test_a_release_ends_and_is_withdrawn(service: RunningService) -> None:
    release = published(service)
    place = f"/api/v1/releases/{release['release_id']}"
    assert service.call("POST", place + "/expiry", {"expires_at": 2_000_000_000}).body["expires_at"] == 2_000_000_000
    assert service.call("POST", place + "/expiry", {"expires_at": None}).body["expires_at"] is None
    assert service.call("POST", place + "/expiry", {}).status == 400
    withdrawn = service.call("POST", place + "/withdraw", {"reason": "It hangs."}).body
    assert (withdrawn["withdrawn_reason"], withdrawn["withdrawn_at"] is not None) == ("It hangs.", True)
    assert service.call("GET", place).body == withdrawn
    assert service.call("POST", place + "/withdraw", {"reason": "Again."}).status == 409
    assert service.call("POST", f"/api/v1/releases/{uuid.uuid4()}/withdraw", {"reason": "None."}).status == 404


def test_a_release_is_exported_and_one_is_imported_as_corim(service: RunningService) -> None:
    release = published(service)
    place = f"/api/v1/releases/{release['release_id']}/corim"
    plain = service.call("GET", place, token=service.token_of("Reader")).body
    signed = service.call("GET", place + "?signed=true").body
    assert (plain["signed"], signed["signed"]) == (False, True)
    assert corim.is_signed(base64.b64decode(signed["corim"]))
    value = corim.parse_corim(base64.b64decode(plain["corim"]))
    other = dataclasses.replace(value, os_version=f"31.{uuid.uuid4().int % 1_000_000}")
    body = {"corim": base64.b64encode(corim.encode_corim(other)).decode(), "allow_unsigned": True}
    made = service.call("POST", "/api/v1/releases/corim", body)
    assert (made.status, made.body["imported_from"]) == (201, f"CoRIM {value.corim_id}")
    assert service.call("POST", "/api/v1/releases/corim", body).status == 409
    refused = service.call("POST", "/api/v1/releases/corim", {"corim": "2QH0oA==", "allow_unsigned": True})
    assert (refused.status, refused.body["code"]) == (400, "wire.malformed")
    assert "at byte 0: expected tagged-unsigned-corim-map (tag 501), got tag 500" in refused.body["detail"]
    assert service.call("POST", "/api/v1/releases/corim", {"corim": "?"}).status == 400
    theirs = dataclasses.replace(value, chip="RoadRunner", os_version=None)
    body["corim"] = base64.b64encode(corim.encode_corim(theirs)).decode()
    refused = service.call("POST", "/api/v1/releases/corim", {**body, "chip": value.chip})
    assert (refused.status, refused.body["remedy"]) == (400, "Say it: --os-version.")
    body |= {"chip": value.chip, "os_version": f"33.{uuid.uuid4().int % 1_000_000}", "security_version": 1}
    refused = service.call("POST", "/api/v1/releases/corim", {**body, "pass_over": ["flags"]})
    assert (refused.status, "cryptokeys, authorized-by, index" in refused.body["detail"]) == (400, True)
    made = service.call("POST", "/api/v1/releases/corim", {**body, "pass_over": ["cryptokeys"]})
    assert (made.status, made.body["passed_over"], made.body["derived"]) == (201, ["model RoadRunner"], [])
