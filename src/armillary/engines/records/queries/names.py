# SPDX-License-Identifier: Apache-2.0
"""Names of devices: one row for each named device, and a few rows for the search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update

from armillary.engines.records.schema import schema
from armillary.wire.text.device_name import key_of, tails_of

_name, _word = schema.device_name, schema.device_name_word

# Names that a search reads: ten pages, in a few milliseconds.
MAX_MATCHES: Final = 1000
# Parameters of one query; SQLite takes 32,766.
_AT_ONCE: Final = 900
# Sorts after every character that a key may have.
_END: Final = "\U0010ffff"


def named(connection: Connection, identities: Sequence[str]) -> dict[str, str]:
    """The names of devices; devices that have none are left out."""
    found: dict[str, str] = {}
    for some in _portions(identities):
        rows = connection.execute(select(_name.c.identity, _name.c.name).where(_name.c.identity.in_(some)))
        found |= {row.identity: row.name for row in rows}
    return found


def put(connection: Connection, identity: str, catalog_id: UUID | None, name: str) -> None:
    """Name a device; ``""`` removes its name."""
    remove(connection, identity)
    if not name:
        return
    connection.execute(insert(_name).values(identity=identity, catalog_id=catalog_id, name=name))
    for tail in tails_of(name):
        connection.execute(insert(_word).values(identity=identity, tail=tail, catalog_id=catalog_id))


def remove(connection: Connection, identity: str) -> None:
    """Remove a device's name."""
    for table in (_name, _word):
        connection.execute(delete(table).where(table.c.identity == identity))


def hand_over(connection: Connection, identity: str, catalog_id: UUID) -> None:
    """A device comes to a catalog: remove the name that an earlier owner gave it, keep one from its manufacturing."""
    row = connection.execute(select(_name.c.catalog_id).where(_name.c.identity == identity)).first()
    if row is None:
        return
    if row.catalog_id is not None:
        remove(connection, identity)
        return
    for table in (_name, _word):
        connection.execute(update(table).where(table.c.identity == identity).values(catalog_id=catalog_id))


def matching(connection: Connection, text: str, *, catalog_id: UUID | None, limit: int) -> tuple[str, ...]:
    """Devices in whose name ``text`` stands at the beginning of a word: at most ``limit``, by the rest of the name.

    Reads at most ``limit`` entries of an index, however many devices and names there are.
    """
    key = key_of(text)
    if not key:
        return ()
    query = select(_word.c.identity).where(_word.c.tail >= key, _word.c.tail < key + _END)
    if catalog_id is not None:
        query = query.where(_word.c.catalog_id == catalog_id)
    rows = connection.execute(query.order_by(_word.c.tail).limit(limit))
    return tuple(dict.fromkeys(row.identity for row in rows))


def called(connection: Connection, name: str, *, catalog_id: UUID | None, limit: int) -> tuple[str, ...]:
    """Devices with exactly this name, in any case and spacing; at most ``limit``, by id."""
    key = key_of(name)
    query = select(_name.c.identity, _name.c.name).join(_word, _word.c.identity == _name.c.identity)
    query = query.where(_word.c.tail == key)
    if catalog_id is not None:
        query = query.where(_word.c.catalog_id == catalog_id)
    rows = connection.execute(query.order_by(_name.c.identity).limit(limit))
    return tuple(row.identity for row in rows if key_of(row.name) == key)


def _portions(identities: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(identities), _AT_ONCE):
        yield identities[start : start + _AT_ONCE]
