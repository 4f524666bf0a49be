# SPDX-License-Identifier: Apache-2.0
"""People, their grants, and how each catalog knows them, as stored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema.rows import from_row, to_row
from armillary.engines.records.schema.security import people_tables as tables

_person, _grant, _entry = tables.person, tables.person_grant, tables.catalog_person


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who may sign in by the provider, if granted anything."""

    person_id: UUID
    login: str  # What the audit log calls the person; unique in any case, never changes
    name: str  # "" where none is known yet
    email: str | None  # Lower case
    issuer: str | None  # None, as is ``subject``, before the first sign-in of somebody invited by address
    subject: str | None
    state: str  # ``active`` or ``disabled``
    created_at: int  # Unix seconds
    created_by: str
    signed_in_at: int | None
    invited_for: UUID | None = None  # The catalog whose administrator made the row; None for who is of all


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a person is granted: the same limits as a token's."""

    grant_id: UUID
    person_id: UUID
    role: str
    catalog_id: UUID | None  # The only catalog; None for all
    organisation: str | None  # The only organisation of that catalog; None for all
    origin: str  # ``administrator``, or ``provider`` for what its groups grant
    created_at: int
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPerson:
    """A person as one catalog knows one: there while something is granted in that catalog."""

    entry_id: UUID  # What that catalog's administrators see as the person's id
    catalog_id: UUID
    person_id: UUID
    known_as: str  # Address or subject, as whoever granted there named the person
    created_at: int
    created_by: str
    acted_at: int | None  # When the person last began to act by a grant there


_as_person, _as_grant = partial(from_row, Person), partial(from_row, Grant)
_as_entry = partial(from_row, CatalogPerson)


def add(connection: Connection, made: Person) -> None:
    """Store a new person."""
    connection.execute(insert(_person).values(to_row(_person, made, login_key=made.login.lower())))


def every_one(connection: Connection, catalog_id: UUID | None = None) -> tuple[Person, ...]:
    """All people, or those whom a catalog knows, by login."""
    query = select(_person).order_by(_person.c.login_key)
    if catalog_id is not None:
        query = query.join(_entry, _entry.c.person_id == _person.c.person_id).where(_entry.c.catalog_id == catalog_id)
    return every(connection, query, _as_person)


def count(connection: Connection) -> int:
    """How many people there are."""
    return int(connection.execute(select(func.count()).select_from(_person)).scalar_one())


def by_id(connection: Connection, person_id: UUID) -> Person | None:
    """The person of an id."""
    return first(connection, select(_person).where(_person.c.person_id == person_id), _as_person)


def by_login(connection: Connection, login: str) -> Person | None:
    """The person whom the audit log calls so, in any case."""
    return first(connection, select(_person).where(_person.c.login_key == login.lower()), _as_person)


def by_subject(connection: Connection, issuer: str, subject: str) -> Person | None:
    """The person whom a provider knows by a subject."""
    mine = (_person.c.issuer == issuer) & (_person.c.subject == subject)
    return first(connection, select(_person).where(mine), _as_person)


def by_email(connection: Connection, email: str) -> Person | None:
    """The person of an address in lower case."""
    return first(connection, select(_person).where(_person.c.email == email), _as_person)


def change(connection: Connection, person_id: UUID, **values: object) -> None:
    """Change columns of a person."""
    connection.execute(update(_person).where(_person.c.person_id == person_id).values(**values))


def remove(connection: Connection, person_id: UUID) -> None:
    """Delete a person with all grants, in every catalog."""
    connection.execute(delete(_entry).where(_entry.c.person_id == person_id))
    connection.execute(delete(_grant).where(_grant.c.person_id == person_id))
    connection.execute(delete(_person).where(_person.c.person_id == person_id))


def add_grant(connection: Connection, made: Grant) -> None:
    """Store a new grant."""
    connection.execute(insert(_grant).values(to_row(_grant, made)))


def grants_of(connection: Connection, person_id: UUID) -> tuple[Grant, ...]:
    """A person's grants, oldest first."""
    query = select(_grant).where(_grant.c.person_id == person_id).order_by(_grant.c.created_at, _grant.c.grant_id)
    return every(connection, query, _as_grant)


def every_grant(connection: Connection, catalog_id: UUID | None = None) -> tuple[Grant, ...]:
    """All grants, or those of a catalog, oldest first."""
    query = select(_grant).order_by(_grant.c.created_at, _grant.c.grant_id)
    return every(connection, query if catalog_id is None else query.where(_grant.c.catalog_id == catalog_id), _as_grant)


def remove_grant(connection: Connection, grant_id: UUID) -> None:
    """Delete a grant."""
    connection.execute(delete(_grant).where(_grant.c.grant_id == grant_id))


def change_grant(connection: Connection, grant_id: UUID, **values: object) -> None:
    """Change columns of a grant."""
    connection.execute(update(_grant).where(_grant.c.grant_id == grant_id).values(**values))


def add_entry(connection: Connection, made: CatalogPerson) -> None:
    """Have a catalog know a person."""
    connection.execute(insert(_entry).values(to_row(_entry, made)))


def entry(connection: Connection, entry_id: UUID) -> CatalogPerson | None:
    """The person of a catalog of an id."""
    return first(connection, select(_entry).where(_entry.c.entry_id == entry_id), _as_entry)


def entries_of(connection: Connection, person_id: UUID) -> tuple[CatalogPerson, ...]:
    """How catalogs know a person."""
    return every(connection, select(_entry).where(_entry.c.person_id == person_id), _as_entry)


def entries_in(connection: Connection, catalog_id: UUID) -> tuple[CatalogPerson, ...]:
    """How a catalog knows each of its people."""
    return every(connection, select(_entry).where(_entry.c.catalog_id == catalog_id), _as_entry)


def count_entries(connection: Connection, catalog_id: UUID) -> int:
    """How many people a catalog knows."""
    mine = select(func.count()).select_from(_entry).where(_entry.c.catalog_id == catalog_id)
    return int(connection.execute(mine).scalar_one())


def change_entry(connection: Connection, entry_id: UUID, **values: object) -> None:
    """Change columns of a person of a catalog."""
    connection.execute(update(_entry).where(_entry.c.entry_id == entry_id).values(**values))


def remove_entry(connection: Connection, entry_id: UUID) -> None:
    """Have a catalog know a person no more."""
    connection.execute(delete(_entry).where(_entry.c.entry_id == entry_id))
