# SPDX-License-Identifier: Apache-2.0
"""Native routes of hub devices (clients that do not attest), modules, and what a catalog admits."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.routes import hub_of, operator_of, platform_of, service_of
from armillary.api.native.device_ids import DevicePath, known_device
from armillary.api.native.parameters import CATALOG, V1, After, CatalogPath, Limit, StrictBody
from armillary.engines.records.queries.hub import Admission, HubIdentity
from armillary.errors import InvalidArgumentError
from armillary.service.context.paging import MAX_LIMIT
from armillary.service.hub_access.identities import IdentityForm, Keys, awaits_keys, etag_of
from armillary.service.registry.device_names import NamedDevice
from armillary.wire.hub.credentials import UNATTESTED, is_attested_id
from armillary.wire.hub.sas_token import encode_key
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS, check_name

Search = Annotated[str, Query(max_length=128, description="Beginning of a word of the name, or of the id")]
Prefix = Annotated[str, Query(max_length=128, description="Only ids that begin so")]
ModulePath = Annotated[str, Path(min_length=1, max_length=64)]
_Pem = Annotated[str, Field(max_length=16_384)]
_Reason = Annotated[str, Field(max_length=128)]


class AdmissionBody(StrictBody):
    """What a catalog lets into the hub beside devices that attest; absent fields stay as they are."""

    certificates: bool | None = None
    symmetric_keys: bool | None = None


class HubDeviceBody(StrictBody):
    """A hub device to make.

    Attributes:
        device_id: Its id.
        name: What people call it; empty for its id.
        authentication: A symmetric key (`sas`), or a certificate of its own (`selfSigned`).
        certificate: PEM, for `selfSigned`.
        secondary_certificate: A second one, for a change of certificates.
    """

    device_id: Annotated[str, Field(max_length=128)]
    name: Annotated[str, Field(max_length=4 * MAX_NAME_CHARACTERS)] = ""
    authentication: Literal["sas", "selfSigned"] = "selfSigned"
    certificate: _Pem = ""
    secondary_certificate: _Pem = ""


class ModuleBody(StrictBody):
    """A module to make; with `device` it shows what its device shows."""

    module_id: Annotated[str, Field(max_length=64)]
    authentication: Literal["sas", "selfSigned", "device"] = "device"
    certificate: _Pem = ""


class HubDeviceChange(StrictBody):
    """A change of a hub device; absent fields stay. `new_keys` makes two new symmetric keys, shown this once."""

    enabled: bool | None = None
    status_reason: _Reason | None = None
    new_keys: bool = False
    certificate: _Pem = ""
    secondary_certificate: _Pem = ""


def hub_device(request: Request, device_id: str) -> HubIdentity:
    """The hub device of a route about hub devices only.

    Raises:
        InvalidArgumentError: no device has such an id; or a device has it that attests.
        NotFoundError: there is none.
    """
    known = known_device(request, device_id)
    if is_attested_id(known):
        raise InvalidArgumentError(
            f"device {known[:12]}... attests: it is no hub device, and has no keys or certificate of its own here",
            remedy="Ask for it as a device: armillary device show, GET /api/v1/devices/ID.",
        )
    return service_of(request).hub_access.identities.get(known)


def show_admission(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """What a catalog lets into the hub beside devices that attest: nothing unless its administrator said so."""
    return _admission(service_of(request).hub_access.identities.admission(catalog))


def change_admission(request: Request, catalog: CatalogPath, body: AdmissionBody) -> dict[str, Any]:
    """Let hub devices with certificates or symmetric keys in, or not any more; these are disconnected at once."""
    made = service_of(request).hub_access.identities.set_admission(
        catalog,
        actor=operator_of(request).name,
        certificates=body.certificates,
        symmetric_keys=body.symmetric_keys,
    )
    return _admission(made)


def list_hub_devices(
    request: Request,
    catalog: CatalogPath,
    limit: Limit = 100,
    after: After = None,
    device_id_prefix: Prefix = "",
    search: Search = "",
) -> dict[str, Any]:
    """A catalog's hub devices by id; a search looks through 1,000 names."""
    limit, service = min(limit, MAX_LIMIT), service_of(request)
    found = service.hub_access.identities.list(
        catalog, after=after or "", limit=limit, prefix=device_id_prefix, search=search
    )
    connected = hub_of(request).connected()
    names = {each.device_id: each for each in service.registry.names.described([each.identity for each in found])}
    items = [
        {**document(each, is_connected=each.identity in connected), **_called(names.get(each.identity))}
        for each in found
    ]
    return {"items": items, "next": found[-1].identity if len(found) == limit else None}


def make_hub_device(request: Request, catalog: CatalogPath, body: HubDeviceBody) -> dict[str, Any]:
    """Register a hub device; its symmetric keys are in the answer and nowhere else."""
    service = service_of(request)
    owner, name = service.registry.catalogs.get(catalog).catalog_id, check_name(body.name)
    form = IdentityForm(authentication=body.authentication, certificates=(body.certificate, body.secondary_certificate))
    if "/" in body.device_id:
        raise InvalidArgumentError("device_id: expected no slash", remedy="Modules have a route of their own.")
    made, keys = service.hub_access.identities.put(
        body.device_id, form, actor=operator_of(request).name, catalog_id=owner, create=True
    )
    if name:
        service.registry.names.rename(made.identity, name, actor=operator_of(request).name)
    return {**_with_keys(request, made, keys), **_name_of(request, made.identity)}


