# SPDX-License-Identifier: Apache-2.0
"""Native routes of people who sign in by the provider, and of sessions of the console.

They are for administrators of all catalogs, as tokens are; one's own sessions are everybody's.
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
from armillary.api.native.parameters import V1, Name, StrictBody

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


def list_people(request: Request) -> dict[str, Any]:
    """People who may sign in by the provider, with what each is granted."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory: few services have people

    return views.people(service_of(request))


def invite_person(request: Request, body: PersonBody) -> dict[str, Any]:
    """Let somebody sign in, with a first grant if a role is given."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    role, platform = body.role, platform_of(request)
    return views.invite(
        service_of(request),
        email=body.email,
        subject=body.subject,
        name=body.name,
        granted=None if role is None else views.wanted_grant(platform, role, body.catalog, body.organisation),
        actor=actor_of(request).name,
    )


def show_person(request: Request, person_id: PersonPath) -> dict[str, Any]:
    """A person, with grants."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    return views.person(service_of(request), person_id)


def remove_person(request: Request, person_id: PersonPath) -> Response:
    """Delete a person with all grants, and end the person's sessions."""
    service_of(request).people.remove(person_id, actor=actor_of(request).name)
    return Response(status_code=204)


def disable_person(request: Request, person_id: PersonPath) -> dict[str, Any]:
    """Let a person in no more, and end the person's sessions now."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    return views.set_state(service_of(request), person_id, "disabled", actor=actor_of(request).name)


def enable_person(request: Request, person_id: PersonPath) -> dict[str, Any]:
    """Let a person in again who was disabled."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    return views.set_state(service_of(request), person_id, "active", actor=actor_of(request).name)


def grant_role(request: Request, person_id: PersonPath, body: GrantBody) -> dict[str, Any]:
    """Grant a person a role: of all catalogs, of one, or of one organisation."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    wanted = views.wanted_grant(platform_of(request), body.role, body.catalog, body.organisation)
    return views.grant(service_of(request), person_id, wanted, actor=actor_of(request).name)


def revoke_grant(request: Request, person_id: PersonPath, grant_id: GrantPath) -> Response:
    """Take a grant back, and end the sessions that act by it now."""
    service_of(request).people.revoke(person_id, grant_id, actor=actor_of(request).name)
    return Response(status_code=204)


def list_sessions(request: Request) -> dict[str, Any]:
    """Who is signed in to the console now."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    return views.sessions(service_of(request))


def end_session(request: Request, session_id: SessionPath) -> Response:
    """Sign somebody out of the console."""
    service_of(request).people.end_session(session_id, actor=actor_of(request).name)
    return Response(status_code=204)


def list_own_sessions(request: Request) -> dict[str, Any]:
    """Sessions of the console that the caller's token has opened."""
    from armillary.api.views import people as views  # noqa: PLC0415 - memory, as above

    return views.sessions(service_of(request), owner=str(operator_of(request).token_id))


def end_own_session(request: Request, session_id: SessionPath) -> Response:
    """End a session of the console that the caller's token has opened."""
    owner = str(operator_of(request).token_id)
    service_of(request).people.end_session(session_id, actor=actor_of(request).name, owner=owner)
    return Response(status_code=204)


_person, _session = partial(Route, tag="people"), partial(Route, tag="sessions")
_ALL, _ONE, _OWN = V1 + "/people", V1 + "/people/{person_id}", V1 + "/me/sessions"
ROUTES = (
    _person("GET", _ALL, list_people, ADMINISTRATOR),
    _person("POST", _ALL, invite_person, ADMINISTRATOR, status=201),
    _person("GET", _ONE, show_person, ADMINISTRATOR),
    _person("DELETE", _ONE, remove_person, ADMINISTRATOR, status=204, answer=Response),
    _person("POST", _ONE + "/disable", disable_person, ADMINISTRATOR),
    _person("POST", _ONE + "/enable", enable_person, ADMINISTRATOR),
    _person("POST", _ONE + "/grants", grant_role, ADMINISTRATOR, status=201),
    _person("DELETE", _ONE + "/grants/{grant_id}", revoke_grant, ADMINISTRATOR, status=204, answer=Response),
    _session("GET", V1 + "/sessions", list_sessions, ADMINISTRATOR),
    _session("DELETE", V1 + "/sessions/{session_id}", end_session, ADMINISTRATOR, status=204, answer=Response),
    _session("GET", _OWN, list_own_sessions, READER, reach=Reach.CALLER),
    _session(
        "DELETE", _OWN + "/{session_id}", end_own_session, READER, status=204, answer=Response, reach=Reach.CALLER
    ),
)
