# SPDX-License-Identifier: Apache-2.0
"""What a guardian's queue holds and has lost, and how it makes room."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from armillary.engines.equipment.queueing.opening import PAGE_BYTES
from armillary.guard.retention import AGEING, Moment, QueueLimits, Stamp, drops, is_too_old
from armillary.wire.equipment.message import ClockQuality, MessageKind

# What a row takes beside its body: header, columns, its entry in the index.
ROW_BYTES: Final = 64

# Rows looked at for their age in one transaction: a few milliseconds.
ROWS_PER_STEP: Final = 2000

# Free pages given back to the disk after a batch, and the share of free pages from which on it is worth the writing.
VACUUM_PAGES: Final = 64
VACUUM_ABOVE: Final = 0.25

# Rounds of deleting for one batch: a page is free when all of it is, so one estimate may not do.
MAX_ROUNDS: Final = 8

_STAMPS: Final = (
    "SELECT sequence, length(body), at, monotonic, clock, machine FROM message JOIN boot ON boot.number = message.boot"
)
_STAMPS_OF: Final = f"{_STAMPS} WHERE kind = ? AND sequence > ? ORDER BY sequence LIMIT ?"
_OLDEST_OF: Final = "SELECT sequence, length(body) FROM message WHERE kind = ? AND sequence > ? ORDER BY sequence"

Drops = Counter[tuple[MessageKind, str]]  # By kind and cause: ``space``, ``age``, ``disk``, ``damaged``


@dataclass(slots=True)
class Tally:
    """Counts of messages."""

    messages: Counter[MessageKind] = field(default_factory=Counter)  # Held
    bytes: Counter[MessageKind] = field(default_factory=Counter)  # Of bodies, and ROW_BYTES each
    dropped: Drops = field(default_factory=Counter)  # Since the queue was made
    reported: Drops = field(default_factory=Counter)  # Of these, told in a message
    poisoned: int = 0  # Set aside since the queue was made

    def copy(self) -> Tally:
        """Another with the same numbers."""
        return Tally(
            Counter(self.messages), Counter(self.bytes), Counter(self.dropped), Counter(self.reported), self.poisoned
        )

    def add(self, kind: MessageKind, size: int, count: int = 1) -> None:
        """Count messages that came (negative: went), with so many bytes of bodies."""
        self.messages[kind] += count
        self.bytes[kind] += size + count * ROW_BYTES

    def rows(self) -> Iterator[tuple[str, int]]:
        """The counters as they are kept."""
        for what, counts in (("dropped", self.dropped), ("reported", self.reported)):
            for (kind, cause), count in counts.items():
                yield f"{what}.{kind.name.lower()}.{cause}", count
        yield "poisoned", self.poisoned


def read_tally(connection: sqlite3.Connection) -> Tally:
    """What the file holds and has lost."""
    tally = Tally()
    for kind, count, size in connection.execute(
        "SELECT kind, count(*), total(length(body)) FROM message GROUP BY kind"
    ):
        tally.add(MessageKind(kind), int(size), count)
    for name, value in connection.execute("SELECT name, value FROM counter"):
        what, *rest = name.split(".")
        if what in ("dropped", "reported"):
            getattr(tally, what)[MessageKind[rest[0].upper()], rest[1]] = value
        elif what == "poisoned":
            tally.poisoned = value
    return tally


def stamp_of(row: Sequence[Any]) -> Stamp:
    """The stamp of ``at, monotonic, clock, machine``."""
    return Stamp(row[0], row[1], ClockQuality.SYNCED if row[2] else ClockQuality.UNSYNCED, row[3])


def oldest(connection: sqlite3.Connection) -> Stamp | None:
    """The stamp of the oldest message."""
    row = connection.execute(f"{_STAMPS} ORDER BY sequence LIMIT 1").fetchone()
    return None if row is None else stamp_of(row[2:])


class Room:
    """Deletes messages to make room; within a transaction of its caller, who keeps the tally when it is committed."""

    def __init__(self, connection: sqlite3.Connection, limits: QueueLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._passed: dict[MessageKind, int] = {}  # Up to it there is no message of this kind any more

    def forget(self) -> None:
        """A transaction was undone: what seemed deleted is there."""
        self._passed.clear()

    def make(self, tally: Tally, coming_bytes: int) -> None:
        """Make room for so many bytes within the limit."""
        for _ in range(MAX_ROUNDS):
            wanted = drops(tally.bytes, self._used_bytes() + coming_bytes, self._limits.bytes)
            if not wanted:
                return
            for drop in wanted:
                self._drop_oldest(drop.kind, drop.bytes, tally, "space")

    def free(self, tally: Tally, wanted_bytes: int, *, highest: MessageKind = MessageKind.AUDIT) -> None:
        """The disk is full: drop the oldest messages of the lowest kinds up to ``highest`` that take so many bytes."""
        for drop in drops(tally.bytes, wanted_bytes, 0):
            if drop.kind <= highest:
                self._drop_oldest(drop.kind, drop.bytes, tally, "disk")

    def expire(self, tally: Tally, now: Moment) -> bool:
        """Drop some of the messages that are over their age; True when there may be more."""
        more = False
        for kind in AGEING:
            rows: list[tuple[int, int]] = []
            cursor = self._connection.execute(_STAMPS_OF, (int(kind), self._passed.get(kind, 0), ROWS_PER_STEP))
            for sequence, size, *stamp in cursor:
                if is_too_old(kind, stamp_of(stamp), now, self._limits.age_s):
                    rows.append((sequence, size))
            self._connection.executemany("DELETE FROM message WHERE sequence = ?", [(row[0],) for row in rows])
            self._gone(kind, "age", rows, tally)
            more = more or len(rows) == ROWS_PER_STEP
        return more

    def give_back(self, *, every: bool = False) -> None:
        """Give free pages back to the disk: some when there are many, or every one."""
        pages, free = self._pages()
        if every or (free > VACUUM_PAGES and free > pages * VACUUM_ABOVE):
            count = free if every else VACUUM_PAGES
            self._connection.execute(f"PRAGMA incremental_vacuum({count})").fetchall()

    def _drop_oldest(self, kind: MessageKind, wanted_bytes: int, tally: Tally, cause: str) -> None:
        rows: list[tuple[int, int]] = []
        freed = 0
        above = self._passed.get(kind, 0)
        cursor = self._connection.execute(_OLDEST_OF, (int(kind), above))
        for sequence, size in cursor:
            rows.append((sequence, size))
            freed += size + ROW_BYTES
            if freed >= wanted_bytes:
                break
        cursor.close()
        if not rows:
            return
        self._passed[kind] = rows[-1][0]
        self._connection.execute(
            "DELETE FROM message WHERE kind = ? AND sequence > ? AND sequence <= ?", (int(kind), above, rows[-1][0])
        )
        self._gone(kind, cause, rows, tally)

    def _gone(self, kind: MessageKind, cause: str, rows: list[tuple[int, int]], tally: Tally) -> None:
        if rows:
            tally.add(kind, -sum(size for _, size in rows), -len(rows))
            tally.dropped[kind, cause] += len(rows)

    def _used_bytes(self) -> int:
        pages, free = self._pages()
        return (pages - free) * PAGE_BYTES

    def _pages(self) -> tuple[int, int]:
        pages, free = (
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count")
        )
        return pages, free
