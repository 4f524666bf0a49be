# SPDX-License-Identifier: Apache-2.0
"""Cloud-to-device messages as operators send them: queued durably, whether the device is connected or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.hub import cloud_messages as queue
from armillary.engines.hub.cloud_messages import QueuedMessage
from armillary.engines.series.store import SeriesStore
from armillary.wire.hub.cloud_message import CloudMessage


@dataclass(eq=False)
class Mailboxes:
    """Messages to devices. Methods block for the commit: call them from threads."""

    _series: SeriesStore
    _now_ms: Callable[[], int]  # Unix time, milliseconds
    _wake: Callable[[str], None]  # Has a connected device be sent what waits for it; from any thread

    def send(self, device_id: str, message: CloudMessage, entry: AuditEntry | None = None) -> QueuedMessage:
        """Queue a message durably, with its audit entry, and send it at once when the device is connected.

        Raises:
            RateLimitedError: 50 wait for this device.
        """
        change = queue.enqueued(device_id, message, now_ms=self._now_ms())
        weight = 1 + len(message.body) // 256
        queued = self._series.outbox.commit(change, entry, weight=weight)
        self._wake(device_id)
        return queued

    def list(self, device_id: str) -> list[QueuedMessage]:
        """What waits for a device, and the outcomes that senders asked for; newest first."""
        return self._series.read(lambda connection: queue.read_messages(connection, device_id))

    def purge(self, device_id: str, entry: AuditEntry | None = None) -> int:
        """Settle everything that waits as purged; returns how many, of which the audit entry's detail is made."""
        change = queue.purged(device_id, now_ms=self._now_ms())
        return self._series.outbox.commit(change, entry)
