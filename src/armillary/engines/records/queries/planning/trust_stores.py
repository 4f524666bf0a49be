# SPDX-License-Identifier: Apache-2.0
"""Trusted key stores and certificate stores: which there are, and how many devices have which."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update

from armillary.engines.records.queries.pages import every as rows_of
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import from_row, to_row
from armillary.engines.records.schema.update_rows import TrustPackage, TrustStoreRow
from armillary.wire.device.update_reason import ON_TRIAL
from armillary.wire.hawkbit.artifact import CHIP as BRIDGE_CHIP, IMAGE_TYPE as BRIDGE_IMAGE

_store, _package = schema.trust_store, schema.trust_package
_device, _status = schema.device, schema.device_status
_outcome, _image = schema.outcome, schema.image

KEYS, ROOTS = "keys", "roots"


def every(connection: Connection, kind: str | None = None) -> tuple[TrustStoreRow, ...]:
    """All stores, or those of a kind, oldest first."""
    packages: dict[tuple[str, int], list[TrustPackage]] = {}
    for row in connection.execute(select(_package).order_by(_package.c.signed_by)):
        packages.setdefault((row.kind, row.number), []).append(from_row(TrustPackage, row, sha256=bytes(row.sha256)))
    query = select(_store).order_by(_store.c.kind, _store.c.number)
    return rows_of(
        connection,
        query if kind is None else query.where(_store.c.kind == kind),
        lambda row: _as_store(row, packages.get((row.kind, row.number), ())),
    )


def add(connection: Connection, store: TrustStoreRow) -> frozenset[bytes]:
    """Record a store with its packages; the database refuses a number that its kind has.

    Returns the SHA-256 of the packages of the store before, which nothing names any more.
    """
    before = connection.execute(select(_package.c.sha256).where(_package.c.kind == store.kind)).scalars()
    gone = frozenset(bytes(digest) for digest in before)
    connection.execute(delete(_package).where(_package.c.kind == store.kind))
    trusted = json.dumps({purpose: list(serials) for purpose, serials in store.trusted.items()})
    connection.execute(insert(_store).values(to_row(_store, store, trusted=trusted)))
    for one in store.packages:
        connection.execute(insert(_package).values(to_row(_package, one, kind=store.kind, number=store.number)))
    return gone


def put_in_force(connection: Connection, kind: str, number: int, *, now: int) -> None:
    """Record that the newest keys of a store sign from now on."""
    here = (_store.c.kind == kind) & (_store.c.number == number)
    connection.execute(update(_store).where(here).values(in_force_at=now))


class Having(NamedTuple):
    """How many devices have a store, have not, and why.

    Those that have not: ``refused`` say that they could not install it, ``unable`` have never said what they trust
    (older devices), ``away`` were not here for long, ``waiting`` are all others.
    """

    have: int
    waiting: int
    refused: int
    unable: int
    away: int

    @property
    def is_lacked(self) -> bool:
        """Whether a device that is here has not the store."""
        return bool(self.waiting or self.refused or self.unable)


def having(connection: Connection, store: TrustStoreRow, *, seen_since: int) -> Having:
    """How many devices have exactly this store; one that has it on trial has not yet.

    Counted are devices that have an owner and are not revoked; who was not here since ``seen_since`` (Unix seconds UTC)
    is away.
    """
    said = _status.c.update_status
    has = and_(said.like(f'%"trusted_{store.kind}":"{store.digest.hex()}"%'), said.not_like(f'%"reason":"{ON_TRIAL}"%'))
    is_away = or_(_status.c.checked_in_at.is_(None), _status.c.checked_in_at < seen_since)
    says = said.like('%"trusted_keys":"_%')
    gave_up = select(_outcome.c.device_number).where(
        _outcome.c.deployment_id.in_([one.image_id for one in store.packages]), _outcome.c.outcome != "confirmed"
    )
    refused = _device.c.number.in_(gave_up)
    lacks = or_(said.is_(None), ~has)
    here = and_(lacks, ~is_away)
    able = and_(said.is_not(None), says)
    counts = [
        and_(said.is_not(None), has),
        and_(here, able, ~refused),
        and_(here, able, refused),
        and_(here, or_(said.is_(None), ~says)),
        and_(lacks, is_away),
    ]
    query = (
        select(*(func.count().filter(condition) for condition in counts))
        .select_from(_device)
        .join(_status, _status.c.device_number == _device.c.number)
        .where(_in_use())
    )
    return Having._make(connection.execute(query).one())


def signed_images(connection: Connection, signer: str) -> list[tuple[UUID, UUID]]:
    """Catalog and image id of the images that the key of a certificate has signed."""
    query = select(_image.c.catalog_id, _image.c.image_id).where(
        _image.c.signer == signer, _image.c.image_type != BRIDGE_IMAGE
    )
    return [(row.catalog_id, row.image_id) for row in connection.execute(query)]


def _in_use() -> ColumnElement[bool]:
    return and_(_device.c.catalog_id.is_not(None), _device.c.revoked_at.is_(None), _device.c.chip != BRIDGE_CHIP)


def _as_store(row: Row[Any], packages: Iterable[TrustPackage]) -> TrustStoreRow:
    trusted = {purpose: tuple(serials) for purpose, serials in json.loads(row.trusted).items()}
    return from_row(TrustStoreRow, row, trusted=trusted, digest=bytes(row.digest), packages=tuple(packages))
