# SPDX-License-Identifier: Apache-2.0
"""Audit entries that are committed with the change that they tell of, and then moved to the audit log, each once.

::

    operation --one transaction--> change + row of audit_outbox --move--> line of the audit log --> row deleted

The audit log is in the records, what operations change is in other databases. An entry in the change's own transaction
is there exactly if the change is. The same call moves it, so whoever changed something finds its line; what a crash has
left is moved when the store opens, what the log did not take with the next change and when somebody reads the log, its
metric or its health. The log knows the ids of entries: one that is moved again adds nothing.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import structlog

from armillary.engines.database.port import Connection
from armillary.errors import HostError

T = TypeVar("T")

# Entries of one database that may wait: an hour of busy operators. With so many, changes are refused.
MAX_WAITING: Final = 10_000
# Entries of one transaction of the records, which others wait for.
MOVED_AT_ONCE: Final = 200

# SQL for every store whose changes have audit entries; the first numbers are the oldest entries.
TABLE: Final = """
CREATE TABLE IF NOT EXISTS audit_outbox (
    number INTEGER PRIMARY KEY,
    entry_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    operation TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
"""
_KEEP = (
    "INSERT INTO audit_outbox (number, actor, operation, target, detail, at, entry_id)"
    " SELECT coalesce(max(number), 0) + 1, ?1, ?2, ?3, ?4, ?5, ?6 FROM audit_outbox"
)
_OLDEST = "SELECT number, actor, operation, target, detail, at, entry_id FROM audit_outbox ORDER BY number LIMIT ?"
# Numbers are used again once all entries are moved: a deletion whose commit timed out and comes late hits no newer one.
_FORGET = "DELETE FROM audit_outbox WHERE number = ? AND entry_id = ?"

_log = structlog.get_logger(__name__)

# Of an entry; None says nothing, and there is no line.
Detail = Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, as the audit log is to say it."""

    actor: str  # Name of the token
    operation: str  # ``noun.verb``
    target: str  # What it was done to
    detail: Detail | Callable[[Any], Detail]  # Becomes JSON; or makes it of what the change returned
    at: int = 0  # Unix seconds; set when it is kept
    entry_id: str = ""  # Unique; set when it is kept, unless :meth:`Outbox.held` has given it

    def detail_of(self, made: object) -> Detail:
        """What it says of a change that returned ``made``."""
        return self.detail(made) if callable(self.detail) else self.detail


# Who changes something: a name only, or an entry that is kept with the change.
Author = str | AuditEntry


def name_of(by: Author) -> str:
    """Who changes something, by name."""
    return by if isinstance(by, str) else by.actor


class AuditOutboxes:
    """The outboxes of one service, and the audit log that they are moved to.

    ``append`` appends entries to it, in order and in one transaction, and none whose id is there already; ``now`` is
    in Unix seconds.
    """

    def __init__(self, append: Callable[[Sequence[AuditEntry]], object], now: Callable[[], int]) -> None:
        self.append = append
        self.now = now
        self.outboxes: list[Outbox] = []

    def drain(self) -> int:
        """Try again to move what the audit log did not take; how many entries it still does not take."""
        for each in [each for each in self.outboxes if each.waiting]:
            each.move()
        return sum(each.waiting for each in self.outboxes)


class Outbox:
    """The audit entries of one database, moved at its opening and from then on. Methods block; from any thread.

    ``audit`` is where they go; None: nobody keeps an audit log, and there are none. ``read`` runs a query in a
    snapshot; ``write`` runs a change in a transaction and returns its result after the commit.
    """

    def __init__(self, audit: AuditOutboxes | None, read: Callable[..., Any], write: Callable[..., Any]) -> None:
        self.audit = audit
        self.read = read
        self._write = write
        self._moving = threading.Lock()
        self._held = set[str]()
        self.waiting = 0  # Entries that the audit log did not take when it was tried last
        if audit is not None:
            audit.outboxes.append(self)
            self.move()

    def commit(self, change: Callable[[Connection], T], by: Author | None, **options: Any) -> T:
        """Make a change with its entry, in one transaction, and move the entry; ``options`` are those of ``write``.

        Raises:
            HostError: the audit log has taken no entries for long; nothing was changed.
        """
        made: T = self._write(self.with_entry(change, by), **options)
        if isinstance(by, AuditEntry):
            self.move()
        return made

    def note(self, entry: AuditEntry) -> None:
        """Keep the entry of something that is no change of the database: before it is done, where that can be.

        It goes to the audit log, or waits here: an outage of one of the two databases does not prevent what needs
        neither. Raises as :meth:`commit` where both fail.
        """
        if self.audit is None:
            return
        entry = replace(entry, at=self.audit.now(), entry_id=entry.entry_id or uuid.uuid4().hex)
        if entry.entry_id not in self._held:
            if self.waiting:  # in their order
                self.move()
            with contextlib.suppress(Exception):
                self.audit.append([entry])
                return
        self.commit(lambda _: None, entry)

    @contextlib.contextmanager
    def held(self) -> Iterator[str]:
        """An entry id for several commits, of which each keeps the entry anew; it is moved when the block ends.

        Raises HostError as :meth:`commit`: before the first of them, and of none of them.
        """
        self._check_room()
        entry_id = uuid.uuid4().hex
        self._held.add(entry_id)
        try:
            yield entry_id
        finally:
            self._held.remove(entry_id)
            self.move()

    def with_entry(self, change: Callable[[Connection], T], by: Author | None) -> Callable[[Connection], T]:
        """A change that keeps its entry too; who commits it calls :meth:`move` after. Raises as :meth:`commit`."""
        audit = self.audit
        if audit is None or not isinstance(by, AuditEntry):
            return change
        if by.entry_id not in self._held:
            self._check_room()

        def apply(connection: Connection) -> T:
            made = change(connection)
            detail = by.detail_of(made)
            if detail is not None:
                entry_id, said = by.entry_id or uuid.uuid4().hex, json.dumps(dict(detail), default=str)
                connection.execute("DELETE FROM audit_outbox WHERE entry_id = ?", (entry_id,))
                connection.execute(_KEEP, (by.actor, by.operation, by.target, said, audit.now(), entry_id))
            return made

        return apply

    def move(self) -> None:
        """Move what waits to the audit log, oldest first; where that does not go, it waits for the next time."""
        if self.audit is None:
            return
        with self._moving:
            try:
                while rows := self._oldest():
                    self.audit.append([AuditEntry(*row[1:]) for row in rows])
                    moved = [(row[0], row[6]) for row in rows]
                    self._write(lambda c, of=moved: c.executemany(_FORGET, of))
                self.waiting = 0
            except Exception as error:  # noqa: BLE001 - what it tells of is committed: noted, and tried again
                self.waiting = self.waiting or 1  # where they cannot even be counted
                with contextlib.suppress(Exception):
                    self.waiting = self.read(lambda c: c.execute("SELECT count(*) FROM audit_outbox").fetchone()[0])
                _log.warning("audit.lines-wait", waiting=self.waiting, why=str(error))

    def _check_room(self) -> None:
        if self.waiting >= MAX_WAITING:
            raise HostError(
                f"the audit log takes no lines, and {self.waiting} wait for it: nothing was changed",
                remedy="See what armillary status says of the records, and try again when they are well.",
            )

    def _oldest(self) -> list[Any]:
        rows = self.read(lambda c: c.execute(_OLDEST, (MOVED_AT_ONCE,)).fetchall())
        return [(*row[:4], json.loads(row[4]), *row[5:]) for row in rows if row[6] not in self._held]
