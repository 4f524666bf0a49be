# SPDX-License-Identifier: Apache-2.0
"""Check now: an operator asks a device to check in at once instead of at its next interval."""

from __future__ import annotations

from sqlalchemy import Connection

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.schema.rows import Device
from armillary.errors import ConflictError
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.names import no_such_device


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
        self._notices.device_changed(found.device_id)
        return found
