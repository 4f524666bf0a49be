# SPDX-License-Identifier: Apache-2.0
"""The file of runs: its schema and its version.

::

    FOLDER/jobs.db   (and -wal, -shm); made with the first run. The folder's lock is held by the series store.
"""

from __future__ import annotations

from armillary.engines.database.outbox import TABLE as OUTBOX
from armillary.engines.database.sqlite_file import Layout

FILE_NAME = "jobs.db"

# "ArmJ"; version 1 (2026-11): first.
LAYOUT = Layout(
    0x41726D4A,
    1,
    """
-- definition: the job's body as it was when the run began. due: of a scheduled run, Unix seconds.
CREATE TABLE run (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL,
    definition TEXT NOT NULL,
    catalog TEXT,
    state TEXT NOT NULL,
    begun_by TEXT NOT NULL,
    due INTEGER,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER
) STRICT;
CREATE INDEX run_of_job ON run (job_id, number);
CREATE INDEX run_under_way ON run (number) WHERE state = 'running';
-- attempts: how often its action began. repeated: an earlier attempt with an unknown outcome may have reached it.
CREATE TABLE run_device (
    run INTEGER NOT NULL REFERENCES run (number),
    device_id TEXT NOT NULL,
    batch INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    repeated INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL DEFAULT 0,
    changed_ms INTEGER NOT NULL,
    status INTEGER,
    answer TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run, device_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_device_state ON run_device (run, state, batch, due_ms);
CREATE INDEX run_device_batch ON run_device (run, batch, changed_ms);
""",
    additions=OUTBOX,
)
