# SPDX-License-Identifier: Apache-2.0
"""Operator tokens of one catalog: they reach what names that catalog or a device that is in it now, nothing else.

Inside a catalog, tokens of one organisation: they reach single devices of that organisation and of those below it.

A route about everything (lists without ``catalog=``, the service's status, the audit log, tokens, releases) is refused
rather than narrowed: nothing of another owner can leak through a route that somebody adds and does not think of this.
A device that changed hands is out of sight at once, because its owner is looked up with each request.

It is decided once, from the query as :mod:`armillary.api.http.query` read it. What was decided goes along as
:class:`Scope`, and that is where a handler has its catalog from (:func:`checked_catalog`): it sees none that was not
looked at here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, NewType, cast
from uuid import UUID

from fastapi import Query as QueryField
from starlette.requests import Request

from armillary.api.azure import names, operations
from armillary.api.central.table import is_central
from armillary.api.http.query import Query
from armillary.engines.records.schema.rows import Token
from armillary.errors import NotFoundError, PermissionDeniedError
from armillary.service.registry.names import absent_device
from armillary.wire.hub.credentials import is_attested_id

# As in problems.py, which knows the web framework.
IOT_HUB_PREFIX: Final = "/iothub"

if TYPE_CHECKING:
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

# Everything else below the API's roots: answered as a problem, and never by what is mounted behind (the console). What
# is answered is that there is no such path or method, which is the same for everybody.
UNKNOWN_PATHS: Final = (
    "/api/{rest:path}",
    "/iothub/{rest:path}",
    "/subscriptions/{rest:path}",
    "/providers/{rest:path}",
)
# About the caller alone; the state of an operation is made of its id, which the caller has.
# A check of models is of what the caller sends, and of nothing that is kept.
FREE: Final = frozenset({"GET /api/v1/me", f"GET {names.OPERATION_STATUS}", "POST /api/v1/template-check"})
# Reads the resource that the operation's id names, and anybody can write such an id.
RESULT: Final = f"GET {names.OPERATION_RESULT}"
# What ``catalog=`` narrows: lists, and an author's documents (``api/native/authored.py``), with what they see and do.
# Any other route takes no such value, so its being there says nothing.
_AUTHORED: Final = (
    "GET groups", "GET groups/{group_id}", "PUT groups/{group_id}", "DELETE groups/{group_id}",
    "GET groups/{group_id}/members", "GET groups/{group_id}/uses", "POST group-preview",
    "GET groups/{group_id}/telemetry/aggregate",
    "GET groups/{group_id}/telemetry/latest", "GET groups/{group_id}/telemetry/export",
    "GET templates", "GET templates/{template_name}", "PUT templates/{template_name}",
    "DELETE templates/{template_name}", "POST templates/{template_name}/import",
    "POST templates/{template_name}/publish", "POST templates/{template_name}/migrate",
    "GET templates/{template_name}/uses", "GET templates/{template_name}/devices",
    "GET templates/{template_name}/versions/{version}",
    "DELETE templates/{template_name}/versions/{version}", "GET templates/{template_name}/versions/{version}/export",
    "GET organisations", "GET organisations/{organisation}", "PUT organisations/{organisation}",
    "DELETE organisations/{organisation}", "GET organisations/{organisation}/devices",
    "GET exports", "GET exports/{export_id}", "PUT exports/{export_id}", "DELETE exports/{export_id}",
    "GET exports/{export_id}/dead-letters", "POST exports/{export_id}/dead-letters/replay",
    "GET jobs", "GET jobs/{job_id}", "PUT jobs/{job_id}", "DELETE jobs/{job_id}", "GET jobs/{job_id}/uses",
    "GET jobs/{job_id}/runs",
    "POST jobs/{job_id}/runs", "GET jobs/{job_id}/runs/{number}", "POST jobs/{job_id}/runs/{number}/cancel",
    "GET jobs/{job_id}/runs/{number}/results", "GET jobs/{job_id}/runs/{number}/results.csv",
    "GET dashboards", "GET dashboards/{dashboard_id}", "PUT dashboards/{dashboard_id}",
    "DELETE dashboards/{dashboard_id}", "GET dashboards/{dashboard_id}/data", "GET dashboards/{dashboard_id}/live",
    "GET rules", "POST rule-test", "GET rules/{rule_id}", "PUT rules/{rule_id}", "DELETE rules/{rule_id}",
    "POST rules/{rule_id}/enable", "POST rules/{rule_id}/disable", "POST rules/{rule_id}/test",
    "GET alerts", "GET alerts/{number}", "POST alerts/{number}/acknowledge", "GET dead-letters",
    "POST dead-letters/replay", "GET images/{image_id}/package",
)  # fmt: skip
NARROWED: Final = frozenset(
    [
        f"GET /api/v1/{place}"
        for place in ("authorities", "device-names", "devices", "error-reports", "findings", "fleet")
    ]
    + [each.replace(" ", " /api/v1/", 1) for each in _AUTHORED]
)
# What a token of an organisation reaches about organisations, its own and those below; besides, single devices of them.
_OF_ORGANISATION: Final = frozenset(
    {
        "GET /api/v1/organisations/{organisation}",
        "GET /api/v1/organisations/{organisation}/devices",
        "GET /api/organizations/{organisation}",
    }
)
# Lists in IoT Central's shape that show a token of an organisation what is of it and nothing else.
CENTRAL_OWN: Final = frozenset({"GET /api/devices", "GET /api/organizations"})
# Says who sees a device: nobody's but of those who see all of the catalog.
_ASSIGN: Final = "PUT /api/v1/devices/{device_id}/organisation"

# The name of a catalog that the caller may speak for: made here, or of a row that is the caller's.
CheckedCatalog = NewType("CheckedCatalog", str)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a request may be about, as it was decided before its handler ran.

    Attributes:
        name: The catalog that the request named; None where it named none.
        is_of_one: Whether its token is of one catalog.
    """

    name: CheckedCatalog | None
    is_of_one: bool

    @property
    def catalog(self) -> CheckedCatalog | None:
        """The only catalog that the answer may be about; None for all.

        Raises:
            PermissionDeniedError: the token is of one catalog and none was checked: nothing may be shown.
        """
        if self.name is None and self.is_of_one:
            raise PermissionDeniedError("the token is for one catalog", remedy="Name the catalog: catalog=NAME.")
        return self.name


