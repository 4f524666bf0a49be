# SPDX-License-Identifier: Apache-2.0
"""Management routes of devices: list, claim, move, capability files, error reports.

Only a transfer or a decommission ends a claim (``api/native/service/life.py``): DELETE takes a device out of its group
and no further. ``.default`` and ``.unassigned`` both stand for "in no group of the catalog", as product and as device
group.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from uuid import UUID

from fastapi.responses import JSONResponse
from starlette.responses import Response

from armillary.api.azure import bodies, names
from armillary.api.azure.call import AzureCall, Call, accepted, created, paged
from armillary.api.azure.requests import CapabilityBody, ClaimBody, DeviceBody
from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.tenure import tenures
from armillary.engines.records.schema.rows import (
    DEFAULT_PRODUCT,
    UNASSIGNED_GROUP,
    Device,
    DeviceFilter,
    ErrorReportRow,
    Page,
)
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.service.assemble import SecurityService

Body = bodies.Body


def list_group_devices(call: Call) -> Body:
    """Devices of a device group."""
    product, group = _place(call)
    call.service.registry.groups.get(call.catalog, product, group)
    return _listed(call, DeviceFilter(catalog=call.catalog, product=product, group=group))


def list_catalog_devices(call: Call) -> Body:
    """Devices of a catalog."""
    call.service.registry.catalogs.get(call.catalog)
    return _listed(call, DeviceFilter(catalog=call.catalog))


def get_device(call: Call) -> Body:
    """A device in the device group it is in."""
    return _body(call.service, _device(call), call.parts)


def put_device(call: Call, body: DeviceBody | None = None) -> Response:
    """Claim a device into a device group; a device of this catalog is moved there."""
    product, group = _place(call)
    device_id = call.parts["device"]
    stated = body.properties.deviceId if body is not None and body.properties is not None else None
    if stated is not None and stated.lower() != device_id:
        raise InvalidArgumentError(
            "properties.deviceId: expected the device id in the path, got another", remedy="Leave it out."
        )
    registry = call.service.registry
    (row,) = registry.devices.claim(call.catalog, [device_id], actor=call.actor, product=product, group=group)
    if not _is_at(row, product, group):
        row = registry.devices.move(call.catalog, device_id, product=product, group=group, actor=call.actor)
    return created(call, bodies.as_put(_body(call.service, row, call.parts)), at=call.now())


def patch_device(call: Call, body: DeviceBody) -> Response:
    """Move a device to the device group named by ``deviceGroupId``; a body without one changes nothing."""
    target_id = body.properties.deviceGroupId if body.properties is not None else None
    if target_id is None:
        place = _body(call.service, _device(call), call.parts)["id"]
        return accepted(call, place, at=call.now(), has_result=True, with_status=True)
    target = names.parse_device_group_id(target_id)
    if target.catalog.lower() != call.catalog.lower():
        raise InvalidArgumentError(
            f"properties.deviceGroupId: expected a device group of catalog {call.catalog}, got one of {target.catalog}",
            remedy="A device stays in the catalog that claimed it.",
        )
    _device(call)
    product, group = _normal(target.product, target.device_group)
    row = call.service.registry.devices.move(
        call.catalog, call.parts["device"], product=product, group=group, actor=call.actor
    )
    moved = _body(call.service, row, call.parts)
    return accepted(call, moved["id"], at=call.now(), has_result=True, with_status=True)


def delete_device(call: Call) -> Response:
    """Take a device out of its device group."""
    try:
        _device(call)
    except NotFoundError:
        return Response(status_code=204)
    call.service.registry.devices.move(
        call.catalog, call.parts["device"], product=DEFAULT_PRODUCT, group=UNASSIGNED_GROUP, actor=call.actor
    )
    return Response(status_code=200)


def claim_devices(call: Call, body: ClaimBody) -> Response:
    """Claim devices into a device group: all of them or none."""
    product, group = _place(call)
    ids = [names.checked("device", device_id) for device_id in body.deviceIdentifiers]
    call.service.registry.devices.claim(call.catalog, ids, actor=call.actor, product=product, group=group)
    place = names.resource_id(names.DEVICE_GROUP, **call.parts)
    return accepted(call, place, at=call.now(), has_result=False)


def generate_capability_image(call: Call, body: CapabilityBody) -> Response:
    """Sign a capability file for a device; answers 200 at once, as the public service did."""
    _device(call)
    made = call.service.registry.devices.make_capability_file(
        call.catalog, call.parts["device"], body.capabilities, actor=call.actor
    )
    return JSONResponse({"image": base64.b64encode(made).decode()})


def list_device_insights(call: Call) -> Body:
    """Error reports of a catalog's devices, newest first; none of the time before a device was its owner's."""
    catalog, history, since = call.catalog, call.service.registry.history, tenures(call.request)

    def own(limit: int, after: str | None) -> Page[ErrorReportRow]:
        page = history.error_reports(catalog=catalog, limit=limit, after=after)
        kept = tuple(each for each in page.items if each.received_at * 1000 >= since.get(each.device_id, 0))
        return replace(page, items=kept)

    return paged(call, own, bodies.insight)


def device_resource(service: SecurityService, device_id: str, parts: Mapping[str, str]) -> Body:
    """A device as a resource where it is now. Raises NotFoundError if it is not in the named catalog."""
    absent = NotFoundError("the catalog has no such device", remedy="List them: armillary device list.")
    try:
        row = service.registry.devices.get(device_id)
    except NotFoundError as error:
        raise absent from error
    if (row.catalog or "").lower() != parts["catalog"].lower():
        raise absent
    return _body(service, row, parts)


def _listed(call: AzureCall, chosen: DeviceFilter) -> Body:
    available = _available_os(call.service, call.catalog)
    registry = call.service.registry
    return paged(
        call,
        lambda limit, after: registry.devices.list(chosen, limit=limit, after=after),
        lambda row: bodies.device(row, call.parts, available_os=available(row)),
    )


def _body(service: SecurityService, row: Device, parts: Mapping[str, str]) -> Body:
    return bodies.device(row, parts, available_os=_available_os(service, parts["catalog"])(row))


def _available_os(service: SecurityService, catalog: str) -> Callable[[Device], str | None]:
    """Newest OS version for a device: by its chip and its group's feed, read once per call."""
    feeds = {group.group_id: group.os_feed for group in service.registry.groups.list(catalog, hidden=True)}
    known: dict[tuple[str, str], str | None] = {}

    def newest(row: Device) -> str | None:
        feed = feeds.get(row.group_id or UUID(int=0), "Retail")
        if (row.chip, feed) not in known:
            try:
                known[row.chip, feed] = service.releases.newest(row.chip, feed).version
            except NotFoundError:
                known[row.chip, feed] = None
        return known[row.chip, feed]

    return newest


