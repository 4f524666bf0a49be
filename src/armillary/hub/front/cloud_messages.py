# SPDX-License-Identifier: Apache-2.0
"""Cloud-to-device messages: from the durable queue to the device, one small window at a time.

::

    operator --enqueue, commit--> waiting --take (counted, commit)--> PUBLISH QoS 1 --PUBACK--> settled (commit)
                                     '--expires, too many deliveries, purge--> settled

A message leaves the queue only by PUBACK, expiry, the last delivery or a purge. What was sent and not acknowledged on
a connection is sent again on the next one. ``CloudMessages`` lives in the hub's loop; ``Mailboxes`` is what operators
use, from any thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from armillary.engines.database.group_commit import Rejected
from armillary.engines.hub import cloud_messages as queue
from armillary.engines.hub.cloud_messages import MessageDelivery
from armillary.errors import RateLimitedError
from armillary.wire.hub.topics import Inbox
from armillary.wire.mqtt.packet import Publish

if TYPE_CHECKING:
    from armillary.hub.front.connection import HubConnection
    from armillary.hub.front.intake import Intake
    from armillary.hub.link.counters import Counters

# Messages of one connection under way at once; with bodies of so many bytes together they fit its send buffer.
WINDOW_MESSAGES: Final = 8
WINDOW_BYTES: Final = 128 * 1024
# How often messages that wait are looked through for expired ones (seconds).
EXPIRE_EVERY_S: Final = 30.0
# When the writer's queue is full, the messages of a connection are fetched after this time (seconds).
RETRY_S: Final = 1.0
# An operator's wait for the commit: longer is a broken disk (seconds).
COMMIT_TIMEOUT_S: Final = 30.0

_MAX_PACKET_ID: Final = 0xFFFF

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Window:
    """What is under way on one connection."""

    unacknowledged: dict[int, int] = field(default_factory=dict)  # Packet id -> sequence
    packet_id: int = 0  # The last one used
    sent: int = 0  # Sequence of the last message sent
    fetching: bool = False  # Whether the writer was asked for more
    again: bool = False  # Whether something came meanwhile


class CloudMessages:
    """Delivers to connected devices."""

    def __init__(self, intake: Intake, sessions: Mapping[str, HubConnection], counters: Counters) -> None:
        self._intake = intake
        self._sessions = sessions
        self._counters = counters
        self._windows: dict[HubConnection, _Window] = {}
        self._expired_at = time.monotonic()

    def wake(self, connection: HubConnection) -> None:
        """Something may wait for this device: it connected, subscribed, or a message came."""
        if not (connection.connected and connection.inboxes & Inbox.DEVICEBOUND):
            return
        window = self._windows.setdefault(connection, _Window())
        window.again = True
        self._fetch(connection, window)

    def wake_device(self, device_id: str) -> None:
        """A message was queued for this device."""
        connection = self._sessions.get(device_id)
        if connection is not None:
            self.wake(connection)

    def acknowledged(self, connection: HubConnection, packet_id: int) -> None:
        """PUBACK came; one for no message that was sent is ignored."""
        window = self._windows.get(connection)
        sequence = None if window is None else window.unacknowledged.pop(packet_id, None)
        if window is None or sequence is None:
            return
        self._settle(connection, window, sequence)

    def left(self, connection: HubConnection) -> None:
        """The connection is closed: what it had not acknowledged waits for the next one."""
        self._windows.pop(connection, None)

    def tick(self) -> None:
        """Called about every second: settles what has expired, every 30 seconds."""
        if time.monotonic() - self._expired_at < EXPIRE_EVERY_S:
            return
        self._expired_at = time.monotonic()
        with contextlib.suppress(RateLimitedError):  # the next time
            self._intake.post(queue.expired(now_ms=self._intake.now_ms()))

    def _fetch(self, connection: HubConnection, window: _Window) -> None:
        if window.fetching or window.unacknowledged or not connection.connected:
            return
        window.fetching, window.again = True, False
        change = queue.taken(
            connection.device_id,
            after=window.sent,
            now_ms=self._intake.now_ms(),
            max_count=min(WINDOW_MESSAGES, connection.receive_maximum),
            max_bytes=WINDOW_BYTES,
        )
        try:
            self._intake.request(connection, change, lambda outcome: self._fetched(connection, window, outcome))
        except RateLimitedError:
            window.fetching = False
            self._intake.loop.call_later(RETRY_S, self._retry, connection)

    def _retry(self, connection: HubConnection) -> None:
        window = self._windows.get(connection)
        if window is not None:
            self._fetch(connection, window)

    def _fetched(self, connection: HubConnection, window: _Window, outcome: list[MessageDelivery] | Rejected) -> None:
        window.fetching = False
        if isinstance(outcome, Rejected):
            _log.error("hub.cloud-messages-not-read", device=connection.device_id[:16], why=str(outcome.error))
            return
        for delivery in outcome:
            if not connection.connected:
                return
            self._send(connection, window, delivery)
        if window.again or (outcome and not window.unacknowledged):
            self._fetch(connection, window)

    def _send(self, connection: HubConnection, window: _Window, delivery: MessageDelivery) -> None:
        self._counters.cloud_messages_sent += 1
        window.sent = delivery.sequence
        if connection.inboxes & Inbox.DEVICEBOUND_ONCE:  # subscribed with QoS 0: sent is all that can be known
            connection.send(Publish(topic=delivery.topic, payload=delivery.body))
            with contextlib.suppress(RateLimitedError):  # it is sent again on the next connection
                self._settle(connection, window, delivery.sequence)
            return
        window.packet_id = window.packet_id % _MAX_PACKET_ID + 1
        window.unacknowledged[window.packet_id] = delivery.sequence
        packet = Publish(topic=delivery.topic, payload=delivery.body, qos=1, packet_id=window.packet_id)
        if not connection.send(packet):  # longer than this client takes: counted as tried, and not waited for
            del window.unacknowledged[window.packet_id]

    def _settle(self, connection: HubConnection, window: _Window, sequence: int) -> None:
        change = queue.settled(connection.device_id, sequence, "success", now_ms=self._intake.now_ms())

        def done(outcome: Any) -> None:
            if isinstance(outcome, Rejected):
                _log.error("hub.cloud-message-not-settled", device=connection.device_id[:16], why=str(outcome.error))
            elif outcome:
                self._counters.cloud_messages_completed += 1
            self._fetch(connection, window)

        self._intake.request(connection, change, done)