async def checked_catalog(
    request: Request,
    catalog: Annotated[str | None, QueryField(max_length=128, description="Of this catalog, and of all")] = None,
) -> CheckedCatalog | None:
    """The catalog that an answer is about, None for all (a FastAPI dependency of routes that ``catalog=`` narrows)."""
    return _agreed(request, catalog)


async def checked_filter(
    request: Request,
    catalog: Annotated[str | None, QueryField(max_length=64, description="Of this catalog only")] = None,
) -> CheckedCatalog | None:
    """As :func:`checked_catalog`, of routes about what is always somebody's."""
    return _agreed(request, catalog)


def _agreed(request: Request, catalog: str | None) -> CheckedCatalog | None:
    # The value in the query is there for the API's description and its length; what counts was decided already.
    decided = cast("Scope", request.state.scope).catalog
    if (catalog is None) != (decided is None) or (catalog or "").lower() != (decided or "").lower():
        raise PermissionDeniedError("the query's catalog is not the one that was checked", remedy="Report this.")
    return decided


def check_scope(request: Request, key: str, token: Token, service: SecurityService, query: Query) -> Scope:
    """What a token may see by a route with these path and query values; reads the records for restricted ones.

    Args:
        request: Only its path is read.
        key: ``METHOD path`` of the route.
        token: The admitted token.
        service: Knows the catalogs and devices.
        query: The request's query, each parameter once.

    Raises:
        PermissionDeniedError: the route is not about one catalog.
        NotFoundError: it is about another one, or there is no such thing; the two cannot be told apart.
    """
    named = query.get("catalog")
    if token.catalog_id is None:
        return Scope(None if named is None else CheckedCatalog(named), is_of_one=False)
    checked = _check_restricted(request, key, token, service, named)
    return Scope(checked, is_of_one=True)


def _check_restricted(
    request: Request, key: str, token: Token, service: SecurityService, named: str | None
) -> CheckedCatalog | None:
    """The catalog that a request of a restricted token names, in the query or the path; None where it is free to."""
    if key in FREE or key.partition(" ")[2] in UNKNOWN_PATHS:
        return None
    if token.organisation is not None:  # first: it narrows everything that follows
        _check_organisation(request, key, token, token.organisation)
    if f" {IOT_HUB_PREFIX}/" in key or is_central(key.partition(" ")[2]):
        return None  # routes in these shapes know one catalog only, the token's: api/iot_hub/call.py
    catalogs = [given for given in (request.path_params.get("catalog"),) if given is not None]
    if key in NARROWED and named is not None:
        catalogs.append(named)
    if key == RESULT:
        operation = operations.decode(request.path_params["operation"])
        if not operation.has_result:  # it answers 204 and shows nothing
            return None
        catalogs += names.catalog_of(operation.resource)
    return _check_named(request, key, token, service, catalogs)


def _check_named(
    request: Request, key: str, token: Token, service: SecurityService, catalogs: Sequence[str]
) -> CheckedCatalog | None:
    """The catalog that a route names, None where it names a device; all of it is of the token's catalog."""
    checked: CheckedCatalog | None = None
    devices = [given for given in (request.path_params.get("device_id"),) if given is not None]
    if not catalogs and not devices:
        raise PermissionDeniedError(
            f"the token {token.name!r} is for one catalog; {key} is not about one",
            remedy="Name the catalog (catalog=NAME), or use a token that is not for one catalog.",
        )
    for name in catalogs:
        found = service.registry.catalogs.get(name)
        if found.catalog_id != token.catalog_id:
            raise NotFoundError(f"catalog {name!r} does not exist", remedy="List them: armillary catalog list.")
        checked = CheckedCatalog(found.name)
    for device_id in devices:
        if _owner_of(service, device_id) != token.catalog_id:
            raise absent_device(device_id)
    return checked


def _owner_of(service: SecurityService, device_id: str) -> UUID | None:
    try:
        return service.owner_of(device_id)
    except NotFoundError:
        return None


def _check_organisation(request: Request, key: str, token: Token, root: str) -> None:
    """Raise unless a route is about a device of a token's organisation, or about that or one below: nothing else is."""
    organisations = cast("Platform", request.app.state.platform).organisations
    reach = organisations.subtree(root)
    device_id, organisation = request.path_params.get("device_id"), request.path_params.get("organisation")
    if key in CENTRAL_OWN or (key in _OF_ORGANISATION and organisation in reach):
        return
    if device_id is None or key == _ASSIGN or f" {IOT_HUB_PREFIX}/" in key:
        raise PermissionDeniedError(
            f"the token {token.name!r} is for one organisation; {key} is not about a device of it",
            remedy="Name a device, or use a token that is not for one organisation.",
        )
    lower = device_id.lower()  # digits of a device that attests may be written either way
    if organisations.of_device(lower if is_attested_id(lower) else device_id) not in reach:
        raise absent_device(device_id)
