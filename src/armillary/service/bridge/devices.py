# SPDX-License-Identifier: Apache-2.0
"""Bridged devices: made by an operator, or registered by themselves with the gateway token or a certificate."""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.bridge import actions as action_rows, devices as bridge_rows
from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    devices as device_rows,
    names as name_rows,
)
from armillary.engines.records.schema.bridge_rows import BridgeAdmission, BridgeDevice
from armillary.engines.records.schema.rows import DEFAULT_PRODUCT, UNASSIGNED_GROUP, DeviceGroup, Page
from armillary.errors import ConflictError, NotFoundError
from armillary.identity.manufacturing import ManufacturingState
from armillary.service.bridge.tokens import TokenHashes, checked_token
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.context.paging import bounded
from armillary.service.registry.names import catalog_or_raise, group_or_raise
from armillary.wire.hawkbit.artifact import CHIP, CHIP_SKU
from armillary.wire.hawkbit.controller import checked_controller, device_id_of
from armillary.wire.hub.credentials import UNATTESTED

# Of one catalog; a controller that registers itself is a row.
MAX_DEVICES: Final = 100_000
REGISTRATION: Final = "bridge"  # who acts when a controller registers itself


class BridgeDevices:
    """Operations on bridged devices. An unknown catalog raises NotFoundError."""

    def __init__(self, context: Context, notices: Notices, hashes: TokenHashes) -> None:
        self._context = context
        self._notices = notices
        self._hashes = hashes

    def create(
        self,
        catalog: str,
        controller: str,
        *,
        actor: str,
        product: str = DEFAULT_PRODUCT,
        group: str = UNASSIGNED_GROUP,
        token: str | None = None,
    ) -> tuple[BridgeDevice, str | None]:
        """Make a bridged device; a token that was made for it is returned this once.

        ``token`` is the one that the device has already; empty for a device that shows something else.

        Raises:
            InvalidArgumentError: controller id or token.
            NotFoundError: no such product or group.
            ConflictError: the catalog has a controller of this id, or as many as there may be.
        """
        checked_controller(controller)
        made_token = secrets.token_hex(32) if token is None else None
        shown = made_token or (checked_token(token) if token else None)

        def change(connection: Connection) -> BridgeDevice:
            target = group_or_raise(connection, catalog, product, group)
            made = self._add(connection, target, controller, shown)
            detail = {"catalog": catalog, "product": target.product, "group": target.name, "controller": controller}
            self._context.audit(connection, actor, "bridge-device.create", made.device_id, detail)
            return made

        return self._context.records.write(change), made_token

    def register(self, admission: BridgeAdmission, controller: str) -> BridgeDevice | None:
        """The device of a controller that has proven to be of the catalog; made if it registers itself, else None."""

        def change(connection: Connection) -> BridgeDevice | None:
            found = bridge_rows.device(connection, admission.catalog_id, controller)
            into = admission.registers_into
            target = None if into is None else catalog_rows.group_by_id(connection, into)
            if found is not None or target is None:
                return found
            made = self._add(connection, target, controller, None)
            detail = {"catalog": target.catalog, "group": target.name, "controller": controller}
            self._context.audit(connection, REGISTRATION, "bridge-device.register", made.device_id, detail)
            return made

        return self._context.records.write(change)

    def get(self, catalog: str, controller: str) -> BridgeDevice:
        """A bridged device; NotFoundError if the catalog has none of this controller id."""
        return self._context.records.read(lambda c: device_or_raise(c, catalog, controller))

    def list(self, catalog: str, *, prefix: str = "", limit: int = 100, after: str | None = None) -> Page[BridgeDevice]:
        """A catalog's bridged devices by controller id, those whose id begins with ``prefix``."""

        def query(connection: Connection) -> Page[BridgeDevice]:
            owner = catalog_or_raise(connection, catalog)
            return bridge_rows.devices(connection, owner.catalog_id, prefix=prefix, limit=bounded(limit), after=after)

        return self._context.records.read(query)

    def set_token(
        self, catalog: str, controller: str, token: str | None, *, actor: str
    ) -> tuple[BridgeDevice, str | None]:
        """Give a device another token: one it has, a new one (None; returned this once), or none (empty)."""
        made_token = secrets.token_hex(32) if token is None else None
        shown = made_token or (checked_token(token) if token else None)

        def change(connection: Connection) -> BridgeDevice:
            found = device_or_raise(connection, catalog, controller)
            bridge_rows.change_device(connection, found.number, {"token_hash": shown and self._hashes.of(shown)})
            detail = {"catalog": catalog, "controller": controller, "token": shown is not None}
            self._context.audit(connection, actor, "bridge-device.token", found.device_id, detail)
            return device_or_raise(connection, catalog, controller)

        return self._context.records.write(change), made_token

    def remove(self, catalog: str, controller: str, *, actor: str) -> BridgeDevice:
        """Take a bridged device out of service: it is in no catalog, and its controller is not admitted any more.

        Its outcomes and audit lines stay, as those of every device.
        """

        def change(connection: Connection) -> BridgeDevice:
            found = device_or_raise(connection, catalog, controller)
            now = self._context.now()
            action_rows.remove_device(connection, found.number)
            bridge_rows.remove_device(connection, found.number)
            name_rows.remove(connection, found.device_id)
            values = {
                "catalog_id": None,
                "group_id": None,
                "claimed_at": None,
                "revoked_at": now,
                "revoked_reason": "removed from the bridge",
                "decommissioned_at": now,
            }
            device_rows.change(connection, found.device_id, values)
            detail = {"catalog": catalog, "controller": controller}
            self._context.audit(connection, actor, "bridge-device.delete", found.device_id, detail)
            return found

        found = self._context.records.write(change)
        self._notices.device_revoked(found.device_id)
        return found

    def _add(self, connection: Connection, target: DeviceGroup, controller: str, token: str | None) -> BridgeDevice:
        now, device_id = self._context.now(), device_id_of(target.catalog_id, controller)
        if bridge_rows.device(connection, target.catalog_id, controller) is not None:
            raise ConflictError(f"the catalog has a controller {controller!r:.80}", remedy="Choose another id.")
        if bridge_rows.count(connection, target.catalog_id) >= MAX_DEVICES:
            raise ConflictError(f"the catalog has {MAX_DEVICES} bridged devices, which is all there may be")
        known = device_rows.enrolled(connection, device_id)
        if known is None:
            number = device_rows.enrol(
                connection,
                device_id=device_id,
                chip=CHIP,
                chip_sku=CHIP_SKU,
                trust_tier=UNATTESTED,
                manufacturing_state=ManufacturingState.DEVICE_COMPLETE.value,
                now=now,
            )
        else:  # it was removed before, or taken out of service
            number = known.number
            bridge_rows.remove_device(connection, number)
            device_rows.let_back_in(connection, device_id, now=now)
            bridge_rows.set_status(connection, number, {"installed": "[]", "offered_deployment_id": None}, now=now)
        device_rows.claim(connection, device_id, catalog_id=target.catalog_id, group_id=target.group_id, now=now)
        name_rows.put(connection, device_id, target.catalog_id, controller)
        hashed = None if token is None else self._hashes.of(token)
        bridge_rows.add_device(connection, number, target.catalog_id, controller, hashed, now=now)
        made = bridge_rows.device_numbered(connection, number)
        if made is None:
            raise AssertionError("a row is not there after its insert")
        return made


def device_or_raise(connection: Connection, catalog: str, controller: str) -> BridgeDevice:
    """A catalog's bridged device; NotFoundError if there is none of this controller id."""
    owner = catalog_or_raise(connection, catalog)
    found = bridge_rows.device(connection, owner.catalog_id, controller)
    if found is None:
        raise NotFoundError(
            f"catalog {owner.name} has no controller {controller!r:.80}", remedy="List them: bridge device list."
        )
    return found
