# SPDX-License-Identifier: Apache-2.0
"""Hub devices, modules, enrolments and service keys as JSON-able dicts, for the native routes and the console.

Keys are in an answer only where the caller hands them over: in that of the change that made them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from armillary.engines.records.queries.hub import Admission, HubEnrolment, HubIdentity, HubServiceKey
from armillary.service.context.paging import MAX_LIMIT
from armillary.service.hub_access.enrolments import scope_of
from armillary.service.hub_access.identities import Keys, etag_of
from armillary.service.registry.device_names import NamedDevice
from armillary.wire.hub.credentials import UNATTESTED, is_attested_id
from armillary.wire.hub.sas_token import encode_key

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.identity.operator import Operator
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def identity(found: HubIdentity, *, is_connected: bool | None = None) -> Document:
    """A hub device or module, without its keys."""
    device, _, module = found.identity.partition("/")
    shown: Document = {
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


def with_keys(service: SecurityService, made: HubIdentity, keys: Keys | None) -> Document:
    """A hub device or module with the keys that were just made, if any, and the connection string of its client."""
    shown = identity(made)
    if keys is None:
        return shown
    host = service.hub_address[0]
    device, _, module = made.identity.partition("/")
    place = f"HostName={host};DeviceId={device}" + (f";ModuleId={module}" if module else "")
    primary = encode_key(keys.primary)
    return {
        **shown,
        "primary_key": primary,
        "secondary_key": encode_key(keys.secondary),
        "connection_string": f"{place};SharedAccessKey={primary}",
    }


def made_device(service: SecurityService, made: HubIdentity, keys: Keys | None) -> Document:
    """A hub device that was just made, with its keys and its name."""
    return {**with_keys(service, made, keys), **_name_of(service, made.identity)}


def devices(
    service: SecurityService,
    hub: Hub,
    catalog: str,
    *,
    limit: int,
    after: str | None,
    prefix: str = "",
    search: str = "",
    order: str = "",
) -> Document:
    """A catalog's hub devices by id, or in an order; a search looks through 1,000 names."""
    limit, identities = min(limit, MAX_LIMIT), service.hub_access.identities
    if order:
        page = identities.sorted(catalog, order, after=after, limit=limit, prefix=prefix, search=search)
        found, cursor = page.items, page.next_cursor
    else:
        found = identities.list(catalog, after=after or "", limit=limit, prefix=prefix, search=search)
        cursor = found[-1].identity if len(found) == limit else None
    connected = hub.connected()
    names = {each.device_id: each for each in service.registry.names.described([each.identity for each in found])}
    items = [
        {**identity(each, is_connected=each.identity in connected), **_called(names.get(each.identity))}
        for each in found
    ]
    return {"items": items, "next": cursor}


def device(service: SecurityService, hub: Hub, device_id: str) -> Document:
    """A hub device, with its modules, its connection and the model it announced."""
    found = service.hub_access.hub_device(device_id)
    return {
        **identity(found, is_connected=found.identity in hub.connected()),
        "last_seen_ms": hub.last_seen_ms(found.identity),
        "model_id": hub.model_id(found.identity),
        **_name_of(service, found.identity),
        "modules": [identity(each) for each in service.hub_access.identities.modules(found.identity)],
    }


def begin_anew(hub: Hub, platform: Platform, made: HubIdentity, actor: Operator) -> None:
    """A module that was just made gets nothing that an earlier owner of its device has left under the same name."""
    if "/" in made.identity:
        hub.forget(made.identity)
        platform.forget_device(made.identity, by=actor.name)


def delete(
    service: SecurityService, hub: Hub, platform: Platform, actor: Operator, name: str, if_match: str | None = None
) -> HubIdentity:
    """Delete a hub device with its modules, or a module, and all that the hub and the platform keep of it."""
    found = service.hub_access.identities.delete(name, actor=actor.name, if_match=if_match)
    hub.forget(name)
    platform.forget_device(name, by=actor.name)
    return found


def admission(found: Admission) -> Document:
    """What a catalog lets into the hub beside devices that attest."""
    return {
        "certificates": found.certificates,
        "symmetric_keys": found.symmetric_keys,
        "changed_at": found.changed_at or None,
        "changed_by": found.changed_by or None,
    }


def enrolment(found: HubEnrolment) -> Document:
    """An enrolment, without its keys."""
    return {
        "enrolment_id": str(found.enrolment_id),
        "name": found.name,
        "group": found.is_group,
        "attestation": found.attestation,
        "verified": found.is_verified,
        "possession_nonce": found.possession_nonce if not found.is_verified else None,
        "device_id": found.device_id or None,
        "initial_twin": json.loads(found.initial_twin) if found.initial_twin else None,
        "returned_payload": json.loads(found.returned_payload) if found.returned_payload else None,
        "enabled": found.is_enabled,
        "created_at": found.created_at,
        "created_by": found.created_by,
    }


def made_enrolment(made: HubEnrolment, keys: Keys | None) -> Document:
    """An enrolment that was just made, with its symmetric keys where it has any."""
    shown = enrolment(made)
    if keys is None:
        return shown
    return {**shown, "primary_key": encode_key(keys.primary), "secondary_key": encode_key(keys.secondary)}


def enrolments(service: SecurityService, catalog: str) -> Document:
    """A catalog's enrolments by name, and its id scope."""
    scope = scope_of(service.registry.catalogs.get(catalog).catalog_id)
    items = [enrolment(each) for each in service.hub_access.enrolments.list(catalog)]
    return {"id_scope": scope, "items": items, "next": None}


def registrations(service: SecurityService, catalog: str, enrolment_id: UUID) -> Document:
    """What registered by an enrolment, newest first."""
    items = [
        {
            "registration_id": each.registration_id,
            "device_id": each.device_id,
            "payload": json.loads(each.payload) if each.payload else None,
            "registered_at": each.registered_at,
            "changed_at": each.changed_at,
        }
        for each in service.hub_access.enrolments.registrations(catalog, enrolment_id)
    ]
    return {"items": items, "next": None}


def service_key(found: HubServiceKey) -> Document:
    """A service key, without the key itself."""
    return {
        "name": found.name,
        "role": found.role,
        "reveals_keys": found.reveals_keys,
        "created_at": found.created_at,
        "created_by": found.created_by,
    }


def service_keys(service: SecurityService, catalog: str) -> Document:
    """A catalog's service keys by name."""
    return {"items": [service_key(each) for each in service.hub_access.service_keys.list(catalog)], "next": None}


def made_service_key(hub: Hub, made: HubServiceKey, key: bytes) -> Document:
    """A service key that was just made, with the connection string of its service."""
    connection = f"HostName={hub.service_host};SharedAccessKeyName={made.name};SharedAccessKey={encode_key(key)}"
    return {**service_key(made), "key": encode_key(key), "connection_string": connection}


def _called(named: NamedDevice | None) -> Document:
    return {} if named is None else {"name": named.name, "is_named": named.is_named}


def _name_of(service: SecurityService, identity_name: str) -> Document:
    return _called(next(iter(service.registry.names.described([identity_name])), None))
