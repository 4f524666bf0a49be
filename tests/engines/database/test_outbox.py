# SPDX-License-Identifier: Apache-2.0
"""Audit entries of a store: kept with their change, moved in order and once, left while the audit log takes none."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fault.audit_runner import KINDS, Place

from armillary.engines.database import outbox
from armillary.engines.database.outbox import AuditEntry, Outbox
from armillary.engines.documents.store import Put
from armillary.errors import ConflictError, DatabaseUnavailableError, HostError


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, "documents")
    yield made
    made.close()


def test_a_line_says_who_did_what_when_and_what_came_of_it_and_what_changed_nothing_has_none(place: Place) -> None:
    puts = [Put("group", name, {}) for name in ("x", "y")]
    entry = AuditEntry("ann", "group.put", "both", lambda made: {"n": [each.version for each in made], "ü": "ü"})
    assert {each.changed_by for each in place.store.change(puts, by=entry)} == {"ann"}
    with pytest.raises(ConflictError):
        place.store.put("group", "a", {}, by=entry, if_match="d-77")
    place.store.put("group", "b", {}, by=AuditEntry("t", "o", "b", lambda _: None))
    (line,) = place.lines()
    assert (line.number, line.at, line.actor, line.operation, line.target) == (1, 7, "ann", "group.put", "both")
    assert line.detail == {"n": [1, 1], "ü": "ü"}


def test_lines_wait_in_order_while_the_audit_log_takes_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOVED_AT_ONCE", 2)
    monkeypatch.setattr(outbox, "MAX_WAITING", 3)
    place.is_away = True
    for name in ("c", "b", "a"):
        place.do(name)
    assert (place.changes(), place.targets(), place.audit.drain()) == (["a", "b", "c"], [], 3)
    with pytest.raises(HostError, match="3 wait for it: nothing was changed"):
        place.do("d")
    with pytest.raises(HostError), place.store.outbox.held():
        pytest.fail("its effects would be there before the refusal")
    place.store.outbox.commit(lambda _: None, "t")  # what has no line is not held up
    assert place.changes() == ["a", "b", "c"]
    place.is_away = False
    assert place.audit.drain() == 0
    assert place.targets() == ["c", "b", "a"]


def test_several_commits_have_one_line_that_says_how_far_they_came(place: Place, tmp_path: Path) -> None:
    box, entry = place.store.outbox, AuditEntry("t", "o", "all", lambda made: {"n": made})
    with box.held() as entry_id:
        for each in (1, 2):
            box.commit(lambda _, each=each: each, replace(entry, entry_id=entry_id))
        box.note(AuditEntry("t", "o", "other", {}))
        assert place.targets() == ["other"]
    assert place.targets() == ["other", "all"]
    with box.held() as entry_id:
        box.commit(lambda _: 3, replace(entry, entry_id=entry_id))
        place.close()  # the process ends here
    again = Place(tmp_path, "documents")
    assert [(line.target, line.detail) for line in again.lines()[1:]] == [("all", {"n": 2}), ("all", {"n": 3})]
    again.close()


def test_a_deletion_that_comes_after_its_commit_timed_out_hits_no_newer_entry(place: Place) -> None:
    box, late = place.store.outbox, list[Callable[[Any], object]]()

    def write(change: Callable[[Any], object]) -> None:
        late.append(change)
        raise TimeoutError

    box._write(box.with_entry(lambda _: None, AuditEntry("t", "o", "a", {})))
    slow = Outbox(place.audit, box.read, write)
    slow.move()
    assert (place.targets(), len(late)) == (["a"], 2)
    box._write(late[0])
    box._write(box.with_entry(lambda _: None, AuditEntry("t", "o", "b", {})))
    box._write(late[1])
    box.move()
    assert place.targets() == ["a", "b"]


def test_a_change_stands_although_its_entry_cannot_be_read_and_is_counted_as_waiting(place: Place) -> None:
    def read(_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    box = Outbox(place.audit, read, place.store.outbox._write)
    assert box.commit(lambda _: 7, AuditEntry("t", "o", "a", {})) == 7
    assert (place.audit.drain(), place.targets()) == (1, [])
    place.store.outbox.move()
    assert place.targets() == ["a"]


def test_what_changes_no_database_is_audited_while_one_of_the_two_takes_nothing(place: Place) -> None:
    def write(_: object) -> None:
        raise DatabaseUnavailableError("it does not answer")

    box, without_database = place.store.outbox, Outbox(place.audit, place.store.outbox.read, write)
    without_database.note(AuditEntry("t", "o", "a", {}))
    assert place.targets() == ["a"]
    place.is_away = True
    box.note(AuditEntry("t", "o", "b", {}))
    with pytest.raises(DatabaseUnavailableError):
        without_database.note(AuditEntry("t", "o", "refused", {}))
    place.is_away = False
    box.note(AuditEntry("t", "o", "c", {}))
    assert place.targets() == ["a", "b", "c"]


@pytest.mark.parametrize("kind", KINDS)
def test_moving_ends_although_the_store_is_closed(tmp_path: Path, kind: str) -> None:
    place = Place(tmp_path, kind)
    place.close()
    mover = threading.Thread(target=place.store.outbox.move, daemon=True)
    mover.start()
    mover.join(20)
    assert not mover.is_alive()


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_of_before_gets_its_outbox(tmp_path: Path, kind: str) -> None:
    Place(tmp_path, kind).close()
    (database,) = set(tmp_path.glob("*.db")) - {tmp_path / "records.db"}
    with contextlib.closing(sqlite3.connect(database)) as of_before:
        of_before.execute("DROP TABLE audit_outbox")
    place = Place(tmp_path, kind)
    place.do("a")
    assert (place.changes(), place.targets()) == (["a"], ["a"])
    place.close()
