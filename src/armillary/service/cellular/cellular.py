# SPDX-License-Identifier: Apache-2.0
"""The newest status that each device has sent of its modem. Nothing is decided by it, so nothing of it is audited."""

from __future__ import annotations

from armillary.engines.records.queries.security import cellular as rows
from armillary.engines.records.queries.security.cellular import SaidStatus
from armillary.errors import UnclaimedDeviceError
from armillary.service.context.context import Context
from armillary.wire.device.cellular_status import CellularStatus, parse_status


class CellularStatuses:
    """Operations on statuses. Blocks: not for an event loop."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def take(self, device_id: str, data: bytes) -> None:
        """Keep the status that a device sends instead of its one before.

        Raises:
            WireError: it is no status.
            UnclaimedDeviceError: the device has lost its owner, or was revoked, meanwhile.
        """
        status = parse_status(data)
        said = _said(status, self._context.now())
        if not self._context.records.write(lambda c: rows.keep(c, device_id, said)):
            raise UnclaimedDeviceError(f"device {device_id[:16]}... belongs to no catalog any more, or was revoked")

    def newest(self, device_id: str) -> SaidStatus | None:
        """What a device has said last to its present owner; None where it has said nothing."""
        return self._context.records.read(lambda c: rows.newest(c, device_id.lower()))


def _said(status: CellularStatus, at: int) -> SaidStatus:
    fields = {name: getattr(status, name) for name in CellularStatus.__dataclass_fields__}
    return SaidStatus(at=at, **fields)
