# SPDX-License-Identifier: Apache-2.0
"""Crash groups, their reports, symbols and crash dumps as JSON documents.

Addresses of dumps are hexadecimal text: JSON's numbers lose those above 2^53.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from armillary.api.http.documents import as_page, row_document
from armillary.api.views.service import error_report_document
from armillary.engines.records.crashes.groups import CrashGroupRow

if TYPE_CHECKING:
    from armillary.engines.records.crashes.dumps import CrashDumpRow
    from armillary.service.assemble import SecurityService
    from armillary.service.crash_dumps.symbolised import Place

Document = dict[str, Any]
_INNER = frozenset({"number", "catalog_id", "group_id", "key_id"})  # fields of rows that say nothing to people


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


def crash_dumps(
    service: SecurityService,
    catalog: str | None,
    *,
    device_id: str | None,
    image_id: UUID | None,
    limit: int,
    after: str | None,
    order: str = "",
) -> Document:
    """A page of dumps without their contents, newest first or in an order."""
    page = service.crash_dumps.list(
        catalog, device_id=device_id, image_id=image_id, limit=limit, after=after, order=order
    )
    return as_page(page, _dump_row)


def crash_dump(service: SecurityService, dump_id: UUID, catalog: str | None, *, actor: str) -> Document:
    """A dump with names for its addresses; the reading is audited. Raises NotFoundError."""
    from armillary.service.crash_dumps.symbolised import symbolised  # noqa: PLC0415 - memory: most services have none

    row, dump = service.crash_dumps.parsed(dump_id, catalog=catalog, actor=actor)
    state = dump.state
    found = service.context.records.read(lambda c: symbolised(state, service.watch.symbols.resolver(c, row.catalog_id)))
    stack = state.stack
    return {
        **_dump_row(row),
        "cause": found.cause,
        "machine": state.machine,
        "signal_code": state.code,
        "fault": state.fault,
        "boot_count": dump.boot_count,
        "frames": [{**row_document(one), "offset": f"{one.offset:#x}"} for one in found.frames],
        "registers": [{"name": one.name, **_place(one)} for one in found.registers],
        "modules": [
            {"name": one.name, "build_id": one.build_id.hex(), "begin": f"{one.begin:#x}", "end": f"{one.end:#x}"}
            for one in state.modules
        ],
        "stack_begin": None if stack is None else f"{stack.begin:#x}",
        "stack_bytes": 0 if stack is None else len(stack.content),
        "pointers": [{"address": f"{one.address:#x}", **_place(one)} for one in found.pointers],
    }


def collection(service: SecurityService, catalog: str, product: str, group: str) -> Document:
    """What a group collects."""
    return row_document(service.crash_dumps.collection(catalog, product, group))


def _group(row: CrashGroupRow) -> Document:
    title = f"{row.cause} in {row.places[0]}" if row.places else row.cause
    return {**_without_inner(row_document(row)), "title": title}


def _without_inner(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in _INNER}


def _dump_row(row: CrashDumpRow) -> Document:
    return _without_inner(row_document(row))


def _place(one: Place) -> Document:
    return {"value": f"{one.value:#x}", "at": one.at}
