# SPDX-License-Identifier: Apache-2.0
"""The file of a guardian's queue: SQLite in WAL mode with ``synchronous=FULL``, used by one thread at a time.

What :meth:`QueueFile.commit` returned from is on the disk. The file is bounded by pages: before a batch is inserted,
messages that retention gives up (``guard/retention.py``) are deleted, and free pages go back to the disk. A disk that
is full costs telemetry first and is counted; a file that is damaged is put aside and a new one begun. Neither stops the
guardian.

Sequences are never used twice: the last one is written with each batch, and each opening is another boot.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from armillary.engines.equipment.queueing.opening import (
    PAGE_BYTES,
    is_damage,
    open_queue,
    put_aside,
    roll_back,
    within_file_limit,
)
from armillary.engines.equipment.queueing.reserve import Reserve, copy_log
from armillary.engines.equipment.queueing.room import ROW_BYTES, ROWS_PER_STEP, Drops, Room, Tally, oldest, read_tally
from armillary.guard.clock import Pair, corrected
from armillary.guard.retention import Moment, QueueLimits, Stamp
from armillary.wire.equipment.faults import QueueError
from armillary.wire.equipment.message import MAX_SEQUENCE, ClockQuality, Lane, MessageKind, Outgoing, Place, Stored

# Rejected so often, a message is set aside: the hub will not take it the next time either.
MAX_REJECTS: Final = 3

# Messages set aside that are kept to look at: the newest, and at most this share of the limit each.
MAX_POISON: Final = 100
POISON_SHARE: Final = 1000

# Between two looks for messages that are too old, seconds.
LOOK_S: Final = 30.0

# Of why it was rejected: a sentence.
MAX_REASON_CHARACTERS: Final = 200

# Bytes of messages read at once: what a link takes in a second or so, in a process of 60 MB.
MAX_READ_BYTES: Final = 1 << 20

# Freed at least when the disk has no room, so that not every batch fails first.
MIN_FREED_BYTES: Final = 16 * PAGE_BYTES

_INSERT: Final = (
    "INSERT INTO message (sequence, boot, equipment, kind, at, monotonic, clock, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_DELETE: Final = "DELETE FROM message WHERE sequence BETWEEN ? AND ? RETURNING kind, length(body)"
_READ: Final = "SELECT sequence, boot, equipment, kind, at, clock, said, body FROM message WHERE "
_CORRECT: Final = (
    "UPDATE message SET said = at, at = corrected(monotonic, ?, ?), clock = 1 WHERE sequence IN (SELECT sequence"
    " FROM message JOIN boot ON boot.number = message.boot WHERE clock = 0 AND {} = ? LIMIT ?)"
)
_SET_ASIDE: Final = (
    "INSERT INTO poison SELECT sequence, equipment, kind, at, ?, CASE WHEN length(body) <= ? THEN body ELSE x'' END"
    " FROM message WHERE sequence = ?"
)
_FEWER_ASIDE: Final = (
    "DELETE FROM poison WHERE sequence NOT IN (SELECT sequence FROM poison ORDER BY sequence DESC LIMIT ?)"
)
_SET_COUNTER: Final = "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


@dataclass(slots=True)
class Batch:
    """What one transaction does: settle, then insert."""

    put: list[Outgoing] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)  # Sequence and reason
    reported: Drops | None = None  # All drops that were told with these messages


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch."""

    kept: int  # Messages that were put
    settled: bool  # Whether acknowledgements and rejections are on the disk; if not, give them again
    set_aside: frozenset[int] = frozenset()  # Sequences that were rejected too often


