# SPDX-License-Identifier: Apache-2.0
"""Operator tokens: their SHA-256 only. A token is 256 random bits, so a plain hash cannot be guessed back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Token, from_row

_table = schema.token


def add(connection: Connection, token: Token, secret_hash: bytes) -> None:
    """Store a new token."""
    connection.execute(
        insert(_table).values(
            token_id=token.token_id,
            name=token.name,
            role=token.role,
            secret_hash=secret_hash,
            created_at=token.created_at,
            created_by=token.created_by,
            expires_at=token.expires_at,
            last_used_at=token.last_used_at,
            revoked_at=token.revoked_at,
            catalog_id=token.catalog_id,
            organisation=token.organisation,
        )
    )


def by_hash(connection: Connection, secret_hash: bytes) -> Token | None:
    """The token whose secret has this hash."""
    row = connection.execute(select(_table).where(_table.c.secret_hash == secret_hash)).first()
    return None if row is None else _token(row)


def by_id(connection: Connection, token_id: UUID) -> Token | None:
    """A token."""
    row = connection.execute(select(_table).where(_table.c.token_id == token_id)).first()
    return None if row is None else _token(row)


def every(connection: Connection) -> tuple[Token, ...]:
    """All tokens, oldest first."""
    return tuple(
        _token(row) for row in connection.execute(select(_table).order_by(_table.c.created_at, _table.c.token_id))
    )


def revoke(connection: Connection, token_id: UUID, *, now: int) -> None:
    """Revoke a token; it stays listed."""
    connection.execute(
        update(_table).where(_table.c.token_id == token_id, _table.c.revoked_at.is_(None)).values(revoked_at=now)
    )


def used(connection: Connection, token_id: UUID, *, now: int) -> None:
    """Note the time of use."""
    connection.execute(update(_table).where(_table.c.token_id == token_id).values(last_used_at=now))


def _token(row: Row[Any]) -> Token:
    return from_row(Token, row)
