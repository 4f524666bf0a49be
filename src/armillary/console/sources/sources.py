# SPDX-License-Identifier: Apache-2.0
"""Signing in, and what pages ask for the operator who is signed in.

Sources are made for each request (:meth:`Console.visit` of ``frame/console.py``): they show what that operator reaches,
and changes bear the operator's name in the audit log. What a role may do is asked of the API's own rows
(``api/http/route.py``), so that a button and a route cannot disagree. Tests of pages put a rehearsed fleet in their
place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING
from uuid import UUID

from armillary.console.sources.permissions import Checked
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import SignedIn
from armillary.console.sources.source_application import ServiceApplication
from armillary.console.sources.source_service import (
    ServiceFleet,
    ServiceHub,
    ServiceSettings,
    ServiceUpdates,
    ServiceWatch,
)
from armillary.engines.records.schema.rows import Token
from armillary.errors import NotFoundError, UnauthenticatedError

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService


class ServiceSignIn:
    """Tokens."""

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
        """The operator as its token is now; None when that has ended, or its catalog or organisation was deleted."""
        token = self._service.tokens.valid(UUID(operator.token_id))
        return None if token is None else self._operator(token)

    def _operator(self, token: Token) -> SignedIn | None:
        """The operator of a token; None where its catalog or organisation is gone."""
        catalog = organisation = None
        if token.catalog_id is not None:
            try:
                catalog = self._service.registry.catalogs.get_by_id(token.catalog_id).name
            except NotFoundError:
                return None
        if token.organisation is not None:
            found = self._platform.organisations.all().get(token.organisation)
            if found is None:
                return None
            organisation = found.name
        identity = (token.name, token.role, token.catalog_id, token.organisation)
        return SignedIn(*identity, str(token.token_id), catalog, organisation)


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


def sources_of(service: SecurityService, hub: Hub, platform: Platform) -> SourcesFor:
    """Signing in to a service, and the sources of who is signed in."""

    def of(operator: SignedIn) -> Sources:
        by = RequestContext(service, hub, platform, operator, operator.catalog_name)
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

    return SourcesFor(ServiceSignIn(service, platform), of)
