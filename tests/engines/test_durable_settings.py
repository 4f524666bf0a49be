# SPDX-License-Identifier: Apache-2.0
"""What no kill -9 can show: that a commit is forced to the disk, and a new name with it. Read and recorded instead.

After kill -9 the kernel still writes what it was given; only a power cut forgets it. So these tests ask each writer what
it was set to, and note the order in which files, names and folders are forced out.
"""

from __future__ import annotations

import gc
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import running_service

from armillary.engines.flash.file import FileFlash
from armillary.engines.root_of_trust import private_file

FULL = 2
CONNECT = sqlite3.connect


def test_every_writer_of_a_whole_service_forces_its_commits_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each open connection to a file that may write has ``synchronous=FULL``, whoever opens the next."""
    opened: list[tuple[str, sqlite3.Connection]] = []

    def connect(database: Any, *arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = CONNECT(database, *arguments, **{**options, "check_same_thread": False})
        opened.append((str(database), connection))
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", connect)  # type: ignore[attr-defined]  # where SQLAlchemy looks
    seen: dict[str, set[int]] = {}
    with running_service(tmp_path, broker_port="0", applications=True) as running:
        platform = running.platform
        rule = {"name": "r", "conditions": [{"telemetry": "t", "op": ">", "value": 1}]}
        export = {"name": "e", "source": "telemetry", "destination": {"kind": "file"}}
        job = {"name": "j", "group": "g", "action": {"kind": "set-property", "properties": {"a": 1}}}
        for kind, document in (("rule", rule), ("export", export), ("group", {"name": "g"}), ("job", job)):
            platform.documents.put(kind, kind[0], document, by="t")
        platform.rules.store()
        assert platform.jobs.store is not None
        assert platform.exports.store is not None
        for database, connection in opened:
            try:
                if connection.execute("PRAGMA query_only").fetchone()[0]:
                    continue
                (level,) = connection.execute("PRAGMA synchronous").fetchone()
            except sqlite3.ProgrammingError:  # closed meanwhile
                continue
            seen.setdefault(Path(database).name, set()).add(level)
    opened.clear()
    gc.collect()
    assert {"records.db", "hub.db", "broker.db", "application.db", "rules.db", "jobs.db", "exports.db"} <= set(seen)
    assert seen == {name: {FULL} for name in seen}


class Order:
    """What is forced out, and what gets and loses a name, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        sync, rename, unlink = os.fsync, Path.rename, Path.unlink

        def synced(descriptor: int) -> None:
            self.seen.append(f"sync {Path('/proc/self/fd', str(descriptor)).readlink().name}")
            sync(descriptor)

        def renamed(path: Path, target: Any) -> Path:
            self.seen.append(f"rename {path.name} {Path(target).name}")
            return rename(path, target)

        def unlinked(path: Path, missing_ok: bool = False) -> None:
            self.seen.append(f"unlink {path.name}")
            unlink(path, missing_ok=missing_ok)

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(Path, "rename", renamed)
        monkeypatch.setattr(Path, "unlink", unlinked)


def test_a_secret_is_on_the_disk_before_its_name_and_its_name_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "daa"
    folder.mkdir()
    order = Order(monkeypatch)
    private_file.replace_private(folder / "secret", b"x")
    assert order.seen == ["unlink secret.new", "sync secret.new", "rename secret.new secret", "sync daa"]


def test_flash_forces_out_content_names_and_removals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flash = FileFlash(tmp_path / "flash")
    order = Order(monkeypatch)
    flash.write("a/one", b"x")
    assert order.seen == []
    flash.sync("a/one")
    assert order.seen == ["sync one", "sync a", "sync flash"]
    order.seen.clear()
    flash.rename("a/one", "b/two")
    assert order.seen == ["rename one two", "sync b", "sync a"]
    order.seen.clear()
    flash.remove("b/two")
    assert order.seen == ["unlink two", "sync b"]
    order.seen.clear()
    flash.remove("b/two")  # absent already
    assert order.seen == ["unlink two"]
