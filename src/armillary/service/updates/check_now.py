# SPDX-License-Identifier: Apache-2.0
"""Check now: an operator asks a device, or all of a group, to check in at once instead of at the next interval."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.schema.rows import Device
from armillary.errors import ConflictError
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.names import group_or_raise, no_such_device

# Devices that may be asked with one call: so many are served when they check in at once (bench/checkin_storm.py).
MAX_ASKED: Final = 10_000


class CheckNow:
    """Asks devices to check in."""

    def __init__(self, context: Context, notices: Notices) -> None:
        self._context = context
        self._notices = notices

    def ask(self, device_id: str, *, actor: str) -> Device:
        """Have a device check in as soon as it hears of it: at once if it waits for a hint, else when it asks for one.

        Raises:
            NotFoundError: no such device.
            ConflictError: it is let in for nothing: unclaimed, or revoked.
        """
        now = self._context.now()

        def change(connection: Connection) -> Device:
            found = device_rows.one(connection, device_id.lower(), **self._context.as_of)
            if found is None:
                raise no_such_device(device_id)
            if found.revoked_at is not None or found.catalog_id is None:
                why = "was revoked" if found.revoked_at is not None else "belongs to no catalog"
                raise ConflictError(f"device {found.device_id[:16]}... {why}", remedy="It is let in for nothing.")
            device_rows.change(connection, found.device_id, {"check_now_at": now})
            self._context.audit(connection, actor, "device.check-now", found.device_id, {})
            return found

        found = self._context.records.write(change)
        self._notices.devices_asked((found.device_id,))
        return found

    def ask_group(self, catalog: str, product: str, group: str, *, actor: str) -> int:
        """Have every device of a group that is let in check in as :meth:`ask` says; returns how many were asked.

        Raises:
            NotFoundError: no such group.
            ConflictError: it has no such device, or more than :data:`MAX_ASKED`.
        """
        now = self._context.now()

        def change(connection: Connection) -> tuple[str, ...]:
            found = group_or_raise(connection, catalog, product, group)
            asked = device_rows.ask_group(connection, found.group_id, now=now, limit=MAX_ASKED)
            if not asked:
                raise ConflictError(
                    f"device group {found.name!r} has no device that is allowed", remedy="Nothing to do."
                )
            if len(asked) > MAX_ASKED:
                raise ConflictError(
                    f"device group {found.name!r} has more than {MAX_ASKED:,} devices: they are not asked at once",
                    remedy="Ask single devices, or give the group a shorter check interval: device-group set-schedule.",
                )
            target = f"{found.catalog}/{found.product}/{found.name}"
            self._context.audit(connection, actor, "device-group.check-now", target, {"devices": len(asked)})
            return asked

        asked = self._context.records.write(change)
        self._notices.devices_asked(asked)
        return len(asked)
