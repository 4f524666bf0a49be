# SPDX-License-Identifier: Apache-2.0
"""Archives of records: bombs, damage, encryption and directories without end are refused, odd records one by one."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import pytest

from armillary.errors import AdvisoryError
from armillary.wire.advisory import osv, osv_archive
from armillary.wire.advisory.osv_archive import ArchivedRecord, RefusedRecord, read_archive

GOOD = json.dumps({"id": "A-1", "modified": "2026-01-31T12:00:00Z"}).encode()
YAML = b"id: A-2\nmodified: 2026-01-31T12:00:00Z\n"


def archive(*members: tuple[str, bytes], comment: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)
        file.comment = comment
    return made.getvalue()


def read(data: bytes) -> list[ArchivedRecord | RefusedRecord]:
    return list(read_archive(io.BytesIO(data)))


def test_records_are_read_in_order_and_others_passed_over() -> None:
    found = read(archive(("A-1.json", GOOD), ("README.md", b"x"), ("vulns/x/A-2.yaml", YAML), comment=b"c" * 500))
    assert [each.advisory.id for each in found if isinstance(each, ArchivedRecord)] == ["A-1", "A-2"]
    assert found[0] == ArchivedRecord(found[0].advisory, GOOD)  # type: ignore[union-attr]


def test_a_record_that_is_none_is_refused_alone() -> None:
    found = read(archive(("bad.json", b"{}"), ("worse.yml", b"a: *b"), ("A-1.json", GOOD)))
    assert isinstance(found[0], RefusedRecord)
    assert isinstance(found[1], RefusedRecord)
    assert "id: text" in found[0].reason
    assert "aliases" in found[1].reason
    assert isinstance(found[2], ArchivedRecord)


def test_a_bomb_is_read_up_to_the_limit_of_a_record_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osv_archive, "MAX_BYTES", 10_000)
    monkeypatch.setattr(osv, "MAX_BYTES", 10_000)
    bomb = archive(("bomb.json", b" " * 50_000_000), ("A-1.json", GOOD))
    assert len(bomb) < 60_000
    refused, good = read(bomb)
    assert isinstance(refused, RefusedRecord)
    assert "at most 10000 bytes, got 10001 bytes" in refused.reason
    assert isinstance(good, ArchivedRecord)
    monkeypatch.setattr(osv_archive, "MAX_UNPACKED_BYTES", 10_030)
    with pytest.raises(AdvisoryError, match="at most 10030 bytes unpacked"):
        read(bomb)


@pytest.mark.parametrize("large", [False, True])
def test_a_directory_without_end_is_refused_before_it_is_read(large: bool) -> None:
    size = osv_archive.MAX_DIRECTORY_BYTES + 1
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, 0xFFFFFFFF if large else size, 0, 0)
    if large:
        record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 0, 0, size, 0)
        end = record + struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1) + end
    with pytest.raises(AdvisoryError, match="a directory of at most 67108864 bytes, got 67108865 bytes"):
        read(end)


def test_a_large_archive_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # so that it is written in the form of large ones
    data = archive(*((f"{number}.json", GOOD) for number in range(5)))
    assert b"PK\x06\x06" in data
    assert len(read(data)) == 5


@pytest.mark.parametrize("length", [0, 1, 21, 60])
def test_what_is_no_archive_is_refused(length: int) -> None:
    with pytest.raises(AdvisoryError, match="a zip archive"):
        read(archive(("A-1.json", GOOD))[:length])


def test_damage_anywhere_is_a_refusal_or_the_same_records() -> None:
    whole = archive(("A-1.json", GOOD), ("A-2.yaml", YAML))
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        try:
            found = read(bytes(damaged))
        except AdvisoryError:
            continue
        assert all(isinstance(each, (ArchivedRecord, RefusedRecord)) for each in found)


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(archive(("A-1.json", GOOD)))
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1
    with pytest.raises(AdvisoryError, match="not encrypted"):
        read(bytes(data))
