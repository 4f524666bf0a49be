# SPDX-License-Identifier: Apache-2.0
"""Answers about devices and who is let into the hub: numbers, names, values, twins, hub devices, enrolments, keys."""

from __future__ import annotations

from uuid import UUID

from armillary.api.http.documents import as_document, row_document
from armillary.api.http.tenure import whole_hours_since
from armillary.api.native.bodies import HubDeviceBody, HubEnrolmentBody, HubServiceKeyBody, ModuleBody
from armillary.api.views import (
    hub as views_hub,
    hub_devices as views,
    series as views_series,
    service as views_service,
)
from armillary.api.views.security import cellular as views_cellular, device_logs as views_logs
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import Document
from armillary.service.hub_access.operations import IdentityChange

# Devices -----------------------------------------------------------------------------------------------------------


def fleet(by: RequestContext, catalog: str) -> Document:
    """A catalog's fleet in numbers."""
    return views_service.fleet(by.service, catalog=catalog)


def find_device(by: RequestContext, text: str) -> Document:
    """The devices that a name, an id, or the first digits of one mean."""
    found = by.service.registry.names.meant(text, catalog=by.catalog)
    return {"items": [as_document(each) for each in found], "next": None}


def name_device(by: RequestContext, device_id: str, name: str) -> Document:
    """Call a device of either kind by another name."""
    known = by.service.hub_access.known(device_id)
    return row_document(by.service.registry.names.rename(known, name, actor=by.operator.name))


def update_status(by: RequestContext, device_id: str) -> Document:
    """Where the update of a device stands."""
    return row_document(by.service.updates.standings.of(device_id))


def check_now(by: RequestContext, device_id: str) -> Document:
    """Have a device check in now."""
    by.service.updates.check_now.ask(device_id, actor=by.operator.name)
    return update_status(by, device_id)


def show_device_log(by: RequestContext, device_id: str) -> Document:
    """Where a device's log stands."""
    return views_logs.standing(by.service, device_id)


def ask_device_log(by: RequestContext, device_id: str) -> Document:
    """Ask a device for its log."""
    return views_logs.asked(by.service, device_id, actor=by.operator.name)


def read_device_log(by: RequestContext, device_id: str) -> Document:
    """The newest lines of a device's log; the reading is audited."""
    return views_logs.lines(by.service, device_id, actor=by.operator.name)


def show_cellular_status(by: RequestContext, device_id: str) -> Document:
    """What a device has said of its modem."""
    return views_cellular.newest(by.service, device_id)


def device_raw(by: RequestContext, device_id: str, metric: str, start_ms: int, end_ms: int, limit: int) -> Document:
    """A metric's values as they were sent, since the device is the operator's."""
    known = by.service.hub_access.known(device_id)
    begin_ms = max(start_ms, by.since_ms(known))
    if begin_ms >= end_ms:
        return {"metric": metric, "items": [], "next_start_ms": None}
    return views_series.raw(by.hub, known, metric, begin_ms, end_ms, limit)


def device_extremes(
    by: RequestContext, device_id: str, metric: str, start_ms: int, end_ms: int, max_points: int
) -> Document:
    """A metric's lowest and highest values over time as ``items`` of [time, value]: no value of it lies outside."""
    known = by.service.hub_access.known(device_id)
    begin_ms = max(start_ms, whole_hours_since(by.since_ms(known)))
    if begin_ms >= end_ms:
        return {"items": []}
    found = views_hub.series(by.hub, known, metric, start_ms=begin_ms, end_ms=end_ms, max_points=max_points)
    half_ms = found["bucket_ms"] // 2
    items = []
    for at_ms, _count, low, high, _mean in found["points"]:
        items.append([at_ms, low])
        if high != low:
            items.append([at_ms + half_ms, high])
    return {"items": items}


def device_twin(by: RequestContext, device_id: str) -> Document:
    """A device's twin."""
    return views_hub.twin(by.hub, by.service.hub_access.known(device_id))


def patch_device_twin(by: RequestContext, device_id: str, desired: Document, if_match: str) -> Document:
    """Merge into a twin's desired properties."""
    known, detail = by.service.hub_access.known(device_id), {"section": "desired"}
    by.hub.operations.change_twin(by.operator, known, desired=desired, if_match=if_match, detail=detail)
    return views_hub.twin(by.hub, known)


def tag_device(by: RequestContext, device_id: str, name: str, value: str | None) -> Document:
    """Give a device of either kind a tag; None takes it away."""
    known = by.service.hub_access.known(device_id)
    by.hub.operations.change_twin(by.operator, known, tags={name: value}, detail={"section": "tags"})
    return {}


# Hub devices -------------------------------------------------------------------------------------------------------


def list_hub_devices(
    by: RequestContext, catalog: str, limit: int, after: str | None, search: str, order: str = ""
) -> Document:
    """A catalog's hub devices by id, or in an order."""
    return views.devices(by.service, by.hub, catalog, limit=limit, after=after, search=search, order=order)


def show_hub_device(by: RequestContext, device_id: str) -> Document:
    """A hub device with its modules."""
    return views.device(by.service, by.hub, device_id)


