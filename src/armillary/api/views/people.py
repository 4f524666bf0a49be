# SPDX-License-Identifier: Apache-2.0
"""People and sessions as JSON documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from armillary.api.http.documents import as_document, row_document
from armillary.api.http.scope import check_organisation
from armillary.errors import NotFoundError
from armillary.identity.operator import Operator
from armillary.service.people.granting import Wanted
from armillary.service.people.known import Known
from armillary.service.people.sessions import Session

if TYPE_CHECKING:
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def speaking(service: SecurityService, operator: Operator, catalog: str | None) -> Operator:
    """Who asks about people: for one catalog where ``catalog=`` names it, as an administrator of that catalog would.

    Raises NotFoundError: no such catalog.
    """
    if operator.catalog is not None or catalog is None:
        return operator
    only = service.registry.catalogs.get(catalog).catalog_id
    return Operator(operator.name, operator.role, only, operator.organisation)


def people(service: SecurityService, by: Operator) -> Document:
    """Everybody whom the operator may see, by login."""
    return {"items": [_person(service, each) for each in service.people.list(by)], "next": None}


def person(service: SecurityService, person_id: UUID, by: Operator) -> Document:
    """A person with grants. Raises NotFoundError."""
    return _person(service, service.people.get(person_id, by=by))


def invite(
    service: SecurityService,
    *,
    email: str | None,
    subject: str | None,
    name: str,
    granted: Wanted | None,
    by: Operator,
) -> Document:
    """A new person, with a first grant if one is given."""
    made = service.people.invite(email=email, subject=subject, name=name, granted=granted, by=by)
    return _person(service, made)


def grant(service: SecurityService, person_id: UUID, wanted: Wanted, by: Operator) -> Document:
    """A person after another grant."""
    service.people.grant(person_id, wanted, by=by)
    return person(service, person_id, by)


def set_state(service: SecurityService, person_id: UUID, state: str, by: Operator) -> Document:
    """A person who was disabled, or enabled."""
    return _person(service, service.people.set_state(person_id, state, by=by))


def wanted_grant(
    service: SecurityService,
    platform: Platform,
    granted: tuple[str, str | None, str | None],
    by: Operator,
) -> Wanted:
    """A grant that is asked for: role, catalog, organisation.

    Raises:
        PermissionDeniedError: of all catalogs, by somebody of one.
        NotFoundError: no such catalog, or the organisation is not the catalog's.
    """
    role, catalog, organisation = granted
    service.people.granted_in(catalog, by=by)  # first: what organisations another catalog has is not told
    if organisation is not None:
        check_organisation(platform, organisation, catalog)
    return Wanted(role, catalog, organisation)


def sessions(service: SecurityService, by: Operator, owner: str | None = None) -> Document:
    """Sessions of the console, the one used last first; with ``owner`` those of one person or token."""
    found = service.people.sessions(by=by, owner=owner)
    ids = {} if by.catalog is None else service.people.ids_in(by.catalog)
    return {"items": session_documents(found, {str(key): str(value) for key, value in ids.items()}), "next": None}


def session_documents(found: Iterable[Session], ids: Mapping[str, str]) -> list[Document]:
    """Sessions as documents; what opens one is not in it. ``ids`` are what the reader calls people by."""
    return [
        {
            "session_id": str(each.session_id),
            "name": each.operator.name,
            "person_id": ids.get(each.operator.person_id, each.operator.person_id) or None,
            "token_id": each.operator.token_id or None,
            "role": each.operator.role,
            "catalog": each.operator.catalog_name,
            "organisation": each.operator.organisation,
            "method": each.begun.method,
            "started_at": each.started,
            "seen_at": each.seen,
            "address": each.begun.address,
            "browser": each.begun.browser,
        }
        for each in found
    ]


def _person(service: SecurityService, known: Known) -> Document:
    grants = [
        {
            "grant_id": str(each.grant_id),
            "role": each.role,
            "catalog": _catalog_name(service, each.catalog_id),
            "catalog_id": as_document(each.catalog_id),
            "organisation": each.organisation,
            "origin": each.origin,
            "created_at": each.created_at,
            "created_by": each.created_by,
        }
        for each in known.grants
    ]
    return {**row_document(known.person), "grants": grants}


def _catalog_name(service: SecurityService, catalog_id: UUID | None) -> str | None:
    """The name of a grant's catalog; None for all, and for one that was deleted since."""
    if catalog_id is None:
        return None
    try:
        return service.registry.catalogs.get_by_id(catalog_id).name
    except NotFoundError:
        return None
