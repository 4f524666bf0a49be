# SPDX-License-Identifier: Apache-2.0
"""Passkeys of operator tokens, and hashes of recovery codes, as stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema.rows import from_row, to_row
from armillary.engines.records.schema.security import people_tables as tables

_passkey, _code = tables.passkey, tables.recovery_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A key that the console asks for after a token. ``public_key`` is a COSE_Key; times are Unix seconds."""

    passkey_id: UUID
    token_id: UUID
    name: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    created_at: int
    used_at: int | None


_as_passkey = partial(from_row, Passkey)


def add(connection: Connection, made: Passkey) -> None:
    """Store a new passkey."""
    connection.execute(insert(_passkey).values(to_row(_passkey, made)))


def of_token(connection: Connection, token_id: UUID) -> tuple[Passkey, ...]:
    """A token's passkeys, oldest first."""
    query = select(_passkey).where(_passkey.c.token_id == token_id)
    return every(connection, query.order_by(_passkey.c.created_at, _passkey.c.passkey_id), _as_passkey)


def by_credential(connection: Connection, credential_id: bytes) -> Passkey | None:
    """The passkey that authenticators know by an id."""
    return first(connection, select(_passkey).where(_passkey.c.credential_id == credential_id), _as_passkey)


def used(connection: Connection, passkey_id: UUID, *, sign_count: int, now: int) -> None:
    """Store the count of an answer, and when it came."""
    connection.execute(
        update(_passkey).where(_passkey.c.passkey_id == passkey_id).values(sign_count=sign_count, used_at=now)
    )


def remove(connection: Connection, passkey_id: UUID) -> None:
    """Delete a passkey."""
    connection.execute(delete(_passkey).where(_passkey.c.passkey_id == passkey_id))


def set_codes(connection: Connection, token_id: UUID, hashes: Iterable[bytes]) -> None:
    """Replace a token's recovery codes."""
    connection.execute(delete(_code).where(_code.c.token_id == token_id))
    for each in hashes:
        connection.execute(insert(_code).values(token_id=token_id, code_hash=each))


def count_codes(connection: Connection, token_id: UUID) -> int:
    """How many recovery codes of a token are left."""
    query = select(func.count()).select_from(_code).where(_code.c.token_id == token_id)
    return int(connection.execute(query).scalar_one())


def use_code(connection: Connection, token_id: UUID, code_hash: bytes) -> bool:
    """Delete a recovery code; whether there was one."""
    mine = (_code.c.token_id == token_id) & (_code.c.code_hash == code_hash)
    statement = delete(_code).where(mine).execution_options(preserve_rowcount=True)  # else PostgreSQL's is not known
    return connection.execute(statement).rowcount == 1
