# SPDX-License-Identifier: Apache-2.0
"""Audit entries of a store: kept with their change, moved in order and once, left while the audit log takes none."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fault.audit_runner import KINDS, Place

from armillary.engines.database import outbox
from armillary.engines.database.outbox import AuditEntry
from armillary.engines.documents.store import Put
from armillary.errors import ConflictError, HostError


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
