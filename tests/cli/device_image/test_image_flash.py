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
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built image's folder, with small partitions."""
    for name in ("STARTED_BYTES", "ROOT_BYTES", "DATA_BYTES"):
        monkeypatch.setattr(disk_image, name, 8 << 20)
    parts = {name: tmp_path / name for name in ("started", "root", "data")}
    for name, file in parts.items():
        file.write_bytes(name.encode())
    (tmp_path / "image").mkdir()
    disk_image.write_disk(tmp_path / "image/disk.img", **parts)
    describe(tmp_path / "image")
    return tmp_path / "image"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """What is written to: a file."""
    return tmp_path / "card"


def describe(image: Path, **more: object) -> None:
    """Write what the image's disk is."""
    about = {"architecture": "x86_64", "sha256": {"disk.img": tools.digest_of(image / "disk.img")}}
    (image / "image.json").write_text(json.dumps(about | more))


def flashed(*words: object) -> tuple[int, str, str]:
    done = armillary_here("image", "flash", *words, env={})
    return done.returncode, done.stdout, done.stderr


def test_a_file_is_written_and_only_replaced_when_that_is_said(image: Path, card: Path) -> None:
    words = ("--image", image, "--to", card, "--size", "64MiB", "--json")
    code, said, error = flashed(*words)
    assert (code, json.loads(said)["to"]) == (0, str(card)), error
    assert card.stat().st_size == 64 << 20
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
def test_a_slip_is_named_and_nothing_is_written(
    image: Path, card: Path, words: tuple[str, ...], code: int, named: str
) -> None:
    (image / "told.json").write_text('{"token": "x"}')
    given = [str(image / "told.json") if word == "FILE" else word for word in words]
    found, _, error = flashed("--image", image, "--to", card, *given)
    assert (found, named in error) == (code, True), error
    assert not card.exists()


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
def test_a_disk_without_its_loader_is_written_and_says_what_it_lacks(image: Path, card: Path, board: str) -> None:
    describe(image, architecture="imx8mp")
    code, said, error = flashed("--image", image, "--to", card, "--board", board, "--size", "128MiB", "--json")
    assert code == 0, error
    found = json.loads(said)
    assert (found["loader_bytes"], "boot ROM" in found["not_shown"]) == (0, True)
    assert card.stat().st_size == 128 << 20
    code, said, error = flashed("--image", image, "--to", card, "--board", board, "--yes")
    assert code == 0, error
    for words in (
        "Attention: the disk has no loader. At byte 32,768",
        "Seen in QEMU: ",
        "Seen nowhere: all before U-Boot",
    ):
        assert words in error


def test_a_loader_that_is_the_boards_is_written_into_its_place(
    image: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is one is asked of ``loader.py``, which has tests of its own."""

    def looked_at(data: bytes, board: Board, *_: object) -> Piece:
        assert board is BOARDS["imx8mp-evk"]
        return Piece(32_768, data)

    monkeypatch.setattr(loader, "loader_piece", looked_at)
    describe(image, architecture="imx8mp")
    (image / "flash.bin").write_bytes(b"loader" * 1000)
    words = ("--board", "imx8mp-evk", "--loader", image / "flash.bin", "--size", "128MiB")
    code, said, error = flashed("--image", image, "--to", card, *words, "--json")
    assert code == 0, error
    assert json.loads(said)["loader_bytes"] == 6000
    with card.open("rb") as card:
        card.seek(32_768)
        assert card.read(6000) == b"loader" * 1000


def test_a_disk_that_is_not_the_one_that_was_built_is_refused_before_it_is_written(image: Path, card: Path) -> None:
    with (image / "disk.img").open("r+b") as disk:
        disk.seek(9 << 20)
        disk.write(b"noise")
    code, _, error = flashed("--image", image, "--to", card)
    assert (code, "disk.img: expected the file that was built (SHA-256 " in error) == (1, True), error
    assert "armillary image build --arch x86_64" in error
    describe(image, sha256={})
    assert "image.json: expected the digest of disk.img, it has none" in flashed("--image", image, "--to", card)[2]
    assert not card.exists()


def test_a_development_image_is_flashed_only_where_that_is_said(image: Path, card: Path) -> None:
    describe(image, development=True)
    code, _, error = flashed("--image", image, "--to", card)
    assert (code, "a shell, without a password" in error, card.exists()) == (1, True, False), error
    assert flashed("--image", image, "--to", card, "--allow-development")[0] == 0


def test_an_image_is_not_written_over_itself_by_any_name(image: Path, tmp_path: Path) -> None:
    before = tools.digest_of(image / "disk.img")
    (tmp_path / "hard").hardlink_to(image / "disk.img")
    (tmp_path / "soft").symlink_to(image / "disk.img")
    (tmp_path / "folder").symlink_to(image)
    (image / "keys").mkdir()
    names = ("image/disk.img", "image/card", "image/keys/card", "hard", "soft", "folder/card", "image/../image/card")
    for name in names:
        code, _, error = flashed("--image", image, "--to", tmp_path / name, "--yes")
        assert (code, f"{name}: expected a place outside of {image}" in error) == (1, True), error
    assert tools.digest_of(image / "disk.img") == before
    assert {each.name for each in image.iterdir()} == {"disk.img", "image.json", "keys"}


def test_an_image_that_is_not_built_is_named_with_the_command_that_builds_it(tmp_path: Path, card: Path) -> None:
    for board, architecture in (("arm64-gateway", "arm64"), ("imx8mp-evk", "imx8mp")):
        code, _, error = flashed("--image", tmp_path / "none", "--to", card, "--board", board)
        assert (code, "none: expected a built device image: there is no image.json" in error) == (1, True), error
        assert f"armillary image build --arch {architecture}." in error
