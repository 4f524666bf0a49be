# SPDX-License-Identifier: Apache-2.0
"""Runs of jobs: begun, started device by device, finished; every change is one durable transaction.

A device is marked as running before anything is sent to it, and its result is stored afterwards. So after a crash the
devices that may have been reached are known: they are done again, and their rows say so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armillary.engines.database.outbox import AuditEntry, AuditOutboxes, Outbox
from armillary.engines.database.port import Connection
from armillary.engines.database.sqlite_file import open_file
from armillary.engines.jobs.database import FILE_NAME, LAYOUT
from armillary.engines.jobs.devices import BATCH, RunDevices, device_counts, skip_if_ended
from armillary.errors import NotFoundError
from armillary.twin.author.job import DeviceState, RunProgress, RunState, next_run

# Ended runs that are kept of one job.
MAX_RUNS = 50


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job."""

    number: int  # Unique over all jobs
    job_id: str
    definition: Mapping[str, Any]  # The job's body when the run began
    catalog: str | None  # The run has devices of this catalog only; None for all catalogs
    state: RunState
    begun_by: str  # As in the audit log
    due: int | None  # Scheduled time, Unix seconds; None when a person began it
    started_ms: int  # Unix milliseconds; ``ended_ms`` likewise, None before
    ended_ms: int | None
    counts: Mapping[DeviceState, int]  # Devices by state


_RUN = "SELECT number, job_id, definition, catalog, state, begun_by, due, started_ms, ended_ms FROM run "


