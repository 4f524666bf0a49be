# SPDX-License-Identifier: Apache-2.0
"""A disk that is full or a database that is damaged: explained, nothing half kept, and well again with room."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from armillary.engines.durable import write_file
from armillary.engines.records.store import Records
from armillary.errors import ConflictError, DataFolderError


@contextmanager
def no_room() -> Iterator[None]:
    """No file of this process grows beyond what it is; the system says so as it says that a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    opened = Records.open(tmp_path / "records.db", fresh=True)
    opened.write(lambda c: c.execute(text("CREATE TABLE note (words TEXT UNIQUE)")))
    yield opened
    opened.close()


def note(records: Records, words: str) -> None:
    records.write(lambda c: c.execute(text("INSERT INTO note VALUES (:w)"), {"w": words}))


def notes(records: Records) -> set[str]:
    return records.read(lambda c: {row.words for row in c.execute(text("SELECT words FROM note"))})


def test_a_write_without_room_is_explained_and_works_again_with_room(records: Records) -> None:
    note(records, "before")
    with no_room(), pytest.raises(DataFolderError, match="cannot be written") as refused:
        note(records, "x" * 100_000)
    assert refused.value.remedy
    assert notes(records) == {"before"}
    note(records, "after")
    assert notes(records) == {"before", "after"}
    with pytest.raises(ConflictError):
        note(records, "after")


def test_a_fault_of_ours_is_not_blamed_on_the_disk(records: Records) -> None:
    with pytest.raises(Exception, match="no such table"):
        records.read(lambda c: c.execute(text("SELECT * FROM nowhere")).all())
    with pytest.raises(Exception, match="no such table"):
        records.write(lambda c: c.execute(text("INSERT INTO nowhere VALUES (1)")))


def test_a_database_that_is_damaged_while_it_is_open_is_explained(tmp_path: Path) -> None:
    opened = Records.open(tmp_path / "records.db", fresh=True)
    opened.close()
    path = tmp_path / "records.db"
    whole = bytearray(path.read_bytes())
    whole[4096:] = b"\xff" * (len(whole) - 4096)
    whole[100:108] = b"\xff" * 8
    path.write_bytes(bytes(whole))
    with pytest.raises(DataFolderError) as refused:
        Records.open(path, fresh=False).read(lambda c: c.execute(text("SELECT * FROM catalog")).all())
    assert "backup" in refused.value.remedy


def test_records_say_whether_they_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    Records.open(path, fresh=True).close()
    records = Records.open(path, fresh=False)
    whole = path.read_bytes()
    path.write_bytes(b"\xff" * len(whole))
    assert not records.is_readable()
    path.write_bytes(whole)
    assert records.is_readable()
    records.close()


def test_a_file_without_room_leaves_nothing_of_itself(tmp_path: Path) -> None:
    with no_room(), pytest.raises(DataFolderError) as refused:
        write_file(tmp_path / "image", b"x" * 10_000, mode=0o600)
    assert refused.value.remedy
    assert list(tmp_path.iterdir()) == []
    write_file(tmp_path / "image", b"x" * 10_000, mode=0o600)


def test_a_first_start_without_room_says_so(tmp_path: Path) -> None:
    with no_room(), pytest.raises(DataFolderError, match="cannot be written") as refused:
        Records.open(tmp_path / "records.db", fresh=True)
    assert "free space" in refused.value.remedy
