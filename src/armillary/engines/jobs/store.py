# SPDX-License-Identifier: Apache-2.0
"""The file of runs: begun, started device by device, finished; every change is one durable transaction.

::

    FOLDER/jobs.db   (and -wal, -shm); made with the first run. The folder's lock is held by the series store.

A device is marked as running before anything is sent to it, and its result is written when there is one. So after a
crash the devices that may have been reached are known: they are done again, and their rows say so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from armillary.engines.database.port import Connection
from armillary.engines.database.sqlite_file import Layout, open_file
from armillary.errors import NotFoundError
from armillary.twin.author.job import DEVICE_STATES, DeviceState, RunProgress, RunState, next_run

FILE_NAME = "jobs.db"

# Runs of one job that are kept, those under way besides.
MAX_RUNS = 50
# Characters of a device's answer that are kept.
MAX_ANSWER_CHARACTERS = 2048
# What a result says of a device that had been told when the run ended.
NOT_WAITED_FOR = "the run ended while this was waited for: the device was told, and may still do it"

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
-- attempts: how often its action began. repeated: it may have been reached by an attempt whose end nobody saw.
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
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a job.

    Attributes:
        number: Its number, over all jobs.
        job_id: Of the job; ``definition`` is the job's body as it was.
        catalog: Only devices of this catalog; None those of all.
        state: How it is getting on.
        begun_by: Who began it, as the audit log names them.
        due: When it was due, Unix seconds; None when somebody began it.
        started_ms: Unix milliseconds; ``ended_ms`` likewise, None before.
        counts: Devices by state.
    """

    number: int
    job_id: str
    definition: Mapping[str, Any]
    catalog: str | None
    state: RunState
    begun_by: str
    due: int | None
    started_ms: int
    ended_ms: int | None
    counts: Mapping[DeviceState, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceResult:
    """A device in a run; ``status`` and ``answer`` are the last attempt's.

    ``due_ms``, Unix milliseconds: of one that is pending, when it may begin; of one that is waiting, when that is over.
    """

    device_id: str
    batch: int
    state: DeviceState
    attempts: int
    repeated: bool
    due_ms: int
    changed_ms: int
    status: int | None
    answer: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt: an event of DEVICE_STATES, the device's status and answer, when again."""

    device_id: str
    event: str
    status: int | None = None
    answer: str = ""
    due_ms: int = 0


_RUN = "SELECT number, job_id, definition, catalog, state, begun_by, due, started_ms, ended_ms FROM run "
_BATCH = "SELECT min(batch) FROM run_device WHERE run = ?1 AND state IN ('pending', 'running', 'waiting')"
_STARTS = (
    f"WHERE run = ?1 AND state = 'pending' AND due_ms <= ?2 AND batch = ({_BATCH}) ORDER BY due_ms, device_id LIMIT ?3"
)
_START = "UPDATE run_device SET state = ?, attempts = attempts + 1, changed_ms = ? WHERE run = ? AND device_id = ?"
_DEVICE = "SELECT device_id, batch, state, attempts, repeated, due_ms, changed_ms, status, answer FROM run_device "


class JobStore:
    """Runs of one hub. Every method may be called from any thread and waits for the disk.

    Args:
        folder: Folder of the file; its lock is the caller's.

    Raises:
        DataFolderError: the file cannot be opened; of every method: the disk gives nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._database = open_file(folder / FILE_NAME, LAYOUT, "the jobs' file")

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is such a file: without one there has never been a run."""
        return (folder / FILE_NAME).exists()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._database.close()

    # Reading ------------------------------------------------------------------------------------------------

    def run(self, job_id: str, number: int) -> Run:
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

    def runs(self, job_id: str, *, before: int | None = None, limit: int = MAX_RUNS) -> list[Run]:
        """Runs of a job, newest first."""
        where = "WHERE job_id = ? AND number < ? ORDER BY number DESC LIMIT ?"
        return self._database.read(lambda c: _runs(c, where, (job_id, before or 2**62, limit)))

    def under_way(self) -> list[Run]:
        """Runs that have not ended."""
        return self._database.read(lambda c: _runs(c, "WHERE state = 'running' ORDER BY number", ()))

    def is_under_way(self, job_id: str) -> bool:
        """Whether a run of a job has not ended; unlike :meth:`under_way` it counts no devices."""
        query = "SELECT 1 FROM run WHERE state = 'running' AND job_id = ? LIMIT 1"
        return self._database.read(lambda c: c.execute(query, (job_id,)).fetchone()) is not None

    def last_due(self, job_id: str) -> int | None:
        """When the last scheduled run of a job was due, Unix seconds; None when there was none."""
        query = "SELECT max(due) FROM run WHERE job_id = ?"
        found = self._database.read(lambda c: c.execute(query, (job_id,)).fetchone()[0])
        return None if found is None else int(found)

    def results(
        self, number: int, *, state: DeviceState | None = None, after: str = "", limit: int = 1000
    ) -> list[DeviceResult]:
        """Devices of a run by id, those in a state or all."""
        where = "WHERE run = ? AND device_id > ?" + ("" if state is None else " AND state = ?")
        values = (number, after, *(() if state is None else (state.value,)), limit)
        rows = self._database.read(
            lambda c: c.execute(_DEVICE + where + " ORDER BY device_id LIMIT ?", values).fetchall()
        )
        return [_as_result(row) for row in rows]

    def progress(self, number: int) -> RunProgress:
        """A run as :func:`armillary.twin.author.job.plan_run` looks at it."""

        def query(connection: Connection) -> RunProgress:
            (state,) = connection.execute("SELECT state FROM run WHERE number = ?", (number,)).fetchone()
            (batch,) = connection.execute(_BATCH, (number,)).fetchone()
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
            counts = _counts(connection, number)
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
    ) -> int:
        """Begin a run over devices in this order; returns its number."""

        def change(connection: Connection) -> int:
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
            return int(number)

        return self._database.write(change)

    def start(self, number: int, count: int, now_ms: int) -> list[DeviceResult]:
        """Mark up to ``count`` devices of the present batch as running: only then may they be acted on."""

        def change(connection: Connection) -> list[DeviceResult]:
            rows = connection.execute(
                _DEVICE + _STARTS,
                (number, now_ms, count),
            ).fetchall()
            connection.executemany(
                _START,
                [(_after("pending", "start"), now_ms, number, row[0]) for row in rows],
            )
            return [_as_result(row) for row in rows]

        return self._database.write(change)

    def finish(
        self,
        number: int,
        outcomes: Sequence[Outcome],
        now_ms: int,
        *,
        was: Literal[DeviceState.RUNNING, DeviceState.WAITING] = DeviceState.RUNNING,
    ) -> None:
        """Write down what became of devices that were running, or waiting."""

        def change(connection: Connection) -> None:
            connection.executemany(
                "UPDATE run_device SET state = ?, changed_ms = ?, due_ms = ?, status = ?, answer = ?"
                " WHERE run = ? AND device_id = ? AND state = ?",
                [
                    (
                        _after(was, each.event), now_ms, each.due_ms, each.status,
                        each.answer[:MAX_ANSWER_CHARACTERS], number, each.device_id, was,
                    )
                    for each in outcomes
                ],
            )  # fmt: skip
            _skip_if_ended(connection, number, now_ms)

        self._database.write(change)

    def end(self, number: int, event: str, now_ms: int) -> RunState:
        """End a run; devices that have not begun are skipped, and none is waited for. Those under way still get theirs.

        Raises:
            ConflictError: it has ended.
        """

        def change(connection: Connection) -> RunState:
            (state,) = connection.execute("SELECT state FROM run WHERE number = ?", (number,)).fetchone()
            ended = next_run(RunState(state), event)
            connection.execute("UPDATE run SET state = ?, ended_ms = ? WHERE number = ?", (ended, now_ms, number))
            _skip_if_ended(connection, number, now_ms)
            return ended

        return self._database.write(change)

    def recover(self, now_ms: int, number: int | None = None) -> int:
        """Devices that were running when whoever acted was stopped wait again; returns how many.

        Args:
            now_ms: Unix milliseconds.
            number: Of one run; None of all: after a start.
        """
        chosen = "state = 'running'" if number is None else "state = 'running' AND run = ?"
        values = () if number is None else (number,)

        def change(connection: Connection) -> int:
            lost = connection.execute(f"SELECT DISTINCT run FROM run_device WHERE {chosen}", values).fetchall()  # noqa: S608 - constants
            cursor = connection.execute(
                "UPDATE run_device SET state = ?, repeated = 1, changed_ms = ?,"  # noqa: S608 - constants
                f" answer = 'the service stopped while this was under way' WHERE {chosen}",
                (_after("running", "lost"), now_ms, *values),
            )
            for (each,) in lost:
                _skip_if_ended(connection, each, now_ms)
            return cursor.rowcount

        return self._database.write(change)

    def forget(self, job_id: str) -> None:
        """Delete every run of a job."""

        def change(connection: Connection) -> None:
            runs = connection.execute("SELECT number FROM run WHERE job_id = ?", (job_id,)).fetchall()
            connection.executemany("DELETE FROM run_device WHERE run = ?", runs)
            connection.executemany("DELETE FROM run WHERE number = ?", runs)

        self._database.write(change)


