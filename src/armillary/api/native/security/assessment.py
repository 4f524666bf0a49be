# SPDX-License-Identifier: Apache-2.0
"""Native routes of the assessment: the seven properties of highly secured devices, of one device and of all."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request

from armillary.api.http.route import READER, Route
from armillary.api.http.routes import service_of
from armillary.api.native.device_ids import DevicePath, attesting_device
from armillary.api.native.parameters import DEVICE, V1, CatalogFilter
from armillary.api.views.security import assessment as views, containment as containment_views


def assess_device(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Which of the seven properties a device shows now, and the routes that show by what evidence."""
    return views.of_device(service_of(request), attesting_device(request, device_id))


def assess_fleet(request: Request, catalog: CatalogFilter = None) -> dict[str, Any]:
    """How many devices show each of the seven properties, and why the others do not."""
    return views.of_fleet(service_of(request), catalog=catalog)


def show_containment(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """What contains a device's applications, and for each of them what holds it to what it was granted."""
    return containment_views.of_device(service_of(request), attesting_device(request, device_id))


_row = partial(Route, tag="assessment")
ROUTES = (
    _row("GET", DEVICE + "/assessment", assess_device, READER),
    _row("GET", DEVICE + "/containment", show_containment, READER),
    _row("GET", V1 + "/assessment", assess_fleet, READER, narrowed=True),
)
