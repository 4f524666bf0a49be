# SPDX-License-Identifier: Apache-2.0
"""The file of data exports: each one's cursor, dead letters, and the secrets of destinations.

::

    FOLDER/exports.db   (and -wal, -shm); made with the first export. The folder's lock is held by the series store.

A cursor moves in one durable transaction after its records were delivered or became dead letters. After a crash before
that they are sent again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armillary.engines.database.outbox import TABLE as OUTBOX, AuditEntry, AuditOutboxes, Outbox
from armillary.engines.database.port import Connection
from armillary.engines.database.sqlite_file import Layout, open_file

FILE_NAME = "exports.db"

# Dead letters (batches) that are kept of one export; the oldest go first, and are counted.
MAX_DEAD = 1000
MAX_ERROR_CHARACTERS = 300

# "ArmE"; version 1 (2026-11): first.
LAYOUT = Layout(
    0x41726D45,
    1,
    """
-- Everything before (seq, place) is delivered. seq: of the source's own order; place: records of the next one done.
CREATE TABLE cursor (
    export_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    place INTEGER NOT NULL,
    exported INTEGER NOT NULL DEFAULT 0,
    filtered INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    missed INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    delivered_ms INTEGER
) STRICT, WITHOUT ROWID;
-- One row a batch that was refused for good: records as they were to be sent.
CREATE TABLE dead_letter (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    export_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    records TEXT NOT NULL,
    count INTEGER NOT NULL,
    error TEXT NOT NULL
) STRICT;
CREATE INDEX dead_letter_of_export ON dead_letter (export_id, number);
CREATE TABLE secret (
    export_id TEXT PRIMARY KEY,
    secret TEXT NOT NULL
) STRICT, WITHOUT ROWID;
""",
    additions=OUTBOX,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCursor:
    """How far an export is."""

    seq: int = 0  # Entries of the source up to this one are done, and ``place`` records of the next
    place: int = 0
    exported: int = 0  # Records delivered; ``filtered`` counts those that the export's filter left out
    filtered: int = 0
    # Records that the destination refused for good; ``dropped`` counts those of them that are no longer kept
    dead: int = 0
    dropped: int = 0
    missed: int = 0  # Entries of the source that were deleted (retention) before they were exported
    failures: int = 0  # Failed attempts in a row; the next is at ``due_ms``
    due_ms: int = 0
    error: str = ""  # Error of the last attempt; empty when it succeeded
    delivered_ms: int | None = None  # Unix milliseconds of the last delivery; None before the first


@dataclass(frozen=True, slots=True)
class DeadBatch:
    """Records that the destination refused for good."""

    records: Sequence[Any]  # As they were to be sent
    origins: Sequence[tuple[str, str]]  # Device id and record id of each
    error: str  # Why they were refused


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A stored batch that was refused for good."""

    number: int
    at_ms: int
    records: Sequence[Any]
    count: int
    error: str
    origins: Sequence[tuple[str, str]] = ()


_FIELDS = tuple(field.name for field in dataclasses.fields(ExportCursor))
_COLUMNS = ", ".join(_FIELDS)
_KEEP = (
    f"INSERT INTO cursor (export_id, {_COLUMNS}) VALUES (?, {', '.join('?' * len(_FIELDS))})"  # noqa: S608 - constants
    f" ON CONFLICT (export_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _FIELDS)}"
)


