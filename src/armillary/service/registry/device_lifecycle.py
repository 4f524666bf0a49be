# SPDX-License-Identifier: Apache-2.0
"""The states of a device: manufacturing state, revocation, decommissioning and return.

::

    made ──claim──▶ in service ──decommission──▶ out of service ──allow, then enrol again──▶ made (same key)

A device out of service is revoked and in no catalog; its history stays. The service takes it back only through an
enrolment (factory or token) that proves its key, and only while an operator's permission lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import devices as device_rows, names as name_rows, transfers as transfer_rows
from armillary.engines.records.schema.rows import Device
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.identity.manufacturing import ManufacturingState, advance, state_named
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.devices import Devices
from armillary.service.registry.quarantine import lift_in

DEFAULT_RETURN_S: Final = 3600
MAX_RETURN_S: Final = 30 * 86400  # a device on its way through a repair shop


class DeviceLifecycle:
    """Operations on the state of a device. Each raises NotFoundError for a device that was never manufactured here."""

    def __init__(self, context: Context, devices: Devices, notices: Notices) -> None:
        self._context = context
        self._devices = devices
        self._notices = notices

    def revoke(self, device_id: str, *, reason: str, actor: str) -> Device:
        """Revoke a device and close its connections; ConflictError if it is revoked already."""

        def change(connection: Connection, device: Device) -> dict[str, object]:
            if device.revoked_at is not None:
                raise ConflictError("the device is revoked already", remedy="Restore it with device restore.")
            values = {"revoked_at": self._context.now(), "revoked_reason": reason}
            device_rows.change(connection, device.device_id, values)
            return {"reason": reason}

        return self._apply(device_id, "device.revoke", change, actor, notify=self._notices.device_revoked)

    def restore(self, device_id: str, *, actor: str) -> Device:
        """Undo a revocation; ConflictError if the device is not revoked."""

        def change(connection: Connection, device: Device) -> dict[str, object]:
            if device.revoked_at is None:
                raise ConflictError("the device is not revoked", remedy="Nothing needs to be done.")
            if device.decommissioned_at is not None:
                raise ConflictError(
                    "the device was decommissioned: it comes back through an enrolment only",
                    remedy="Allow it: armillary device allow-reprovision.",
                )
            device_rows.change(connection, device.device_id, {"revoked_at": None, "revoked_reason": ""})
            return {}

        return self._apply(device_id, "device.restore", change, actor)

    def release(self, device_id: str, *, actor: str) -> Device:
        """Take a device out of quarantine, and let one that is held begin anew.

        Of a held device the next proof, of whichever machine, has no earlier one to continue. ConflictError if it is
        neither in quarantine nor held.
        """

        def change(connection: Connection, device: Device) -> dict[str, object]:
            if device.held_at is None and device.quarantined_at is None:
                raise ConflictError("the device is not held, nor in quarantine", remedy="Nothing needs to be done.")
            if device.quarantined_at is not None:
                lift_in(self._context, connection, device.device_id, actor=actor)
            if device.held_at is not None:
                device_rows.release(connection, device.device_id)
            return {"held_at": device.held_at, "quarantined_at": device.quarantined_at}

        return self._apply(device_id, "device.release", change, actor)

    def decommission(self, device_id: str, *, reason: str, actor: str) -> Device:
        """Take a device out of service: it is revoked, its open connections are closed, and nobody owns it.

        Check-ins, reports, findings and audit lines stay. An offer to transfer it ends. ConflictError if it is out of
        service already.
        """

        def change(connection: Connection, device: Device) -> dict[str, object]:
            if device.decommissioned_at is not None:
                raise ConflictError("the device is decommissioned already", remedy="Nothing needs to be done.")
            now = self._context.now()
            values = {
                "catalog_id": None,
                "group_id": None,
                "claimed_at": None,
                "revoked_at": now,
                "revoked_reason": reason,
                "decommissioned_at": now,
                "reprovision_until": None,
            }
            device_rows.change(connection, device.device_id, values)
            name_rows.remove(connection, device.device_id)
            transfer_rows.close_open(connection, device.device_id, state="cancelled", now=now, actor=actor)
            return {"reason": reason, "catalog": device.catalog or ""}

        return self._apply(device_id, "device.decommission", change, actor, notify=self._notices.device_revoked)

    def allow_reprovision(self, device_id: str, *, actor: str, lifetime_s: int = DEFAULT_RETURN_S) -> Device:
        """Let a decommissioned device enrol again with its old key until a time; it is then in no catalog.

        Raises:
            ConflictError: it is not out of service.
            InvalidArgumentError: the lifetime.
        """
        if not 1 <= lifetime_s <= MAX_RETURN_S:
            raise InvalidArgumentError(
                f"lifetime: expected 1 to {MAX_RETURN_S} s, got {lifetime_s}", remedy="Use such a number."
            )

        def change(connection: Connection, device: Device) -> dict[str, object]:
            if device.decommissioned_at is None:
                raise ConflictError(
                    "the device is not decommissioned", remedy="A device in service is recovered without permission."
                )
            until = self._context.now() + lifetime_s
            device_rows.change(connection, device.device_id, {"reprovision_until": until})
            return {"until": str(until)}

        return self._apply(device_id, "device.allow-reprovision", change, actor)

    def advance_manufacturing_state(self, device_id: str, state: str, *, actor: str) -> Device:
        """Move a device's manufacturing state forward; it never moves back.

        Raises:
            InvalidArgumentError: no such state.
            DeviceStateError: not a state after the present one.
        """
        wanted = state_named(state)

        def change(connection: Connection, device: Device) -> dict[str, object]:
            advance(ManufacturingState(device.manufacturing_state), wanted)
            device_rows.change(connection, device.device_id, {"manufacturing_state": wanted.value})
            return {"from": device.manufacturing_state, "to": wanted.value}

        return self._apply(device_id, "device.manufacturing-state", change, actor)

    def _apply(
        self,
        device_id: str,
        operation: str,
        change: Callable[[Connection, Device], Mapping[str, object]],
        actor: str,
        *,
        notify: Callable[[str], None] | None = None,
    ) -> Device:
        """Change a device and append the audit line, whose details ``change`` returns; then notify."""

        def write(connection: Connection) -> Device:
            device = self._devices.in_transaction(connection, device_id)
            detail = change(connection, device)
            self._context.audit(connection, actor, operation, device.device_id, detail)
            return self._devices.in_transaction(connection, device_id)

        device = self._context.records.write(write)
        (notify or self._notices.device_changed)(device.device_id)
        return device
