# SPDX-License-Identifier: Apache-2.0
"""Native routes of hub devices (clients that do not attest), modules, and what a catalog admits."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, hub_of, operator_of, platform_of, service_of
from armillary.api.native.bodies import HubDeviceBody, ModuleBody, Pem
from armillary.api.native.device_ids import DevicePath, known_device
from armillary.api.native.parameters import CATALOG, V1, CatalogPath, Limit, SortedAfter, StrictBody, sort_query
from armillary.api.views import hub_devices as views_hub
from armillary.engines.records.order_words import HUB_DEVICES
from armillary.service.hub_access.operations import IdentityChange

Search = Annotated[str, Query(max_length=128, description="Beginning of a word of the name, or of the id")]
Prefix = Annotated[str, Query(max_length=128, description="Only ids that begin so")]
ModulePath = Annotated[str, Path(min_length=1, max_length=64)]
_Reason = Annotated[str, Field(max_length=128)]


class AdmissionBody(StrictBody):
    """What a catalog lets into the hub beside devices that attest; absent fields stay as they are."""

    certificates: bool | None = None
    symmetric_keys: bool | None = None


class HubDeviceChange(StrictBody):
    """A change of a hub device; absent fields stay. `new_keys` makes two new symmetric keys, shown this once."""

    enabled: bool | None = None
    status_reason: _Reason | None = None
    new_keys: bool = False
    certificate: Pem = ""
    secondary_certificate: Pem = ""


def show_admission(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """What a catalog lets into the hub beside devices that attest: nothing unless its administrator said so."""
    return views_hub.admission(service_of(request).hub_access.identities.admission(catalog))


def change_admission(request: Request, catalog: CatalogPath, body: AdmissionBody) -> dict[str, Any]:
    """Let hub devices with certificates or symmetric keys in, or not any more; these are disconnected at once."""
    made = service_of(request).hub_access.identities.set_admission(
        catalog,
        actor=operator_of(request).name,
        certificates=body.certificates,
        symmetric_keys=body.symmetric_keys,
    )
    return views_hub.admission(made)


def list_hub_devices(
    request: Request,
    catalog: CatalogPath,
    limit: Limit = 100,
    after: SortedAfter = None,
    device_id_prefix: Prefix = "",
    search: Search = "",
    sort: Annotated[str | None, sort_query(HUB_DEVICES)] = None,
) -> dict[str, Any]:
    """A catalog's hub devices by id, or sorted; a search looks through 1,000 names."""
    return views_hub.devices(
        service_of(request),
        hub_of(request),
        catalog,
        limit=limit,
        after=after,
        prefix=device_id_prefix,
        search=search,
        order=sort or "",
    )


def make_hub_device(request: Request, catalog: CatalogPath, body: HubDeviceBody) -> dict[str, Any]:
    """Register a hub device; its symmetric keys are in the answer and nowhere else."""
    service = service_of(request)
    made = service.hub_access.operations.make(actor_of(request), catalog, body.device_id, body.name, body.form())
    return views_hub.made_device(service, *made)


def show_hub_device(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """A hub device, with its modules, its connection and the model it announced."""
    return views_hub.device(service_of(request), hub_of(request), device_id)


def change_hub_device(request: Request, device_id: DevicePath, body: HubDeviceChange) -> dict[str, Any]:
    """Enable, disable or give other keys or certificates; an open connection ends."""
    return _change(request, service_of(request).hub_access.hub_device(device_id).identity, body)


def delete_hub_device(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Delete a hub device with its modules, twin, messages and files; the name is free afterwards."""
    return _delete(request, service_of(request).hub_access.hub_device(device_id).identity)


def list_modules(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """The modules of a device, hub device or one that attests."""
    connected = hub_of(request).connected()
    found = service_of(request).hub_access.identities.modules(known_device(request, device_id))
    return {
        "items": [views_hub.identity(each, is_connected=each.identity in connected) for each in found],
        "next": None,
    }


def make_module(request: Request, device_id: DevicePath, body: ModuleBody) -> dict[str, Any]:
    """Register a module of a device, hub device or one that attests (these have `device` modules only)."""
    service, known = service_of(request), known_device(request, device_id)
    made = service.hub_access.operations.make_module(actor_of(request), known, body.module_id, body.form())
    views_hub.begin_anew(hub_of(request), platform_of(request), made[0], actor_of(request))
    return views_hub.with_keys(service, *made)


def change_module(
    request: Request, device_id: DevicePath, module_id: ModulePath, body: HubDeviceChange
) -> dict[str, Any]:
    """Enable, disable or give other keys or a certificate to a module."""
    return _change(request, f"{known_device(request, device_id)}/{module_id}", body)


def delete_module(request: Request, device_id: DevicePath, module_id: ModulePath) -> dict[str, Any]:
    """Delete a module with its twin and messages."""
    return _delete(request, f"{known_device(request, device_id)}/{module_id}")


def _delete(request: Request, identity: str) -> dict[str, Any]:
    actor = actor_of(request)
    found = views_hub.delete(service_of(request), hub_of(request), platform_of(request), actor, identity)
    return views_hub.identity(found)


def _change(request: Request, identity: str, body: HubDeviceChange) -> dict[str, Any]:
    change = IdentityChange(
        is_enabled=body.enabled,
        status_reason=body.status_reason,
        new_keys=body.new_keys,
        certificates=(body.certificate, body.secondary_certificate),
    )
    service = service_of(request)
    return views_hub.with_keys(service, *service.hub_access.operations.change(actor_of(request), identity, change))


_row = partial(Route, tag="hub devices")
_ONE = V1 + "/hub-devices/{device_id}"
_MODULE = _ONE + "/modules/{module_id}"
ROUTES = (
    _row("GET", CATALOG + "/hub-admission", show_admission, READER),
    _row("PATCH", CATALOG + "/hub-admission", change_admission, ADMINISTRATOR),  # what does not attest is let in
    _row("GET", CATALOG + "/hub-devices", list_hub_devices, READER),
    _row("POST", CATALOG + "/hub-devices", make_hub_device, CONTRIBUTOR),
    _row("GET", _ONE, show_hub_device, READER),
    _row("PATCH", _ONE, change_hub_device, CONTRIBUTOR),
    _row("DELETE", _ONE, delete_hub_device, CONTRIBUTOR),
    _row("GET", _ONE + "/modules", list_modules, READER),
    _row("POST", _ONE + "/modules", make_module, CONTRIBUTOR),
    _row("PATCH", _MODULE, change_module, CONTRIBUTOR),
    _row("DELETE", _MODULE, delete_module, CONTRIBUTOR),
)
