# SPDX-License-Identifier: Apache-2.0
"""Native routes of organisations: the tree, its devices, and which device is in which."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from armillary.api.http.route import ADMINISTRATOR, READER, OfOrganisation, Route
from armillary.api.http.routes import operator_of, platform_of, service_of
from armillary.api.native import authored
from armillary.api.native.device_ids import DevicePath, known_identity
from armillary.api.native.device_labels import with_names
from armillary.api.native.parameters import DEVICE, V1, After, CatalogQuery, DocumentBody, IfMatch, Limit
from armillary.api.views import service as views
from armillary.engines.documents.document import ID_PATTERN
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.twin.author.organisation import parse_organisation

KIND = "organisation"

OrganisationPath = Annotated[
    str, Path(min_length=1, max_length=128, description="Id: a-z 0-9 . _ -", json_schema_extra={"pattern": ID_PATTERN})
]


class AssignBody(BaseModel):
    """Where a device is to be: an organisation of its catalog, or none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organisation: Annotated[str, Field(min_length=1, max_length=128)] | None


def list_organisations(
    request: Request, catalog: CatalogQuery = None, limit: Limit = views.PAGE_ROWS, after: After = None
) -> dict[str, Any]:
    """Organisations by id."""
    return authored.listed(request, KIND, catalog, limit, after)


def show_organisation(request: Request, organisation: OrganisationPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """An organisation, with the ids of those below it as `below`."""
    document = authored.document_of(authored.visible(request, KIND, organisation, catalog))
    return {**document, "below": sorted(platform_of(request).organisations.subtree(organisation) - {organisation})}


def put_organisation(
    request: Request,
    organisation: OrganisationPath,
    body: DocumentBody,
    catalog: CatalogQuery = None,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Make or change an organisation; its catalog never changes, and the tree has at most five levels."""
    wanted = {**({} if catalog is None else {"catalog": catalog}), **body}
    parsed = parse_organisation(wanted)
    authored.check_catalog(KIND, parsed.catalog, catalog)
    known = service_of(request).registry.catalogs.get(parsed.catalog)
    authored.check_free(request, KIND, organisation, catalog, if_match)
    platform_of(request).organisations.check(organisation, parsed)
    return authored.put(request, KIND, organisation, {**wanted, "catalog": known.name}, catalog, if_match)


def delete_organisation(
    request: Request, organisation: OrganisationPath, catalog: CatalogQuery = None, if_match: IfMatch = None
) -> dict[str, Any]:
    """Delete an organisation that has nothing below it, no devices and no token that is still good."""
    authored.visible(request, KIND, organisation, catalog)
    authored.check_owned(request, KIND, organisation, catalog)
    organisations = platform_of(request).organisations
    if organisations.has_devices(organisation):
        raise ConflictError(
            f"organisation {organisation[:64]!a} has devices",
            remedy="Put them elsewhere: armillary organisation assign.",
        )
    if any(each.organisation == organisation and each.revoked_at is None for each in service_of(request).tokens.list()):
        raise ConflictError(
            f"organisation {organisation[:64]!a} has tokens", remedy="Revoke them first: armillary token revoke."
        )
    organisations.check(organisation, None)
    return authored.delete(request, KIND, organisation, catalog, if_match)


def organisation_devices(
    request: Request,
    organisation: OrganisationPath,
    catalog: CatalogQuery = None,
    limit: Limit = views.PAGE_ROWS,
    after: After = None,
) -> dict[str, Any]:
    """Devices of an organisation and of those below it, by id."""
    authored.visible(request, KIND, organisation, catalog)
    items, following = platform_of(request).organisations.devices(organisation, after=after, limit=limit)
    return with_names(request, {"items": items, "next": following})


def assign_organisation(request: Request, device_id: DevicePath, body: AssignBody) -> dict[str, Any]:
    """Put a device into an organisation of its catalog, or into none."""
    platform = platform_of(request)
    known, service = known_identity(request, device_id), service_of(request)
    if "/" in known:
        raise InvalidArgumentError("a module is where its device is", remedy="Name the device.")
    if body.organisation is not None:
        organisation = platform.organisations.all().get(body.organisation)
        owner = None if organisation is None else service.registry.catalogs.get(organisation.catalog).catalog_id
        if owner is None or owner != service.registry.names.owner_of(known):
            raise NotFoundError(
                f"the device's catalog has no organisation {body.organisation!a:.80}",
                remedy="List them: armillary organisation list.",
            )
    platform.organisations.assign(known, body.organisation, by=operator_of(request).name)
    detail = {"organisation": body.organisation or ""}
    service.audit.append(operator_of(request).name, "device.organisation", known, detail)
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