class JobStore:
    """Runs of one hub. Every method may be called from any thread and waits for the disk.

    The caller holds the lock of ``folder``.

    Raises:
        DataFolderError: the file cannot be opened; from every method: the disk fails.
    """

    def __init__(self, folder: Path, audit: AuditOutboxes | None = None) -> None:
        self._database = open_file(folder / FILE_NAME, LAYOUT, "the jobs' file")
        self.outbox = Outbox(audit, self._database.read, self._database.write)
        self.devices = RunDevices(self._database)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is such a file: without one there has never been a run."""
        return (folder / FILE_NAME).exists()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._database.close()

    # Reading ------------------------------------------------------------------------------------------------

    def run(self, job_id: str, number: int) -> JobRun:
        """A run of a job.

        Raises:
            NotFoundError: there is none.
        """
        found = self._database.read(lambda c: _runs(c, "WHERE job_id = ? AND number = ?", (job_id, number)))
        if not found:
            raise NotFoundError(
                f"job {job_id[:64]!a} has no run {number}", remedy=f"List them: armillary job show --job {job_id[:64]}."
            )
        return found[0]

    def runs(self, job_id: str, *, before: int | None = None, limit: int = MAX_RUNS) -> list[JobRun]:
        """Runs of a job, newest first."""
        where = "WHERE job_id = ? AND number < ? ORDER BY number DESC LIMIT ?"
        return self._database.read(lambda c: _runs(c, where, (job_id, before or 2**62, limit)))

    def under_way(self) -> list[JobRun]:
        """Runs that have not ended."""
        return self._database.read(lambda c: _runs(c, "WHERE state = 'running' ORDER BY number", ()))

    def is_under_way(self, job_id: str) -> bool:
        """Whether a run of a job has not ended; unlike :meth:`under_way` it counts no devices."""
        query = "SELECT 1 FROM run WHERE state = 'running' AND job_id = ? LIMIT 1"
        return self._database.row(query, (job_id,)) is not None

    def last_due(self, job_id: str) -> int | None:
        """When the last scheduled run of a job was due, Unix seconds; None when there was none."""
        (found,) = self._database.row("SELECT max(due) FROM run WHERE job_id = ?", (job_id,))
        return None if found is None else int(found)

    def progress(self, number: int) -> RunProgress:
        """What :func:`armillary.twin.author.job.plan_run` needs to know of a run."""

        def query(connection: Connection) -> RunProgress:
            (state,) = connection.execute("SELECT state FROM run WHERE number = ?", (number,)).fetchone()
            (batch,) = connection.execute(BATCH, (number,)).fetchone()
            opened, due = 0, None
            if batch:
                (opened,) = connection.execute(
                    "SELECT max(changed_ms) FROM run_device WHERE run = ? AND batch = ?", (number, batch - 1)
                ).fetchone()
            if batch is not None:
                (due,) = connection.execute(
                    "SELECT min(due_ms) FROM run_device WHERE run = ? AND state = 'pending' AND batch = ?",
                    (number, batch),
                ).fetchone()
            counts = device_counts(connection, number)
            return RunProgress(
                state=RunState(state), counts=counts, batch=batch, batch_opened_ms=opened or 0, due_ms=due
            )

        return self._database.read(query)

    # Changing -----------------------------------------------------------------------------------------------

    def begin(
        self,
        job_id: str,
        definition: Mapping[str, Any],
        devices: Sequence[str],
        *,
        catalog: str | None,
        batch_size: int,
        by: str,
        due: int | None,
        now_ms: int,
        entry: AuditEntry | None = None,
    ) -> int:
        """Begin a run over devices in this order; returns its number.

        The audit entry is kept with it; its detail is made of the number and how many devices there are.
        """

        def change(connection: Connection) -> tuple[int, int]:
            (number,) = connection.execute(
                "INSERT INTO run (job_id, definition, catalog, state, begun_by, due, started_ms)"
                " VALUES (?, ?, ?, 'running', ?, ?, ?) RETURNING number",
                (job_id, json.dumps(dict(definition)), catalog, by, due, now_ms),
            ).fetchone()
            connection.executemany(
                "INSERT INTO run_device (run, device_id, batch, state, changed_ms) VALUES (?, ?, ?, 'pending', ?)",
                ((number, device_id, place // batch_size, now_ms) for place, device_id in enumerate(devices)),
            )
            _forget_old(connection, job_id)
            return int(number), len(devices)

        return self.outbox.commit(change, entry)[0]

    def end(self, number: int, event: str, now_ms: int, entry: AuditEntry | None = None) -> RunState:
        """End a run: pending devices are skipped, waiting ones are given up, running ones still get their result.

        Raises:
            ConflictError: it has ended.
        """

        def change(connection: Connection) -> RunState:
            (state,) = connection.execute("SELECT state FROM run WHERE number = ?", (number,)).fetchone()
            ended = next_run(RunState(state), event)
            connection.execute("UPDATE run SET state = ?, ended_ms = ? WHERE number = ?", (ended, now_ms, number))
            skip_if_ended(connection, number, now_ms)
            return ended

        return self.outbox.commit(change, entry)

    def forget(self, job_id: str) -> None:
        """Delete every run of a job."""

        def change(connection: Connection) -> None:
            runs = connection.execute("SELECT number FROM run WHERE job_id = ?", (job_id,)).fetchall()
            connection.executemany("DELETE FROM run_device WHERE run = ?", runs)
            connection.executemany("DELETE FROM run WHERE number = ?", runs)

        self._database.write(change)


def _forget_old(connection: Connection, job_id: str) -> None:
    old = connection.execute(
        "SELECT number FROM run WHERE job_id = ? AND state != 'running' ORDER BY number DESC LIMIT -1 OFFSET ?",
        (job_id, MAX_RUNS),
    ).fetchall()
    for table, column in (("run_device", "run"), ("run", "number")):
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", old)  # noqa: S608 - constants


def _runs(connection: Connection, where: str, values: tuple[object, ...]) -> list[JobRun]:
    return [
        _as_run(row, device_counts(connection, row[0])) for row in connection.execute(_RUN + where, values).fetchall()
    ]


def _as_run(row: Sequence[Any], counts: Mapping[DeviceState, int]) -> JobRun:
    number, job_id, definition, catalog, state, begun_by, due, started_ms, ended_ms = row
    return JobRun(
        number, job_id, json.loads(definition), catalog, RunState(state), begun_by, due, started_ms, ended_ms, counts
    )
