# SPDX-License-Identifier: Apache-2.0
"""Native routes of guardians: devices with equipment behind them that must never be on a network."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request

from armillary.api.http.route import READER, OfOrganisation, Route
from armillary.api.http.routes import actor_of, hub_of, platform_of, service_of
from armillary.api.http.tenure import since_ms
from armillary.api.native.device_ids import DevicePath, known_device
from armillary.api.native.parameters import V1, After, CatalogFilter, Limit


def list_guardians(
    request: Request, catalog: CatalogFilter = None, limit: Limit = 100, after: After = None
) -> dict[str, Any]:
    """Guardians with registered equipment, by id: links, queue, refused attempts."""
    from armillary.api.views import guardian as views  # noqa: PLC0415 - memory: few services have guardians

    hub, platform, by = hub_of(request), platform_of(request), actor_of(request)
    return views.listed(service_of(request), hub, platform, by, catalog, limit=limit, after=after)


def show_guardian(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """A guardian: each point of its equipment with quality, link counters, attempts, commands with their bounds."""
    from armillary.api.views import guardian as views  # noqa: PLC0415 - memory, as above

    known = known_device(request, device_id)
    since = since_ms(request, known)
    return views.shown(service_of(request), hub_of(request), platform_of(request), known, since)


_row = partial(Route, tag="guardians")
ROUTES = (
    _row("GET", V1 + "/guardians", list_guardians, READER, narrowed=True, organisation=OfOrganisation.LIST),
    _row("GET", V1 + "/guardians/{device_id}", show_guardian, READER),
)
