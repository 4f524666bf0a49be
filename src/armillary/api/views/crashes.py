# SPDX-License-Identifier: Apache-2.0
"""Crash groups, their reports and symbols as JSON documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from armillary.api.http.documents import as_page, row_document
from armillary.api.views.service import error_report_document
from armillary.engines.records.crashes.groups import CrashGroupRow

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]
_INNER = frozenset({"number", "catalog_id"})  # fields of rows that say nothing to people


def crash_groups(
    service: SecurityService, catalog: str, *, image_id: UUID | None, limit: int, after: str | None
) -> Document:
    """A page of a catalog's groups."""
    page = service.watch.crashes.list(catalog, image_id=image_id, limit=limit, after=after)
    return as_page(page, _group)


def crash_group(service: SecurityService, catalog: str, fingerprint: str) -> Document:
    """A group with its images. Raises NotFoundError."""
    group, images = service.watch.crashes.get(catalog, fingerprint)
    return {**_group(group), "images": [row_document(image) for image in images]}


def crash_reports(
    service: SecurityService, catalog: str, fingerprint: str, *, limit: int, after: str | None
) -> Document:
    """A page of the reports of a group. Raises NotFoundError."""
    page = service.watch.crashes.reports(catalog, fingerprint, limit=limit, after=after)
    return as_page(page, error_report_document)


def symbols(service: SecurityService, catalog: str) -> Document:
    """Builds of which a catalog has symbols."""
    rows = service.watch.symbols.list(catalog)
    return {"items": [_without_inner(row_document(row)) for row in rows], "next": None}


def put_symbols(service: SecurityService, catalog: str, data: bytes, *, actor: str) -> Document:
    """Keep symbols and group anew; ``regrouped`` is how many reports have another group now."""
    row = service.watch.symbols.put(catalog, data, actor=actor)
    return {**_without_inner(row_document(row)), "regrouped": service.watch.crashes.group_anew(catalog)}


def _group(row: CrashGroupRow) -> Document:
    title = f"{row.cause} in {row.places[0]}" if row.places else row.cause
    return {**_without_inner(row_document(row)), "title": title}


def _without_inner(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in _INNER}
