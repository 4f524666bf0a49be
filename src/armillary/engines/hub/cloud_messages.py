# SPDX-License-Identifier: Apache-2.0
"""Cloud-to-device messages in the hub's database: each device's queue, and the outcomes that senders asked for.

All changes run in the one writer, so a message gets exactly one outcome even when a PUBACK, an expiry and a purge come
at the same time. A message that has its outcome ("is settled") loses its body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import writer_change
from armillary.errors import RateLimitedError
from armillary.wire.hub.cloud_message import CloudMessage, MessageOutcome, keeps_feedback, topic_of

# IoT Hub: messages queued for one device.
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
    """A stored message."""

    sequence: int  # Grows with each message of the hub
    device_id: str
    message_id: str
    ack: str
    size: int
    enqueued_ms: int
    expires_ms: int
    deliveries: int  # How often it has been sent
    max_deliveries: int
    outcome: MessageOutcome | None  # None while it is queued
    settled_ms: int | None


@dataclass(frozen=True, slots=True)
class MessageDelivery:
    """A message to send now; this delivery is already counted."""

    sequence: int
    topic: str
    body: bytes


_COLUMNS: Final = (
    "sequence, device_id, message_id, ack, size, enqueued_ms, expires_ms, deliveries, max_deliveries, outcome,"
    " settled_ms"
)


@writer_change
def enqueued(connection: Connection, device_id: str, message: CloudMessage, *, now_ms: int) -> QueuedMessage:
    """Queue a message.

    Raises:
        RateLimitedError: the device's queue is full.
    """
    _expire(connection, now_ms, device_id)
    waiting = connection.execute(
        "SELECT count(*) FROM cloud_message WHERE device_id = ? AND outcome IS NULL", (device_id,)
    ).fetchone()[0]
    if waiting >= MAX_WAITING:
        raise RateLimitedError(
            f"device {device_id[:40]}: {waiting} messages wait for it, which is all there may be",
            retry_after_s=QUEUE_RETRY_S,
        )
    expires_ms = now_ms + message.lifetime_s * 1000
    row = connection.execute(
        "INSERT INTO cloud_message (device_id, message_id, ack, topic, body, size, enqueued_ms, expires_ms,"  # noqa: S608 - constants
        f" max_deliveries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING {_COLUMNS}",
        (
            device_id, message.message_id, message.ack, topic_of(device_id, message, expires_ms), message.body,
            len(message.body), now_ms, expires_ms, message.max_deliveries,
        ),
    ).fetchall()[0]  # fmt: skip
    return _row(row)


@writer_change
def taken(
    connection: Connection, device_id: str, *, after: int, now_ms: int, max_count: int, max_bytes: int
) -> list[MessageDelivery]:
    """The next messages to send, oldest first, each counted as delivered once more; expired ones are settled instead.

    Only messages with a higher sequence than ``after``: this connection has got the others already. At most
    ``max_count``, and ``max_bytes`` of bodies, but one message of any size.
    """
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


@writer_change
def settled(connection: Connection, device_id: str, sequence: int, outcome: MessageOutcome, *, now_ms: int) -> bool:
    """Give a message its outcome; False when it has one already."""
    row = connection.execute(
        "SELECT ack FROM cloud_message WHERE sequence = ? AND device_id = ? AND outcome IS NULL",
        (sequence, device_id),
    ).fetchone()
    if row is not None:
        _settle(connection, device_id, sequence, row[0], outcome, now_ms)
    return row is not None


@writer_change
def expired(connection: Connection, *, now_ms: int) -> int:
    """Settle every message that has expired; returns how many."""
    return _expire(connection, now_ms, None)


@writer_change
def purged(connection: Connection, device_id: str, *, now_ms: int) -> int:
    """Settle all queued messages of a device as purged; returns how many."""
    rows = connection.execute(
        "SELECT sequence, ack FROM cloud_message WHERE device_id = ? AND outcome IS NULL", (device_id,)
    ).fetchall()
    for sequence, ack in rows:
        _settle(connection, device_id, sequence, ack, "purged", now_ms)
    return len(rows)


def read_messages(connection: Connection, device_id: str) -> list[QueuedMessage]:
    """A device's queued messages and the outcomes of earlier ones, newest first; bounded by the limits above."""
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
