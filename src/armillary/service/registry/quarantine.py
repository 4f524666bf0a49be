# SPDX-License-Identifier: Apache-2.0
"""Quarantine: a device that may check in and update, and do nothing else, until somebody releases it or its time ends.

It gets update certificates only (``service/verifier``), the hub refuses it and closes its connections, and its client
certificate is on the revocation list. Its boot is judged as before, so that a repaired device shows that it is
repaired. Not a hold: a device is held by itself, when two machines seem to have its identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.schema.rows import Device
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.devices import Devices

MIN_LIFETIME_S: Final = 60
MAX_LIFETIME_S: Final = 366 * 86_400  # what is longer has no end: the device is out of service
# Devices whose quarantine ends in one transaction.
STEP: Final = 500


class Quarantine:
    """Puts devices into quarantine, and takes them out. Each raises NotFoundError for a device that is not here."""

    def __init__(self, context: Context, devices: Devices, notices: Notices) -> None:
        self._context = context
        self._devices = devices
        self._notices = notices

    def put(self, device_id: str, *, reason: str, actor: str, lifetime_s: int | None = None) -> Device:
        """Put a device into quarantine, for some seconds or until it is released.

        Raises:
            ConflictError: it is in quarantine already, revoked, or nobody's.
            InvalidArgumentError: the lifetime.
        """
        if lifetime_s is not None and not MIN_LIFETIME_S <= lifetime_s <= MAX_LIFETIME_S:
            raise InvalidArgumentError(
                f"lifetime: expected {MIN_LIFETIME_S} to {MAX_LIFETIME_S} s, got {lifetime_s}",
                remedy="Use such a number, or none: it ends when somebody releases the device.",
            )
        at = self._context.now()
        until = None if lifetime_s is None else at + lifetime_s

        def change(connection: Connection) -> Device:
            device = self._devices.in_transaction(connection, device_id)
            if fault := why_not(device):
                raise ConflictError(fault, remedy="Look at it: armillary device show.")
            put_in(self._context, connection, device, reason=reason, at=at, until=until, actor=actor)
            return self._devices.in_transaction(connection, device_id)

        device = self._context.records.write(change)
        self._notices.device_held(device.device_id)
        return device

    def end_due(self) -> int:
        """End the quarantines whose time is over; returns how many."""

        def over(connection: Connection) -> Sequence[str]:
            return device_rows.quarantines_over(connection, now=self._context.now(), limit=STEP)

        def change(connection: Connection) -> Sequence[str]:
            due = over(connection)  # asked again: somebody may have put one in anew, without an end
            for device_id in due:
                lift_in(self._context, connection, device_id, actor="service", why="its time is over")
            return due

        ended = 0
        while self._context.records.read(over):
            lifted = self._context.records.write(change)
            for device_id in lifted:
                self._notices.device_changed(device_id)
            ended += len(lifted)
        return ended


def why_not(device: Device) -> str:
    """Why a device cannot be put into quarantine; empty if it can."""
    if device.quarantined_at is not None:
        return "the device is in quarantine already"
    if device.revoked_at is not None:
        return "the device is revoked: it is let in for nothing"
    return "the device belongs to no catalog" if device.catalog_id is None else ""


def put_in(
    context: Context,
    connection: Connection,
    device: Device,
    *,
    reason: str,
    at: int,
    until: int | None,
    actor: str,
    because: str = "",
) -> None:
    """Put a device into quarantine in the caller's transaction; ``because`` names the action that did it."""
    device_rows.quarantine(connection, device.device_id, at=at, until=until, reason=reason)
    detail: dict[str, object] = {"reason": reason, "until": until}
    if because:
        detail["action"] = because
    context.audit(connection, actor, "device.quarantine", device.device_id, detail)


def lift_in(
    context: Context, connection: Connection, device_id: str, *, actor: str, why: str = "", because: str = ""
) -> None:
    """Take a device out of quarantine in the caller's transaction; it proves itself again at its next check-in."""
    device_rows.end_quarantine(connection, device_id)
    detail = {name: text for name, text in (("why", why), ("action", because)) if text}
    context.audit(connection, actor, "device.end-quarantine", device_id, detail)
