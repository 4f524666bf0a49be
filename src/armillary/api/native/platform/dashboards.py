# SPDX-License-Identifier: Apache-2.0
"""Native routes of dashboards: the documents, the data of all their tiles in one answer, live values."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.api.http.auth import READER, V1, admit
from armillary.api.http.callers import caller_of
from armillary.api.http.routes import add_route, hub_of, platform_of, service_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.http.tenure import tenures
from armillary.api.native import authored
from armillary.api.native.authored import CatalogQuery, DocumentBody, DocumentPath, IfMatch
from armillary.api.native.dashboard_devices import Devices
from armillary.api.native.dashboard_live import INTERVAL_S, LiveResponse, batches, wanted_of
from armillary.api.native.hub.telemetry import HEARTBEAT_S
from armillary.api.native.service.devices import After, Limit
from armillary.api.views import dashboard as views_dashboard, service as views
from armillary.errors import ArmillaryError
from armillary.twin.author.dashboard import MAX_RANGE_S, MIN_RANGE_S, Dashboard, parse

KIND: Final = "dashboard"
RangeQuery = Annotated[
    int | None,
    Query(ge=MIN_RANGE_S, le=MAX_RANGE_S, description="Seconds that every tile looks back; else what it says itself"),
]
PointsQuery = Annotated[
    int, Query(ge=1, le=views_dashboard.MAX_LINE_POINTS, description="Most points of a line: pixels of the chart")
]


def list_dashboards(
    request: Request, catalog: CatalogQuery = None, limit: Limit = views.PAGE_ROWS, after: After = None
) -> dict[str, Any]:
    """Dashboards by id."""
    return authored.listed(request, KIND, catalog, limit, after)


def show_dashboard(request: Request, dashboard_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A dashboard: its tiles and where they lie."""
    return authored.document_of(authored.visible(request, KIND, dashboard_id, catalog))


def put_dashboard(
    request: Request,
    dashboard_id: DocumentPath,
    body: DocumentBody,
    catalog: CatalogQuery = None,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Make or change a dashboard; with `If-Match` only the version that the caller has seen."""
    return authored.put(request, KIND, dashboard_id, body, catalog, if_match)


def delete_dashboard(
    request: Request, dashboard_id: DocumentPath, catalog: CatalogQuery = None, if_match: IfMatch = None
) -> dict[str, Any]:
    """Delete a dashboard; no device changes."""
    return authored.delete(request, KIND, dashboard_id, catalog, if_match)


def dashboard_data(
    request: Request,
    dashboard_id: DocumentPath,
    catalog: CatalogQuery = None,
    range_s: RangeQuery = None,
    points: PointsQuery = views_dashboard.LINE_POINTS,
) -> dict[str, Any]:
    """What every tile shows now. A tile that cannot be answered has an `error` instead."""
    shown = _dashboard(request, dashboard_id, catalog)
    hub = hub_of(request)
    question = views_dashboard.Question(
        hub=hub,
        devices=Devices(platform_of(request), hub.twins, catalog),
        end_ms=int(time.time() * 1000) + 1,
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
        wanted = await run_in_threadpool(wanted_of, Devices(platform_of(request), hub.twins, catalog), shown)
    key = f"GET {V1}/dashboards/{{dashboard_id}}/live"

    async def events() -> AsyncIterator[bytes]:
        silent_s = 0.0
        try:
            yield b": listening\n\n"
            async for items in batches(hub, platform_of(request).directory, wanted, state.closing, catalog=catalog):
                silent_s += INTERVAL_S
                if items or silent_s >= HEARTBEAT_S:
                    await admit(request, READER, service_of(request), key)  # not after the token was revoked
                    silent_s = 0.0
                    data = json.dumps({"items": items}, separators=(",", ":"))
                    yield f"event: values\ndata: {data}\n\n".encode() if items else b": still here\n\n"
        except ArmillaryError:  # the token is no longer good
            return

    return LiveResponse(hub.shed_live_reader, events())


def _dashboard(request: Request, dashboard_id: str, catalog: CheckedCatalog | None) -> Dashboard:
    return parse(authored.visible(request, KIND, dashboard_id, catalog).content)


def mount(app: FastAPI) -> None:
    """Mount the routes."""
    options = {"tags": ["dashboards"]}
    one = V1 + "/dashboards/{dashboard_id}"
    stream: dict[int | str, Any] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}
    add_route(app, "GET", V1 + "/dashboards", list_dashboards, **options)
    add_route(app, "GET", one, show_dashboard, **options)
    add_route(app, "PUT", one, put_dashboard, **options)
    add_route(app, "DELETE", one, delete_dashboard, **options)
    add_route(app, "GET", one + "/data", dashboard_data, **options)
    add_route(app, "GET", one + "/live", dashboard_live, response_class=StreamingResponse, responses=stream, **options)
