# SPDX-License-Identifier: Apache-2.0
"""Enrolment tokens (only their SHA-256 is stored), how often they may be used, and which devices used them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, insert, select, update

from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import from_row, to_row

_token, _enrolment = schema.enrolment_token, schema.enrolment
_catalog, _product, _group = schema.catalog, schema.product, schema.device_group


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentToken:
    """A permission to enrol devices into one device group, as stored: never the secret itself."""

    token_id: UUID
    catalog_id: UUID
    catalog: str | None  # Name; None when the catalog was deleted since. So are ``product`` and ``group``.
    product: str | None
    group: str | None
    group_id: UUID
    chip: str  # The only chip it may be used for; "" for any
    uses: int  # How many devices it may enrol; ``used`` is how many it has enrolled
    used: int
    created_at: int
    created_by: str
    expires_at: int  # Unix seconds
    revoked_at: int | None


_as_token = partial(from_row, EnrolmentToken)


def add(connection: Connection, token: EnrolmentToken, secret_hash: bytes) -> None:
    """Store a new token."""
    connection.execute(insert(_token).values(to_row(_token, token, secret_hash=secret_hash)))


def by_hash(connection: Connection, secret_hash: bytes) -> EnrolmentToken | None:
    """The token whose secret has this hash."""
    return first(connection, _tokens().where(_token.c.secret_hash == secret_hash), _as_token)


def by_id(connection: Connection, token_id: UUID) -> EnrolmentToken | None:
    """The token of an id."""
    return first(connection, _tokens().where(_token.c.token_id == token_id), _as_token)


def of_catalog(connection: Connection, catalog_id: UUID) -> tuple[EnrolmentToken, ...]:
    """A catalog's tokens, oldest first; used up, expired and revoked ones too."""
    query = _tokens().where(_token.c.catalog_id == catalog_id).order_by(_token.c.created_at, _token.c.token_id)
    return every(connection, query, _as_token)


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
    """Use a token for a device; False, without a change, when it is used up."""
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
