# SPDX-License-Identifier: Apache-2.0
"""People and sessions as JSON documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from armillary.api.http.documents import as_document, row_document
from armillary.api.http.scope import check_organisation
from armillary.errors import NotFoundError
from armillary.service.people.people import Known, Wanted
from armillary.service.people.sessions import Session

if TYPE_CHECKING:
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def people(service: SecurityService) -> Document:
    """Everybody, by login."""
    return {"items": [_person(service, each) for each in service.people.list()], "next": None}


def person(service: SecurityService, person_id: UUID) -> Document:
    """A person with grants. Raises NotFoundError."""
    return _person(service, service.people.get(person_id))


def invite(
    service: SecurityService,
    *,
    email: str | None,
    subject: str | None,
    name: str,
    granted: Wanted | None,
    actor: str,
) -> Document:
    """A new person, with a first grant if one is given."""
    made = service.people.invite(email=email, subject=subject, name=name, granted=granted, actor=actor)
    return _person(service, made)


def grant(service: SecurityService, person_id: UUID, wanted: Wanted, *, actor: str) -> Document:
    """A person after another grant."""
    service.people.grant(person_id, wanted, actor=actor)
    return person(service, person_id)


def set_state(service: SecurityService, person_id: UUID, state: str, *, actor: str) -> Document:
    """A person who was disabled, or enabled."""
    return _person(service, service.people.set_state(person_id, state, actor=actor))


def wanted_grant(platform: Platform, role: str, catalog: str | None, organisation: str | None) -> Wanted:
    """A grant that is asked for. Raises NotFoundError if the organisation is not the catalog's."""
    if organisation is not None:
        check_organisation(platform, organisation, catalog)
    return Wanted(role, catalog, organisation)


def sessions(service: SecurityService, owner: str | None = None) -> Document:
    """Sessions of the console, the one used last first; with ``owner`` those of one person or token."""
    found = service.sessions.list(service.context.now())
    return {"items": session_documents(each for each in found if owner in (None, each.operator.owner)), "next": None}


def session_documents(found: Iterable[Session]) -> list[Document]:
    """Sessions as documents; what opens one is not in it."""
    return [
        {
            "session_id": str(each.session_id),
            "name": each.operator.name,
            "person_id": each.operator.person_id or None,
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
