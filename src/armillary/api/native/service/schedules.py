# SPDX-License-Identifier: Apache-2.0
"""Native routes of when devices update: schedules of groups, where one device stands and why, and check now."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import Path
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.documents import row_document
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.device_ids import DevicePath, attesting_device
from armillary.api.native.parameters import CATALOG, DEVICE, CatalogPath, StrictBody
from armillary.api.native.service.requests import Reason
from armillary.engines.records.schema.update_rows import DEFAULT_DEFERRAL_S
from armillary.service.updates.schedules import DEFAULT_URGENCY_S, MAX_URGENCY_S, MIN_INTERVAL_S
from armillary.update.schedule.maintenance import MAX_OF_GROUP
from armillary.wire.device.offer_timing import MAX_DEFERRAL_S
from armillary.wire.text.time_zone import MAX_ZONE_CHARACTERS, UTC, ZONE_PATTERN

ProductPath = Annotated[str, Path(min_length=1, max_length=64, description="Product name")]
GroupPath = Annotated[str, Path(min_length=1, max_length=64, description="Device group name")]
WindowText = Annotated[str, Field(max_length=64)]


class ScheduleBody(StrictBody):
    """When devices of a group update; what is not named takes its default.

    Attributes:
        check_interval_s: Seconds between two check-ins; null for the service's setting.
        zone: Time zone (IANA name) by whose clock the windows are meant.
        windows: Maintenance windows such as `Sat,Sun 01:00-05:00`; none for at any time.
        max_deferral_s: How long applications may put off an update.
    """

    check_interval_s: Annotated[int, Field(ge=1)] | None = None
    zone: Annotated[str, Field(max_length=MAX_ZONE_CHARACTERS, json_schema_extra={"pattern": ZONE_PATTERN})] = UTC
    windows: Annotated[list[WindowText], Field(max_length=MAX_OF_GROUP)] = Field(default=[])
    max_deferral_s: Annotated[int, Field(ge=0, le=MAX_DEFERRAL_S)] = DEFAULT_DEFERRAL_S


class UrgencyBody(StrictBody):
    """Why updates of a group cannot wait, and for how many seconds from now that holds."""

    reason: Reason
    lifetime_s: Annotated[int, Field(ge=MIN_INTERVAL_S, le=MAX_URGENCY_S)] = DEFAULT_URGENCY_S


def show_schedule(
    request: Request, catalog: CatalogPath, product: ProductPath, device_group: GroupPath
) -> dict[str, Any]:
    """When devices of a group look for updates and install them."""
    return row_document(service_of(request).updates.schedules.get(catalog, product, device_group))


def put_schedule(
    request: Request, catalog: CatalogPath, product: ProductPath, device_group: GroupPath, body: ScheduleBody
) -> dict[str, Any]:
    """Set when devices of a group look for updates and install them; each hears of it at its next check-in."""
    made = service_of(request).updates.schedules.put(
        catalog,
        product,
        device_group,
        actor=operator_of(request).name,
        check_interval_s=body.check_interval_s,
        zone=body.zone,
        windows=body.windows,
        max_deferral_s=body.max_deferral_s,
    )
    return row_document(made)


def urge(
    request: Request, catalog: CatalogPath, product: ProductPath, device_group: GroupPath, body: UrgencyBody
) -> dict[str, Any]:
    """Have devices of a group install what they are offered in no window, and whatever applications say."""
    actor = operator_of(request).name
    made = service_of(request).updates.schedules.urge(
        catalog, product, device_group, reason=body.reason, actor=actor, lifetime_s=body.lifetime_s
    )
    return row_document(made)


def end_urgency(
    request: Request, catalog: CatalogPath, product: ProductPath, device_group: GroupPath
) -> dict[str, Any]:
    """Have maintenance windows and deferrals of a group hold again."""
    actor = operator_of(request).name
    return row_document(service_of(request).updates.schedules.end_urgency(catalog, product, device_group, actor=actor))


def device_update_status(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Where the update of a device stands, and why it does not have yet what it should have, in words."""
    return row_document(service_of(request).updates.standings.of(attesting_device(request, device_id)))


def check_device_now(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Ask a device to check in at once; the answer is where its update stands before it has."""
    known = attesting_device(request, device_id)
    updates = service_of(request).updates
    updates.check_now.ask(known, actor=operator_of(request).name)
    return row_document(updates.standings.of(known))


def check_group_now(
    request: Request, catalog: CatalogPath, product: ProductPath, device_group: GroupPath
) -> dict[str, Any]:
    """Ask every device of a group to check in at once; the answer is how many were asked."""
    actor = operator_of(request).name
    return {"asked": service_of(request).updates.check_now.ask_group(catalog, product, device_group, actor=actor)}


_row = partial(Route, tag="updates")
_GROUP = CATALOG + "/products/{product}/device-groups/{device_group}"
_SCHEDULE = _GROUP + "/update-schedule"
ROUTES = (
    _row("GET", _SCHEDULE, show_schedule, READER),
    _row("PUT", _SCHEDULE, put_schedule, CONTRIBUTOR),
    _row("POST", _SCHEDULE + "/urgent", urge, CONTRIBUTOR),
    _row("DELETE", _SCHEDULE + "/urgent", end_urgency, CONTRIBUTOR),
    _row("GET", DEVICE + "/update-status", device_update_status, READER),
    _row("POST", DEVICE + "/check-now", check_device_now, CONTRIBUTOR),
    _row("POST", _GROUP + "/check-now", check_group_now, CONTRIBUTOR),
)
