# SPDX-License-Identifier: Apache-2.0
"""Cloud-to-device messages in the hub's database: waiting ones in order, and what became of those whose sender asked.

Every function that changes something is a change for the one writer, so that a message is settled once: a PUBACK, an
expiry and a purge that meet find it waiting exactly one time. Settled messages lose their body.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from armillary.engines.database.port import Connection
from armillary.errors import RateLimitedError
from armillary.wire.hub.cloud_message import CloudMessage, MessageOutcome, keeps_feedback, topic_of

# IoT Hub: messages that wait for one device.
MAX_WAITING: Final = 50
# Outcomes kept for one device; the oldest go first.
MAX_FEEDBACK: Final = 100
# A sender that finds a full queue is asked to wait this long (seconds): devices connect in minutes rather than seconds.
QUEUE_RETRY_S: Final = 60

TABLES: Final = """
-- Messages to devices. outcome is null while one waits; body is empty afterwards.
CREATE TABLE IF NOT EXISTS cloud_message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    ack TEXT NOT NULL,
    topic TEXT NOT NULL,
    body BLOB NOT NULL,
    size INTEGER NOT NULL,
    enqueued_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0,
    max_deliveries INTEGER NOT NULL,
    outcome TEXT,
    settled_ms INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS cloud_message_device ON cloud_message (device_id, sequence);
CREATE INDEX IF NOT EXISTS cloud_message_expiry ON cloud_message (expires_ms) WHERE outcome IS NULL;
"""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message as it is kept.

    Attributes:
        sequence: Grows with each message of the hub.
        outcome: None while it waits.
        deliveries: How often it was sent.
    """

    sequence: int
    device_id: str
    message_id: str
    ack: str
    size: int
    enqueued_ms: int
    expires_ms: int
    deliveries: int
    max_deliveries: int
    outcome: MessageOutcome | None
    settled_ms: int | None


@dataclass(frozen=True, slots=True)
class MessageDelivery:
    """A message to send now; its delivery is counted already."""

    sequence: int
    topic: str
    body: bytes


_COLUMNS: Final = (
    "sequence, device_id, message_id, ack, size, enqueued_ms, expires_ms, deliveries, max_deliveries, outcome,"
    " settled_ms"
)


def enqueued(device_id: str, message: CloudMessage, *, now_ms: int) -> Callable[[Connection], QueuedMessage]:
    """Queue a message.

    The change raises :class:`RateLimitedError` when too many wait.
    """
    expires_ms = now_ms + message.lifetime_s * 1000
    topic = topic_of(device_id, message, expires_ms)

    def apply(connection: Connection) -> QueuedMessage:
        _expire(connection, now_ms, device_id)
        waiting = connection.execute(
            "SELECT count(*) FROM cloud_message WHERE device_id = ? AND outcome IS NULL", (device_id,)
        ).fetchone()[0]
        if waiting >= MAX_WAITING:
            raise RateLimitedError(
                f"device {device_id[:40]}: {waiting} messages wait for it, which is all there may be",
                retry_after_s=QUEUE_RETRY_S,
            )
        number = connection.execute(
            "INSERT INTO cloud_message (device_id, message_id, ack, topic, body, size, enqueued_ms, expires_ms,"
            " max_deliveries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING sequence",
            (
                device_id, message.message_id, message.ack, topic, message.body, len(message.body), now_ms, expires_ms,
                message.max_deliveries,
            ),
        ).fetchall()[0][0]  # fmt: skip
        query = f"SELECT {_COLUMNS} FROM cloud_message WHERE sequence = ?"  # noqa: S608 - constants
        return _row(connection.execute(query, (number,)).fetchone())

    return apply