def show_hub_device(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """A hub device, with its modules, its connection and the model it announced."""
    found = hub_device(request, device_id)
    modules = [document(each) for each in service_of(request).hub_access.identities.modules(found.identity)]
    return {**_seen(request, found), **_name_of(request, found.identity), "modules": modules}


def change_hub_device(request: Request, device_id: DevicePath, body: HubDeviceChange) -> dict[str, Any]:
    """Enable, disable or give other keys or certificates; an open connection ends."""
    return _change(request, hub_device(request, device_id).identity, body)


def delete_hub_device(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Delete a hub device with its modules, twin, messages and files; the name is free afterwards."""
    return _delete(request, hub_device(request, device_id).identity)


def list_modules(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """The modules of a device, hub device or one that attests."""
    connected = hub_of(request).connected()
    found = service_of(request).hub_access.identities.modules(known_device(request, device_id))
    return {"items": [document(each, is_connected=each.identity in connected) for each in found], "next": None}


def make_module(request: Request, device_id: DevicePath, body: ModuleBody) -> dict[str, Any]:
    """Register a module of a device, hub device or one that attests (these have `device` modules only)."""
    form = IdentityForm(authentication=body.authentication, certificates=(body.certificate, ""))
    made, keys = service_of(request).hub_access.identities.put(
        f"{known_device(request, device_id)}/{body.module_id}", form, actor=operator_of(request).name, create=True
    )
    return _with_keys(request, made, keys)


def change_module(
    request: Request, device_id: DevicePath, module_id: ModulePath, body: HubDeviceChange
) -> dict[str, Any]:
    """Enable, disable or give other keys or a certificate to a module."""
    return _change(request, f"{known_device(request, device_id)}/{module_id}", body)


def delete_module(request: Request, device_id: DevicePath, module_id: ModulePath) -> dict[str, Any]:
    """Delete a module with its twin and messages."""
    return _delete(request, f"{known_device(request, device_id)}/{module_id}")


def document(found: HubIdentity, *, is_connected: bool | None = None) -> dict[str, Any]:
    """An identity as JSON, without its keys."""
    device, _, module = found.identity.partition("/")
    shown: dict[str, Any] = {
        "device_id": device,
        "module_id": module or None,
        "catalog_id": str(found.catalog_id),
        "trust_tier": None if is_attested_id(device) else UNATTESTED,
        "authentication": found.authentication,
        "enabled": found.is_enabled,
        "status_reason": found.status_reason,
        "thumbprints": [one for one in (found.primary_thumbprint, found.secondary_thumbprint) if one],
        "certificate_known": found.authentication != "selfSigned" or found.primary_certificate is not None,
        "etag": etag_of(found),
        "enrolment_id": None if found.enrolment_id is None else str(found.enrolment_id),
        "created_at": found.created_at,
        "changed_at": found.changed_at,
    }
    return shown if is_connected is None else {**shown, "connected": is_connected}


def _called(named: NamedDevice | None) -> dict[str, Any]:
    return {} if named is None else {"name": named.name, "is_named": named.is_named}


def _name_of(request: Request, identity: str) -> dict[str, Any]:
    return _called(next(iter(service_of(request).registry.names.described([identity])), None))


def _delete(request: Request, identity: str) -> dict[str, Any]:
    found = service_of(request).hub_access.identities.delete(identity, actor=operator_of(request).name)
    hub_of(request).forget(identity)
    platform_of(request).forget_device(identity, by=operator_of(request).name)
    return document(found)


def _admission(found: Admission) -> dict[str, Any]:
    return {
        "certificates": found.certificates,
        "symmetric_keys": found.symmetric_keys,
        "changed_at": found.changed_at or None,
        "changed_by": found.changed_by or None,
    }


def _seen(request: Request, found: HubIdentity) -> dict[str, Any]:
    hub = hub_of(request)
    return {
        **document(found, is_connected=found.identity in hub.connected()),
        "last_seen_ms": hub.last_seen_ms(found.identity),
        "model_id": hub.model_id(found.identity),
    }


def _change(request: Request, identity: str, body: HubDeviceChange) -> dict[str, Any]:
    identities = service_of(request).hub_access.identities
    before = identities.get(identity)
    prints = (before.primary_thumbprint, before.secondary_thumbprint)
    given = (body.certificate, body.secondary_certificate)
    if any(given) and before.authentication != "selfSigned":
        raise InvalidArgumentError(
            f"certificate: {identity:.80} shows {before.authentication}", remedy="Make another device for it."
        )
    if body.new_keys and before.authentication != "sas":
        raise InvalidArgumentError(
            f"new_keys: {identity:.80} shows {before.authentication}", remedy="Make another device for it."
        )
    form = IdentityForm(
        authentication=before.authentication,
        keys=Keys.random() if body.new_keys else None,
        awaits_keys=awaits_keys(before) and not body.new_keys,
        certificates=given,
        thumbprints=prints,
        is_enabled=before.is_enabled if body.enabled is None else body.enabled,
        status_reason=before.status_reason if body.status_reason is None else body.status_reason,
    )
    made, keys = identities.put(identity, form, actor=operator_of(request).name, if_match=etag_of(before))
    return _with_keys(request, made, keys)


def _with_keys(request: Request, made: HubIdentity, keys: Keys | None) -> dict[str, Any]:
    shown = document(made)
    if keys is None:
        return shown
    host = service_of(request).hub_address[0]
    device, _, module = made.identity.partition("/")
    place = f"HostName={host};DeviceId={device}" + (f";ModuleId={module}" if module else "")
    primary = encode_key(keys.primary)
    return {
        **shown,
        "primary_key": primary,
        "secondary_key": encode_key(keys.secondary),
        "connection_string": f"{place};SharedAccessKey={primary}",
    }


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
