# SPDX-License-Identifier: Apache-2.0
"""The database file of the document store: its schema, its version, how it is opened.

::

    FOLDER/application.db    (and -wal, -shm)
    FOLDER/application.made  present once the database was made, so that a lost one is an error and not a new start

The process that opened the folder (the hub's series store) holds its lock.
"""

from __future__ import annotations

from pathlib import Path

from armillary.engines.database.outbox import TABLE as OUTBOX
from armillary.engines.database.sqlite_file import Layout, open_file
from armillary.engines.database.transactions import Transactions
from armillary.engines.documents.document import folded
from armillary.errors import DataFolderError

_SCHEMA = """
-- The newest version of every document that is not deleted. seq: number of the change, over all documents.
CREATE TABLE document (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    seq INTEGER NOT NULL UNIQUE,
    changed_ms INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, id)
) STRICT;
-- Devices by template: jobs, migrations and pages ask.
CREATE INDEX device_template ON document (json_extract(body, '$.template'), id) WHERE kind = 'device';
-- Versions before, newest last; body is NULL where the change was a deletion.
CREATE TABLE history (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    body TEXT,
    UNIQUE (kind, id, version)
) STRICT;
CREATE INDEX deletion ON history (kind, seq) WHERE body IS NULL;
CREATE TABLE progress (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO progress VALUES ('seq', 0);
"""


# "ArmA"; 1 (2026-11): first
LAYOUT = Layout(
    application_id=0x41726D41,
    version=1,
    schema=_SCHEMA,
    additions=OUTBOX,
    functions={"folded": lambda name: folded(str(name))},
)


def open_database(folder: Path) -> Transactions:
    """Open or make the database in ``folder``.

    Raises:
        DataFolderError: lost, not writable, damaged, of another program or of another version.
    """
    path, made = folder / "application.db", folder / "application.made"
    if made.exists() and not path.exists():
        raise DataFolderError(
            f"{path} is missing, though it was made here before",
            remedy=f"Restore it from a backup; or delete {made} to begin again without templates, rules and the like.",
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = open_file(path, LAYOUT, "the application's documents")
        made.touch(mode=0o600)
    except OSError as error:
        raise DataFolderError(
            f"{path} cannot be opened ({error})",
            remedy="Give this user the folder, free space on its disk, or choose another with --data.",
        ) from error
    return database
