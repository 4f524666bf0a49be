# SPDX-License-Identifier: Apache-2.0
"""What restricted tokens reach: those of one catalog, and within a catalog those of one organisation.

A token of one catalog may use a route that names that catalog, or a device that is in it now; a token of one
organisation a route about a single device of that organisation or of those below it.

A route about everything (lists without ``catalog=``, the service's status, the audit log, tokens, releases) is refused
rather than narrowed, so that a new route leaks nothing of another owner by mistake. A device that changed hands is out
of reach at once, because its owner is looked up with each request.

The decision is made once, from the query as :mod:`armillary.api.http.query` read it, and kept as :class:`Scope`.
Endpoints take their catalog from there (:func:`checked_catalog`), so they see none that was not checked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NewType, cast
from uuid import UUID

from fastapi import Query as QueryField
from starlette.requests import Request

from armillary.api.http.callers import operator_of
from armillary.api.http.query import Query
from armillary.api.http.route import OfOrganisation, Reach, Route
from armillary.engines.records.schema.rows import Token
from armillary.errors import NotFoundError, PermissionDeniedError
from armillary.identity.operator import Operator
from armillary.service.registry.names import absent_device
from armillary.wire.hub.credentials import is_attested_id

if TYPE_CHECKING:
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

# The name of a catalog that the caller may speak for: made here, or of a row that is the caller's.
CheckedCatalog = NewType("CheckedCatalog", str)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a request may be about, decided before its endpoint runs.

    ``name`` is the catalog that the request named, or None; ``is_of_one`` says whether its token is of one catalog.
    """

    name: CheckedCatalog | None
    is_of_one: bool

    @property
    def catalog(self) -> CheckedCatalog | None:
        """The only catalog to answer about, None for all. Raises PermissionDeniedError if none was checked."""
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
    """As :func:`checked_catalog`, for lists of what always belongs to a catalog."""
    return _agreed(request, catalog)


def _agreed(request: Request, catalog: str | None) -> CheckedCatalog | None:
    # The value in the query is there for the API's description and its length; what counts was decided already.
    decided = cast("Scope", request.state.scope).catalog
    if (catalog is None) != (decided is None) or (catalog or "").lower() != (decided or "").lower():
        raise PermissionDeniedError("the query's catalog is not the one that was checked", remedy="Report this.")
    return decided


def check_scope(request: Request, row: Route, token: Token, service: SecurityService, query: Query) -> Scope:
    """What a token may see by a route with these path and query values; reads the records for restricted ones.

    Raises:
        PermissionDeniedError: the route is not about one catalog.
        NotFoundError: it is about another one, or there is no such thing; both answers are the same.
    """
    named = query.get("catalog")
    if token.catalog_id is None:
        return Scope(None if named is None else CheckedCatalog(named), is_of_one=False)
    asked = Asked(f"{request.method} {row.path}", row, request.path_params, named)
    checked = check_reach(asked, operator_of(token), service, cast("Platform", request.app.state.platform))
    return Scope(checked, is_of_one=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a restricted operator asks, of the API or of the console.

    Attributes:
        words: What it is, for a refusal.
        row: The route; the console's questions name the one that answers the same.
        path: Values of its path.
        catalog: What ``catalog=`` names; None where it names none.
    """

    words: str
    row: Route
    path: Mapping[str, str]
    catalog: str | None = None


def reaches(row: Route, operator: Operator) -> bool:
    """Whether an operator may ask a route at all; whose row the path then names is for :func:`check_reach`."""
    if operator.catalog is None or row.reach is Reach.CALLER:
        return True
    is_of_device = "{device_id}" in row.path
    if operator.organisation is not None:
        if row.organisation is OfOrganisation.DEVICE and not is_of_device:
            return False
        if row.organisation is OfOrganisation.NOTHING:
            return False
    return row.reach is Reach.TOKEN or row.narrowed or is_of_device or "{catalog}" in row.path


def check_reach(
    asked: Asked, operator: Operator, service: SecurityService, platform: Platform
) -> CheckedCatalog | None:
    """The catalog that a restricted operator asks about, in the query or the path; None where it is free to.

    Raises:
        PermissionDeniedError: what is asked is not about one catalog, or not about a device of the organisation.
        NotFoundError: it is about another one, or there is no such thing; both answers are the same.
    """
    row = asked.row
    if row.reach is Reach.CALLER:
        return None
    if operator.organisation is not None:  # first: it narrows everything that follows
        _check_organisation(asked, operator, operator.organisation, platform)
    if row.reach is Reach.TOKEN:
        return None
    catalogs = [given for given in (asked.path.get("catalog"),) if given is not None]
    if row.narrowed and asked.catalog is not None:
        catalogs.append(asked.catalog)
    further = row.catalogs(asked.path)
    if further is None:
        return None
    return _check_named(asked, operator, service, [*catalogs, *further])


def _check_named(
    asked: Asked, operator: Operator, service: SecurityService, catalogs: Sequence[str]
) -> CheckedCatalog | None:
    """The catalog that a route names, None where it names a device; all of it is of the operator's catalog."""
    checked: CheckedCatalog | None = None
    devices = [given for given in (asked.path.get("device_id"),) if given is not None]
    if not catalogs and not devices:
        raise PermissionDeniedError(
            f"the token {operator.name!r} is for one catalog; {asked.words} is not about one",
            remedy="Name the catalog (catalog=NAME), or use a token that is not for one catalog.",
        )
    for name in catalogs:
        found = service.registry.catalogs.get(name)
        if found.catalog_id != operator.catalog:
            raise NotFoundError(f"catalog {name!r} does not exist", remedy="List them: armillary catalog list.")
        checked = CheckedCatalog(found.name)
    for device_id in devices:
        if _owner_of(service, device_id) != operator.catalog:
            raise absent_device(device_id)
    return checked


def _owner_of(service: SecurityService, device_id: str) -> UUID | None:
    try:
        return service.registry.names.owner_of(device_id)
    except NotFoundError:
        return None


def _check_organisation(asked: Asked, operator: Operator, root: str, platform: Platform) -> None:
    """Raise unless it is about a device of an operator's organisation, or about that or one below: nothing else is."""
    organisations = platform.organisations
    reach = organisations.subtree(root)
    device_id, organisation = asked.path.get("device_id"), asked.path.get("organisation")
    of = asked.row.organisation
    if of is OfOrganisation.LIST or (of is OfOrganisation.SUBTREE and organisation in reach):
        return
    if device_id is None or of is OfOrganisation.NOTHING:
        raise PermissionDeniedError(
            f"the token {operator.name!r} is for one organisation; {asked.words} is not about a device of it",
            remedy="Name a device, or use a token that is not for one organisation.",
        )
    lower = device_id.lower()  # digits of a device that attests may be written either way
    if organisations.of_device(lower if is_attested_id(lower) else device_id) not in reach:
        raise absent_device(device_id)


def check_organisation(platform: Platform, organisation: str, catalog: str | None) -> None:
    """Raise NotFoundError unless an organisation is of a catalog."""
    found = platform.organisations.all().get(organisation)
    if found is None or found.catalog.lower() != (catalog or "").lower():
        raise NotFoundError(
            f"the catalog has no organisation {organisation!a:.80}", remedy="List them: armillary organisation list."
        )
