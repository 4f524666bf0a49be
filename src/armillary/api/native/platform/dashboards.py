# SPDX-License-Identifier: Apache-2.0
"""Native routes of dashboards: the documents, the data of all their tiles in one answer, live values."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.api.http.callers import caller_of
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, admit_again, hub_of, platform_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.http.tenure import tenures
from armillary.api.native.dashboard_live import INTERVAL_S, LiveResponse, batches, wanted_of
from armillary.api.native.parameters import (
    HEARTBEAT_S,
    V1,
    CatalogPage,
    CatalogQuery,
    Change,
    DocumentBody,
    DocumentPath,
    Search,
)
from armillary.api.views import dashboard as views_dashboard
from armillary.errors import ArmillaryError
from armillary.platform.authored.documents import document_of
from armillary.twin.author.dashboard import MAX_RANGE_S, MIN_RANGE_S, Dashboard, parse

KIND: Final = "dashboard"
RangeQuery = Annotated[
    int | None,
    Query(ge=MIN_RANGE_S, le=MAX_RANGE_S, description="Seconds that every tile looks back; else what it says itself"),
]
PointsQuery = Annotated[
    int, Query(ge=1, le=views_dashboard.MAX_LINE_POINTS, description="Most points of a line: pixels of the chart")
]


def list_dashboards(request: Request, page: CatalogPage, search: Search = None) -> dict[str, Any]:
    """Dashboards by id."""
    return platform_of(request).authored.listed(KIND, *page, search)


def show_dashboard(request: Request, dashboard_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A dashboard: its tiles and where they lie."""
    return document_of(platform_of(request).authored.visible(KIND, dashboard_id, catalog))


def put_dashboard(request: Request, dashboard_id: DocumentPath, body: DocumentBody, change: Change) -> dict[str, Any]:
    """Make or change a dashboard; with `If-Match` only the version that the caller has seen."""
    return platform_of(request).authored.put(actor_of(request), KIND, dashboard_id, body, *change)


def delete_dashboard(request: Request, dashboard_id: DocumentPath, change: Change) -> dict[str, Any]:
    """Delete a dashboard; no device changes."""
    return platform_of(request).authored.delete(actor_of(request), KIND, dashboard_id, *change)


def dashboard_data(
    request: Request,
    dashboard_id: DocumentPath,
    catalog: CatalogQuery = None,
    range_s: RangeQuery = None,
    end_ms: Annotated[
        int | None,
        Query(ge=MAX_RANGE_S * 1000, le=10**14, description="Where tiles over time end, Unix milliseconds; else now"),
    ] = None,
    points: PointsQuery = views_dashboard.LINE_POINTS,
) -> dict[str, Any]:
    """What every tile shows now. A tile that cannot be answered has an `error` instead.

    With `end_ms` tiles over time show the stretch up to it; newest values are those of now.
    """
    shown = _dashboard(request, dashboard_id, catalog)
    hub = hub_of(request)
    question = views_dashboard.Question(
        hub=hub,
        devices=platform_of(request).dashboard_devices(catalog),
        alerts=platform_of(request).device_alerts(catalog),
        end_ms=int(time.time() * 1000) + 1 if end_ms is None else end_ms,
        range_s=range_s,
        points=points,
        since=tenures(request),
    )
    return views_dashboard.data(question, shown)


async def dashboard_live(
    request: Request, dashboard_id: DocumentPath, catalog: CatalogQuery = None
) -> StreamingResponse:
    """Newest values of what the tiles show, once a second: server-sent events named `values`; ends after 5 minutes."""
    shown = await run_in_threadpool(_dashboard, request, dashboard_id, catalog)
    hub, state = hub_of(request), request.app.state
    caller = caller_of(request)
    caller.hold(caller.budgets.streams)
    async with caller.turn():
        wanted = await run_in_threadpool(wanted_of, platform_of(request).dashboard_devices(catalog), shown)

    async def events() -> AsyncIterator[bytes]:
        silent_s = 0.0
        try:
            yield b": listening\n\n"
            async for items in batches(hub, platform_of(request).directory, wanted, state.closing, catalog=catalog):
                silent_s += INTERVAL_S
                if items or silent_s >= HEARTBEAT_S:
                    await admit_again(request)  # not after the token was revoked
                    silent_s = 0.0
                    data = json.dumps({"items": items}, separators=(",", ":"))
                    yield f"event: values\ndata: {data}\n\n".encode() if items else b": still here\n\n"
        except ArmillaryError:  # the token is no longer good
            return

    return LiveResponse(hub.live.shed, events())


def _dashboard(request: Request, dashboard_id: str, catalog: CheckedCatalog | None) -> Dashboard:
    return parse(platform_of(request).authored.visible(KIND, dashboard_id, catalog).content)


_row = partial(Route, tag="dashboards", narrowed=True)
_ONE = V1 + "/dashboards/{dashboard_id}"
_stream = partial(_row, answer=StreamingResponse, media_type="text/event-stream")
ROUTES = (
    _row("GET", V1 + "/dashboards", list_dashboards, READER),
    _row("GET", _ONE, show_dashboard, READER),
    _row("PUT", _ONE, put_dashboard, CONTRIBUTOR),
    _row("DELETE", _ONE, delete_dashboard, CONTRIBUTOR),
    _row("GET", _ONE + "/data", dashboard_data, READER),
    _stream("GET", _ONE + "/live", dashboard_live, READER),
)
