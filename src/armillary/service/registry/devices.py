# SPDX-License-Identifier: Apache-2.0
"""Devices as operators see them: claim, move, revoke, restore, look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    check_ins as check_in_rows,
    device_lists,
    devices as device_rows,
    reports as report_rows,
)
from armillary.engines.records.schema.rows import (
    DEFAULT_PRODUCT,
    HEALTHS,
    UNASSIGNED_GROUP,
    Catalog,
    CheckIn,
    Device,
    DeviceFilter,
    FleetSummary,
    Outcome,
    Page,
    Refusal,
)
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, WrongCatalogError
from armillary.service.authority.authority import Authority
from armillary.service.context.answer_cache import Remembered
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise, group_or_raise, no_such_device
from armillary.wire.image import capability_file

# Devices claimed in one call: one transaction, one audit line each.
MAX_CLAIM: Final = 1000


class DeviceRegistry:
    """Operations on devices. Built as part of :class:`armillary.service.registry.registry.Registry`."""

    _context: Context
    _authority: Authority
    _notices: Notices
    _summaries: Remembered[FleetSummary]

    def get_device(self, device_id: str) -> Device:
        """A device.

        Raises:
            NotFoundError: never manufactured here.
        """
        return self._context.records.read(lambda c: self._device(c, device_id))

    def list_devices(self, chosen: DeviceFilter, *, limit: int = 100, after: str | None = None) -> Page[Device]:
        """Devices by id; every page costs the same."""
        _check_filter(chosen)
        context = self._context
        return context.records.read(
            lambda c: device_lists.page(
                c, chosen, limit=bounded(limit), after=after, now=context.now(), silent_after_s=context.silent_after_s
            )
        )

    def count_devices(self, chosen: DeviceFilter) -> int:
        """How many devices a filter chooses."""
        _check_filter(chosen)
        context = self._context
        return context.records.read(
            lambda c: device_lists.count(c, chosen, now=context.now(), silent_after_s=context.silent_after_s)
        )

    def claim_devices(
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
            NotFoundError: the catalog, product or group does not exist, or one of the devices is not there to be
                claimed: another catalog's is as good as none; its owner can offer it (``transfers.py``).
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
            return tuple(self._device(connection, device_id) for device_id in device_ids)

        devices = self._context.records.write(change)
        for device in devices:
            self._notices.device_changed(device.device_id)
        return devices

    def move_device(self, catalog: str, device_id: str, *, product: str, group: str, actor: str) -> Device:
        """Put a claimed device into another group of its catalog; ``.default``/``.unassigned`` takes it out of all.

        Raises:
            NotFoundError: the catalog, product, group or device does not exist.
            WrongCatalogError: the device is not this catalog's.
        """

        def change(connection: Connection) -> Device:
            owner = catalog_or_raise(connection, catalog)
            target = group_or_raise(connection, catalog, product, group)
            device = self._device(connection, device_id)
            if device.catalog_id != owner.catalog_id:
                raise WrongCatalogError(
                    f"device {device.device_id[:16]}... is not in catalog {owner.name}",
                    remedy="Claim it first: armillary device claim.",
                )
            device_rows.change(connection, device.device_id, {"group_id": target.group_id})
            detail = {"product": target.product, "group": target.name, "from": f"{device.product}/{device.group}"}
            self._context.audit(connection, actor, "device.move", device.device_id, detail)
            return self._device(connection, device_id)

        device = self._context.records.write(change)
        self._notices.device_changed(device.device_id)
        return device

    def revoke_device(self, device_id: str, *, reason: str, actor: str) -> Device:
        """Shut a device out: its next request is refused and its open connections are closed.

        Raises:
            NotFoundError: no such device.
            ConflictError: it is revoked already.
        """

        def change(connection: Connection) -> Device:
            device = self._device(connection, device_id)
            if device.revoked_at is not None:
                raise ConflictError("the device is revoked already", remedy="Restore it with device restore.")
            values = {"revoked_at": self._context.now(), "revoked_reason": reason}
            device_rows.change(connection, device.device_id, values)
            self._context.audit(connection, actor, "device.revoke", device.device_id, {"reason": reason})
            return self._device(connection, device_id)

        device = self._context.records.write(change)
        self._notices.device_revoked(device.device_id)
        return device

    def restore_device(self, device_id: str, *, actor: str) -> Device:
        """Let a revoked device in again.

        Raises:
            NotFoundError: no such device.
            ConflictError: it is not revoked.
        """

        def change(connection: Connection) -> Device:
            device = self._device(connection, device_id)
            if device.revoked_at is None:
                raise ConflictError("the device is not revoked", remedy="Nothing needs to be done.")
            if device.decommissioned_at is not None:
                raise ConflictError(
                    "the device was decommissioned: it comes back through an enrolment only",
                    remedy="Allow it: armillary device allow-reprovision.",
                )
            device_rows.change(connection, device.device_id, {"revoked_at": None, "revoked_reason": ""})
            self._context.audit(connection, actor, "device.restore", device.device_id, {})
            return self._device(connection, device_id)

        device = self._context.records.write(change)
        self._notices.device_changed(device.device_id)
        return device

    def release_device(self, device_id: str, *, actor: str) -> Device:
        """Let a held device begin anew: its next proof, of whichever machine, has no earlier one to continue.

        Raises:
            NotFoundError: no such device.
            ConflictError: it is not held.
        """

        def change(connection: Connection) -> Device:
            device = self._device(connection, device_id)
            if device.held_at is None:
                raise ConflictError("the device is not held", remedy="Nothing needs to be done.")
            device_rows.release(connection, device.device_id)
            self._context.audit(connection, actor, "device.release", device.device_id, {"held_at": device.held_at})
            return self._device(connection, device_id)

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
            device = self._device(connection, device_id)
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

    def list_check_ins(self, device_id: str, *, limit: int = 50, after: str | None = None) -> Page[CheckIn]:
        """A device's accepted check-ins, newest first."""
        before = number_after(after)
        return self._context.records.read(
            lambda c: check_in_rows.list_of_device(c, device_id.lower(), limit=bounded(limit), before=before)
        )

    def list_refusals(
        self, *, device_id: str | None = None, limit: int = 50, after: str | None = None
    ) -> Page[Refusal]:
        """Refused requests, newest first."""
        before = number_after(after)
        return self._context.records.read(
            lambda c: report_rows.refusals(c, device_id=device_id, limit=bounded(limit), before=before)
        )

    def list_outcomes(
        self,
        *,
        device_id: str | None = None,
        deployment_id: UUID | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[Outcome]:
        """Reported update outcomes, newest first."""
        before = number_after(after)
        return self._context.records.read(
            lambda c: report_rows.outcomes(
                c, device_id=device_id, deployment_id=deployment_id, limit=bounded(limit), before=before
            )
        )

    def fleet_summary(self, catalog: str | None = None) -> FleetSummary:
        """The fleet in numbers; of a very large one as it was a while ago (``service/context/answer_cache.py``)."""
        context = self._context
        records = context.records
        owner = None if catalog is None else records.read(lambda c: catalog_or_raise(c, catalog).catalog_id)

        def query(connection: Connection) -> FleetSummary:
            return device_rows.summary(connection, owner, now=context.now(), silent_after_s=context.silent_after_s)

        return self._summaries.get(owner, lambda: records.read(query))

    def second_hand(self, catalog_id: UUID, device_id: str | None = None) -> Mapping[str, int]:
        """Devices of a catalog, or that one, that had an earlier owner: id -> since when (Unix seconds)."""
        return self._context.records.read(lambda c: device_rows.second_hand(c, catalog_id, device_id))

    def owner_of(self, device_id: str) -> str | None:
        """Name of the catalog that owns a device, None while nobody does."""

        def query(connection: Connection) -> str | None:
            device = self._device(connection, device_id)
            owner = None if device.catalog_id is None else catalog_rows.catalog_by_id(connection, device.catalog_id)
            return None if owner is None else owner.name

        return self._context.records.read(query)

    def device_in(self, connection: Connection, device_id: str) -> Device:
        """The device inside a transaction of a neighbour.

        Raises:
            NotFoundError: never manufactured here.
        """
        return self._device(connection, device_id)

    def _claimable(self, connection: Connection, owner: Catalog, device_id: str) -> Device:
        """A device of nobody, or of the catalog itself; that another one has it is that owner's business."""
        found = device_rows.enrolled(connection, device_id.lower())
        if found is None or found.catalog_id not in (None, owner.catalog_id):
            raise NotFoundError(
                f"there is no device {device_id[:16]!a}... to claim",
                remedy="Check the 128 digits. If another catalog has it, its owner can offer it: armillary device "
                "transfer offer.",
            )
        return self._device(connection, device_id)

    def _device(self, connection: Connection, device_id: str) -> Device:
        context = self._context
        found = device_rows.one(connection, device_id.lower(), now=context.now(), silent_after_s=context.silent_after_s)
        if found is None:
            raise no_such_device(device_id)
        return found


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
