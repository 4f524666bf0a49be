# SPDX-License-Identifier: Apache-2.0
"""Native routes of the service itself: health, description, status, metrics; the fleet in numbers; image packages."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any
from uuid import UUID

from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.documents import row_document
from armillary.api.http.route import PUBLIC, READER, SCRAPE, Reach, Route
from armillary.api.http.routes import hub_of, operator_of, platform_of, service_of
from armillary.api.http.tenure import tenures
from armillary.api.native.device_labels import with_names
from armillary.api.native.parameters import V1, CatalogFilter, NewestPage
from armillary.api.views import service as views, status as views_status
from armillary.errors import NotFoundError
from armillary.rollout.state import LIVING
from armillary.service.context.paging import MAX_LIMIT


async def health() -> dict[str, Any]:
    """Whether the process answers; for load balancers. `/api/v1/status` says how it is."""
    # In the loop, without a thread: it answers when all threads are busy with operators' calls.
    return {"status": "ok"}


def openapi(request: Request) -> Response:
    """This description, OpenAPI 3.1."""
    return JSONResponse(request.app.openapi())


def who_am_i(request: Request) -> dict[str, Any]:
    """The token that the request carries, without its secret, and the name of the only catalog that it is for."""
    token, only = operator_of(request), None
    if token.catalog_id is not None:
        with contextlib.suppress(NotFoundError):  # deleted since: the token reaches nothing
            only = service_of(request).registry.catalogs.get_by_id(token.catalog_id).name
    return {**row_document(token), "catalog": only}


def status(request: Request) -> dict[str, Any]:
    """How the service is doing, part by part."""
    return views_status.status(
        service_of(request), hub_of(request), platform_of(request), started_at=request.app.state.started_at
    )


def metrics(request: Request) -> Response:
    """The service's numbers, for Prometheus."""
    from armillary.api.http.metrics import CONTENT_TYPE, FleetCollector, exposition  # noqa: PLC0415 - its library is 1 MB

    service, hub = service_of(request), hub_of(request)
    rollouts = {state: len(service.updates.rollouts.list(state=state, limit=MAX_LIMIT).items) for state in LIVING}
    workers, waiting = service.serving.describe_workers(), service.audit.outboxes.drain()
    collector = FleetCollector(
        service.registry.devices.summary(),
        hub={**hub.counters(), **platform_of(request).counters(), "audit_lines_waiting_now": waiting},
        rollouts=rollouts,
        workers=workers,
        refused=request.app.state.budgets.refused(),
        dropped=service.watch.drops.counts(),
        notifications=service.notifications.totals()._asdict(),
    )
    return Response(exposition(collector), media_type=CONTENT_TYPE)


def fleet(request: Request, catalog: CatalogFilter = None) -> dict[str, Any]:
    """The fleet in numbers."""
    return views.fleet(service_of(request), catalog=catalog)


def list_error_reports(request: Request, page: NewestPage, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Error reports of all devices or of a catalog's, newest first."""
    found = views.error_reports(service_of(request), catalog=catalog, limit=page.limit, after=page.after)
    since = tenures(request)
    kept = [each for each in found["items"] if each["received_at"] * 1000 >= since.get(each["device_id"], 0)]
    return with_names(request, {**found, "items": kept})


def image_package(request: Request, image_id: UUID, catalog: CatalogFilter = None) -> Response:
    """An image package as devices get it: signed by this service. `catalog` says whose, where several have this id."""
    return Response(service_of(request).updates.images.read(image_id, catalog), media_type="application/octet-stream")


_row = partial(Route, tag="service")
_device = partial(Route, tag="devices", narrowed=True)
_image = partial(Route, tag="images", narrowed=True, answer=Response)
ROUTES = (
    _row("GET", V1 + "/health", health, PUBLIC),
    _row("GET", V1 + "/openapi.json", openapi, PUBLIC),
    _row("GET", V1 + "/me", who_am_i, READER, reach=Reach.CALLER),
    _row("GET", V1 + "/status", status, READER),
    _row("GET", "/metrics", metrics, SCRAPE, answer=Response),
    _device("GET", V1 + "/fleet", fleet, READER),
    _device("GET", V1 + "/error-reports", list_error_reports, READER),
    _image("GET", V1 + "/images/{image_id}/package", image_package, READER),
)