def taken(
    device_id: str, *, after: int, now_ms: int, max_count: int, max_bytes: int
) -> Callable[[Connection], list[MessageDelivery]]:
    """The next messages to send, oldest first, each counted as delivered once more.

    Args:
        device_id: To whom.
        after: Only messages with a higher sequence: what this connection got already is not sent on it again.
        now_ms: Unix milliseconds; what has expired is settled instead.
        max_count: At most so many.
        max_bytes: At most so many bytes of bodies, but one message at least.
    """

    def apply(connection: Connection) -> list[MessageDelivery]:
        _expire(connection, now_ms, device_id)
        for sequence, ack in connection.execute(
            "SELECT sequence, ack FROM cloud_message WHERE device_id = ? AND outcome IS NULL AND sequence > ?"
            " AND deliveries >= max_deliveries",
            (device_id, after),
        ).fetchall():
            _settle(connection, device_id, sequence, ack, "delivery-count-exceeded", now_ms)
        found: list[MessageDelivery] = []
        size = 0
        for row in connection.execute(
            "SELECT sequence, topic, body FROM cloud_message WHERE device_id = ? AND outcome IS NULL AND sequence > ?"
            " ORDER BY sequence LIMIT ?",
            (device_id, after, max_count),
        ):
            size += len(row[2])
            if found and size > max_bytes:
                break
            found.append(MessageDelivery(*row))
        connection.executemany(
            "UPDATE cloud_message SET deliveries = deliveries + 1 WHERE sequence = ?",
            [(each.sequence,) for each in found],
        )
        return found

    return apply


def settled(device_id: str, sequence: int, outcome: MessageOutcome, *, now_ms: int) -> Callable[[Connection], bool]:
    """Settle a message; False when it was settled before."""

    def apply(connection: Connection) -> bool:
        row = connection.execute(
            "SELECT ack FROM cloud_message WHERE sequence = ? AND device_id = ? AND outcome IS NULL",
            (sequence, device_id),
        ).fetchone()
        if row is not None:
            _settle(connection, device_id, sequence, row[0], outcome, now_ms)
        return row is not None

    return apply


def expired(*, now_ms: int) -> Callable[[Connection], int]:
    """Settle every message whose time is over; returns how many."""
    return lambda connection: _expire(connection, now_ms, None)


def purged(device_id: str, *, now_ms: int) -> Callable[[Connection], int]:
    """Settle everything that waits for a device as purged; returns how many."""

    def apply(connection: Connection) -> int:
        rows = connection.execute(
            "SELECT sequence, ack FROM cloud_message WHERE device_id = ? AND outcome IS NULL", (device_id,)
        ).fetchall()
        for sequence, ack in rows:
            _settle(connection, device_id, sequence, ack, "purged", now_ms)
        return len(rows)

    return apply


def read_messages(connection: Connection, device_id: str) -> list[QueuedMessage]:
    """What waits for a device and what became of earlier messages, newest first; bounded by the limits above."""
    query = f"SELECT {_COLUMNS} FROM cloud_message WHERE device_id = ? ORDER BY sequence DESC"  # noqa: S608 - constants
    return [_row(row) for row in connection.execute(query, (device_id,))]


def _expire(connection: Connection, now_ms: int, device_id: str | None) -> int:
    query = "SELECT device_id, sequence, ack FROM cloud_message WHERE outcome IS NULL AND expires_ms <= ?"
    values: tuple[object, ...] = (now_ms,)
    if device_id is not None:
        query, values = query + " AND device_id = ?", (now_ms, device_id)
    rows = connection.execute(query, values).fetchall()
    for owner, sequence, ack in rows:
        _settle(connection, owner, sequence, ack, "expired", now_ms)
    return len(rows)


def _settle(
    connection: Connection, device_id: str, sequence: int, ack: str, outcome: MessageOutcome, now_ms: int
) -> None:
    if not keeps_feedback(ack, outcome):
        connection.execute("DELETE FROM cloud_message WHERE sequence = ?", (sequence,))
        return
    connection.execute(
        "UPDATE cloud_message SET outcome = ?, settled_ms = ?, body = ?, topic = '' WHERE sequence = ?",
        (outcome, now_ms, b"", sequence),
    )
    connection.execute(
        "DELETE FROM cloud_message WHERE device_id = ?1 AND outcome IS NOT NULL AND sequence NOT IN (SELECT sequence"
        " FROM cloud_message WHERE device_id = ?1 AND outcome IS NOT NULL ORDER BY sequence DESC LIMIT ?2)",
        (device_id, MAX_FEEDBACK),
    )


def _row(row: tuple[object, ...]) -> QueuedMessage:
    return QueuedMessage(*row)  # type: ignore[arg-type]  # columns in the order of the fields
