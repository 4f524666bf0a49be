# SPDX-License-Identifier: Apache-2.0
"""The devices of runs: which of them may be acted on, and the result of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import Transactions
from armillary.twin.author.job import DEVICE_STATES, DeviceState, RunState

# Characters of a device's answer that are kept.
MAX_ANSWER_CHARACTERS = 2048
# Result of a device that was already asked to act when the run ended.
NOT_WAITED_FOR = "the run ended while this was waited for: the device was told, and may still do it"

# The current batch of a run.
BATCH = "SELECT min(batch) FROM run_device WHERE run = ?1 AND state IN ('pending', 'running', 'waiting')"
_STARTS = (
    f"WHERE run = ?1 AND state = 'pending' AND due_ms <= ?2 AND batch = ({BATCH}) ORDER BY due_ms, device_id LIMIT ?3"
)
_START = "UPDATE run_device SET state = ?, attempts = attempts + 1, changed_ms = ? WHERE run = ? AND device_id = ?"
_DEVICE = "SELECT device_id, batch, state, attempts, repeated, due_ms, changed_ms, status, answer FROM run_device "


@dataclass(frozen=True, slots=True)
class DeviceResult:
    """A device in a run; ``status`` and ``answer`` are the last attempt's.

    ``due_ms``, Unix milliseconds: of a pending device when it may begin, of a waiting one when the wait ends.
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
class DeviceOutcome:
    """Outcome of an attempt: an event of DEVICE_STATES, the device's status and answer, when to try again."""

    device_id: str
    event: str
    status: int | None = None
    answer: str = ""
    due_ms: int = 0


class RunDevices:
    """The devices of all runs of one hub; every method waits for the disk."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def results(
        self, number: int, *, state: DeviceState | None = None, after: str = "", limit: int = 1000
    ) -> list[DeviceResult]:
        """Devices of a run by id, those in a state or all."""
        where = "WHERE run = ? AND device_id > ?" + ("" if state is None else " AND state = ?")
        values = (number, after, *(() if state is None else (state.value,)), limit)
        return [_as_result(row) for row in self._database.rows(_DEVICE + where + " ORDER BY device_id LIMIT ?", values)]

    def start(self, number: int, count: int, now_ms: int) -> list[DeviceResult]:
        """Mark up to ``count`` devices of the current batch as running: only then may they be acted on."""

        def change(connection: Connection) -> list[DeviceResult]:
            rows = connection.execute(_DEVICE + _STARTS, (number, now_ms, count)).fetchall()
            connection.executemany(_START, [(_after("pending", "start"), now_ms, number, row[0]) for row in rows])
            return [_as_result(row) for row in rows]

        return self._database.write(change)

    def finish(
        self,
        number: int,
        outcomes: Sequence[DeviceOutcome],
        now_ms: int,
        *,
        was: Literal[DeviceState.RUNNING, DeviceState.WAITING] = DeviceState.RUNNING,
    ) -> None:
        """Store the outcomes of devices that were running, or waiting."""

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
            skip_if_ended(connection, number, now_ms)

        self._database.write(change)

    def recover(self, now_ms: int, number: int | None = None) -> int:
        """Set devices that were running when the service stopped back to pending; returns how many.

        Only those of the run ``number``, or (None, after a start) of all runs.
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
                skip_if_ended(connection, each, now_ms)
            return cursor.rowcount

        return self._database.write(change)


def device_counts(connection: Connection, number: int) -> dict[DeviceState, int]:
    """How many devices of a run are in each state."""
    rows = connection.execute("SELECT state, count(*) FROM run_device WHERE run = ? GROUP BY state", (number,))
    return {DeviceState(state): count for state, count in rows}


def skip_if_ended(connection: Connection, number: int, now_ms: int) -> None:
    """When a run has ended, give up its pending and waiting devices.

    Two statements for all devices: this follows every result of a run, which may have a million devices.
    """
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


def _after(state: str, event: str) -> DeviceState:
    return DEVICE_STATES[DeviceState(state), event]


def _as_result(row: Sequence[Any]) -> DeviceResult:
    device_id, batch, state, attempts, repeated, *rest = row
    return DeviceResult(device_id, batch, DeviceState(state), attempts, bool(repeated), *rest)
