# SPDX-License-Identifier: Apache-2.0
"""Granting roles to people: what may be granted, by whom, and how many.

An administrator of one catalog grants roles of that catalog and of its organisations, and none above the own one. What
is granted lasts until it is revoked, so a token of one catalog that itself ends grants nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.people import people as rows
from armillary.engines.records.people.people import CatalogPerson, Grant, Person
from armillary.engines.records.schema.rows import Catalog
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from armillary.identity import person as rules
from armillary.identity.operator import Operator
from armillary.service.context.context import Context
from armillary.service.people.known import Known
from armillary.service.registry.names import catalog_or_raise

# Of one person in one catalog, by its own administrators: they leave room for what others grant the same person.
MAX_GRANTS_OF_CATALOG: Final = 8
# People of one catalog, by its own administrators: they leave room for the people of others.
MAX_PEOPLE_OF_CATALOG: Final = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be granted: a role of all catalogs, of one, or of one organisation in it.

    That an organisation is the catalog's is checked by the caller: this hall does not know organisations.
    """

    role: str
    catalog: str | None = None
    organisation: str | None = None


def check_may_grant(by: Operator) -> None:
    """Raise PermissionDeniedError for somebody of one organisation, or by a token of one catalog that itself ends."""
    if by.organisation is not None:
        raise PermissionDeniedError(
            f"{by.name} is for one organisation, and people are let in by administrators of the catalog",
            remedy="Ask an administrator of the catalog.",
        )
    if by.catalog is not None and by.ends_at is not None:
        raise PermissionDeniedError(
            f"the token {by.name!r:.80} ends by itself, and what a person is granted lasts",
            remedy="Use a token that lasts, or sign in to the console as an administrator of the catalog.",
        )


def catalog_within(connection: Connection, name: str | None, by: Operator) -> Catalog | None:
    """The catalog in which somebody wants to grant a role; None for all.

    Raises:
        PermissionDeniedError: all catalogs, by somebody of one.
        NotFoundError: no such catalog, or not the one that somebody speaks for; both answers are the same.
    """
    if name is None and by.catalog is not None:
        raise PermissionDeniedError(
            f"{by.name} is for one catalog, and a role without a catalog is of all of them",
            remedy="Name the catalog of the role.",
        )
    found = None if name is None else catalog_or_raise(connection, name)
    if found is not None and by.catalog not in (None, found.catalog_id):
        raise NotFoundError(f"catalog {name!r} does not exist", remedy="List them: armillary catalog list.")
    return found


class Granting:
    """Makes grants and takes them back, within a transaction; each writes its audit line there."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def grant(
        self, connection: Connection, found: Known, wanted: Wanted, *, by: Operator, known_as: str | None = None
    ) -> Grant:
        """Grant a role; ``known_as`` is what a catalog calls somebody who is new there, by default the login.

        Raises:
            InvalidArgumentError: no such role, or an organisation without its catalog.
            PermissionDeniedError: above what ``by`` may itself, or see :func:`check_may_grant`.
            NotFoundError: no such catalog.
            ConflictError: it is granted already, or the person has as many grants as one may have.
        """
        _check_role(wanted.role, by)
        if wanted.organisation is not None and wanted.catalog is None:
            raise InvalidArgumentError(
                "organisation: expected a catalog as well", remedy="Name the organisation's catalog."
            )
        only = catalog_within(connection, wanted.catalog, by)
        made = Grant(
            grant_id=uuid4(),
            person_id=found.person.person_id,
            role=wanted.role,
            catalog_id=None if only is None else only.catalog_id,
            organisation=wanted.organisation,
            origin=rules.BY_ADMINISTRATOR,
            created_at=self._context.now(),
            created_by=by.name,
        )
        if any(what(each) == what(made) and each.origin == made.origin for each in found.grants):
            raise ConflictError("this is granted already", remedy="See what is: armillary person show.")
        _check_number(found, by)
        if by.catalog is not None and found.in_catalog(by.catalog) is None:
            _check_room(connection, by.catalog)
        self.give(connection, found.person, made, known_as=known_as)
        detail = {
            "role": wanted.role,
            "catalog": None if only is None else only.name,
            "organisation": wanted.organisation,
        }
        self.audit(connection, by.name, "person.grant", found.person, made, detail)
        return made

    def give(self, connection: Connection, person: Person, made: Grant, *, known_as: str | None = None) -> None:
        """Store a grant; its catalog knows the person from then on."""
        rows.add_grant(connection, made)
        if made.catalog_id is None or any(
            each.catalog_id == made.catalog_id for each in rows.entries_of(connection, person.person_id)
        ):
            return
        rows.add_entry(
            connection,
            CatalogPerson(
                entry_id=uuid4(),
                catalog_id=made.catalog_id,
                person_id=person.person_id,
                known_as=known_as or person.login,
                created_at=made.created_at,
                created_by=made.created_by,
                acted_at=None,
            ),
        )

    def take(self, connection: Connection, person: Person, grant: Grant) -> None:
        """Delete a grant; with the last one there its catalog knows the person no more."""
        rows.remove_grant(connection, grant.grant_id)
        if any(each.catalog_id == grant.catalog_id for each in rows.grants_of(connection, person.person_id)):
            return
        for entry in rows.entries_of(connection, person.person_id):
            if entry.catalog_id == grant.catalog_id:
                rows.remove_entry(connection, entry.entry_id)

    def audit(
        self,
        connection: Connection,
        actor: str,
        operation: str,
        who: Person,
        grant: Grant,
        detail: dict[str, str | None],
    ) -> None:
        """Write the audit line of what was done with a grant."""
        said = {name: value for name, value in detail.items() if value is not None}
        self._context.audit(connection, actor, operation, who.login, {"grant_id": str(grant.grant_id), **said})


def what(grant: Grant) -> tuple[str, UUID | None, str | None]:
    """What a grant allows: two of the same are one."""
    return grant.role, grant.catalog_id, grant.organisation


def by_groups(grants: tuple[Grant, ...]) -> bool:
    """Whether the provider's groups grant one of these."""
    return any(each.origin == rules.BY_PROVIDER for each in grants)


def _check_role(role: str, by: Operator) -> None:
    if role not in rules.ROLES:
        raise InvalidArgumentError(
            f"role: expected {', '.join(rules.ROLES)}, got {role!r:.40}", remedy="Use one of the three roles."
        )
    if by.role not in rules.ROLES or rules.ROLES.index(role) > rules.ROLES.index(by.role):
        raise PermissionDeniedError(
            f"{by.name} is {by.role}, and grants no more than that",
            remedy="Grant a lower role, or ask an administrator.",
        )
    check_may_grant(by)


def _check_number(found: Known, by: Operator) -> None:
    """Raise ConflictError if a person has as many grants as may be; one catalog's administrators count their own."""
    mine = [each for each in found.grants if by.catalog in (None, each.catalog_id)]
    most = rules.MAX_GRANTS if by.catalog is None else MAX_GRANTS_OF_CATALOG
    if len(mine) >= most:
        raise ConflictError(
            f"the person has {len(mine)} grants, of {most} at most",
            remedy="Revoke one first, or grant a role of a whole catalog.",
        )


def _check_room(connection: Connection, catalog_id: UUID) -> None:
    if rows.count_entries(connection, catalog_id) >= MAX_PEOPLE_OF_CATALOG:
        raise ConflictError(
            f"the catalog has {MAX_PEOPLE_OF_CATALOG} people", remedy="Remove some: armillary person remove."
        )