class ExportStore:
    """The open file. Every method may be called from any thread and waits for the disk.

    The caller holds the lock of ``folder``.

    Raises:
        DataFolderError: the file cannot be opened; from every method: the disk fails.
    """

    def __init__(self, folder: Path, audit: AuditOutboxes | None = None) -> None:
        self._database = open_file(folder / FILE_NAME, LAYOUT, "the exports' file")
        self.outbox = Outbox(audit, self._database.read, self._database.write)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is such a file: without one there has never been an export."""
        return (folder / FILE_NAME).exists()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._database.close()

    def cursor(self, export_id: str) -> ExportCursor | None:
        """How far an export is; None before it began."""
        row = self._database.row(f"SELECT {_COLUMNS} FROM cursor WHERE export_id = ?", (export_id,))  # noqa: S608 - constants
        return None if row is None else ExportCursor(**dict(zip(_FIELDS, row, strict=True)))

    def keep(
        self, export_id: str, cursor: ExportCursor, dead: Sequence[DeadBatch] = (), at_ms: int = 0
    ) -> ExportCursor:
        """Move a cursor and store dead letters in one transaction; returns the cursor as stored."""

        def change(connection: Connection) -> ExportCursor:
            for batch in dead:
                document = json.dumps({"records": batch.records, "origins": batch.origins})
                connection.execute(
                    "INSERT INTO dead_letter (export_id, at_ms, records, count, error) VALUES (?, ?, ?, ?, ?)",
                    (export_id, at_ms, document, len(batch.records), batch.error[:MAX_ERROR_CHARACTERS]),
                )
            dropped = _forget_old(connection, export_id) if dead else 0
            kept = dataclasses.replace(
                cursor, error=cursor.error[:MAX_ERROR_CHARACTERS], dropped=cursor.dropped + dropped
            )
            connection.execute(_KEEP, (export_id, *dataclasses.astuple(kept)))
            return kept

        return self._database.write(change)

    def dead_letters(self, export_id: str, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """An export's dead letters, oldest first."""
        query = (
            "SELECT number, at_ms, records, count, error FROM dead_letter WHERE export_id = ? AND number > ?"
            " ORDER BY number LIMIT ?"
        )
        return [_letter(*row) for row in self._database.rows(query, (export_id, after, limit))]

    def settle(self, export_id: str, number: int, entry: AuditEntry) -> None:
        """Delete a dead letter that was delivered; the audit entry is kept with it."""
        query = "DELETE FROM dead_letter WHERE export_id = ? AND number = ?"
        self.outbox.commit(lambda c: c.execute(query, (export_id, number)), entry)

    def secret(self, export_id: str) -> str | None:
        """The secret of an export's destination."""
        row = self._database.row("SELECT secret FROM secret WHERE export_id = ?", (export_id,))
        return None if row is None else str(row[0])

    def keep_secret(self, export_id: str, secret: str) -> None:
        """Store the secret of an export's destination."""
        query = "INSERT INTO secret VALUES (?, ?) ON CONFLICT (export_id) DO UPDATE SET secret = excluded.secret"
        self._database.write(lambda c: c.execute(query, (export_id, secret)))

    def restore_secret(self, export_id: str, before: str | None) -> None:
        """Store the secret that an export had before, or delete it when ``before`` is None."""
        if before is not None:
            self.keep_secret(export_id, before)
        else:
            self._database.write(lambda c: c.execute("DELETE FROM secret WHERE export_id = ?", (export_id,)))

    def forget(self, export_id: str) -> None:
        """Delete everything of an export."""

        def change(connection: Connection) -> None:
            for table in ("cursor", "dead_letter", "secret"):
                connection.execute(f"DELETE FROM {table} WHERE export_id = ?", (export_id,))  # noqa: S608 - constants

        self._database.write(change)


def _letter(number: int, at_ms: int, document: str, count: int, error: str) -> DeadLetter:
    found = json.loads(document)
    if isinstance(found, list):  # the first version's form, without origins
        return DeadLetter(number, at_ms, found, count, error, [("", "")] * len(found))
    origins = [(device_id, record_id) for device_id, record_id in found["origins"]]
    return DeadLetter(number, at_ms, found["records"], count, error, origins)


def _forget_old(connection: Connection, export_id: str) -> int:
    old = connection.execute(
        "SELECT number, count FROM dead_letter WHERE export_id = ? ORDER BY number DESC LIMIT -1 OFFSET ?",
        (export_id, MAX_DEAD),
    ).fetchall()
    connection.executemany("DELETE FROM dead_letter WHERE number = ?", [(number,) for number, _ in old])
    return sum(count for _, count in old)
