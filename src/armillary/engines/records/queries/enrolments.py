# SPDX-License-Identifier: Apache-2.0
"""Enrolment tokens: their SHA-256 only, how often they may be used, and which device used them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, insert, select, update

from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import from_row

_token, _enrolment = schema.enrolment_token, schema.enrolment
_catalog, _product, _group = schema.catalog, schema.product, schema.device_group


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentToken:
    """A permission to enrol devices into one device group, as stored: never the secret itself.

    Attributes:
        catalog: Name, None when the catalog was deleted since; so ``product`` and ``group``.
        group_id: Where its devices go.
        chip: The only chip it is good for, "" for any.
        uses: How many devices it may enrol.
        used: How many it has enrolled.
        expires_at: It is good before this time, Unix seconds.
    """

    token_id: UUID
    catalog_id: UUID
    catalog: str | None
    product: str | None
    group: str | None
    group_id: UUID
    chip: str
    uses: int
    used: int
    created_at: int
    created_by: str
    expires_at: int
    revoked_at: int | None


def add(connection: Connection, token: EnrolmentToken, secret_hash: bytes) -> None:
    """Store a new token."""
    connection.execute(
        insert(_token).values(
            token_id=token.token_id,
            secret_hash=secret_hash,
            catalog_id=token.catalog_id,
            group_id=token.group_id,
            chip=token.chip,
            uses=token.uses,
            used=token.used,
            created_at=token.created_at,
            created_by=token.created_by,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
        )
    )


def by_hash(connection: Connection, secret_hash: bytes) -> EnrolmentToken | None:
    """The token whose secret has this hash."""
    row = connection.execute(_tokens().where(_token.c.secret_hash == secret_hash)).first()
    return None if row is None else _as_token(row)


def by_id(connection: Connection, token_id: UUID) -> EnrolmentToken | None:
    """A token."""
    row = connection.execute(_tokens().where(_token.c.token_id == token_id)).first()
    return None if row is None else _as_token(row)


def of_catalog(connection: Connection, catalog_id: UUID) -> tuple[EnrolmentToken, ...]:
    """A catalog's tokens, oldest first; spent, expired and revoked ones too."""
    query = _tokens().where(_token.c.catalog_id == catalog_id).order_by(_token.c.created_at, _token.c.token_id)
    return tuple(_as_token(row) for row in connection.execute(query))


def revoke(connection: Connection, token_id: UUID, *, now: int) -> None:
    """Revoke a token; it stays listed."""
    connection.execute(
        update(_token).where(_token.c.token_id == token_id, _token.c.revoked_at.is_(None)).values(revoked_at=now)
    )


def was_used_by(connection: Connection, token_id: UUID, device_number: int) -> bool:
    """Whether this token enrolled this device."""
    here = (_enrolment.c.token_id == token_id) & (_enrolment.c.device_number == device_number)
    return connection.execute(select(_enrolment.c.at).where(here)).first() is not None


def spend(connection: Connection, token_id: UUID, device_number: int, *, now: int) -> bool:
    """Spend one use of a token on a device; False when none is left, and then nothing is changed."""
    here = (_token.c.token_id == token_id) & (_token.c.used < _token.c.uses)
    if connection.execute(update(_token).where(here).values(used=_token.c.used + 1)).rowcount != 1:
        return False
    connection.execute(insert(_enrolment).values(token_id=token_id, device_number=device_number, at=now))
    return True


def _tokens() -> Select[Any]:
    return (
        select(
            _token,
            _catalog.c.name.label("catalog"),
            _product.c.name.label("product"),
            _group.c.name.label("group"),
        )
        .join(_catalog, _catalog.c.catalog_id == _token.c.catalog_id, isouter=True)
        .join(_group, _group.c.group_id == _token.c.group_id, isouter=True)
        .join(_product, _product.c.product_id == _group.c.product_id, isouter=True)
    )


def _as_token(row: Row[Any]) -> EnrolmentToken:
    return from_row(EnrolmentToken, row)
