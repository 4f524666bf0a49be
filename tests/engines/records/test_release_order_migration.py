# SPDX-License-Identifier: Apache-2.0
"""Releases of before the upgrade keep the order that they had; what is published afterwards comes after them."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID

from tests.engines.records.update_play import release

from armillary.engines.records.migrate import upgrade
from armillary.engines.records.queries import releases as release_rows
from armillary.engines.records.store import Records

ADD = "INSERT INTO os_release (release_id, chip, version, feed, created_at, published_at) VALUES (?, ?, ?, 'Retail', ?, ?)"
# Version, when made, when published: a draft too, and two of the same second.
BEFORE = (("26.9", 1, 9), ("26.11", 2, 5), ("26.12", 3, 9), ("27.1", 4, None))


def test_releases_of_before_keep_their_order(tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    upgrade(database, "0049")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as older:
        for number, (version, made, published) in enumerate(BEFORE, 1):
            older.execute(ADD, (bytes([number]).hex() * 16, "mt3620", version, made, published))
    with contextlib.closing(Records.open(database, fresh=False)) as records:

        def versions() -> list[str]:
            return [one.version for one in records.read(lambda c: release_rows.every(c, drafts=True))]

        draft = records.read(lambda c: release_rows.every(c, drafts=True))[0]
        assert versions() == ["27.1", "26.11", "26.12", "26.9"], "a draft stands where it was made"
        assert [one.version for one in records.read(release_rows.every)] == ["26.11", "26.12", "26.9"]
        # By a clock that was set back since.
        new = replace(release(UUID(int=9), "26.10", "Retail"), published_at=1)
        records.write(partial(release_rows.add, release=new))
        records.write(partial(release_rows.change, release=replace(draft, published_at=1), at=1))
        assert versions() == ["26.11", "26.12", "26.9", "26.10", "27.1"]