def make_hub_device(by: RequestContext, catalog: str, body: HubDeviceBody) -> Document:
    """Register a hub device; the answer has its keys."""
    made = by.service.hub_access.operations.make(by.operator, catalog, body.device_id, body.name, body.form())
    return views.made_device(by.service, *made)


def change_hub_device(by: RequestContext, device_id: str, change: IdentityChange) -> Document:
    """Enable or disable a hub device, or give it new keys; the answer has them."""
    return _change(by, by.service.hub_access.hub_device(device_id).identity, change)


def delete_hub_device(by: RequestContext, device_id: str) -> Document:
    """Delete a hub device with all that is kept of it."""
    return _delete(by, by.service.hub_access.hub_device(device_id).identity)


def make_module(by: RequestContext, device_id: str, body: ModuleBody) -> Document:
    """Register a module of a device; the answer has its keys."""
    access = by.service.hub_access
    known = access.known(device_id)
    made = access.operations.make_module(by.operator, known, body.module_id, body.form())
    views.begin_anew(by.hub, by.platform, made[0], by.operator)
    return views.with_keys(by.service, *made)


def change_module(by: RequestContext, device_id: str, module_id: str, change: IdentityChange) -> Document:
    """Enable or disable a module, or give it new keys; the answer has them."""
    return _change(by, f"{by.service.hub_access.known(device_id)}/{module_id}", change)


def delete_module(by: RequestContext, device_id: str, module_id: str) -> Document:
    """Delete a module with all that is kept of it."""
    return _delete(by, f"{by.service.hub_access.known(device_id)}/{module_id}")


# Who is let in -----------------------------------------------------------------------------------------------------


def show_admission(by: RequestContext, catalog: str) -> Document:
    """What a catalog lets into the hub beside devices that attest."""
    return views.admission(by.service.hub_access.identities.admission(catalog))


def change_admission(
    by: RequestContext, catalog: str, *, certificates: bool | None = None, symmetric_keys: bool | None = None
) -> Document:
    """Let hub devices of a kind in, or not any more; None leaves a kind as it is."""
    made = by.service.hub_access.identities.set_admission(
        catalog, actor=by.operator.name, certificates=certificates, symmetric_keys=symmetric_keys
    )
    return views.admission(made)


def list_hub_enrolments(by: RequestContext, catalog: str) -> Document:
    """A catalog's enrolments by name, and its id scope."""
    return views.enrolments(by.service, catalog)


def make_hub_enrolment(by: RequestContext, catalog: str, body: HubEnrolmentBody) -> Document:
    """Let one device, or a group of them, register; the answer has symmetric keys."""
    return views.made_enrolment(*by.service.hub_access.enrolments.create(catalog, body.form(), actor=by.operator.name))


def verify_hub_enrolment(by: RequestContext, catalog: str, enrolment_id: UUID, certificate: str) -> Document:
    """Prove possession of a group's authority."""
    enrolments, actor = by.service.hub_access.enrolments, by.operator.name
    return views.enrolment(enrolments.verify(catalog, enrolment_id, certificate, actor=actor))


def change_hub_enrolment(by: RequestContext, catalog: str, enrolment_id: UUID, *, enabled: bool) -> Document:
    """Enable or disable an enrolment."""
    enrolments, actor = by.service.hub_access.enrolments, by.operator.name
    return views.enrolment(enrolments.set_enabled(catalog, enrolment_id, enabled=enabled, actor=actor))


def delete_hub_enrolment(by: RequestContext, catalog: str, enrolment_id: UUID) -> Document:
    """Delete an enrolment."""
    return views.enrolment(by.service.hub_access.enrolments.remove(catalog, enrolment_id, actor=by.operator.name))


def list_hub_registrations(by: RequestContext, catalog: str, enrolment_id: UUID) -> Document:
    """What registered by an enrolment, newest first."""
    return views.registrations(by.service, catalog, enrolment_id)


def list_hub_service_keys(by: RequestContext, catalog: str) -> Document:
    """A catalog's service keys by name."""
    return views.service_keys(by.service, catalog)


def make_hub_service_key(by: RequestContext, catalog: str, body: HubServiceKeyBody) -> Document:
    """Make a service key; the answer has it."""
    keys, actor = by.service.hub_access.service_keys, by.operator.name
    made = keys.create(catalog, body.name, body.role, actor=actor, reveals_keys=body.reveals_keys)
    return views.made_service_key(by.hub, *made)


def delete_hub_service_key(by: RequestContext, catalog: str, name: str) -> Document:
    """Make a service key useless."""
    by.service.hub_access.service_keys.remove(catalog, name, actor=by.operator.name)
    return {"deleted": name}


# Devices and modules -----------------------------------------------------------------------------------------------


def _change(by: RequestContext, identity: str, change: IdentityChange) -> Document:
    return views.with_keys(by.service, *by.service.hub_access.operations.change(by.operator, identity, change))


def _delete(by: RequestContext, identity: str) -> Document:
    return views.identity(views.delete(by.service, by.hub, by.platform, by.operator, identity))
