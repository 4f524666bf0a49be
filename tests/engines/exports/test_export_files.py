# SPDX-License-Identifier: Apache-2.0
"""Files of JSON lines: whole lines only, rotated, the oldest forgotten when told so; half a line of a crash is cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.engines.exports.files import JsonLines
from armillary.errors import DataFolderError


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in sorted(folder.iterdir())}


def test_lines_are_appended_and_files_rotated(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "x", rotate_bytes=10, keep_files=None)
    for number in range(4):
        lines.append([b"12345", b"%d" % number])
    assert contents(tmp_path / "x") == {
        "000001.jsonl": b"12345\n0\n12345\n1\n",
        "000002.jsonl": b"12345\n2\n12345\n3\n",
    }
    again = JsonLines(tmp_path / "x", rotate_bytes=10, keep_files=2)
    again.append([b"4"])
    assert sorted(contents(tmp_path / "x")) == ["000002.jsonl", "000003.jsonl"]


@pytest.mark.parametrize(
    ("torn", "left"), [(b'{"a":1}\n{"b"', b'{"a":1}\n'), (b'{"a"', b""), (b"x\n", b"x\n"), (b"", b"")]
)
def test_half_a_line_is_cut(tmp_path: Path, torn: bytes, left: bytes) -> None:
    (tmp_path / "000007.jsonl").write_bytes(torn)
    JsonLines(tmp_path, rotate_bytes=1000, keep_files=None).append([b"new"])
    assert contents(tmp_path) == {"000007.jsonl": left + b"new\n"}


def test_a_long_torn_line_is_cut_back_to_the_last_whole_one(tmp_path: Path) -> None:
    (tmp_path / "000001.jsonl").write_bytes(b"good\n" + b"x" * 200_000)
    JsonLines(tmp_path, rotate_bytes=10**6, keep_files=None).append([b"new"])
    assert contents(tmp_path)["000001.jsonl"] == b"good\nnew\n"


def test_a_link_is_not_written_through_and_a_full_disk_is_an_error(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s\n")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "000001.jsonl").symlink_to(secret)
    with pytest.raises(DataFolderError):
        JsonLines(tmp_path / "x", rotate_bytes=1000, keep_files=None).append([b"new"])
    assert secret.read_bytes() == b"s\n"
