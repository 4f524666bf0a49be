# SPDX-License-Identifier: Apache-2.0
"""Native routes of data exports: what leaves the hub, how far each one is, and what was refused for good."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.api.http.callers import caller_of
from armillary.api.http.documents import row_document
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, platform_of
from armillary.api.native.parameters import (
    V1,
    CatalogPage,
    CatalogQuery,
    Change,
    DocumentBody,
    DocumentPath,
    Limit,
    NumberAfter,
    Search,
)
from armillary.api.views import authored as views_authored, service as views
from armillary.platform.exports.operations import ExportOperations


def list_exports(request: Request, page: CatalogPage, search: Search = None) -> dict[str, Any]:
    """Data exports by id, each with how it is doing as `status`."""
    return row_document(_exports(request).listed(*page, search))


def show_export(request: Request, export_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A data export, with how it is doing as `status`; its secret is never shown.

    With `catalog` the status has nothing that counts other catalogs' records: null stands for it, and for all counts
    of an export of all catalogs.
    """
    return row_document(_exports(request).show(export_id, catalog))


def put_export(request: Request, export_id: DocumentPath, body: DocumentBody, change: Change) -> dict[str, Any]:
    """Make or change a data export. A destination's `secret` is kept apart; without one the present secret stays."""
    return row_document(_exports(request).put(actor_of(request), export_id, body, *change))


def delete_export(request: Request, export_id: DocumentPath, change: Change) -> dict[str, Any]:
    """Delete a data export with its dead letters; files that it wrote stay."""
    return _exports(request).delete(actor_of(request), export_id, *change)


def list_dead_letters(
    request: Request,
    export_id: DocumentPath,
    catalog: CatalogQuery = None,
    limit: Limit = views.PAGE_ROWS,
    after: NumberAfter = None,
) -> dict[str, Any]:
    """Batches that the destination refused for good, or on which the transform failed, oldest first."""
    return views_authored.dead_letters(platform_of(request), export_id, catalog, limit, after)


async def replay_export(request: Request, export_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Deliver dead letters again, oldest first; what is delivered is no dead letter any more.

    What takes longer than 5 seconds goes on by itself, for 10 minutes at most: the answer has `under_way` true, and
    `delivered` says how many records were delivered until then.
    """
    caller, actor = caller_of(request), actor_of(request)
    async with caller.turn():
        replay = await run_in_threadpool(
            _exports(request).replay, actor, export_id, catalog, caller=caller.owner, caller_catalog=caller.catalog
        )
    is_over = await replay.ended()
    return {"delivered": replay.delivered, "under_way": not is_over}


def _exports(request: Request) -> ExportOperations:
    return platform_of(request).export_operations


_row = partial(Route, tag="data exports", narrowed=True)
_ONE = V1 + "/exports/{export_id}"
ROUTES = (
    _row("GET", V1 + "/exports", list_exports, READER),
    _row("GET", _ONE, show_export, READER),
    _row("PUT", _ONE, put_export, CONTRIBUTOR),
    _row("DELETE", _ONE, delete_export, CONTRIBUTOR),
    _row("GET", _ONE + "/dead-letters", list_dead_letters, READER),
    _row("POST", _ONE + "/dead-letters/replay", replay_export, CONTRIBUTOR),
)
