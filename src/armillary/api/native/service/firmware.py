# SPDX-License-Identifier: Apache-2.0
"""Native routes of machines' firmware: what a device measured, and which measurements a catalog says are good."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.route import ADMINISTRATOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.device_ids import DevicePath, attesting_device
from armillary.api.native.parameters import DEVICE, CatalogPath, Name, StrictBody
from armillary.api.native.service.policy import POLICY, Time
from armillary.attest import firmware_reference as rules

if TYPE_CHECKING:
    from armillary.engines.records.queries.firmware import StoredStatement


class FirmwareValueBody(StrictBody):
    """A reference value.

    Attributes:
        pcr: 0, 2, 4 or 7: the others differ between equal machines and are not judged.
        digest: SHA-256 in hex: of one measured event, or what the PCR holds at the end.
        kind: Which of the two.
        event_type: Of a measurement, for people: a name such as EV_EFI_BOOT_SERVICES_APPLICATION, or a number in hex.
    """

    pcr: Annotated[int, Field(strict=True)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
    kind: Annotated[str, Field(max_length=20)] = rules.EVENT
    event_type: Annotated[str, Field(max_length=64)] | None = None


class FirmwareBody(StrictBody):
    """Reference values to state together.

    Attributes:
        chip: Chip profile whose machines they are for.
        values: What is good.
        note: Where the values come from.
        expires_at: Until when they are good, Unix seconds UTC; null: without end.
    """

    chip: Name
    values: Annotated[list[FirmwareValueBody], Field(min_length=1, max_length=rules.MAX_VALUES)]
    note: Annotated[str, Field(max_length=200)] = ""
    expires_at: Time | None = None


def statement_document(row: StoredStatement) -> dict[str, Any]:
    """A statement as JSON."""
    return {
        "statement_id": str(row.statement_id),
        "chip": row.chip,
        "note": row.note,
        "values": rules.to_json(row.values),
        "expires_at": row.expires_at,
        "stated_at": row.stated_at,
        "stated_by": row.stated_by,
    }


def list_firmware(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """The reference values for firmware that hold in a catalog, as they were stated together, oldest first."""
    return {
        "items": [statement_document(row) for row in service_of(request).attestation.firmware.list(catalog)],
        "next": None,
    }


def add_firmware(request: Request, catalog: CatalogPath, body: FirmwareBody) -> dict[str, Any]:
    """State which firmware is good on a chip, from each device's next check-in on; other firmware gets only updates."""
    row = service_of(request).attestation.firmware.add(
        catalog,
        body.chip,
        [value.model_dump() for value in body.values],
        actor=operator_of(request).name,
        note=body.note,
        expires_at=body.expires_at,
    )
    return statement_document(row)


def remove_firmware(request: Request, catalog: CatalogPath, statement_id: UUID) -> Response:
    """Withdraw reference values; without any for a chip, firmware is not compared there."""
    service_of(request).attestation.firmware.remove(catalog, statement_id, actor=operator_of(request).name)
    return Response(status_code=204)


def device_firmware(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """What a device's firmware measured into the judged PCRs, as its TPM vouched for it last."""
    row = service_of(request).attestation.firmware.of_device(attesting_device(request, device_id))
    return {"device_id": row.device_id, "chip": row.chip, "at": row.at, "values": rules.to_json(row.values)}


_row = partial(Route, tag="attestation policy")
_FIRMWARE = POLICY + "/firmware"
ROUTES = (
    _row("GET", _FIRMWARE, list_firmware, READER),
    _row("POST", _FIRMWARE, add_firmware, ADMINISTRATOR, status=201),
    _row("DELETE", _FIRMWARE + "/{statement_id}", remove_firmware, ADMINISTRATOR, status=204),
    Route("GET", DEVICE + "/firmware", device_firmware, READER, tag="devices"),
)
