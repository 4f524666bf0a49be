# SPDX-License-Identifier: Apache-2.0
"""Configurations in IoT Hub's sense: desired properties for all devices that meet a condition, stored by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import writer_change
from armillary.errors import ConflictError, NotFoundError

# IoT Hub: 100 of one hub.
MAX_CONFIGURATIONS: Final = 100

TABLES: Final = """
CREATE TABLE IF NOT EXISTS configuration (
    catalog_id TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    etag INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    PRIMARY KEY (catalog_id, name)
) STRICT, WITHOUT ROWID;
"""


_SELECT: Final = (
    "SELECT catalog_id, name, document, etag, created_ms, changed_ms FROM configuration WHERE catalog_id = ?"
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """One configuration; ``document`` is the body of the request that set it."""

    catalog_id: str
    name: str
    document: dict[str, Any]
    etag: int
    created_ms: int
    changed_ms: int


@writer_change
def put(
    connection: Connection, catalog_id: str, name: str, document: dict[str, Any], *, etag: int | None, now_ms: int
) -> Configuration:
    """Store a configuration; ``etag`` is the version that the caller has read, 0 for any, None to make a new one.

    Raises:
        ConflictError: it has another version or exists already, or the catalog has all that it may have.
        NotFoundError: there is none to change.
    """
    before = _find(connection, catalog_id, name)
    _match(before, name, etag)
    count = connection.execute("SELECT count(*) FROM configuration WHERE catalog_id = ?", (catalog_id,)).fetchone()
    if before is None and count[0] >= MAX_CONFIGURATIONS:
        raise ConflictError(f"the catalog has {MAX_CONFIGURATIONS} configurations", remedy="Delete one.")
    version, created_ms = (1, now_ms) if before is None else (before.etag + 1, before.created_ms)
    connection.execute(
        "INSERT INTO configuration (catalog_id, name, document, etag, created_ms, changed_ms)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (catalog_id, name) DO UPDATE SET"
        " document = excluded.document, etag = excluded.etag, changed_ms = excluded.changed_ms",
        (catalog_id, name, json.dumps(document), version, created_ms, now_ms),
    )
    return Configuration(catalog_id, name, document, version, created_ms, now_ms)


@writer_change
def deleted(connection: Connection, catalog_id: str, name: str, *, etag: int) -> None:
    """Delete a configuration; errors as of :func:`put`."""
    _match(_find(connection, catalog_id, name), name, etag)
    connection.execute("DELETE FROM configuration WHERE catalog_id = ? AND name = ?", (catalog_id, name))


def read(connection: Connection, catalog_id: str, name: str) -> Configuration:
    """One configuration.

    Raises:
        NotFoundError: there is none.
    """
    found = _find(connection, catalog_id, name)
    if found is None:
        raise _unknown(name)
    return found


def read_all(connection: Connection, catalog_id: str) -> list[Configuration]:
    """A catalog's configurations by name."""
    return [_row(row) for row in connection.execute(_SELECT + " ORDER BY name", (catalog_id,))]


def _find(connection: Connection, catalog_id: str, name: str) -> Configuration | None:
    row = connection.execute(_SELECT + " AND name = ?", (catalog_id, name)).fetchone()
    return None if row is None else _row(row)


def _match(found: Configuration | None, name: str, etag: int | None) -> None:
    if etag is None and found is not None:
        raise ConflictError(f"the configuration {name:.60} exists already", code="hub.configuration-exists")
    if etag is not None and found is None:
        raise _unknown(name)
    if etag and found is not None and found.etag != etag:
        raise ConflictError(f"the configuration {name:.60} was changed since", code="request.precondition")


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"configuration {name!r:.60} does not exist", remedy="List them.")


def _row(row: tuple[Any, ...]) -> Configuration:
    return Configuration(row[0], row[1], json.loads(row[2]), row[3], row[4], row[5])
