# SPDX-License-Identifier: Apache-2.0
"""Devices as operators see them: listed, claimed, moved, owned."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records import device_order
from armillary.engines.records.queries import device_lists, devices as device_rows
from armillary.engines.records.schema.rows import (
    DEFAULT_PRODUCT,
    HEALTHS,
    UNASSIGNED_GROUP,
    Catalog,
    Device,
    DeviceFilter,
    FleetSummary,
    Page,
)
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, WrongCatalogError
from armillary.service.authority.authority import Authority
from armillary.service.context.answer_cache import AnswerCache
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.context.paging import bounded
from armillary.service.registry.groups import device_count
from armillary.service.registry.names import catalog_or_raise, group_or_raise, no_such_device
from armillary.wire.image import capability_file

# Devices claimed in one call: one transaction, one audit line each.
MAX_CLAIM: Final = 1000


class Devices:
    """Operations on devices that attest."""

    def __init__(self, context: Context, authority: Authority, notices: Notices) -> None:
        self._context = context
        self._authority = authority
        self._notices = notices
        self._summaries: AnswerCache[FleetSummary] = AnswerCache(time.monotonic)

    def get(self, device_id: str) -> Device:
        """A device; NotFoundError if it was never manufactured here."""
        return self._context.records.read(lambda c: self.in_transaction(c, device_id))

    def list(
        self, chosen: DeviceFilter, *, limit: int = 100, after: str | None = None, order: str = ""
    ) -> Page[Device]:
        """Devices by id, where every page costs the same; or in an ``order`` of ``device_order.ORDERS``.

        Raises:
            InvalidArgumentError: a filter, order or cursor is none, or too many devices match to be sorted.
        """
        _check_filter(chosen)
        context, given = self._context, {"limit": bounded(limit), **self._context.as_of}
        if order:
            device_order.check_order(order)
            return context.records.read(lambda c: device_order.page(c, chosen, order, after=after, **given))
        return context.records.read(lambda c: device_lists.page(c, chosen, after=after, **given))

    def count(self, chosen: DeviceFilter) -> int:
        """How many devices a filter chooses."""
        _check_filter(chosen)
        context = self._context
        return context.records.read(lambda c: device_count(context, c, chosen))

    def claim(
        self,
        catalog: str,
        device_ids: Sequence[str],
        *,
        actor: str,
        product: str = DEFAULT_PRODUCT,
        group: str = UNASSIGNED_GROUP,
    ) -> tuple[Device, ...]:
        """Give devices to a catalog: all of them or none. Claiming one's own device again changes nothing.

        Raises:
            NotFoundError: the catalog, product or group does not exist, or one of the devices cannot be claimed: one of
                another catalog is reported as absent; its owner can offer it (``transfers.py``).
            ConflictError: one of them is decommissioned.
        """
        if not 1 <= len(device_ids) <= MAX_CLAIM:
            raise InvalidArgumentError(
                f"devices: expected 1 to {MAX_CLAIM}, got {len(device_ids)}", remedy="Claim them in several calls."
            )

        def change(connection: Connection) -> tuple[Device, ...]:
            owner = catalog_or_raise(connection, catalog)
            target = group_or_raise(connection, catalog, product, group)
            for device_id in device_ids:
                device = self._claimable(connection, owner, device_id)
                if device.decommissioned_at is not None:
                    raise ConflictError(
                        f"device {device.device_id[:16]}... was decommissioned",
                        remedy="Let it enrol again first: armillary device allow-reprovision.",
                    )
                if device.catalog_id is None:
                    device_rows.claim(
                        connection,
                        device.device_id,
                        catalog_id=owner.catalog_id,
                        group_id=target.group_id,
                        now=self._context.now(),
                    )
                    detail = {"catalog": owner.name, "product": target.product, "group": target.name}
                    self._context.audit(connection, actor, "device.claim", device.device_id, detail)
            return tuple(self.in_transaction(connection, device_id) for device_id in device_ids)

        devices = self._context.records.write(change)
        for device in devices:
            self._notices.device_changed(device.device_id)
        return devices

    def move(self, catalog: str, device_id: str, *, product: str, group: str, actor: str) -> Device:
        """Put a claimed device into another group of its catalog; ``.default``/``.unassigned`` takes it out of all.

        Raises:
            NotFoundError: the catalog, product, group or device does not exist.
            WrongCatalogError: the device is not this catalog's.
        """

        def change(connection: Connection) -> Device:
            owner = catalog_or_raise(connection, catalog)
            target = group_or_raise(connection, catalog, product, group)
            device = self.in_transaction(connection, device_id)
            if device.catalog_id != owner.catalog_id:
                raise WrongCatalogError(
                    f"device {device.device_id[:16]}... is not in catalog {owner.name}",
                    remedy="Claim it first: armillary device claim.",
                )
            device_rows.change(connection, device.device_id, {"group_id": target.group_id})
            detail = {"product": target.product, "group": target.name, "from": f"{device.product}/{device.group}"}
            self._context.audit(connection, actor, "device.move", device.device_id, detail)
            return self.in_transaction(connection, device_id)

        device = self._context.records.write(change)
        self._notices.device_changed(device.device_id)
        return device

    def make_capability_file(self, catalog: str, device_id: str, capabilities: Sequence[str], *, actor: str) -> bytes:
        """A signed capability file for one device: names of :data:`capability_file.API_NAMES`.

        Raises:
            InvalidArgumentError: a capability that is not issued.
            NotFoundError: no such device in this catalog.
        """
        unknown = [name for name in capabilities if name not in capability_file.API_NAMES]
        if unknown or not capabilities:
            raise InvalidArgumentError(
                f"capabilities: expected {', '.join(capability_file.API_NAMES)}, got {', '.join(unknown) or 'none'}",
                remedy="Name at least one of them.",
            )
        signer = self._authority.os_signer

        def change(connection: Connection) -> bytes:
            owner = catalog_or_raise(connection, catalog)
            device = self.in_transaction(connection, device_id)
            if device.catalog_id != owner.catalog_id:
                raise NotFoundError(f"catalog {owner.name} has no such device", remedy="Claim it first.")
            self._context.audit(
                connection, actor, "device.capability", device.device_id, {"capabilities": list(capabilities)}
            )
            return capability_file.build(
                device.device_id,
                sorted(capability_file.API_NAMES[name] for name in set(capabilities)),
                image_id=uuid4(),
                built=self._context.now(),
                key=signer.key,
                certificate=signer.certificate,
            )

        return self._context.records.write(change)

    def summary(self, catalog: str | None = None) -> FleetSummary:
        """The fleet in numbers; cached for a while where counting is slow (``service/context/answer_cache.py``)."""
        context = self._context
        records = context.records
        owner = None if catalog is None else records.read(lambda c: catalog_or_raise(c, catalog).catalog_id)

        def query(connection: Connection) -> FleetSummary:
            return device_rows.summary(connection, owner, **context.as_of)

        return self._summaries.get(owner, lambda: records.read(query))

    def second_hand(self, catalog_id: UUID, device_id: str | None = None) -> Mapping[str, int]:
        """Devices of a catalog, or that one, that had an earlier owner: id -> since when (Unix seconds)."""
        return self._context.records.read(lambda c: device_rows.second_hand(c, catalog_id, device_id))

    def in_transaction(self, connection: Connection, device_id: str) -> Device:
        """A device, in the caller's transaction; NotFoundError if it was never manufactured here."""
        found = device_rows.one(connection, device_id.lower(), **self._context.as_of)
        if found is None:
            raise no_such_device(device_id)
        return found

    def _claimable(self, connection: Connection, owner: Catalog, device_id: str) -> Device:
        """An unowned device or one of the catalog itself; another catalog's counts as absent."""
        found = device_rows.enrolled(connection, device_id.lower())
        if found is None or found.catalog_id not in (None, owner.catalog_id):
            raise NotFoundError(
                f"there is no device {device_id[:16]!a}... to claim",
                remedy="Check the 128 digits. If another catalog has it, its owner can offer it: armillary device "
                "transfer offer.",
            )
        return self.in_transaction(connection, device_id)


def _check_filter(chosen: DeviceFilter) -> None:
    if chosen.health is not None and chosen.health not in HEALTHS:
        raise InvalidArgumentError(
            f"health: expected {', '.join(HEALTHS)}, got {chosen.health!r:.40}", remedy="Use one of these words."
        )
    prefix = chosen.device_id_prefix
    if prefix is not None and not set(prefix.lower()) <= set("0123456789abcdef"):
        raise InvalidArgumentError(
            f"device id: expected hex digits, got {prefix!r:.40}", remedy="Use the first digits of the id."
        )
