# SPDX-License-Identifier: Apache-2.0
"""What the hub may know of devices: owner, group, health and the like, for queries over many of them.

Devices of both kinds are here: those that attest, and hub devices, which a catalog admits too (``identities.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    audit as audit_rows,
    catalogs as catalog_rows,
    device_lists,
    devices as device_rows,
    hub as hub_rows,
)
from armillary.engines.records.queries.hub import HubIdentity
from armillary.engines.records.schema.rows import Device, DeviceFilter
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded
from armillary.service.hub_access.identities import awaits_keys
from armillary.service.registry.device_names import DeviceNames
from armillary.twin.author.data_export import DeviceEvent
from armillary.wire.hub.credentials import UNATTESTED, device_of

Fields = Mapping[str, str | bool | int | float | None]

# Lines of the audit log that are events in the life of a device: not what operators sent to it.
EVENTS = (
    "device.manufacture", "device.manufacturing-state", "device.claim", "device.move", "device.revoke",
    "device.restore", "device.release", "device.decommission", "device.reprovision", "device.transfer-in",
    "device.transfer-out", "hub-device.create", "hub-device.register", "hub-device.delete",
)  # fmt: skip


class HubDirectory:
    """Finds devices for the hub; a device that nobody owns has the catalog None."""

    def __init__(self, context: Context, names: DeviceNames) -> None:
        self._context = context
        self._names = names

    def page(self, *, catalog: str | None, after: str, limit: int) -> Sequence[tuple[str, Fields]]:
        """Devices by id, those of a catalog or all."""
        bound = bounded(limit)

        def query(connection: Connection) -> list[tuple[str, Fields]]:
            owner = None if catalog is None else catalog_rows.catalog_named(connection, catalog)
            if catalog is not None and owner is None:
                return []
            chosen = DeviceFilter(catalog=catalog)
            attested = device_lists.page(connection, chosen, limit=bound, after=after or None, **self._context.as_of)
            owner_id = None if owner is None else owner.catalog_id
            others = hub_rows.identities(connection, owner_id, after=after, limit=bound)
            found = [(each.device_id, _fields(each)) for each in attested.items]
            if others:
                names = _catalog_names(connection)
                found += [(each.identity, _hub_fields(each, names)) for each in others]
                found.sort(key=lambda each: each[0])
            return found[:bound]

        return self._context.records.read(query)

    def of(self, device_ids: Sequence[str]) -> Mapping[str, Fields]:
        """The fields of those devices that are known here, by id.

        A module (``device/module``) has those of its device; one that its device's owner has not registered has no
        catalog.
        """
        if not device_ids:
            return {}

        def query(connection: Connection) -> dict[str, Fields]:
            devices = list({device_of(each): None for each in device_ids})
            modules = [each for each in device_ids if "/" in each]
            attested = device_rows.some(connection, devices, **self._context.as_of)
            found = {each.device_id: _fields(each) for each in attested}
            left = [each for each in devices if each not in found]
            others = hub_rows.some_identities(connection, left) if left else ()
            registered = hub_rows.some_identities(connection, modules) if modules else ()
            if others or registered:
                names = _catalog_names(connection)
                found |= {each.identity: _hub_fields(each, names) for each in others}
                found |= _module_fields(registered, found, names)
            strangers = {each: _NOBODYS for each in modules if each not in found}
            wanted = set(device_ids)
            return {each: fields for each, fields in {**found, **strangers}.items() if each in wanted}

        return self._context.records.read(query)

    def names(self, device_ids: Sequence[str]) -> Mapping[str, str]:
        """The names of those devices that are known here, by id; of a module its device's, and its own behind it."""
        found = self._names.of(list({device_of(each): None for each in device_ids}))
        return {
            each: f"{found[device_of(each)]}{each[len(device_of(each)) :]}"
            for each in device_ids
            if device_of(each) in found
        }

    def second_hand(self, catalog: str | None) -> Mapping[str, int]:
        """Devices of a catalog, or of all, that had an earlier owner: id -> since when (Unix milliseconds)."""

        def query(connection: Connection) -> dict[str, int]:
            owner = None if catalog is None else catalog_rows.catalog_named(connection, catalog)
            if catalog is not None and owner is None:
                return {}
            found = device_rows.second_hand(connection, None if owner is None else owner.catalog_id)
            return {device_id: since * 1000 for device_id, since in found.items()}

        return self._context.records.read(query)

    def events(self, after: int, limit: int) -> Sequence[DeviceEvent]:
        """Events with higher numbers than ``after``, in order."""
        found = self._context.records.read(
            lambda c: audit_rows.some_after(c, after, operations=EVENTS, limit=bounded(limit))
        )
        return [DeviceEvent(each.number, each.at * 1000, each.operation, each.target) for each in found]

    def last_event(self) -> int:
        """Number of the newest line of the audit log; 0 before the first."""
        return self._context.records.read(audit_rows.last_number)


# A module of nobody's: its device has another owner now, or it was deleted.
_NOBODYS: Final[Fields] = {"catalog": None}


def _module_fields(
    modules: Sequence[HubIdentity], devices: Mapping[str, Fields], names: Mapping[UUID, str]
) -> dict[str, Fields]:
    """The fields of modules that the owner of their device has registered: their device's."""
    return {
        each.identity: fields
        for each in modules
        if (fields := devices.get(device_of(each.identity))) is not None
        and fields["catalog"] is not None
        and fields["catalog"] == names.get(each.catalog_id)
    }


def _catalog_names(connection: Connection) -> Mapping[UUID, str]:
    return {each.catalog_id: each.name for each in catalog_rows.catalogs(connection)}


def _fields(device: Device) -> Fields:
    return {
        "health": device.health,
        "tier": device.trust_tier,
        "chip": device.chip,
        "catalog": device.catalog,
        "product": device.product,
        "device_group": device.group,
        "os_version": device.os_version,
        "verdict": device.verdict,
        "manufacturing_state": device.manufacturing_state,
        "provisioned": device.last_check_in_at is not None,
        "claimed_at": device.claimed_at,
    }


def _hub_fields(device: HubIdentity, names: Mapping[UUID, str]) -> Fields:
    return {
        "tier": UNATTESTED,
        "health": None,
        "catalog": names.get(device.catalog_id),
        "provisioned": not awaits_keys(device),
        "claimed_at": device.created_at,
    }
