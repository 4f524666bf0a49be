# SPDX-License-Identifier: Apache-2.0
"""What the routes in IoT Hub's shape share: whose hub it is, which device is meant, what the hub knows of it.

An IoT hub is a catalog here. A service key or a token of one catalog says which; a token of all catalogs is taken where
there is one catalog only.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from starlette.requests import Request

from armillary.api.http.route import OfOrganisation, Reach, Route
from armillary.api.http.routes import hub_of, operator_of, service_of
from armillary.api.iot_hub.documents import Seen
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.queries.hub import HubIdentity
from armillary.engines.records.schema.rows import Catalog, Device, DeviceFilter
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.service.hub_access.identities import Keys
from armillary.service.hub_access.service_keys import RevealingToken
from armillary.wire.hub.credentials import is_attested_id

# Clients' requests come without it: :func:`armillary.api.iot_hub.shape.canonical` puts them below.
ROOT: Final = "/iothub"
row = partial(Route, reach=Reach.TOKEN, organisation=OfOrganisation.NOTHING)
# Devices read at a time where many are looked through.
PAGE: int = 200


def catalog_of(request: Request) -> Catalog:
    """The catalog that a request is about. Raises InvalidArgumentError if its token is for all of several catalogs."""
    token, records = operator_of(request), service_of(request).context.records
    if token.catalog_id is not None:
        owner = token.catalog_id
        found = records.read(lambda c: catalog_rows.catalog_by_id(c, owner))
        if found is None:
            raise NotFoundError("the catalog of this token does not exist any more", remedy="Use another token.")
        return found
    every = records.read(catalog_rows.catalogs)
    if len(every) != 1:
        raise InvalidArgumentError(
            f"the token is for all catalogs, and there are {len(every)}",
            remedy="Use a key or token of one catalog: armillary hub-service-key create.",
        )
    return every[0]


def find(request: Request, device_id: str, module_id: str | None = None) -> HubIdentity | Device:
    """A device or module of the request's catalog. Raises NotFoundError if there is none."""
    service, owner = service_of(request), catalog_of(request).catalog_id
    identity = device_id.lower() if is_attested_id(device_id) else device_id
    absent = NotFoundError(f"device {device_id[:60]!r} does not exist", remedy="List them: get_devices.")
    if module_id is not None:
        absent = NotFoundError(
            f"device {device_id[:60]!r} has no module {module_id[:60]!r}, or does not exist",
            remedy="List its modules: get_modules.",
        )
    found: HubIdentity | Device
    try:
        if module_id is not None:
            found = service.hub_access.identities.get(f"{identity}/{module_id}")
        elif is_attested_id(identity):
            found = service.registry.devices.get(identity)
        else:
            found = service.hub_access.identities.get(identity)
    except NotFoundError as error:
        raise absent from error
    if found.catalog_id != owner:  # another catalog's is as good as none
        raise absent
    return found


def identity_of(found: HubIdentity | Device) -> str:
    """The hub's id of a device or module."""
    return found.device_id if isinstance(found, Device) else found.identity


def seen(request: Request, found: HubIdentity | Device, connected: frozenset[str] | None = None) -> Seen:
    """The hub's state of a device or module."""
    hub, identity = hub_of(request), identity_of(found)
    waiting = sum(each.outcome is None for each in hub.mailboxes.list(identity))
    known = hub.connected() if connected is None else connected
    return Seen(identity in known, hub.last_seen_ms(identity), waiting, hub.model_id(identity))


def keys_shown(request: Request, found: Sequence[HubIdentity | Device]) -> Mapping[str, Keys]:
    """The symmetric keys of devices and modules that the caller may see, by identity; records that they were shown.

    Empty unless the caller signs with a service key that reveals them.
    """
    token, service = operator_of(request), service_of(request)
    if not isinstance(token, RevealingToken):
        return {}
    shown = {}
    for each in found:
        if isinstance(each, HubIdentity) and each.authentication == "sas":
            keys = service.hub_access.identities.keys_of(each)
            if keys:
                shown[each.identity] = Keys(keys[0], keys[-1])
    if shown:
        target = next(iter(shown)) if len(shown) == 1 else "several"
        service.hub_access.identities.note_shown(token.name, target, len(shown))
    return shown


def devices_after(request: Request, after: str) -> Iterator[HubIdentity | Device]:
    """The catalog's devices of both kinds by id, those after ``after``."""
    catalog = catalog_of(request)
    yield from heapq.merge(
        _hub_devices(request, catalog.name, after), _attesting(request, catalog.name, after), key=identity_of
    )


def modules_after(request: Request, after: str) -> Iterator[HubIdentity]:
    """The modules of the catalog's devices of both kinds by ``device/module``, those after ``after``."""
    catalog = catalog_of(request)
    while True:
        page = service_of(request).hub_access.identities.list_modules(catalog.name, after=after, limit=PAGE)
        yield from page.items
        if page.next_cursor is None:
            return
        after = page.next_cursor


def _hub_devices(request: Request, catalog: str, after: str) -> Iterator[HubIdentity | Device]:
    while True:
        page = service_of(request).hub_access.identities.list(catalog, after=after, limit=PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].identity


def _attesting(request: Request, catalog: str, after: str) -> Iterator[HubIdentity | Device]:
    cursor: str | None = after if is_attested_id(after) else None
    while True:
        page = service_of(request).registry.devices.list(DeviceFilter(catalog=catalog), limit=PAGE, after=cursor)
        yield from (each for each in page.items if each.device_id > after)
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


def body_object(body: Any) -> dict[str, Any]:
    """A body that must be a JSON object. Raises InvalidArgumentError if it is not one."""
    if not isinstance(body, dict):
        raise InvalidArgumentError("body: expected a JSON object", remedy="Correct the request.")
    return body
