# SPDX-License-Identifier: Apache-2.0
"""Operations with audit entries on each kind of store.

``audit_runner.py KIND FOLDER``: four threads at work until it is killed; prints each name whose operation is over.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import structlog
from tests.postgresql import database_of

from armillary.engines.database.outbox import AuditEntry, AuditOutboxes
from armillary.engines.documents.store import DocumentStore
from armillary.engines.exports.store import ExportStore
from armillary.engines.jobs.store import JobStore
from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.schema.rows import AuditLine
from armillary.engines.records.store import Records
from armillary.engines.rules.store import RuleStore
from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore
from armillary.errors import DataFolderError

# Of each kind of store: how it is opened, a change of an operation by name, and where that is seen.
KINDS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "documents": (partial(DocumentStore, clock=time.time), "", "SELECT id FROM document"),
    "jobs": (
        JobStore,
        "INSERT INTO run (job_id, definition, state, begun_by, started_ms) VALUES (?, '{}', 'running', 't', 1)",
        "SELECT job_id FROM run",
    ),
    "rules": (RuleStore, "INSERT INTO secret VALUES (?, '', '')", "SELECT rule_id FROM secret"),
    "exports": (ExportStore, "INSERT INTO secret VALUES (?, '')", "SELECT export_id FROM secret"),
    "series": (
        lambda folder, audit: SeriesStore(
            folder, retention=Retention(), listener=lambda *_: None, database=database_of(folder), audit=audit
        ),
        "INSERT INTO twin VALUES (?, '{}')",
        "SELECT device_id FROM twin",
    ),
}


class Place:
    """One store of a kind, and the records, in a folder. The audit log takes nothing while it ``is_away``."""

    def __init__(self, folder: Path, kind: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.kind, self.is_away = kind, False
        self.records = Records.open(folder / "records.db", fresh=not (folder / "records.db").exists())
        self.audit = AuditOutboxes(self.append, lambda: 7)
        make, self._change, self._changes = KINDS[kind]
        self.store: Any = make(folder, audit=self.audit)

    def append(self, entries: Sequence[AuditEntry]) -> None:
        if self.is_away:
            raise DataFolderError("the disk refuses", remedy="Wait.")
        self.records.write(lambda c: audit_rows.append(c, *entries))

    def do(self, name: str) -> None:
        """One operation with its entry."""
        entry = AuditEntry("t", "thing.put", name, {})
        if self.kind == "documents":
            self.store.put("group", name, {}, by=entry)
        else:
            self.store.outbox.commit(lambda c: c.execute(self._change, (name,)), entry)

    def changes(self) -> list[str]:
        """Names of the operations whose change is there, in alphabetical order."""
        return sorted(row[0] for row in self.store.outbox.read(lambda c: c.execute(self._changes).fetchall()))

    def lines(self, limit: int = 100_000) -> list[AuditLine]:
        """The newest lines of the audit log, oldest first."""
        return list(reversed(self.records.read(lambda c: audit_rows.page(c, limit=limit, before=None)).items))

    def targets(self) -> list[str]:
        """What each line is of."""
        return [line.target for line in self.lines()]

    def close(self) -> None:
        self.store.close(*((0,) if self.kind == "series" else ()))
        self.records.close()


def work(kind: str, folder: Path) -> None:
    """See the head of this file."""
    place, life, out = Place(folder, kind), time.time_ns(), threading.Lock()

    def thread(number: int) -> None:
        for each in count():
            name = f"n{life}-{number}-{each}"
            place.do(name)
            assert name in [line.target for line in place.lines(20)]  # whoever changed something finds its line
            with out:
                print(name, flush=True)

    for number in range(4):
        threading.Thread(target=thread, args=(number,)).start()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    work(sys.argv[1], Path(sys.argv[2]))
