# SPDX-License-Identifier: Apache-2.0
"""Operations with audit entries on each kind of store.

``audit_runner.py KIND FOLDER``: four threads at work until it is killed; prints each name whose operation is over.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import structlog
from tests.postgresql import database_of

from armillary.engines.database.outbox import AuditEntry, AuditOutboxes
from armillary.engines.documents.store import DocumentStore
from armillary.engines.exports.store import ExportStore
from armillary.engines.hub.twins import changed_twin
from armillary.engines.jobs.store import JobStore
from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.schema.rows import AuditLine
from armillary.engines.records.store import Records
from armillary.engines.rules.store import RuleStore
from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore
from armillary.twin.document.document import patch_tags

KINDS = ("documents", "jobs", "rules", "exports", "series")
# What an operation changes, and where it is seen.
CHANGES = {
    "documents": "SELECT id FROM document",
    "jobs": "SELECT job_id FROM run",
    "rules": "SELECT rule_id FROM secret",
    "exports": "SELECT export_id FROM secret",
    "series": "SELECT device_id FROM twin",
}
SECRET = {"rules": "INSERT INTO secret VALUES (?, '', '')", "exports": "INSERT INTO secret VALUES (?, '')"}


class Place:
    """One store of a kind, and the records, in a folder."""

    def __init__(self, folder: Path, kind: str) -> None:
        folder.mkdir(exist_ok=True)
        self.kind = kind
        self.records = Records.open(folder / "records.db", fresh=not (folder / "records.db").exists())
        self.audit = AuditOutboxes(self.append, lambda: 7)
        self.store: Any
        if kind == "documents":
            self.store = DocumentStore(folder, clock=time.time, audit=self.audit)
        elif kind == "series":
            hub: dict[str, Any] = {"retention": Retention(), "listener": None, "database": database_of(folder)}
            self.store = SeriesStore(folder, audit=self.audit, **hub)
        else:
            self.store = {"jobs": JobStore, "rules": RuleStore, "exports": ExportStore}[kind](folder, self.audit)

    def append(self, entries: Sequence[AuditEntry]) -> None:
        self.records.write(lambda c: audit_rows.append_once(c, entries))

    def do(self, name: str) -> None:
        """One operation with its entry."""
        entry = AuditEntry("t", "thing.put", name, {"kind": self.kind})
        if self.kind == "documents":
            self.store.put("group", name, {"name": name}, by=entry)
        elif self.kind == "jobs":
            options: dict[str, Any] = {"catalog": None, "batch_size": 1, "by": "t", "due": None, "now_ms": 1}
            self.store.begin(name, {}, [], entry=entry, **options)
        elif self.kind == "series":
            self.store.outbox.commit(changed_twin(name, lambda twin: patch_tags(twin, {"a": 1}), now_ms=1), entry)
        else:
            self.store.outbox.commit(lambda c: c.execute(SECRET[self.kind], (name,)), entry)

    def changes(self) -> list[str]:
        """Names of the operations whose change is there, in alphabetical order."""
        read = self.store.read if self.kind == "series" else self.store._database.read
        return sorted(row[0] for row in read(lambda c: c.execute(CHANGES[self.kind]).fetchall()))

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
