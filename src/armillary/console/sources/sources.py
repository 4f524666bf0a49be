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
from armillary.service.people.known import Known
from armillary.service.people.sessions import Sessions
from armillary.service.people.sign_in import NOT_KNOWN
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
        """The person who came back from the provider, by the grant that goes first. Raises SignInRefusedError.

        That is one of all catalogs; else of the catalog for which the person acted last, or that knew the person first:
        no other catalog becomes the place to which somebody comes by granting more. There, it is the widest.
        """
        known = self._service.people.sign_ins.signed_in(profile)
        found = self._standing(known)
        if not found:
            raise SignInRefusedError(
                f"what {known.person.login} was granted is gone: its catalog or organisation was deleted",
                remedy="An administrator can grant a role of another: armillary person grant.",
                code=NOT_KNOWN,
            )
        acted = {each.catalog_id: each.acted_at or 0 for each in known.entries}
        since = {each.catalog_id: each.created_at for each in reversed(known.grants)}

        def rank(each: SignedIn) -> tuple[bool, int, int, bool, int]:
            last = 0 if each.catalog is None else acted.get(each.catalog, 0)
            is_inner = each.organisation is not None
            return each.catalog is not None, -last, since[each.catalog], is_inner, -RANK[each.role]

        operator = min(found, key=rank)
        self._service.people.sign_ins.acts(known.person.person_id, UUID(operator.grant_id))
        return operator

    def choices(self, operator: SignedIn) -> list[SignedIn]:
        """The person of a session by each grant that stands; empty for a token."""
        if not operator.person_id:
            return []
        known = self._service.people.sign_ins.of(UUID(operator.person_id))
        return [] if known is None else self._standing(known)

    def act(self, operator: SignedIn, grant_id: str) -> SignedIn | None:
        """The same person, who goes on by another grant; None where it does not stand."""
        found = self.by_grant(operator, grant_id)
        if found is not None:
            self._service.people.sign_ins.acts(UUID(found.person_id), UUID(found.grant_id))
        return found

    def by_grant(self, operator: SignedIn, grant_id: str) -> SignedIn | None:
        """The same person by another grant; None where it does not stand."""
        try:
            found = self._service.people.sign_ins.standing(UUID(operator.person_id), UUID(grant_id))
        except ValueError:
            return None
        return None if found is None else self._granted(*found)

    def _standing(self, known: Known) -> list[SignedIn]:
        """A person by each grant that stands."""
        return [each for each in (self._granted(known.person, grant) for grant in known.grants) if each is not None]

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
        if names is None:
            return None
        return SignedIn(*identity, str(token.token_id), *names, ends_at=token.expires_at)

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
