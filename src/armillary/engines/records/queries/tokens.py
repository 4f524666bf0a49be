# SPDX-License-Identifier: Apache-2.0
"""Operator tokens; only their SHA-256 is stored: a token is 256 random bits, which cannot be guessed from a hash."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from armillary.engines.records.queries import pages
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Token, from_row, to_row

_table = schema.token
_token = partial(from_row, Token)


def add(connection: Connection, token: Token, secret_hash: bytes) -> None:
    """Store a new token."""
    connection.execute(insert(_table).values(to_row(_table, token, secret_hash=secret_hash)))


def by_hash(connection: Connection, secret_hash: bytes) -> Token | None:
    """The token whose secret has this hash."""
    return pages.first(connection, select(_table).where(_table.c.secret_hash == secret_hash), _token)


def by_id(connection: Connection, token_id: UUID) -> Token | None:
    """The token of an id."""
    return pages.first(connection, select(_table).where(_table.c.token_id == token_id), _token)


def every(connection: Connection) -> tuple[Token, ...]:
    """All tokens, oldest first."""
    return pages.every(connection, select(_table).order_by(_table.c.created_at, _table.c.token_id), _token)


def revoke(connection: Connection, token_id: UUID, *, now: int) -> None:
    """Revoke a token; it stays listed."""
    connection.execute(
        update(_table).where(_table.c.token_id == token_id, _table.c.revoked_at.is_(None)).values(revoked_at=now)
    )


def used(connection: Connection, token_id: UUID, *, now: int) -> None:
    """Store the time of use."""
    connection.execute(update(_table).where(_table.c.token_id == token_id).values(last_used_at=now))
