# SPDX-License-Identifier: Apache-2.0
"""The file of data exports: how far each one is, what was refused for good, secrets of destinations.

::

    FOLDER/exports.db   (and -wal, -shm); made with the first export. The folder's lock is held by the series store.

A cursor moves in one durable transaction after its records are delivered (or are dead letters): whatever happens in
between, they are sent again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCursor:
    """How an export is getting on.

    Attributes:
        seq: Everything up to this one is done, and ``place`` records of the next.
        exported: Records delivered; ``filtered`` those that were not wanted.
        dead: Records that were refused for good; ``dropped`` those of them that are no longer kept.
        missed: Entries of the source that were deleted (retention) before their turn.
        failures: Attempts in a row that failed; the next is at ``due_ms``.
        error: What the last attempt that failed met, empty after one that did not.
        delivered_ms: When something was delivered last, Unix milliseconds; None when never.
    """

    seq: int = 0
    place: int = 0
    exported: int = 0
    filtered: int = 0
    dead: int = 0
    dropped: int = 0
    missed: int = 0
    failures: int = 0
    due_ms: int = 0
    error: str = ""
    delivered_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DeadBatch:
    """Records that were refused for good.

    Attributes:
        records: As they were to be sent.
        origins: Of each, device id and record id.
        error: Why.
    """

    records: Sequence[Any]
    origins: Sequence[tuple[str, str]]
    error: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A batch that was refused for good, as it is kept."""

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
    """Every method may be called from any thread and waits for the disk.

    Args:
        folder: Folder of the file; its lock is the caller's.

    Raises:
        DataFolderError: the file cannot be opened; of every method: the disk gives nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._database = open_file(folder / FILE_NAME, LAYOUT, "the exports' file")

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is such a file: without one there has never been an export."""
        return (folder / FILE_NAME).exists()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._database.close()

    def cursor(self, export_id: str) -> ExportCursor | None:
        """How far an export is; None before it began."""
        query = f"SELECT {_COLUMNS} FROM cursor WHERE export_id = ?"  # noqa: S608 - constants
        row = self._database.read(lambda c: c.execute(query, (export_id,)).fetchone())
        return None if row is None else ExportCursor(**dict(zip(_FIELDS, row, strict=True)))

    def keep(
        self, export_id: str, cursor: ExportCursor, dead: Sequence[DeadBatch] = (), at_ms: int = 0
    ) -> ExportCursor:
        """Move a cursor, and keep batches that were refused for good, in one transaction; the cursor as it is kept."""

        def change(connection: Connection) -> ExportCursor:
            for batch in dead:
                kept_as = json.dumps({"records": batch.records, "origins": batch.origins})
                connection.execute(
                    "INSERT INTO dead_letter (export_id, at_ms, records, count, error) VALUES (?, ?, ?, ?, ?)",
                    (export_id, at_ms, kept_as, len(batch.records), batch.error[:MAX_ERROR_CHARACTERS]),
                )
            dropped = _forget_old(connection, export_id) if dead else 0
            kept = dataclasses.replace(
                cursor, error=cursor.error[:MAX_ERROR_CHARACTERS], dropped=cursor.dropped + dropped
            )
            connection.execute(_KEEP, (export_id, *dataclasses.astuple(kept)))
            return kept

        return self._database.write(change)

    def dead_letters(self, export_id: str, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Batches that were refused for good, oldest first."""
        query = (
            "SELECT number, at_ms, records, count, error FROM dead_letter WHERE export_id = ? AND number > ?"
            " ORDER BY number LIMIT ?"
        )
        rows = self._database.read(lambda c: c.execute(query, (export_id, after, limit)).fetchall())
        return [_letter(*row) for row in rows]

    def settle(self, export_id: str, number: int) -> None:
        """A dead letter was delivered after all, or is to be forgotten."""

        def change(connection: Connection) -> None:
            connection.execute("DELETE FROM dead_letter WHERE export_id = ? AND number = ?", (export_id, number))

        self._database.write(change)

    def secret(self, export_id: str) -> str | None:
        """The secret of an export's destination."""
        row = self._database.read(
            lambda c: c.execute("SELECT secret FROM secret WHERE export_id = ?", (export_id,)).fetchone()
        )
        return None if row is None else str(row[0])

    def keep_secret(self, export_id: str, secret: str) -> None:
        """Keep the secret of an export's destination."""
        query = "INSERT INTO secret VALUES (?, ?) ON CONFLICT (export_id) DO UPDATE SET secret = excluded.secret"
        self._database.write(lambda c: c.execute(query, (export_id, secret)))

    def restore_secret(self, export_id: str, before: str | None) -> None:
        """Have the secret that an export had before; None for none."""
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


def _letter(number: int, at_ms: int, kept_as: str, count: int, error: str) -> DeadLetter:
    found = json.loads(kept_as)
    if isinstance(found, list):  # as the first version kept them: without origins
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
