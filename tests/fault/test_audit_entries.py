# SPDX-License-Identifier: Apache-2.0
"""Operations whose process dies: a change and its line of the audit log are there together, once, or neither is."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.engines.series import conftest as engines
from tests.fault.audit_runner import KINDS, Place
from tests.fixtures.effort import effort
from tests.fixtures.processes import killed_process

from armillary.engines.database.outbox import AuditEntry, Outbox
from armillary.engines.records.queries import audit as audit_rows

engine, server = engines.engine, engines.server  # fixtures

# Operations that are over before a kill, at most: four threads go on meanwhile, and are anywhere in the next ones.
MOST_BEFORE_KILL = 40


@pytest.fixture
def before_statements(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What is called before every statement that SQLite executes."""
    called, connect = list[Callable[[], object]](), sqlite3.connect

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda _: [each() for each in called] and None)
        return connection

    for module in (sqlite3, sqlite3.dbapi2):
        monkeypatch.setattr(module, "connect", traced)
    return called


def cut_everywhere(folder: Path, kind: str, before: list[Callable[[], object]]) -> list[tuple[bool, int]]:
    """Of an operation that dies before each of its statements, after a restart: whether it is done, how many lines."""
    place, copies = Place(folder / "work", kind), list[Path]()

    def copy() -> None:  # in a process of its own: closing a file would give up this one's locks
        copies.append(folder / str(len(copies)))
        subprocess.run(["/bin/cp", "-a", folder / "work", copies[-1]], check=True)

    place.do("old")
    before.append(copy)
    place.do("new")
    before.clear()
    place.close()
    found = []
    for each in (*copies, folder / "work"):
        again = Place(each, kind)
        assert again.targets()[0] == "old"
        found.append(("new" in again.changes(), again.targets().count("new")))
        again.close()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_that_is_cut_at_any_statement_has_its_line_or_neither(
    tmp_path: Path, before_statements: list[Callable[[], object]], kind: str
) -> None:
    found = cut_everywhere(tmp_path, kind, before_statements)
    assert set(found) == {(False, 0), (True, 1)}
    assert len(found) > 15


def test_control_without_the_outbox_a_line_is_lost_and_without_ids_it_is_there_twice(
    tmp_path: Path, before_statements: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def line_after(outbox: Outbox, change: Any, by: AuditEntry, **options: Any) -> Any:
        made = outbox._write(change, **options)
        outbox.audit.append([replace(by, entry_id=uuid.uuid4().hex)])  # type: ignore[union-attr]
        return made

    def without_ids(place: Place, entries: Sequence[AuditEntry]) -> None:
        appended(place, [replace(each, entry_id=uuid.uuid4().hex) for each in entries])

    appended = Place.append
    with monkeypatch.context() as control:
        control.setattr(Outbox, "commit", line_after)
        assert (True, 0) in cut_everywhere(tmp_path / "after", "documents", before_statements)
    monkeypatch.setattr(Place, "append", without_ids)
    assert (True, 2) in cut_everywhere(tmp_path / "twice", "documents", before_statements)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("engine", "kind"), [*(("sqlite", kind) for kind in KINDS), ("postgresql", "series")], indirect=["engine"]
)
def test_changes_and_lines_match_one_to_one_after_kills_at_random_moments(tmp_path: Path, kind: str) -> None:
    chance, told = random.Random(kind), list[str]()  # noqa: S311 - operations to kill after, the same in every run
    command = [sys.executable, "-m", "tests.fault.audit_runner", kind, str(tmp_path)]
    for _ in range(effort(2, 30)):
        with killed_process(command, stdout=subprocess.PIPE, text=True) as process:
            told += [process.readline().strip() for _ in range(chance.randint(1, MOST_BEFORE_KILL))]
            process.send_signal(signal.SIGKILL)
            told += [line.strip() for line in process.stdout if line.endswith("\n")]
        place = Place(tmp_path, kind)
        assert sorted(place.targets()) == place.changes()
        assert set(told) <= set(place.changes())
        assert place.records.read(audit_rows.verify).broken_at is None
        place.close()
