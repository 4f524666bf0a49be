# SPDX-License-Identifier: Apache-2.0
"""Exported applications in zip files: what is packed comes back; what a stranger made is refused, whatever it says."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.export import application_archive as archive
from armillary.wire.export.application_archive import (
    check_manifest,
    decode_manifest,
    make_manifest,
    pack_zip,
    unpack_zip,
)

kinds = st.sampled_from(["group", "job", "rule", "template"])
ids = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda text: ".." not in text)
paths = st.tuples(kinds, ids).map(lambda pair: f"{pair[0]}/{pair[1]}.json")


@given(st.dictionaries(paths, st.binary(max_size=200), max_size=8))
def test_what_is_packed_comes_back_and_is_the_same_each_time(files: dict[str, bytes]) -> None:
    packed = pack_zip(files)
    assert unpack_zip(packed) == files
    assert pack_zip(dict(reversed(files.items()))) == packed


GOOD = pack_zip({"group/a.json": b'{"name": "a"}', "application.json": b"{}", "job/b.json": b"{}" * 50})


@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 60)
)
def test_a_damaged_archive_is_refused_or_read_and_nothing_else(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(GOOD)
    for place, value in changes:
        data[place] = value
    try:
        found = unpack_zip(bytes(data[: len(data) - cut]))
    except WireError:
        return
    assert sum(map(len, found.values())) <= archive.MAX_TOTAL_BYTES


@given(st.binary(max_size=300))
def test_anything_else_is_no_archive(data: bytes) -> None:
    with pytest.raises(WireError):
        unpack_zip(data)


def zipped(*members: tuple[str, bytes], change: Callable[[zipfile.ZipInfo], None] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if change is not None:
                change(info)
            made.writestr(info, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "path",
    [
        "../x.json",
        "a/../../x",
        "/etc/passwd",
        "group//x.json",
        "./x",
        "c:/x",
        "a\\b",
        "a\x01",
        "group/..",
        "x" * 300,
        "a?",
    ],
)
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(WireError, match="inside the archive"):
        unpack_zip(zipped((path, b"x")))
    with pytest.raises(WireError):
        pack_zip({path: b"x"})


def link(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def pipe(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFIFO | 0o644) << 16


@pytest.mark.parametrize("change", [link, pipe])
def test_links_and_pipes_are_refused(change: Callable[[zipfile.ZipInfo], None]) -> None:
    with pytest.raises(WireError, match="ordinary files"):
        unpack_zip(zipped(("group/a.json", b"/etc/passwd"), change=change))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("other", ["group/a.json", "group/A.json"])
def test_the_same_place_twice_is_refused(other: str) -> None:
    with pytest.raises(WireError, match="each path once"):
        unpack_zip(zipped(("group/a.json", b"1"), (other, b"2")))


def test_a_bomb_is_refused_before_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped(*((f"group/{number}.json", bytes(2 << 20)) for number in range(40)))
    assert len(bomb) < 200_000
    with pytest.raises(WireError, match="together"):
        unpack_zip(bomb)
    with pytest.raises(WireError, match="a file"):
        unpack_zip(zipped(("group/a.json", bytes((2 << 20) + 1))))
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    with pytest.raises(WireError, match="at most 3 files"):
        unpack_zip(zipped(*((f"group/{number}.json", b"") for number in range(4))))
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", 10)
    with pytest.raises(WireError, match="at most 10 bytes"):
        unpack_zip(GOOD)


def test_what_a_member_announces_is_not_believed() -> None:
    honest = zipped(("group/a.json", bytes((2 << 20) + 10)))
    at = honest.rindex(b"PK\x01\x02") + 24  # the size in the directory
    lying = honest[:at] + (100).to_bytes(4, "little") + honest[at + 4 :]
    try:
        found = unpack_zip(lying)
    except WireError:
        return
    assert len(found["group/a.json"]) <= archive.MAX_FILE_BYTES


def test_encrypted_and_odd_methods_are_refused() -> None:
    data = bytearray(zipped(("group/a.json", b"x")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(WireError, match="not encrypted"):
        unpack_zip(bytes(data))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as made:
        made.writestr("group/a.json", b"x" * 100)
    with pytest.raises(WireError, match="stored or deflated"):
        unpack_zip(buffer.getvalue())


def test_the_manifest_says_what_is_understood() -> None:
    made = make_manifest({"rule": 1, "group": 1}, made_by="armillary 0")
    assert decode_manifest(archive.encode_manifest(made)) == made
    for bad in (
        [], {}, {"format": 2, "kinds": {}}, {"format": 1, "kinds": []}, {"format": 1, "kinds": {"rule": 2}},
        {"format": 1, "kinds": {"rule": True}}, {**made, "more": 1},
    ):  # fmt: skip
        with pytest.raises(WireError):
            check_manifest(bad)
    with pytest.raises(WireError):
        decode_manifest(b"{")
    assert json.loads(archive.encode_manifest(made))["format"] == 1
