# SPDX-License-Identifier: Apache-2.0
"""Attestation policies of catalogs: every version is kept, the newest is in force."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, insert, select

from armillary.attest import policy as rules
from armillary.attest.policy import AttestationPolicy
from armillary.engines.records.queries import pages
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import from_row, to_row

_table = schema.attestation_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPolicy:
    """One version of a catalog's policy."""

    catalog_id: UUID
    version: int  # From 1; 0 for a catalog that never set one
    policy: AttestationPolicy
    changed_at: int | None  # Unix seconds UTC; None for version 0
    changed_by: str  # Empty for version 0


def newest(connection: Connection, catalog_id: UUID) -> CatalogPolicy:
    """The policy in force in a catalog; version 0, which demands nothing, where none was set."""
    found = history(connection, catalog_id, limit=1)
    if not found:
        return CatalogPolicy(
            catalog_id=catalog_id, version=0, policy=AttestationPolicy(), changed_at=None, changed_by=""
        )
    return found[0]


def history(connection: Connection, catalog_id: UUID, *, limit: int) -> tuple[CatalogPolicy, ...]:
    """The versions of a catalog's policy, newest first."""
    query = select(_table).where(_table.c.catalog_id == catalog_id).order_by(_table.c.version.desc()).limit(limit)
    return pages.every(connection, query, _policy)


def every_newest(connection: Connection) -> tuple[CatalogPolicy, ...]:
    """The policies in force of all catalogs that have set one."""
    last = select(_table.c.catalog_id, func.max(_table.c.version).label("version")).group_by(_table.c.catalog_id)
    chosen = last.subquery()
    query = select(_table).join(
        chosen, (_table.c.catalog_id == chosen.c.catalog_id) & (_table.c.version == chosen.c.version)
    )
    return pages.every(connection, query, _policy)


def add(connection: Connection, policy: CatalogPolicy) -> None:
    """Record a version; the database refuses a second one of the same number."""
    document = json.dumps(rules.to_json(policy.policy), separators=(",", ":"))
    connection.execute(insert(_table).values(to_row(_table, policy, document=document)))


def _policy(row: Row[Any]) -> CatalogPolicy:
    return from_row(CatalogPolicy, row, policy=rules.from_json(json.loads(row.document)))
