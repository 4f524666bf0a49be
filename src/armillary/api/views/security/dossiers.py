# SPDX-License-Identifier: Apache-2.0
"""Dossiers as the API shows them: what was made, and what one says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from armillary.api.http.documents import as_page
from armillary.engines.records.schema.rows import Page
from armillary.engines.records.schema.security.case_rows import DossierRow
from armillary.wire.dossier import dossier as files

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def dossiers(service: SecurityService, page: Page[DossierRow]) -> Document:
    """A page of dossiers."""
    names = {each.catalog_id: each.name for each in service.registry.catalogs.list()}
    return as_page(page, lambda each: _row(each, names))


def dossier(service: SecurityService, row: DossierRow) -> Document:
    """A dossier without what it says."""
    return _row(row, {each.catalog_id: each.name for each in service.registry.catalogs.list()})


def content(service: SecurityService, row: DossierRow) -> Document:
    """A dossier with its statements, facts and gaps, read from its file, which is verified."""
    file = service.dossiers.file(row.dossier_id)
    found = files.verify(files.parse(file), service.dossiers.key).document
    gaps = [
        {"standard": standard["id"], "id": each["id"], "state": each["state"], "says": each["says"]}
        for standard in found["standards"]
        for each in standard["statements"]
        if each["state"] in ("absent", "stale")
    ]
    return {**dossier(service, row), "standards": found["standards"], "facts": found["facts"], "gaps": gaps}


def _row(row: DossierRow, names: dict[UUID, str]) -> Document:
    return {
        "dossier_id": str(row.dossier_id),
        "catalog": "" if row.catalog_id is None else names.get(row.catalog_id, str(row.catalog_id)),
        "product": row.product,
        "made_at": row.made_at,
        "made_by": row.made_by,
        "sha256": row.sha256.hex(),
        "size": row.size,
        "states": dict(row.states),
    }
