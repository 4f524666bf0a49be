# SPDX-License-Identifier: Apache-2.0
"""Dies at every statement of one step: ``python cut_runner.py flush|seal|migrate PRISTINE OUT NOW_MS [EVERY]``.

For each n, or each EVERY-th, OUT/n is a copy of PRISTINE in which a process did the step and ended without a word before its n-th
statement. Prints the last n and one; in that copy the step was finished. A program of its own because it forks, which a
process with threads must not.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import structlog
from tests.postgresql import copied, database_of

from armillary.engines.series.database import migrate
from armillary.engines.series.database.schema import SCHEMA
from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore


class Cutting:
    """A connection that is cut off before its n-th statement."""

    def __init__(self, connection: Any, left: int) -> None:
        self._connection = connection
        self._left = left

    def __getattr__(self, name: str) -> Any:
        if name in ("execute", "executemany"):
            if self._left == 0:
                os._exit(9)
            self._left -= 1
        return getattr(self._connection, name)


def step(kind: str, folder: Path, now_ms: int, cut: int) -> None:
    if kind == "migrate":
        connection = sqlite3.connect(folder / "hub.db", isolation_level=None)
        migrate.from_version_1(Cutting(connection, cut), SCHEMA)  # type: ignore[arg-type]
        os._exit(0)
    store = SeriesStore(folder, retention=Retention(), listener=lambda *_: None, database=database_of(folder))
    while store.decoder.work(1.0):
        pass
    store._writer._connection = Cutting(store._writer._connection, cut)  # type: ignore[assignment]
    if kind == "flush":
        store.commits.submit(store.begin_flush(now_ms)).result()
    else:
        change = store.maintenance.begin(now_ms)
        assert change is not None
        store.commits.submit(change).result()
    os._exit(0)


def main(kind: str, pristine: Path, out: Path, now_ms: int, every: int = 1) -> None:
    cut = 0
    while True:
        shutil.copytree(pristine, out / str(cut))
        copied(pristine, out / str(cut))
        child = os.fork()
        if child == 0:
            step(kind, out / str(cut), now_ms, cut)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != 9:
            assert code == 0
            print(cut + 1)
            return
        cut += every


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), *map(int, sys.argv[4:]))