def _after(state: str, event: str) -> DeviceState:
    return DEVICE_STATES[DeviceState(state), event]


def _skip_if_ended(connection: Connection, number: int, now_ms: int) -> None:
    # Asked once, and not for each device: this follows every result of a run, which may have a million of them.
    (state,) = connection.execute("SELECT state FROM run WHERE number = ?", (number,)).fetchone()
    if state == RunState.RUNNING:
        return
    connection.execute(
        "UPDATE run_device SET state = ?, changed_ms = ? WHERE run = ? AND state = ?",
        (_after("pending", "run-ended"), now_ms, number, DeviceState.PENDING),
    )
    connection.execute(
        "UPDATE run_device SET state = ?, changed_ms = ?, answer = ? WHERE run = ? AND state = ?",
        (_after("waiting", "run-ended"), now_ms, NOT_WAITED_FOR, number, DeviceState.WAITING),
    )


def _forget_old(connection: Connection, job_id: str) -> None:
    old = connection.execute(
        "SELECT number FROM run WHERE job_id = ? AND state != 'running' ORDER BY number DESC LIMIT -1 OFFSET ?",
        (job_id, MAX_RUNS),
    ).fetchall()
    for table, column in (("run_device", "run"), ("run", "number")):
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", old)  # noqa: S608 - constants


def _counts(connection: Connection, number: int) -> dict[DeviceState, int]:
    rows = connection.execute("SELECT state, count(*) FROM run_device WHERE run = ? GROUP BY state", (number,))
    return {DeviceState(state): count for state, count in rows}


def _runs(connection: Connection, where: str, values: tuple[object, ...]) -> list[Run]:
    rows = connection.execute(_RUN + where, values).fetchall()
    return [
        Run(
            number=row[0],
            job_id=row[1],
            definition=json.loads(row[2]),
            catalog=row[3],
            state=RunState(row[4]),
            begun_by=row[5],
            due=row[6],
            started_ms=row[7],
            ended_ms=row[8],
            counts=_counts(connection, row[0]),
        )
        for row in rows
    ]


def _as_result(row: Sequence[Any]) -> DeviceResult:
    device_id, batch, state, attempts, repeated, due_ms, changed_ms, status, answer = row
    return DeviceResult(
        device_id=device_id,
        batch=batch,
        state=DeviceState(state),
        attempts=attempts,
        repeated=bool(repeated),
        due_ms=due_ms,
        changed_ms=changed_ms,
        status=status,
        answer=answer,
    )
