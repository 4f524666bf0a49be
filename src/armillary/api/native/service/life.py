# SPDX-License-Identifier: Apache-2.0
"""Native routes of a device's life: its manufacturing state, out of service, in again, and to another catalog.

One catalog offers a device, another accepts or declines; the path says for which the caller speaks.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.documents import row_document
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.device_ids import DevicePath, attesting_device
from armillary.api.native.parameters import CATALOG, DEVICE, Limit, NumberAfter, StrictBody
from armillary.api.native.service.enrolment import CatalogPath
from armillary.api.native.service.requests import ReasonBody
from armillary.api.views import service as views
from armillary.errors import NotFoundError
from armillary.service.registry.device_lifecycle import DEFAULT_RETURN_S, MAX_RETURN_S
from armillary.service.registry.transfers import DEFAULT_LIFETIME_S, MAX_LIFETIME_S
from armillary.wire.hub.credentials import DEVICE_ID_PATTERN, canonical_device_id, is_attested_id

Document = dict[str, Any]


class ReprovisionBody(StrictBody):
    """A permission to come back.

    Attributes:
        lifetime_s: Seconds until it ends.
    """

    lifetime_s: Annotated[int, Field(ge=1, le=MAX_RETURN_S)] = DEFAULT_RETURN_S


class ManufacturingStateBody(StrictBody):
    """A manufacturing state to move forward to."""

    state: Literal["Module1Complete", "DeviceComplete"]


def decommission_device(request: Request, device_id: DevicePath, body: ReasonBody) -> Document:
    """Take a device out of service: revoked, disconnected, nobody's; its history stays."""
    known = attesting_device(request, device_id)
    row = service_of(request).registry.lifecycle.decommission(
        known, reason=body.reason, actor=operator_of(request).name
    )
    return row_document(row)


def allow_reprovision(request: Request, device_id: DevicePath, body: ReprovisionBody) -> Document:
    """Let a decommissioned device enrol again with its old key, until a time."""
    known = attesting_device(request, device_id)
    row = service_of(request).registry.lifecycle.allow_reprovision(
        known, actor=operator_of(request).name, lifetime_s=body.lifetime_s
    )
    return row_document(row)


def advance_manufacturing_state(request: Request, device_id: DevicePath, body: ManufacturingStateBody) -> Document:
    """Move a device's manufacturing state forward; it never moves back."""
    known = attesting_device(request, device_id)
    row = service_of(request).registry.lifecycle.advance_manufacturing_state(
        known, body.state, actor=operator_of(request).name
    )
    return row_document(row)


Pending = Annotated[bool, Query(description="Only offers that can still be accepted")]


class TransferBody(StrictBody):
    """An offer to make.

    Attributes:
        device_id: The device, 128 hexadecimal digits.
        to_catalog_id: Id of the new owner's catalog; he finds it with `armillary catalog show`.
        lifetime_s: Seconds until it cannot be accepted any more.
    """

    device_id: Annotated[str, Field(max_length=300, json_schema_extra={"pattern": DEVICE_ID_PATTERN})]
    to_catalog_id: UUID
    lifetime_s: Annotated[int, Field(ge=1, le=MAX_LIFETIME_S)] = DEFAULT_LIFETIME_S


def offer_device(request: Request, catalog: CatalogPath, body: TransferBody) -> Document:
    """Offer a device of this catalog to another one; nothing moves before that one accepts."""
    device_id = _offered(request, catalog, body.device_id)
    made = service_of(request).registry.transfers.offer(
        catalog, device_id, body.to_catalog_id, actor=operator_of(request).name, lifetime_s=body.lifetime_s
    )
    return row_document(made)


def _offered(request: Request, catalog: str, text: str) -> str:
    """The id of a device to offer. That it is a hub device, which cannot be, is said of the catalog's own only."""
    known, service = canonical_device_id(text), service_of(request)
    if is_attested_id(known):
        return known
    owner = service.registry.catalogs.get(catalog).catalog_id
    try:
        is_own = service.registry.names.owner_of(known) == owner
    except NotFoundError:
        is_own = False
    return attesting_device(request, known) if is_own else known


def list_transfers(
    request: Request,
    catalog: CatalogPath,
    pending: Pending = False,  # noqa: FBT002 - a query parameter
    limit: Limit = views.PAGE_ROWS,
    after: NumberAfter = None,
) -> Document:
    """Offers from and to this catalog, newest first."""
    return views.transfers(service_of(request), catalog, pending=pending, limit=limit, after=after)


def accept_transfer(request: Request, catalog: CatalogPath, transfer_id: UUID) -> Document:
    """Take a device that was offered to this catalog; it is its from now on."""
    done = service_of(request).registry.transfers.accept(catalog, transfer_id, actor=operator_of(request).name)
    return row_document(done)


def decline_transfer(request: Request, catalog: CatalogPath, transfer_id: UUID) -> Document:
    """Refuse a device that was offered to this catalog."""
    done = service_of(request).registry.transfers.decline(catalog, transfer_id, actor=operator_of(request).name)
    return row_document(done)


def cancel_transfer(request: Request, catalog: CatalogPath, transfer_id: UUID) -> Document:
    """Take back an offer that this catalog made."""
    done = service_of(request).registry.transfers.cancel(catalog, transfer_id, actor=operator_of(request).name)
    return row_document(done)


_row, _transfer = partial(Route, tag="devices"), partial(Route, tag="transfers")
_TRANSFERS = CATALOG + "/transfers"
_ONE = _TRANSFERS + "/{transfer_id}"
ROUTES = (
    _row("POST", DEVICE + "/decommission", decommission_device, CONTRIBUTOR),
    _row("POST", DEVICE + "/allow-reprovision", allow_reprovision, CONTRIBUTOR),
    _row("POST", DEVICE + "/manufacturing-state", advance_manufacturing_state, CONTRIBUTOR),
    _transfer("GET", _TRANSFERS, list_transfers, READER),
    _transfer("POST", _TRANSFERS, offer_device, CONTRIBUTOR, status=201),
    _transfer("POST", _ONE + "/accept", accept_transfer, CONTRIBUTOR),
    _transfer("POST", _ONE + "/decline", decline_transfer, CONTRIBUTOR),
    _transfer("POST", _ONE + "/cancel", cancel_transfer, CONTRIBUTOR),
)
