# SPDX-License-Identifier: Apache-2.0
"""Takes the log that a device sends: only for the request that waits, once, and as text that does nothing.

What the device is and who asked is read in the transaction that keeps the answer. Blocks: not for an event loop.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries.security import device_logs as log_rows
from armillary.engines.records.queries.security.device_logs import LogAnswer
from armillary.errors import NotFoundError
from armillary.service.context.context import Context
from armillary.service.device_logs.device_logs import KEPT_S
from armillary.wire.device.device_log import DeviceLog, parse_log


class LogIntake:
    """Takes logs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def take(self, device_id: str, data: bytes) -> UUID:
        """Keep the log that a device sends instead of its one before; returns the id of the request.

        Raises:
            WireError: it is no log.
            NotFoundError: it answers no request to this device that waits.
        """
        log = parse_log(data)
        self._context.records.write(lambda c: self._keep(c, device_id, log))
        return log.request_id

    def _keep(self, connection: Connection, device_id: str, log: DeviceLog) -> None:
        now = self._context.now()
        device = log_rows.sender(connection, device_id)
        request = None if device is None else log_rows.request_of(connection, device)
        if device is None or request is None or request.request_id != log.request_id or request.ends_at <= now:
            raise not_asked()
        content = "\n".join(map(shown_line, log.lines)).encode()
        answered = LogAnswer(
            catalog_id=request.catalog_id,
            asked_at=request.asked_at,
            asked_by=request.asked_by,
            answered_at=now,
            kept_until=now + KEPT_S,
            line_count=len(log.lines),
            left_out=log.left_out,
        )
        log_rows.answer(connection, device, answered, content)


def not_asked() -> NotFoundError:
    """The error for a log that nobody waits for: never asked for, answered already, or too late."""
    return NotFoundError(
        "no request for this device's log waits that this could answer",
        remedy="Ask for it: armillary device log --device ID --ask.",
    )


def shown_line(line: str) -> str:
    """A line as it is kept: without characters that a reader would not see, or that would move what is beside them."""
    return "".join(each for each in line if each.isprintable())
