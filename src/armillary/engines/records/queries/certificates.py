# SPDX-License-Identifier: Apache-2.0
"""Certificates that the authority issued, except the 24-hour ones, which are part of their check-in's row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select

from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rows import from_row, to_row

_table = schema.certificate

# Certificates of the service itself; the others are of devices.
SERVICE_KINDS = ("root", "silicon", "policy", "catalog", "issuing", "os-signing", "image-signing", "server")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRecord:
    """One recorded certificate."""

    serial: str  # Upper-case hex
    # ``root``, ``root-voucher`` (a root signed by its predecessor), ``silicon``, ``policy``, ``catalog``, ``issuing``,
    # ``os-signing``, ``image-signing``, ``server`` or ``identity``
    kind: str
    catalog_id: UUID | None
    # RFC 4514 text; for ``identity`` the device id; for ``silicon`` the chip maker; for ``root-voucher`` the serial of
    # that root
    subject: str
    thumbprint: str  # SHA-1 of the DER, upper-case hex
    not_before: int
    not_after: int
    revoked_at: int | None
    der: bytes
    issued_at: int


def add(connection: Connection, record: CertificateRecord) -> None:
    """Record a certificate before it is handed out."""
    connection.execute(insert(_table).values(to_row(_table, record)))


def of_kind(connection: Connection, kind: str) -> tuple[CertificateRecord, ...]:
    """All of a kind, oldest first."""
    query = select(_table).where(_table.c.kind == kind).order_by(_table.c.issued_at, dialect.inserted(_table))
    return every(connection, query, _record)


def of_catalog(connection: Connection, catalog_id: UUID, *, kinds: tuple[str, ...]) -> tuple[CertificateRecord, ...]:
    """A catalog's authorities of the given kinds (``catalog``, ``issuing``), oldest first."""
    query = select(_table).where(_table.c.catalog_id == catalog_id, _table.c.kind.in_(kinds))
    return every(connection, query.order_by(_table.c.issued_at, dialect.inserted(_table)), _record)


def without_successor(connection: Connection, *, ends_before: int) -> tuple[CertificateRecord, ...]:
    """The service's own certificates that are the newest of their purpose and end before a time (Unix seconds UTC).

    A purpose is a kind, for a catalog's authorities with the catalog, for silicon authorities with the chip maker.
    """
    newest: dict[tuple[str, UUID | None, str], CertificateRecord] = {}
    query = select(_table).where(_table.c.kind.in_(SERVICE_KINDS), _table.c.revoked_at.is_(None))
    for row in connection.execute(query.order_by(_table.c.not_after)):
        newest[row.kind, row.catalog_id, row.subject if row.kind == "silicon" else ""] = _record(row)
    return tuple(one for one in newest.values() if one.not_after < ends_before)


def by_serial(connection: Connection, serial: str) -> CertificateRecord | None:
    """The certificate of this serial (upper-case hex)."""
    return first(connection, select(_table).where(_table.c.serial == serial), _record)


def revoked(connection: Connection, *, ends_after: int) -> tuple[CertificateRecord, ...]:
    """Every recorded certificate that was revoked and ends after a time (Unix seconds UTC)."""
    return every(
        connection, select(_table).where(_table.c.revoked_at.is_not(None), _table.c.not_after > ends_after), _record
    )


def _record(row: Row[Any]) -> CertificateRecord:
    return from_row(CertificateRecord, row, der=bytes(row.der))
