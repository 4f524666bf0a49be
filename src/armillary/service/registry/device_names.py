# SPDX-License-Identifier: Apache-2.0
"""Names of devices of both kinds: given, shown, and found by name, id or the first digits of an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    device_lists,
    devices as device_rows,
    hub as hub_rows,
    names as name_rows,
)
from armillary.engines.records.schema.rows import Device, DeviceFilter
from armillary.service.context.context import Context
from armillary.service.registry.devices import Devices
from armillary.service.registry.names import catalog_or_raise, no_such_identity
from armillary.wire.hub.credentials import canonical_device_id, is_attested_id
from armillary.wire.text.device_name import MIN_ID_DIGITS, check_name, default_name_digits, id_prefix, key_of

# Devices that an answer lists where one was meant: enough to choose from.
MAX_MEANT: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDevice:
    """A device as people know it.

    ``name`` is the product and id, or the id, of a device that nobody named (``is_named`` is False). ``kind`` is
    ``attested`` or ``hub``; ``catalog`` is None for nobody's.
    """

    device_id: str
    name: str
    is_named: bool
    kind: str
    catalog: str | None
    catalog_id: UUID | None


class DeviceNames:
    """Names of devices. Methods block for the records: call them from threads."""

    def __init__(self, context: Context, devices: Devices) -> None:
        self._context = context
        self._devices = devices

    def of(self, device_ids: Sequence[str]) -> Mapping[str, str]:
        """Names by device id, of the known ones among these."""
        return {each.device_id: each.name for each in self.described(device_ids)}

    def described(self, device_ids: Sequence[str]) -> list[NamedDevice]:
        """The known ones among these devices, with their names."""
        if not device_ids:
            return []
        return self._context.records.read(lambda c: self._described(c, tuple(dict.fromkeys(device_ids))))

    def rename(self, device_id: str, name: str, *, actor: str) -> NamedDevice:
        """Rename a device; ``""`` takes its name away.

        Raises:
            NotFoundError: no such device.
            InvalidArgumentError: no such name.
        """
        return self.rename_all({device_id: name}, actor=actor)[0]

    def rename_all(self, names: Mapping[str, str], *, actor: str) -> list[NamedDevice]:
        """Rename devices, all of them or none, each change with an audit line; raises what :meth:`rename` does."""
        wanted = {canonical_device_id(each): check_name(name) for each, name in names.items()}
        owners = {each: self.owner_of(each) for each in wanted}

        def change(connection: Connection) -> list[NamedDevice]:
            before = name_rows.named(connection, list(wanted))
            for device_id, name in wanted.items():
                if before.get(device_id, "") == name:
                    continue
                name_rows.put(connection, device_id, owners[device_id], name)
                detail = {"name": name, "before": before.get(device_id, "")}
                self._context.audit(connection, actor, "device.rename", device_id, detail)
            return self._described(connection, list(wanted))

        return self._context.records.write(change)

    def meant(self, text: str, *, catalog: str | None) -> list[NamedDevice]:
        """The devices that a person may mean by a name, an id, or the first digits of one; at most ``MAX_MEANT``.

        An id means that device. Else the text is compared with names, ignoring case: those that somebody gave and those
        that lists show for unnamed devices (``Cable 81f29fac``); else, from four digits on, with the first digits of
        ids. A result of one device is unambiguous. ``catalog`` None looks in all catalogs; NotFoundError if it is
        unknown.
        """

        def query(connection: Connection) -> list[NamedDevice]:
            owner = None if catalog is None else catalog_or_raise(connection, catalog)
            known = self._described(connection, [text.lower() if is_attested_id(text) else text])
            known = [each for each in known if owner is None or each.catalog == owner.name]
            if known:
                return known
            owner_id = None if owner is None else owner.catalog_id
            catalog_name = None if owner is None else owner.name
            called = self._described(
                connection, name_rows.called(connection, text, catalog_id=owner_id, limit=MAX_MEANT)
            )
            called += self._called_by_default(connection, text, catalog_name)
            if called:
                return called[:MAX_MEANT]
            prefix = id_prefix(text)
            if prefix is None or len(prefix) < MIN_ID_DIGITS:
                return []
            return self._beginning(connection, prefix, catalog_name)

        return self._context.records.read(query)

    def owner_of(self, device_id: str) -> UUID | None:
        """The catalog of a device of either kind, None if it is in none; NotFoundError for an unknown device."""
        if is_attested_id(device_id):
            return self._devices.get(device_id).catalog_id
        found = self._context.records.read(lambda c: hub_rows.identity(c, device_id))
        if found is None:
            raise no_such_identity(device_id)
        return found.catalog_id

    def _called_by_default(self, connection: Connection, text: str, catalog: str | None) -> list[NamedDevice]:
        """Unnamed devices that lists show by this name."""
        digits = default_name_digits(text)
        if digits is None:
            return []
        found = self._beginning(connection, digits, catalog)
        return [each for each in found if not each.is_named and key_of(each.name) == key_of(text)]

    def _beginning(self, connection: Connection, digits: str, catalog: str | None) -> list[NamedDevice]:
        """Devices that attest whose ids begin with these digits."""
        chosen = DeviceFilter(catalog=catalog, device_id_prefix=digits)
        page = device_lists.page(connection, chosen, limit=MAX_MEANT, after=None, **self._context.as_of)
        return [_of_device(each) for each in page.items]

    def _described(self, connection: Connection, device_ids: Sequence[str]) -> list[NamedDevice]:
        found: dict[str, NamedDevice] = {}
        for start in range(0, len(device_ids), hub_rows.MAX_SOME):
            some = device_ids[start : start + hub_rows.MAX_SOME]
            for device in device_rows.some(connection, some, **self._context.as_of):
                found[device.device_id] = _of_device(device)
            left = [each for each in some if each not in found]
            others = hub_rows.some_identities(connection, left) if left else ()
            names = name_rows.named(connection, [each.identity for each in others]) if others else {}
            catalogs = {each.catalog_id: each.name for each in catalog_rows.catalogs(connection)} if others else {}
            for each in others:
                given = names.get(each.identity)
                found[each.identity] = NamedDevice(
                    device_id=each.identity,
                    name=given or each.identity,
                    is_named=given is not None,
                    kind="hub",
                    catalog=catalogs.get(each.catalog_id),
                    catalog_id=each.catalog_id,
                )
        return [found[each] for each in device_ids if each in found]


def _of_device(device: Device) -> NamedDevice:
    return NamedDevice(
        device_id=device.device_id,
        name=device.name,
        is_named=device.is_named,
        kind="attested",
        catalog=device.catalog,
        catalog_id=device.catalog_id,
    )