class QueueFile:
    """The open queue in ``folder``; ``machine`` says which start of the machine this is, empty when unknown.

    Raises:
        QueueError: another process has it, or the folder cannot be written.
    """

    def __init__(self, folder: Path, limits: QueueLimits, machine: str) -> None:
        self.path = folder / "queue.db"
        self.boot = ""  # Its id, new with each opening
        self.last = 0  # The last sequence that was used
        self.tally = Tally()  # Replaced after each commit, never changed
        self.oldest: Stamp | None = None  # Of the oldest message
        self.disk_failures = 0
        self._limits = within_file_limit(limits)
        self._machine = machine
        self._numbers: dict[str, int] = {}  # Of equipment, by name
        self._written: dict[str, int] = {}  # Counters as they are in the file
        self._boots: dict[int, tuple[str, int]] = {}  # Number -> id, its first sequence
        self._is_open = False
        self._reserve = Reserve(self.path)
        self._is_short = False  # The disk is full: no telemetry is kept until the reserve is held again
        self._looked_at = -LOOK_S
        try:
            self._open()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise QueueError(f"{self.path} cannot be opened ({error})") from error
            self._start_over()
        except OSError as error:
            raise QueueError(f"{self.path} cannot be opened ({error.strerror or error})") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def commit(self, batch: Batch, now: Moment) -> Outcome:
        """Do all of a batch durably; on a full disk as much of it as it takes, the rest is counted as dropped."""
        if abs(now.monotonic - self._looked_at) >= LOOK_S:
            self._look(now)
        important = [message for message in batch.put if message.kind is not MessageKind.TELEMETRY]
        for attempt, puts in enumerate((important if self._is_short else batch.put, important, [])):
            try:
                set_aside = self._transaction(dataclasses.replace(batch, put=puts), forced=attempt > 0)
            except sqlite3.Error as error:
                self._failed(error)
                continue
            self._lost(Counter(each.kind for each in batch.put) - Counter(each.kind for each in puts))
            return Outcome(len(puts), settled=True, set_aside=set_aside)
        self._lost(Counter(each.kind for each in batch.put))
        return Outcome(0, settled=False)

    def read(
        self, lane: Lane, first_live: int, above: int, limit: int, equipment: str | None, skip: Iterable[int]
    ) -> list[Stored]:
        """The next messages of a lane above a sequence, of one piece of equipment or (None) of all, without ``skip``.

        Messages from ``first_live`` on are live. Ascending; at most ``limit``, and MAX_READ_BYTES but for the first.
        """
        if not self._is_open:
            return []
        low, high = (max(above, first_live - 1), MAX_SEQUENCE) if lane is Lane.LIVE else (above, first_live)
        where, values = "sequence > ? AND sequence < ?", [low, high]
        if equipment is not None:
            where += " AND equipment = ?"
            values.append(self._numbers.get(equipment, 0))
        try:
            return self._read(where, values, lane, limit, frozenset(skip))
        except sqlite3.Error as error:
            self._failed(error)
            return []

    def read_again(self, sequences: Sequence[int], first_live: int) -> list[Stored]:
        """These messages, as far as they are still held."""
        found: list[Stored] = []
        if not self._is_open:
            return found
        try:
            for sequence in sequences:
                lane = Lane.LIVE if sequence >= first_live else Lane.BACKFILL
                found += self._read("sequence = ?", [sequence], lane, 1, frozenset())
        except sqlite3.Error as error:
            self._failed(error)
        return found

    def correct(self, right: Pair) -> bool:
        """Correct the times of some messages of this start of the machine; False when all are.

        Raises:
            QueueError: the disk refuses; these were not changed.
        """
        column, value = ("machine", self._machine) if self._machine else ("id", self.boot)
        try:
            with self._transacting():
                cursor = self._connection.execute(
                    _CORRECT.format(column), (right.wall, right.monotonic, value, ROWS_PER_STEP)
                )
        except sqlite3.Error as error:
            self._failed(error)
            raise QueueError(f"times in {self.path} cannot be corrected ({error})") from error
        self.oldest = oldest(self._connection)
        return cursor.rowcount == ROWS_PER_STEP

    def poison(self) -> list[tuple[int, str, str, bytes]]:
        """Messages set aside, the newest first: sequence, equipment, reason, body."""
        return self._connection.execute(
            "SELECT sequence, name, reason, body FROM poison JOIN equipment ON number = equipment"
            " ORDER BY sequence DESC"
        ).fetchall()

    # Opening ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._connection = connection = open_queue(self.path, self._limits)
        connection.create_function(
            "corrected", 3, lambda monotonic, *right: corrected(monotonic, Pair(*right)), deterministic=True
        )
        self._room = Room(connection, self._limits)
        self.tally = read_tally(connection)
        self._written = {}
        row = connection.execute("SELECT value FROM counter WHERE name = 'last'").fetchone()
        self.last = row[0] if row else 0
        self._numbers = dict(connection.execute("SELECT name, number FROM equipment"))
        self.boot = secrets.token_hex(8)
        with self._transacting():
            connection.execute("DELETE FROM boot WHERE number NOT IN (SELECT boot FROM message)")
            cursor = connection.execute(
                "INSERT INTO boot (id, machine, first) VALUES (?, ?, ?)", (self.boot, self._machine, self.last + 1)
            )
        self._boot = int(cursor.lastrowid or 0)
        self._boots = {
            number: (id_, first) for number, id_, first in connection.execute("SELECT number, id, first FROM boot")
        }
        self.oldest = oldest(connection)
        self._is_open = True

    def _start_over(self) -> None:
        """Put the damaged file aside and begin a new one; what it held counts as dropped."""
        lost, last = self.tally, self.last
        self._is_open = False
        with contextlib.suppress(sqlite3.Error, AttributeError):  # it may never have been open
            self._connection.close()
        try:
            put_aside(self.path)
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise QueueError(f"{self.path} is damaged, and no new one can be made ({error})") from error
        self.last = last
        tally = Tally(reported=Counter(lost.reported), poisoned=lost.poisoned)
        tally.dropped = lost.dropped + Counter({(kind, "damaged"): count for kind, count in lost.messages.items()})
        if not lost.messages.total():
            tally.dropped[MessageKind.AUDIT, "damaged"] += 1  # whatever it held: that it was lost is told
        self.tally = tally

    # Writing ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transacting(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:  # undo it, whatever was raised
            roll_back(self._connection)
            self._room.forget()
            raise

    def _transaction(self, batch: Batch, *, forced: bool) -> frozenset[int]:
        tally, numbers = self.tally.copy(), dict(self._numbers)
        with self._transacting():
            self._delete(batch.acknowledged, tally)
            set_aside = frozenset(each for each, reason in batch.rejected if self._reject(each, reason, tally))
            coming = sum(len(message.body) + ROW_BYTES for message in batch.put)
            if forced:
                self._room.free(tally, max(2 * coming, MIN_FREED_BYTES))
            self._room.make(tally, coming)
            self._connection.executemany(_INSERT, list(self._rows(batch.put, numbers, tally)))
            last = self.last + len(batch.put)
            self._connection.execute(_SET_COUNTER, ("last", last))
            if batch.reported is not None and batch.put:
                tally.reported = Counter(batch.reported)
            self._write(tally)
        self.tally, self._numbers, self.last = tally, numbers, last
        with contextlib.suppress(sqlite3.Error):  # it can wait for the next time
            self._room.give_back()
        self.oldest = oldest(self._connection)
        return set_aside

    def _rows(
        self, messages: Iterable[Outgoing], numbers: dict[str, int], tally: Tally
    ) -> Iterator[tuple[int, int, int, int, float, float, bool, bytes]]:
        boot, synced = self._boot, ClockQuality.SYNCED
        for sequence, each in enumerate(messages, self.last + 1):
            number = numbers.get(each.equipment)
            if number is None:
                number = numbers[each.equipment] = self._new_number(each.equipment)
            kind, body = each.kind, each.body
            yield sequence, boot, number, int(kind), each.at, each.monotonic, each.clock is synced, body
            tally.messages[kind] += 1
            tally.bytes[kind] += len(body) + ROW_BYTES

    def _look(self, now: Moment) -> None:
        """Drop what is over its age; where the disk was full, old telemetry too, until the reserve can be held."""
        self._expire(now)
        missing = self._reserve.missing_bytes()
        if missing and self._is_short:
            tally = self.tally.copy()
            with contextlib.suppress(sqlite3.Error):
                with self._transacting():
                    self._room.free(tally, missing, highest=MessageKind.TELEMETRY)
                    self._write(tally)
                self.tally = tally
                self._room.give_back(every=True)
            copy_log(self._connection)
        self._is_short = not self._reserve.hold() and self._is_short

    def _expire(self, now: Moment) -> None:
        tally = self.tally.copy()
        with contextlib.suppress(sqlite3.Error):  # it can wait for the next time
            with self._transacting():
                more = self._room.expire(tally, now)
                self._write(tally)
            self.tally = tally
            self._looked_at = -LOOK_S if more else now.monotonic

    def _new_number(self, equipment: str) -> int:
        cursor = self._connection.execute("INSERT INTO equipment (name) VALUES (?)", (equipment,))
        return int(cursor.lastrowid or 0)

    def _delete(self, sequences: Iterable[int], tally: Tally) -> None:
        """Delete messages; those that were dropped meanwhile are not there."""
        for first, last in _runs_of(sorted(sequences)):
            for kind, size in self._connection.execute(_DELETE, (first, last)).fetchall():
                tally.add(MessageKind(kind), -size, -1)

    def _reject(self, sequence: int, reason: str, tally: Tally) -> bool:
        """Count a rejection; True when the message was set aside."""
        execute = self._connection.execute
        row = execute(
            "UPDATE message SET rejects = rejects + 1 WHERE sequence = ? RETURNING rejects, length(body)", (sequence,)
        ).fetchone()
        if row is None or row[0] < MAX_REJECTS:
            return False
        execute(_SET_ASIDE, (reason[:MAX_REASON_CHARACTERS], self._limits.bytes // POISON_SHARE, sequence))
        execute(_FEWER_ASIDE, (MAX_POISON,))
        self._delete([sequence], tally)
        tally.poisoned += 1
        return True

    def _write(self, tally: Tally) -> None:
        """Write the counters that changed."""
        changed = [(name, value) for name, value in tally.rows() if self._written.get(name) != value]
        if changed:
            self._connection.executemany(_SET_COUNTER, changed)
            self._written.update(changed)

    def _failed(self, error: sqlite3.Error) -> None:
        self.disk_failures += 1
        self._written.clear()  # whatever was undone is written again
        self._is_short = True
        self._reserve.give_up()
        copy_log(self._connection)
        if is_damage(error) or not self._is_open:
            with contextlib.suppress(QueueError):  # the disk is gone: it is tried again with the next batch
                self._start_over()

    def _lost(self, messages: Counter[MessageKind]) -> None:
        if messages:
            tally = self.tally.copy()
            tally.dropped.update({(kind, "disk"): count for kind, count in messages.items()})
            self.tally = tally

    # Reading ------------------------------------------------------------------------------------------------

    def _read(self, where: str, values: list[int], lane: Lane, limit: int, skip: frozenset[int]) -> list[Stored]:
        found: list[Stored] = []
        befores: dict[tuple[int, int], int] = {}  # By equipment and boot: the message before, taken or not
        floors: dict[tuple[int, int], int] = {}
        names = {number: name for name, number in self._numbers.items()}
        size = 0
        cursor = self._connection.execute(f"{_READ}{where} ORDER BY sequence", values)
        for sequence, boot, number, kind, at, synced, said, body in cursor:
            whose = number, boot
            id_, first = self._boots[boot]
            before, befores[whose] = befores.get(whose), sequence
            if sequence in skip:
                continue
            size += len(body)
            if len(found) >= limit or (found and size > MAX_READ_BYTES):
                break
            if whose not in floors:
                floors[whose] = self._neighbour("min", number, first, sequence + 1) or sequence
            if before is None:
                before = self._neighbour("max", number, first, sequence) or 0
            found.append(
                Stored(
                    sequence=sequence,
                    equipment=names[number],
                    kind=MessageKind(kind),
                    body=body,
                    at=at,
                    clock=ClockQuality.SYNCED if synced else ClockQuality.UNSYNCED,
                    lane=lane,
                    place=Place(id_, sequence, before, floors[whose]),
                    clock_said=said,
                )
            )
        cursor.close()
        return found

    def _neighbour(self, which: str, equipment: int, first: int, below: int) -> int | None:
        """The lowest or highest sequence from ``first`` to below ``below`` that a piece of equipment still has here."""
        row = self._connection.execute(
            f"SELECT {which}(sequence) FROM message WHERE equipment = ? AND sequence >= ? AND sequence < ?",  # noqa: S608 - min or max
            (equipment, first, below),
        ).fetchone()
        return None if row[0] is None else int(row[0])


def _runs_of(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of numbers that follow one another; ``numbers`` ascend."""
    first = last = -1
    for number in numbers:
        if number > last + 1:
            if first >= 0:
                yield first, last
            first = number
        last = number
    if first >= 0:
        yield first, last
