# SPDX-License-Identifier: Apache-2.0
"""`armillary image flash` asks before it erases, and refuses a slip before anything is written."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import get_args

import pytest
from tests.e2e.armillary_processes import armillary_here

from armillary.cli.device_image import flash
from armillary.device_image import disk as disk_image, tools
from armillary.device_image.flashing import loader, target
from armillary.device_image.flashing.boards import BOARDS, Board
from armillary.device_image.flashing.target import Target
from armillary.device_image.flashing.writing import Piece
from armillary.errors import InvalidArgumentError

pytestmark = pytest.mark.skipif(
    bool(tools.missing({"mke2fs": "e2fsprogs"})), reason="no mke2fs; to enable: sudo apt-get install e2fsprogs"
)
STICK = Target(Path("/dev/sdx"), 31_250_000, "SanDisk Ultra 16.0 GB")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    for name in ("started", "root", "data"):
        (tmp_path / name).write_bytes(name.encode())
    disk_image.write_disk(
        tmp_path / "disk.img", started=tmp_path / "started", root=tmp_path / "root", data=tmp_path / "data"
    )
    (tmp_path / "image.json").write_text('{"architecture": "x86_64"}')
    return tmp_path


def flashed(*words: object) -> tuple[int, str, str]:
    done = armillary_here("image", "flash", *words, env={})
    return done.returncode, done.stdout, done.stderr


def test_a_file_is_written_and_only_replaced_when_that_is_said(image: Path) -> None:
    words = ("--image", image, "--to", image / "card", "--size", "2G", "--json")
    code, said, error = flashed(*words)
    assert (code, json.loads(said)["to"]) == (0, str(image / "card")), error
    assert (image / "card").stat().st_size == 2_000_000_000
    code, _, error = flashed(*words)
    assert code == 1
    assert "card is there already" in error
    assert flashed(*words, "--yes")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("--size", "2x"), 2, "--size: expected a number with M, G, MiB or GiB"),
        (("--size", "10M"), 1, "--size: expected at least"),
        (("--enrolment", "FILE"), 1, "service"),
        (("--loader", "FILE"), 1, "--loader: this board has its firmware on the board, not on the disk"),
        (("--board", "arm64-gateway"), 1, "expected an image of arm64, which arm64-gateway starts, got one of x86_64"),
        (("--board", "a-board"), 2, "is not one of 'x86-gateway', 'arm64-gateway', 'imx8mp-evk'"),
    ],
)
def test_a_slip_is_named_and_nothing_is_written(image: Path, words: tuple[str, ...], code: int, named: str) -> None:
    (image / "told.json").write_text('{"token": "x"}')
    given = [str(image / "told.json") if word == "FILE" else word for word in words]
    found, _, error = flashed("--image", image, "--to", image / "card", *given)
    assert (found, named in error) == (code, True), error
    assert not (image / "card").exists()


def test_a_disk_is_named_by_who_wants_it_erased(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Target] = []

    def write(_disk: Path, chosen: Target, **_: object) -> None:
        written.append(chosen)
        raise InvalidArgumentError("written", remedy="")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(target, "look", lambda _path, **_named: STICK)
    monkeypatch.setattr("armillary.device_image.flashing.writing.write", write)
    words = ("--image", image, "--to", "/dev/null")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert "nobody is there to be asked" in flashed(*words)[2]
    for said in ("y", "SanDisk", "/dev/sdx", ""):
        monkeypatch.setattr(sys, "stdin", Terminal(f"{said}\n"))
        _, _, error = flashed(*words)
        assert "nothing was written" in error
        assert "All that is on /dev/sdx is lost: SanDisk Ultra 16.0 GB." in error
    assert written == []
    monkeypatch.setattr(sys, "stdin", Terminal("SanDisk Ultra 16.0 GB\n"))
    assert "written" in flashed(*words)[2]
    assert "written" in flashed(*words, "--yes")[2]
    assert written == [STICK, STICK]
    assert "is for files" in flashed(*words, "--size", "4G")[2]


def test_a_disk_that_is_not_there_does_not_become_a_file(image: Path) -> None:
    for name in ("/dev/armillary-none", "/dev/disk/by-id/armillary-none"):
        code, _, error = flashed("--image", image, "--to", name, "--yes")
        assert (code, f"--to {name}: expected a disk, found nothing of that name" in error) == (1, True), error
        assert not Path(name).exists()


def test_the_boards_of_the_command_are_those_of_the_table() -> None:
    assert list(get_args(flash.BoardName)) == list(BOARDS)


@pytest.mark.parametrize("board", ["imx8mp-evk", "imx8mp-evk-emmc"])
def test_a_disk_without_its_loader_is_written_and_says_what_it_lacks(image: Path, board: str) -> None:
    (image / "image.json").write_text('{"architecture": "imx8mp"}')
    code, said, error = flashed("--image", image, "--to", image / "card", "--board", board, "--size", "1GiB", "--json")
    assert code == 0, error
    found = json.loads(said)
    assert (found["loader_bytes"], "boot ROM" in found["not_shown"]) == (0, True)
    assert (image / "card").stat().st_size == 1 << 30
    code, said, error = flashed("--image", image, "--to", image / "card", "--board", board, "--yes")
    assert code == 0, error
    for words in (
        "Attention: the disk has no loader. At byte 32,768",
        "Seen in QEMU: ",
        "Seen nowhere: all before U-Boot",
    ):
        assert words in error


def test_a_loader_that_is_the_boards_is_written_into_its_place(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is one is asked of ``loader.py``, which has tests of its own."""

    def looked_at(data: bytes, board: Board, *_: object) -> Piece:
        assert board is BOARDS["imx8mp-evk"]
        return Piece(32_768, data)

    monkeypatch.setattr(loader, "loader_piece", looked_at)
    (image / "image.json").write_text('{"architecture": "imx8mp"}')
    (image / "flash.bin").write_bytes(b"loader" * 1000)
    words = ("--board", "imx8mp-evk", "--loader", image / "flash.bin", "--size", "1GiB")
    code, said, error = flashed("--image", image, "--to", image / "card", *words, "--json")
    assert code == 0, error
    assert json.loads(said)["loader_bytes"] == 6000
    with (image / "card").open("rb") as card:
        card.seek(32_768)
        assert card.read(6000) == b"loader" * 1000