def _device(call: AzureCall) -> Device:
    """The device in the path, if it is at the place in the path."""
    product, group = _place(call)
    absent = NotFoundError(
        f"device {call.parts['device'][:16]}... is not in device group {product}/{group} of {call.catalog}",
        remedy="Look where it is: armillary device show.",
    )
    try:
        row = call.service.registry.devices.get(call.parts["device"])
    except NotFoundError as error:
        raise absent from error
    if (row.catalog or "").lower() != call.catalog.lower() or not _is_at(row, product, group):
        raise absent
    return row


def _place(call: AzureCall) -> tuple[str, str]:
    return _normal(call.parts["product"], call.parts["device_group"])


def _normal(product: str, group: str) -> tuple[str, str]:
    return (
        DEFAULT_PRODUCT if product in names.CATALOG_LEVEL else product,
        UNASSIGNED_GROUP if group in names.CATALOG_LEVEL else group,
    )


def _is_at(row: Device, product: str, group: str) -> bool:
    return (row.product or "").lower() == product.lower() and (row.group or "").lower() == group.lower()


# Lists that begin with POST go on with GET, as the public client does on ``nextLink``.
ROUTES = (
    Route("POST", names.CATALOG + "/listDevices", list_catalog_devices, READER),
    Route("GET", names.CATALOG + "/listDevices", list_catalog_devices, READER),
    Route("POST", names.CATALOG + "/listDeviceInsights", list_device_insights, READER),
    Route("GET", names.CATALOG + "/listDeviceInsights", list_device_insights, READER),
    Route("GET", names.DEVICE_GROUP + "/devices", list_group_devices, READER),
    Route("POST", names.DEVICE_GROUP + "/claimDevices", claim_devices, CONTRIBUTOR),
    Route("GET", names.DEVICE, get_device, READER),
    Route("PUT", names.DEVICE, put_device, CONTRIBUTOR),
    Route("PATCH", names.DEVICE, patch_device, CONTRIBUTOR),
    Route("DELETE", names.DEVICE, delete_device, CONTRIBUTOR),
    # The service key signs away a protection.
    Route("POST", names.DEVICE + "/generateCapabilityImage", generate_capability_image, ADMINISTRATOR),
)
