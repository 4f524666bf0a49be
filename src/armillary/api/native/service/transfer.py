# SPDX-License-Identifier: Apache-2.0
"""Native routes of transfers: a catalog offers a device, another accepts or declines. The path says who speaks."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.documents import row_document
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.device_ids import attesting_device
from armillary.api.native.parameters import CATALOG, Limit, NumberAfter, StrictBody
from armillary.api.native.service.enrolment import CatalogPath
from armillary.api.views import service as views
from armillary.errors import NotFoundError
from armillary.service.registry.transfers import DEFAULT_LIFETIME_S, MAX_LIFETIME_S
from armillary.wire.hub.credentials import DEVICE_ID_PATTERN, canonical_device_id, is_attested_id

Document = dict[str, Any]
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


_row = partial(Route, tag="transfers")
_TRANSFERS = CATALOG + "/transfers"
_ONE = _TRANSFERS + "/{transfer_id}"
ROUTES = (
    _row("GET", _TRANSFERS, list_transfers, READER),
    _row("POST", _TRANSFERS, offer_device, CONTRIBUTOR, status=201),
    _row("POST", _ONE + "/accept", accept_transfer, CONTRIBUTOR),
    _row("POST", _ONE + "/decline", decline_transfer, CONTRIBUTOR),
    _row("POST", _ONE + "/cancel", cancel_transfer, CONTRIBUTOR),
)
