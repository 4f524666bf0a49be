# SPDX-License-Identifier: Apache-2.0
"""Answers about people and sessions: who may sign in, who is signed in now."""

from __future__ import annotations

from armillary.api.views import people as views
from armillary.console.sources.request_context import RequestContext, uuid_of
from armillary.console.sources.signed_in import Document
from armillary.errors import UnauthenticatedError
from armillary.identity.signed_in import SignedIn
from armillary.settings import Settings


def list_people(by: RequestContext) -> Document:
    """Everybody whom the operator may see, and what the settings say of the provider."""
    settings: Settings = by.service.settings
    provider = {"issuer": settings.oidc_issuer, "grants": settings.oidc_grants if by.operator.catalog is None else ""}
    return {**views.people(by.service, by.operator), "provider": provider}


def grant_places(by: RequestContext) -> Document:
    """Where the operator can grant a role: catalogs, and organisations of each; ``all`` says whether in all of them."""
    names = [each.name for each in by.service.registry.catalogs.list() if by.catalog in (None, each.name)]
    lower = {each.lower() for each in names}
    found = by.platform.organisations.all()
    inner = [{"id": key, "name": each.name, "catalog": each.catalog} for key, each in found.items()]
    mine = [each for each in inner if each["catalog"].lower() in lower]
    return {"catalogs": names, "organisations": mine, "all": by.operator.catalog is None}


def show_person(by: RequestContext, person_id: str) -> Document:
    """A person, with grants."""
    return views.person(by.service, uuid_of("person", person_id), by.operator)


def invite_person(
    by: RequestContext,
    email: str | None,
    subject: str | None,
    name: str,
    granted: tuple[str, str | None, str | None] | None,
) -> Document:
    """A new person; ``granted`` is a first grant: role, catalog, organisation."""
    wanted = None if granted is None else views.wanted_grant(by.service, by.platform, granted, by.operator)
    return views.invite(by.service, email=email, subject=subject, name=name, granted=wanted, by=by.operator)


def grant_person(by: RequestContext, person_id: str, granted: tuple[str, str | None, str | None]) -> Document:
    """A person after another grant: role, catalog, organisation."""
    wanted = views.wanted_grant(by.service, by.platform, granted, by.operator)
    return views.grant(by.service, uuid_of("person", person_id), wanted, by.operator)


def revoke_grant(by: RequestContext, person_id: str, grant_id: str) -> Document:
    """A grant, taken back."""
    person, grant = uuid_of("person", person_id), uuid_of("grant", grant_id)
    by.service.people.revoke(person, grant, by=by.operator)
    return {}


def set_person_state(by: RequestContext, person_id: str, state: str) -> Document:
    """A person who was disabled, or enabled."""
    return views.set_state(by.service, uuid_of("person", person_id), state, by.operator)


def remove_person(by: RequestContext, person_id: str) -> Document:
    """A person, deleted; by somebody of one catalog, from that catalog."""
    by.service.people.remove(uuid_of("person", person_id), by=by.operator)
    return {}


def list_sessions(by: RequestContext) -> Document:
    """Who is signed in now."""
    return views.sessions(by.service, by.operator)


def end_session(by: RequestContext, session_id: str) -> Document:
    """Somebody's session, ended."""
    by.service.people.end_session(uuid_of("session", session_id), by=by.operator)
    return {}


def own_sessions(by: RequestContext) -> Document:
    """One's own sessions."""
    return views.sessions(by.service, by.operator, owner=_owner(by))


def end_own_session(by: RequestContext, session_id: str) -> Document:
    """One's own session, ended."""
    by.service.people.end_session(uuid_of("session", session_id), by=by.operator, owner=_owner(by))
    return {}


def _owner(by: RequestContext) -> str:
    if not isinstance(by.operator, SignedIn):
        raise UnauthenticatedError("only somebody who is signed in has sessions")
    return by.operator.owner
