# SPDX-License-Identifier: Apache-2.0
"""People and their grants, as stored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema.rows import from_row, to_row
from armillary.engines.records.schema.security import people_tables as tables

_person, _grant = tables.person, tables.person_grant


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


_as_person, _as_grant = partial(from_row, Person), partial(from_row, Grant)


def add(connection: Connection, made: Person) -> None:
    """Store a new person."""
    connection.execute(insert(_person).values(to_row(_person, made, login_key=made.login.lower())))


def every_one(connection: Connection) -> tuple[Person, ...]:
    """All people, by login."""
    return every(connection, select(_person).order_by(_person.c.login_key), _as_person)


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
    """Delete a person with all grants."""
    connection.execute(delete(_grant).where(_grant.c.person_id == person_id))
    connection.execute(delete(_person).where(_person.c.person_id == person_id))


def add_grant(connection: Connection, made: Grant) -> None:
    """Store a new grant."""
    connection.execute(insert(_grant).values(to_row(_grant, made)))


def grants_of(connection: Connection, person_id: UUID) -> tuple[Grant, ...]:
    """A person's grants, oldest first."""
    query = select(_grant).where(_grant.c.person_id == person_id).order_by(_grant.c.created_at, _grant.c.grant_id)
    return every(connection, query, _as_grant)


def every_grant(connection: Connection) -> tuple[Grant, ...]:
    """All grants, oldest first."""
    return every(connection, select(_grant).order_by(_grant.c.created_at, _grant.c.grant_id), _as_grant)


def remove_grant(connection: Connection, grant_id: UUID) -> None:
    """Delete a grant."""
    connection.execute(delete(_grant).where(_grant.c.grant_id == grant_id))
