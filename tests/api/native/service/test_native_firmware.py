# SPDX-License-Identifier: Apache-2.0
"""Reference values for firmware over the operator API."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.api.running_service import RunningService
from tests.attest.test_firmware_reference import GOOD

from armillary.attest.firmware_reference import measured, to_json
from armillary.engines.records.queries import devices as device_rows, firmware as firmware_rows

VALUE = {"pcr": 4, "digest": "ab" * 32, "event_type": "EV_EFI_BOOT_SERVICES_APPLICATION"}


def path(catalog: str) -> str:
    return f"/api/v1/catalogs/{catalog}/attestation-policy/firmware"


def told(service: RunningService, device_id: str) -> None:
    """Record what a check-in with a TPM's quote records."""

    def write(connection: Any) -> None:
        number = device_rows.enrolled(connection, device_id).number  # type: ignore[union-attr]
        firmware_rows.remember(connection, number, 1_790_000_000, measured(GOOD))

    service.service.context.records.write(write)


def test_values_are_stated_listed_and_taken_back(service: RunningService, catalog: str) -> None:
    assert service.call("GET", path("nowhere")).status == 404
    assert service.call("GET", path(catalog)).body == {"items": [], "next": None}
    body = {"chip": "imx8mp", "values": [VALUE], "note": "model A", "expires_at": 4_000_000_000}
    made = service.call("POST", path(catalog), body)
    assert made.status == 201
    assert made.body["values"] == [{**VALUE, "kind": "measurement"}]
    assert (made.body["stated_by"], made.body["note"]) == ("first-start", "model A")
    assert service.call("GET", path(catalog.lower())).body["items"] == [made.body]
    gone = f"{path(catalog)}/{made.body['statement_id']}"
    assert service.call("DELETE", gone).status == 204
    assert service.call("DELETE", gone).status == 404
    assert service.call("GET", path(catalog)).body["items"] == []


def test_what_a_device_measured_is_shown_in_the_form_that_is_stated(service: RunningService, catalog: str) -> None:
    device = service.make_device().device_id
    shown = f"/api/v1/devices/{device}/firmware"
    assert service.call("GET", shown).status == 404
    told(service, device)
    found = service.call("GET", shown).body
    assert found == {
        "device_id": device,
        "chip": "mt3620",
        "at": 1_790_000_000,
        "values": to_json(measured(GOOD)),
    }
    made = service.call("POST", path(catalog), {"chip": found["chip"], "values": found["values"]})
    assert (made.status, made.body["values"]) == (201, found["values"])
    assert service.call("GET", "/api/v1/devices/" + "0" * 128 + "/firmware").status == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"chip": "imx8mp", "values": []},
        {"chip": "imx8mp", "values": [{**VALUE, "pcr": 1}]},
        {"chip": "imx8mp", "values": [{**VALUE, "pcr": True}]},
        {"chip": "imx8mp", "values": [{**VALUE, "digest": "ab"}]},
        {"chip": "imx8mp", "values": [{**VALUE, "event_type": "EV_X"}]},
        {"chip": "imx8mp", "values": [{**VALUE, "kind": "final-value"}]},
        {"chip": "imx8mp", "values": [VALUE], "expires_at": 1},
        {"chip": "imx8mp", "values": [VALUE], "why": "x"},
    ],
)
def test_what_is_no_statement_is_refused(service: RunningService, catalog: str, body: Any) -> None:
    refused = service.call("POST", path(catalog), body)
    assert (refused.status, refused.body["code"]) == (400, "request.invalid")
    assert service.call("GET", path(catalog)).body["items"] == []


def test_a_catalog_goes_with_its_statements(service: RunningService) -> None:
    name = f"F-{uuid.uuid4().hex[:10]}"
    service.service.registry.catalogs.create(name, actor="test")
    assert service.call("POST", path(name), {"chip": "imx8mp", "values": [VALUE]}).status == 201
    service.service.registry.catalogs.delete(name, actor="test")
    assert service.call("GET", path(name)).status == 404
