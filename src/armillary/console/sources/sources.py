# SPDX-License-Identifier: Apache-2.0
"""Signing in, and what pages ask for the operator who is signed in.

Sources are made for each request (:meth:`Console.visit` of ``frame/console.py``): they show what that operator reaches,
and changes bear the operator's name in the audit log. What a role may do is asked of the API's own rows
(``api/http/route.py``), so that a button and a route cannot disagree. Tests of pages put a rehearsed fleet in their
place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING
from uuid import UUID

from armillary.api.http.route import RANK
from armillary.console.sources.permissions import Checked
from armillary.console.sources.request_context import Applications, RequestContext, nothing
from armillary.console.sources.signed_in import SignedIn
from armillary.console.sources.source_application import ServiceApplication
from armillary.console.sources.source_service import (
    ServiceFleet,
    ServiceHub,
    ServiceSettings,
    ServiceUpdates,
    ServiceWatch,
)
from armillary.engines.records.people.people import Grant, Person
from armillary.engines.records.schema.rows import Token
from armillary.errors import NotFoundError, UnauthenticatedError
from armillary.identity.person import Profile
from armillary.service.people.people import NOT_KNOWN
from armillary.service.people.sessions import Sessions
from armillary.wire.sign_in.faults import SignInRefusedError

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService
    from armillary.service.people.passkeys import Passkeys
    from armillary.service.people.provider import SignInProvider


class ServiceSignIn:
    """Tokens and people."""

    def __init__(self, service: SecurityService, platform: Platform) -> None:
        self._service = service
        self._platform = platform

    def sign_in(self, secret: str) -> SignedIn:
        """The operator behind a token. Raises UnauthenticatedError."""
        operator = self._operator(self._service.tokens.authenticate(secret))
        if operator is None:
            raise UnauthenticatedError("the token's catalog or organisation was deleted")
        return operator

    def standing(self, operator: SignedIn) -> SignedIn | None:
        """The operator as token, or person and grant, are now; None when these or their catalog have ended."""
        if operator.person_id:
            return self.by_grant(operator, operator.grant_id)
        return self.of_token(UUID(operator.token_id))

    def of_token(self, token_id: UUID) -> SignedIn | None:
        """The operator of a token; None when it, its catalog or its organisation has ended."""
        token = self._service.tokens.valid(token_id)
        return None if token is None else self._operator(token)

    def person(self, profile: Profile) -> SignedIn:
        """The person who came back from the provider, by the widest grant that stands. Raises SignInRefusedError."""
        known = self._service.people.signed_in(profile)
        found = [each for each in (self._granted(known.person, grant) for grant in known.grants) if each is not None]
        if not found:
            raise SignInRefusedError(
                f"what {known.person.login} was granted is gone: its catalog or organisation was deleted",
                remedy="An administrator can grant a role of another: armillary person grant.",
                code=NOT_KNOWN,
            )
        return min(found, key=lambda each: (each.catalog is not None, each.organisation is not None, -RANK[each.role]))

    def choices(self, operator: SignedIn) -> list[SignedIn]:
        """The person of a session by each grant that stands; empty for a token."""
        if not operator.person_id:
            return []
        try:
            known = self._service.people.get(UUID(operator.person_id))
        except NotFoundError:
            return []
        return [each for each in (self._granted(known.person, grant) for grant in known.grants) if each is not None]

    def by_grant(self, operator: SignedIn, grant_id: str) -> SignedIn | None:
        """The same person by another grant; None where it does not stand."""
        try:
            found = self._service.people.standing(UUID(operator.person_id), UUID(grant_id))
        except ValueError:
            return None
        return None if found is None else self._granted(*found)

    def _granted(self, person: Person, grant: Grant) -> SignedIn | None:
        names = self._names(grant.catalog_id, grant.organisation)
        if names is None:
            return None
        identity = (person.login, grant.role, grant.catalog_id, grant.organisation)
        return SignedIn(*identity, "", *names, str(person.person_id), str(grant.grant_id), person.name)

    def _operator(self, token: Token) -> SignedIn | None:
        """The operator of a token; None where its catalog or organisation is gone."""
        names = self._names(token.catalog_id, token.organisation)
        identity = (token.name, token.role, token.catalog_id, token.organisation)
        return None if names is None else SignedIn(*identity, str(token.token_id), *names)

    def _names(self, catalog_id: UUID | None, organisation: str | None) -> tuple[str | None, str | None] | None:
        """What catalog and organisation are called; None where one is gone, or not the catalog's."""
        if catalog_id is None:
            return None, None
        try:
            catalog = self._service.registry.catalogs.get_by_id(catalog_id).name
        except NotFoundError:
            return None
        if organisation is None:
            return catalog, None
        found = self._platform.organisations.all().get(organisation)
        return None if found is None or found.catalog.lower() != catalog.lower() else (catalog, found.name)


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that one operator asks."""

    fleet: ServiceFleet
    hub: ServiceHub
    updates: ServiceUpdates
    watch: ServiceWatch
    settings: ServiceSettings
    application: ServiceApplication


@dataclass(frozen=True, slots=True)
class SourcesFor:
    """Signing in, and the sources of whoever is signed in."""

    sign_in: ServiceSignIn
    of: Callable[[SignedIn], Sources]
    sessions: Sessions = field(default_factory=Sessions)
    provider: SignInProvider | None = None
    passkeys: Passkeys | None = None


def sources_of(
    service: SecurityService,
    hub: Hub,
    platform: Platform,
    applications: Callable[[], Applications | None] = nothing,
) -> SourcesFor:
    """Signing in to a service, and the sources of who is signed in."""

    def of(operator: SignedIn) -> Sources:
        by = RequestContext(service, hub, platform, operator, operator.catalog_name, applications)
        sources = Sources(
            fleet=ServiceFleet(by),
            hub=ServiceHub(by),
            updates=ServiceUpdates(by),
            watch=ServiceWatch(by),
            settings=ServiceSettings(by),
            application=ServiceApplication(by),
        )
        checked = {each.name: Checked(getattr(sources, each.name), each.name, by) for each in fields(sources)}
        return Sources(**checked)  # type: ignore[arg-type]  # they have the same methods

    return SourcesFor(
        ServiceSignIn(service, platform), of, service.sessions, service.sign_in_provider, service.passkeys
    )
