# SPDX-License-Identifier: Apache-2.0
"""Native routes of people who sign in by the provider, and of sessions of the console.

They are for administrators: of all catalogs, or with ``catalog=`` for the people of one. One's own sessions are
everybody's.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.route import ADMINISTRATOR, READER, Reach, Route
from armillary.api.http.routes import actor_of, operator_of, platform_of, service_of
from armillary.api.native.parameters import V1, CatalogFilter, Name, StrictBody
from armillary.identity.operator import Operator

PersonPath = Annotated[UUID, Path(description="Id of a person")]
GrantPath = Annotated[UUID, Path(description="Id of a grant")]
SessionPath = Annotated[UUID, Path(description="Id of a session")]
Role = Literal["Administrator", "Contributor", "Reader"]
Organisation = Annotated[str, Field(min_length=1, max_length=128)]


class GrantBody(StrictBody):
    """A grant to make.

    Attributes:
        role: What it allows.
        catalog: The only catalog it reaches; None for all.
        organisation: The only organisation of that catalog it reaches; None for all.
    """

    role: Role
    catalog: Name | None = None
    organisation: Organisation | None = None


class PersonBody(StrictBody):
    """A person to invite: by the address or by the subject that the provider knows.

    Attributes:
        email: Address that the provider has verified.
        subject: What the provider calls the person.
        name: What the person is called until the provider says it.
        role: A first grant, as in :class:`GrantBody`; None for none yet.
        catalog: The only catalog that the first grant reaches; None for all.
        organisation: The only organisation of that catalog that it reaches; None for all.
    """

    email: Annotated[str, Field(min_length=3, max_length=254)] | None = None
    subject: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    name: Annotated[str, Field(max_length=128)] = ""
    role: Role | None = None
    catalog: Name | None = None
    organisation: Organisation | None = None


def list_people(request: Request, catalog: CatalogFilter = None) -> dict[str, Any]:
    """People who may sign in by the provider, with what each is granted."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory: few services have people

    return views.people(service_of(request), _by(request, catalog))


def invite_person(request: Request, body: PersonBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Let somebody sign in, with a first grant if a role is given."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    service, by = service_of(request), _by(request, catalog)
    asked = None if body.role is None else (body.role, body.catalog, body.organisation)
    return views.invite(
        service,
        email=body.email,
        subject=body.subject,
        name=body.name,
        granted=None if asked is None else views.wanted_grant(service, platform_of(request), asked, by),
        by=by,
    )


def show_person(request: Request, person_id: PersonPath, catalog: CatalogFilter = None) -> dict[str, Any]:
    """A person, with grants."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    return views.person(service_of(request), person_id, _by(request, catalog))


def remove_person(request: Request, person_id: PersonPath, catalog: CatalogFilter = None) -> Response:
    """Delete a person with all grants, or those of a catalog, and end the sessions that act by them."""
    service_of(request).people.remove(person_id, by=_by(request, catalog))
    return Response(status_code=204)


def disable_person(request: Request, person_id: PersonPath) -> dict[str, Any]:
    """Let a person in no more, and end the person's sessions now."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    return views.set_state(service_of(request), person_id, "disabled", actor_of(request))


def enable_person(request: Request, person_id: PersonPath) -> dict[str, Any]:
    """Let a person in again who was disabled."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    return views.set_state(service_of(request), person_id, "active", actor_of(request))


def grant_role(
    request: Request, person_id: PersonPath, body: GrantBody, catalog: CatalogFilter = None
) -> dict[str, Any]:
    """Grant a person a role: of all catalogs, of one, or of one organisation."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    service, by = service_of(request), _by(request, catalog)
    asked = (body.role, body.catalog, body.organisation)
    return views.grant(service, person_id, views.wanted_grant(service, platform_of(request), asked, by), by)


def revoke_grant(
    request: Request, person_id: PersonPath, grant_id: GrantPath, catalog: CatalogFilter = None
) -> Response:
    """Take a grant back, and end the sessions that act by it now."""
    service_of(request).people.revoke(person_id, grant_id, by=_by(request, catalog))
    return Response(status_code=204)


def list_sessions(request: Request, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Who is signed in to the console now."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    return views.sessions(service_of(request), _by(request, catalog))


def end_session(request: Request, session_id: SessionPath, catalog: CatalogFilter = None) -> Response:
    """Sign somebody out of the console."""
    service_of(request).people.end_session(session_id, by=_by(request, catalog))
    return Response(status_code=204)


def list_own_sessions(request: Request) -> dict[str, Any]:
    """Sessions of the console that the caller's token has opened."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    return views.sessions(service_of(request), actor_of(request), owner=str(operator_of(request).token_id))


def end_own_session(request: Request, session_id: SessionPath) -> Response:
    """End a session of the console that the caller's token has opened."""
    owner = str(operator_of(request).token_id)
    service_of(request).people.end_session(session_id, by=actor_of(request), owner=owner)
    return Response(status_code=204)


def _by(request: Request, catalog: str | None) -> Operator:
    """Who asks, for the catalog that is named."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    return views.speaking(service_of(request), actor_of(request), catalog)


_person, _session = partial(Route, tag="people", role=ADMINISTRATOR), partial(Route, tag="sessions")
_of_catalog, _of_session = partial(_person, narrowed=True), partial(_session, role=ADMINISTRATOR, narrowed=True)
_ALL, _ONE, _OWN = V1 + "/people", V1 + "/people/{person_id}", V1 + "/me/sessions"
ROUTES = (
    _of_catalog("GET", _ALL, list_people),
    _of_catalog("POST", _ALL, invite_person, status=201),
    _of_catalog("GET", _ONE, show_person),
    _of_catalog("DELETE", _ONE, remove_person, status=204, answer=Response),
    _person("POST", _ONE + "/disable", disable_person),
    _person("POST", _ONE + "/enable", enable_person),
    _of_catalog("POST", _ONE + "/grants", grant_role, status=201),
    _of_catalog("DELETE", _ONE + "/grants/{grant_id}", revoke_grant, status=204, answer=Response),
    _of_session("GET", V1 + "/sessions", list_sessions),
    _of_session("DELETE", V1 + "/sessions/{session_id}", end_session, status=204, answer=Response),
    _session("GET", _OWN, list_own_sessions, READER, reach=Reach.CALLER),
    _session(
        "DELETE", _OWN + "/{session_id}", end_own_session, READER, status=204, answer=Response, reach=Reach.CALLER
    ),
)
