# SPDX-License-Identifier: Apache-2.0
"""Native routes of organisations: the tree, its devices, and which device is in which."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import ADMINISTRATOR, READER, OfOrganisation, Route
from armillary.api.http.routes import actor_of, platform_of
from armillary.api.native.device_ids import DevicePath, known_identity
from armillary.api.native.device_labels import with_names
from armillary.api.native.parameters import (
    DEVICE,
    V1,
    CatalogPage,
    CatalogQuery,
    Change,
    DocumentBody,
    DocumentPath,
    Search,
    StrictBody,
)
from armillary.platform.authored.organisations import KIND


class AssignBody(StrictBody):
    """Where a device is to be: an organisation of its catalog, or none."""

    organisation: Annotated[str, Field(min_length=1, max_length=128)] | None


def list_organisations(request: Request, page: CatalogPage, search: Search = None) -> dict[str, Any]:
    """Organisations by id."""
    return platform_of(request).authored.listed(KIND, *page, search)


def show_organisation(request: Request, organisation: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """An organisation, with the ids of those below it as `below`."""
    return platform_of(request).organisation_operations.show(organisation, catalog)


def put_organisation(
    request: Request, organisation: DocumentPath, body: DocumentBody, change: Change
) -> dict[str, Any]:
    """Make or change an organisation; its catalog never changes, and the tree has at most five levels."""
    operations = platform_of(request).organisation_operations
    return operations.put(actor_of(request), organisation, body, *change)


def delete_organisation(request: Request, organisation: DocumentPath, change: Change) -> dict[str, Any]:
    """Delete an organisation that has nothing below it, no devices and no token that is still good."""
    return platform_of(request).organisation_operations.delete(actor_of(request), organisation, *change)


def organisation_devices(request: Request, organisation: DocumentPath, page: CatalogPage) -> dict[str, Any]:
    """Devices of an organisation and of those below it, by id."""
    operations = platform_of(request).organisation_operations
    items, following = operations.devices(organisation, page.catalog, limit=page.limit, after=page.after)
    return with_names(request, {"items": items, "next": following})


def assign_organisation(request: Request, device_id: DevicePath, body: AssignBody) -> dict[str, Any]:
    """Put a device into an organisation of its catalog, or into none."""
    known = known_identity(request, device_id)
    platform_of(request).organisation_operations.assign(actor_of(request), known, body.organisation)
    return {"device_id": known, "organisation": body.organisation}


_row = partial(Route, tag="organisations", narrowed=True)
_assign = partial(Route, tag="organisations", organisation=OfOrganisation.NOTHING)
_ONE = V1 + "/organisations/{organisation}"
ROUTES = (
    _row("GET", V1 + "/organisations", list_organisations, READER),
    _row("GET", _ONE, show_organisation, READER, organisation=OfOrganisation.SUBTREE),
    _row("PUT", _ONE, put_organisation, ADMINISTRATOR),
    _row("DELETE", _ONE, delete_organisation, ADMINISTRATOR),
    _row("GET", _ONE + "/devices", organisation_devices, READER, organisation=OfOrganisation.SUBTREE),
    # Says who sees a device: nobody's but of those who see all of the catalog.
    _assign("PUT", DEVICE + "/organisation", assign_organisation, ADMINISTRATOR),
)
