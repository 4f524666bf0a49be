# SPDX-License-Identifier: Apache-2.0
"""The general broker's state that survives a crash: persistent sessions, messages in flight, retained messages.

::

    FOLDER/broker.db   (and -wal, -shm); the folder is the hub's, which holds its lock

Each table is changed only by the statements of :data:`_STATEMENTS`. The broker has the same state in memory: it writes
this file as things happen and reads it once, at its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from armillary.engines.database.group_commit import GroupCommit, Rejected
from armillary.engines.database.port import Connection
from armillary.engines.database.sqlite_file import Layout, open_file

Value = int | float | str | bytes | None
# One write: the name of a statement and its parameters.
Fact = tuple[str, tuple[Value, ...]]

_SCHEMA = """
-- ends_at: Unix seconds; NULL while the client is connected.
CREATE TABLE session (
    number INTEGER PRIMARY KEY,
    catalog TEXT NOT NULL,
    identity TEXT NOT NULL,
    client_id TEXT NOT NULL,
    expiry_s INTEGER NOT NULL,
    ends_at REAL,
    UNIQUE (catalog, identity, client_id)
) STRICT;
CREATE TABLE subscription (
    session INTEGER NOT NULL,
    filter TEXT NOT NULL,
    options INTEGER NOT NULL,
    identifier INTEGER NOT NULL,
    PRIMARY KEY (session, filter)
) STRICT, WITHOUT ROWID;
-- properties: as in a PUBLISH packet of MQTT 5, without expiry. Once, however many sessions wait for it.
CREATE TABLE message (
    number INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    properties BLOB NOT NULL,
    expires_at REAL
) STRICT;
-- place: order of delivery. state: hub/broker/session.DeliveryState. identifiers: of subscriptions, with commas.
CREATE TABLE delivery (
    session INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,
    place INTEGER NOT NULL,
    message INTEGER NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    identifiers TEXT NOT NULL,
    state INTEGER NOT NULL,
    PRIMARY KEY (session, packet_id)
) STRICT, WITHOUT ROWID;
-- Packet identifiers of QoS 2 received and not released.
CREATE TABLE incoming (
    session INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,
    PRIMARY KEY (session, packet_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE retained (
    catalog TEXT NOT NULL,
    topic TEXT NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (catalog, topic)
) STRICT, WITHOUT ROWID;
"""

# "ArmB"; version 1 (2026-11): first.
LAYOUT = Layout(0x41726D42, 1, _SCHEMA, cache_kib=512)

_STATEMENTS: dict[str, tuple[str, ...]] = {
    "session": ("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)",),
    "session-ends": ("UPDATE session SET expiry_s = ?, ends_at = ? WHERE number = ?",),
    "session-over": (
        "DELETE FROM session WHERE number = ?1",
        "DELETE FROM subscription WHERE session = ?1",
        "DELETE FROM delivery WHERE session = ?1",
        "DELETE FROM incoming WHERE session = ?1",
    ),
    "subscription": ("INSERT OR REPLACE INTO subscription (session, filter, options, identifier) VALUES (?, ?, ?, ?)",),
    "subscription-over": ("DELETE FROM subscription WHERE session = ? AND filter = ?",),
    "message": ("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)",),
    "message-over": ("DELETE FROM message WHERE number = ?",),
    "delivery": ("INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?, ?)",),
    "delivery-state": ("UPDATE delivery SET state = ? WHERE session = ? AND packet_id = ?",),
    "delivery-over": ("DELETE FROM delivery WHERE session = ? AND packet_id = ?",),
    "incoming": ("INSERT OR IGNORE INTO incoming (session, packet_id) VALUES (?, ?)",),
    "incoming-over": ("DELETE FROM incoming WHERE session = ? AND packet_id = ?",),
    "retained": ("INSERT OR REPLACE INTO retained VALUES (?, ?, ?)",),
    "retained-over": ("DELETE FROM retained WHERE catalog = ? AND topic = ?",),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """The stored state, as rows in the order of their columns (see the schema)."""

    sessions: list[tuple[int, str, str, str, int, float | None]]
    subscriptions: list[tuple[int, str, int, int]]
    messages: list[tuple[int, str, bytes, int, int, bytes, float | None]]
    deliveries: list[tuple[int, int, int, int, int, str, int]]  # without place, ordered by it
    incoming: list[tuple[int, int]]
    retained: list[tuple[str, int]]  # without topic, which is the message's
    last_number: int
    last_place: int


class BrokerStore:
    """The file and its writing thread; this process must hold the lock of ``folder``, which must exist.

    Raises:
        DataFolderError: not writable, damaged, or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self._database = open_file(folder / "broker.db", LAYOUT, "the broker's file")
        self.commits: GroupCommit[list[Fact], None] = GroupCommit(self._commit, name="broker-writer")

    def load(self) -> Kept:
        """The stored state."""
        return self._database.read(_load)

    def close(self) -> None:
        """Commit what is queued and close the file. Blocks for the disk."""
        self.commits.close()
        self._database.close()

    def _commit(self, items: Sequence[list[Fact]]) -> Sequence[Rejected | None]:
        def change(connection: Connection) -> None:
            for facts in items:
                for name, values in facts:
                    for statement in _STATEMENTS[name]:
                        connection.execute(statement, values)

        self._database.write(change)
        return [None] * len(items)


def _load(connection: Connection) -> Kept:
    rows = connection.execute
    return Kept(
        rows("SELECT number, catalog, identity, client_id, expiry_s, ends_at FROM session").fetchall(),
        rows("SELECT session, filter, options, identifier FROM subscription").fetchall(),
        rows("SELECT number, topic, payload, qos, retain, properties, expires_at FROM message").fetchall(),
        rows(
            "SELECT session, packet_id, message, qos, retain, identifiers, state FROM delivery ORDER BY place"
        ).fetchall(),
        rows("SELECT session, packet_id FROM incoming").fetchall(),
        rows("SELECT catalog, message FROM retained").fetchall(),
        rows(
            "SELECT max((SELECT coalesce(max(number), 0) FROM session), (SELECT coalesce(max(number), 0) FROM message))"
        ).fetchone()[0],
        rows("SELECT coalesce(max(place), 0) FROM delivery").fetchone()[0],
    )
