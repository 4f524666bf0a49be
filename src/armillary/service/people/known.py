# SPDX-License-Identifier: Apache-2.0
"""People with their grants, as those see them who may: all of it, or what one catalog knows of somebody.

An administrator of one catalog sees who is granted something there, and of them only that: under an id of that
catalog, by the address or subject that was given there, with the grants of that catalog. Whether somebody is known
elsewhere, and by what name, is not shown. From the first time that a person acts for the catalog, its administrators
also see the person's login, name and state.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.people import people as rows, table_views
from armillary.engines.records.people.people import CatalogPerson, Grant, Person
from armillary.errors import NotFoundError
from armillary.identity import person as rules


@dataclass(frozen=True, slots=True)
class Known:
    """A person with grants, oldest first, and how catalogs know the person."""

    person: Person
    grants: tuple[Grant, ...]
    entries: tuple[CatalogPerson, ...] = ()

    def in_catalog(self, catalog_id: UUID) -> CatalogPerson | None:
        """How a catalog knows the person; None where nothing is granted there."""
        return next((each for each in self.entries if each.catalog_id == catalog_id), None)


def known(connection: Connection, found: Person) -> Known:
    """All that there is of a person."""
    person_id = found.person_id
    return Known(found, rows.grants_of(connection, person_id), rows.entries_of(connection, person_id))


def as_catalog_knows(found: Known, entry: CatalogPerson) -> Known:
    """A person as one catalog knows one."""
    person, has_acted = found.person, entry.acted_at is not None
    shown = Person(
        person_id=entry.entry_id,
        login=person.login if has_acted else entry.known_as,
        name=person.name if has_acted else "",
        email=None,
        issuer=None,
        subject=None,
        state=person.state if has_acted else rules.ACTIVE,
        created_at=entry.created_at,
        created_by=entry.created_by,
        signed_in_at=entry.acted_at,
    )
    return Known(shown, tuple(each for each in found.grants if each.catalog_id == entry.catalog_id), (entry,))


def shown(connection: Connection, found: Person, catalog_id: UUID | None) -> Known:
    """A person as seen by who speaks for a catalog, or for all (None). Raises NotFoundError if it knows none such."""
    whole = known(connection, found)
    if catalog_id is None:
        return whole
    entry = whole.in_catalog(catalog_id)
    if entry is None:
        raise absent(found.person_id)
    return as_catalog_knows(whole, entry)


def everybody(connection: Connection, catalog_id: UUID | None) -> tuple[Known, ...]:
    """All people by login, or those whom a catalog knows."""
    granted: dict[UUID, list[Grant]] = {}
    for each in rows.every_grant(connection, catalog_id):
        granted.setdefault(each.person_id, []).append(each)
    people = rows.every_one(connection, catalog_id)
    found = (Known(each, tuple(granted.get(each.person_id, ()))) for each in people)
    if catalog_id is None:
        return tuple(found)
    entries = {each.person_id: each for each in rows.entries_in(connection, catalog_id)}
    mine = (as_catalog_knows(each, entries[each.person.person_id]) for each in found)
    return tuple(sorted(mine, key=lambda each: each.person.login.lower()))


def meant(connection: Connection, person_id: UUID, catalog_id: UUID | None) -> Person:
    """The person of an id, as who speaks for a catalog calls one; for all catalogs an id of any of them counts as well.

    Raises NotFoundError: there is none, or the catalog does not know the person.
    """
    entry = rows.entry(connection, person_id)
    if catalog_id is None:
        found = rows.by_id(connection, person_id if entry is None else entry.person_id)
    else:
        is_theirs = entry is not None and entry.catalog_id == catalog_id
        found = rows.by_id(connection, entry.person_id) if entry is not None and is_theirs else None
    if found is None:
        raise absent(person_id)
    return found


def absent(person_id: UUID) -> NotFoundError:
    """The error for a person who does not exist, or whom the caller's catalog does not know."""
    return NotFoundError(f"person {person_id} does not exist", remedy="List them: armillary person list.")


def delete(connection: Connection, person_id: UUID) -> None:
    """Delete a person, with all grants and everything that the person keeps."""
    rows.remove(connection, person_id)
    table_views.forget(connection, person_id)
