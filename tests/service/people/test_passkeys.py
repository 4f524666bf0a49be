# SPDX-License-Identifier: Apache-2.0
"""What a console's second step keeps: bounded questions in memory, codes as hashes, a code of the host's in a file."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from armillary.cli.service.passkey import app
from armillary.errors import DataFolderError
from armillary.identity.recovery_code import code_of, hash_of
from armillary.service.people import pending
from armillary.service.people.host_code import FILE, LIFETIME_S, use_host_code, write_host_code
from armillary.service.people.pending import Pending, PendingTable

NOW = 1_800_000_000


def question(token_id: object = None, begun: int = NOW) -> Pending:
    return Pending(token_id=token_id or uuid4(), challenge=bytes(32), begun=begun)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "format").write_text("armillary-data 1\n")
    return tmp_path


def test_a_question_is_taken_once_and_ends_with_its_time() -> None:
    table = PendingTable()
    table.put("a", question())
    assert table.look("a", NOW) == table.take("a", NOW)
    assert table.take("a", NOW) is None
    for when, stands in ((pending.LIFETIME_S, True), (pending.LIFETIME_S + 1, False), (-1, False)):
        table.put("b", question())
        assert (table.take("b", NOW + when) is not None) is stands


def test_one_token_ends_no_question_of_another() -> None:
    table, mine, other = PendingTable(), question(), question()
    table.put("mine", mine)
    for number in range(pending.MAX_OF_TOKEN + 5):
        table.put(f"other {number}", other)
    assert table.look("mine", NOW) is mine
    assert table.look("other 0", NOW) is None
    assert table.look(f"other {pending.MAX_OF_TOKEN + 4}", NOW) is other
    for number in range(pending.MAX_PENDING):
        table.put(f"{number}", question())
    assert table.look("mine", NOW) is None  # the oldest of all
    assert len(table._open) == pending.MAX_PENDING


def test_a_code_is_known_however_it_is_typed() -> None:
    code = code_of(bytes(range(10)))
    assert [len(each) for each in code.split("-")] == [4, 4, 4, 4]
    assert hash_of(code) == hash_of(f" {code.lower().replace('-', ' ')} ")
    assert hash_of(code) != hash_of(code_of(bytes(10)))


def test_a_code_of_the_host_is_for_once_and_its_file_is_nobody_elses(folder: Path) -> None:
    assert not use_host_code(folder, "", NOW)
    write_host_code(folder, "AAAA-BBBB", NOW)
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert "AAAA" not in (folder / FILE).read_text()
    assert not use_host_code(folder, "AAAA-BBBC", NOW)
    assert not use_host_code(folder, "AAAA-BBBB", NOW + LIFETIME_S + 1)
    write_host_code(folder, "CCCC-DDDD", NOW)
    write_host_code(folder, "AAAA-BBBB", NOW)
    assert not use_host_code(folder, "CCCC-DDDD", NOW)
    assert use_host_code(folder, "aaaabbbb", NOW + LIFETIME_S)
    assert not use_host_code(folder, "AAAA-BBBB", NOW)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"sha256": "zz", "until": 1}', b"[" * 9000])
def test_a_damaged_file_lets_nobody_in(folder: Path, content: bytes) -> None:
    (folder / FILE).write_bytes(content)
    assert not use_host_code(folder, "AAAA-BBBB", NOW)


def test_a_link_in_its_place_is_not_followed(folder: Path) -> None:
    write_host_code(folder, "AAAA-BBBB", NOW)
    (folder / FILE).rename(folder / "elsewhere")
    (folder / FILE).symlink_to(folder / "elsewhere")
    assert not use_host_code(folder, "AAAA-BBBB", NOW)


def test_the_command_prints_a_code_that_the_service_takes(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["recovery-code", "--data", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert use_host_code(folder, found["code"], found["expires_at"])
    refused = CliRunner().invoke(app, ["recovery-code", "--data", str(tmp_path / "absent")])
    assert isinstance(refused.exception, DataFolderError)
    with pytest.raises(DataFolderError):
        write_host_code(tmp_path / "absent", "A", NOW)
