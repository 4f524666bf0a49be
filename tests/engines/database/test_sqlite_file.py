# SPDX-License-Identifier: Apache-2.0
"""A store's file: what is made, brought up to date and refused; and its transactions, from many threads."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from armillary.engines.database.port import Connection
from armillary.engines.database.sqlite_file import Layout, SqliteFile, open_file
from armillary.engines.database.transactions import Transactions, transaction
from armillary.errors import DataFolderError

FIRST = Layout(0x41726D54, 1, "CREATE TABLE word (text TEXT NOT NULL) STRICT;")


@pytest.fixture
def words(tmp_path: Path) -> Iterator[Transactions]:
    opened = open_file(tmp_path / "words.db", FIRST, "the words")
    yield opened
    opened.close()


def add(word: str) -> Any:
    return lambda connection: connection.execute("INSERT INTO word VALUES (?)", (word,))


def kept(database: Transactions) -> list[str]:
    return database.read(lambda connection: [row[0] for row in connection.execute("SELECT text FROM word")])


def test_a_file_is_its_owners_and_keeps_what_was_written(words: Transactions, tmp_path: Path) -> None:
    words.write(add("one"))
    assert (tmp_path / "words.db").stat().st_mode & 0o777 == 0o600
    words.close()
    assert not (tmp_path / "words.db-wal").exists(), "a file that is closed is complete without its log"
    again = open_file(tmp_path / "words.db", FIRST, "the words")
    assert kept(again) == ["one"]
    again.close()


def test_each_version_is_brought_to_the_next(words: Transactions, tmp_path: Path) -> None:
    words.write(add("one"))
    words.close()

    def third(connection: Connection) -> None:
        with transaction(connection, "BEGIN EXCLUSIVE"):
            connection.execute("UPDATE word SET text = text || '!'")
            connection.execute("PRAGMA user_version=3")

    upgrades = {1: "UPDATE word SET text = text || ' two';", 2: third}
    newest = Layout(
        FIRST.application_id, 3, "", upgrades, additions="CREATE TABLE IF NOT EXISTS more (x INTEGER) STRICT;"
    )
    for _ in range(2):  # brought up to date, then as it is
        opened = open_file(tmp_path / "words.db", newest, "the words")
        assert kept(opened) == ["one two!"]
        assert opened.read(lambda connection: connection.execute("SELECT count(*) FROM more").fetchone()) == (0,)
        opened.close()
    with pytest.raises(DataFolderError, match="expected schema version 1, got 3"):
        open_file(tmp_path / "words.db", FIRST, "the words")


def test_files_that_are_not_ours_are_refused_and_left_alone(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE x (y)")
    (tmp_path / "garbage.db").write_bytes(b"no database" * 500)
    for name, words in (("other.db", "another program"), ("garbage.db", "damaged"), ("none/x.db", "cannot be opened")):
        with pytest.raises(DataFolderError, match=words):
            open_file(tmp_path / name, FIRST, "the words")
    assert (tmp_path / "garbage.db").read_bytes() == b"no database" * 500


def test_a_change_that_fails_leaves_nothing(words: Transactions) -> None:
    def failing(connection: Connection) -> None:
        add("lost")(connection)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        words.write(failing)
    words.write(add("one"))
    assert kept(words) == ["one"]
    with pytest.raises(sqlite3.OperationalError, match="no such table"):  # a fault of ours stays what it is
        words.read(lambda connection: connection.execute("SELECT * FROM nowhere"))


def test_a_disk_that_refuses_is_explained(words: Transactions) -> None:
    words.write(lambda connection: connection.execute("PRAGMA max_page_count=1"))
    with pytest.raises(DataFolderError, match=r"the words cannot be written .*full"):
        words.write(add("x" * 100_000))
    words.write(lambda connection: connection.execute("PRAGMA max_page_count=1000000"))
    words.write(add("one"))
    assert kept(words) == ["one"]


def test_a_read_does_not_wait_for_a_change_and_sees_what_was_committed(words: Transactions) -> None:
    words.write(add("one"))
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        add("two")(connection)
        begun.set()
        assert go_on.wait(30)

    changing = threading.Thread(target=words.write, args=(slow,))
    changing.start()
    assert begun.wait(30)
    assert kept(words) == ["one"]
    go_on.set()
    changing.join(30)
    assert kept(words) == ["one", "two"]


def test_who_listens_hears_of_each_change_after_its_commit_and_in_their_order(words: Transactions) -> None:
    heard: list[list[str]] = []

    def several(name: str) -> None:
        for number in range(20):
            words.write(add(f"{name}{number}"), committed=lambda _: heard.append(kept(words)))

    threads = [threading.Thread(target=several, args=(name,)) for name in "ab"]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert heard == [kept(words)[: count + 1] for count in range(40)]


def test_a_closed_database_says_so(words: Transactions) -> None:
    for _ in range(2):
        words.close()
    for ask in (lambda: words.write(add("late")), lambda: kept(words)):
        with pytest.raises(DataFolderError, match="the words: closed"):
            ask()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    storage = SqliteFile(tmp_path / "words.db", FIRST, "the words")
    reader = storage.open_reader()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        add("one")(reader)
    reader.close()
    storage.close_writer()
