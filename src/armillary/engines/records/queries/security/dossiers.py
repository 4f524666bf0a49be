# SPDX-License-Identifier: Apache-2.0
"""Dossiers that were made; their files are blobs."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, select

from armillary.engines.records.queries.pages import first, newest_first
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Page, from_row, to_row
from armillary.engines.records.schema.security.case_rows import DossierRow

_dossier = schema.dossier


def add(connection: Connection, made: DossierRow) -> None:
    """Record a dossier; its number is given by the database."""
    values = to_row(_dossier, made, states=json.dumps(dict(made.states)))
    del values["number"]
    connection.execute(insert(_dossier).values(values))


def one(connection: Connection, dossier_id: UUID) -> DossierRow | None:
    """The dossier of an id."""
    return first(connection, select(_dossier).where(_dossier.c.dossier_id == dossier_id), _as_dossier)


def page(connection: Connection, catalog_id: UUID | None, *, limit: int, before: int | None) -> Page[DossierRow]:
    """Dossiers of a catalog (None: of all), newest first."""
    query = select(_dossier)
    if catalog_id is not None:
        query = query.where(_dossier.c.catalog_id == catalog_id)
    return newest_first(connection, query, _dossier, _as_dossier, limit=limit, before=before)


def keep_newest(connection: Connection, catalog_id: UUID | None, most: int) -> list[bytes]:
    """Delete the dossiers of a catalog (None: of the whole service) but the newest; the SHA-256 of their files."""
    query = select(_dossier.c.number, _dossier.c.sha256).where(_dossier.c.catalog_id == catalog_id)
    old = connection.execute(query.order_by(_dossier.c.number.desc()).offset(most)).all()
    for row in old:
        connection.execute(delete(_dossier).where(_dossier.c.number == row.number))
    return [bytes(row.sha256) for row in old]


def _as_dossier(row: Row[Any]) -> DossierRow:
    return from_row(DossierRow, row, sha256=bytes(row.sha256), states=json.loads(row.states))
