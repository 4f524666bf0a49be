# SPDX-License-Identifier: Apache-2.0
"""`armillary image flash` asks before it erases, and refuses a slip before anything is written."""

from __future__ import annotations

import functools
import io
import json
import os
import sys
from pathlib import Path
from typing import get_args

import pytest
from tests.device_image.flashing.disks import describe, seen, table_bytes, tables
from tests.e2e.armillary_processes import armillary_here

from armillary.cli.device_image import flash
from armillary.device_image import disk as disk_image, tools
from armillary.device_image.flashing import loader, medium, target
from armillary.device_image.flashing.boards import BOARDS, Board
from armillary.device_image.flashing.image_disk import Piece
from armillary.device_image.flashing.target import Target
from armillary.engines.flash.os_disk import read_partitions

pytestmark = pytest.mark.skipif(
    bool(tools.missing({"mke2fs": "e2fsprogs"})), reason="no mke2fs; to enable: sudo apt-get install e2fsprogs"
)
SECTORS = 200_000
NAMED = "SanDisk Ultra 0.1 GB"
USED = b"what somebody has" * 1000


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


@pytest.fixture
def stick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A link to a file, which the command takes for a disk that nothing uses."""
    kernel = tables(tmp_path, SECTORS, model="SanDisk Ultra")
    monkeypatch.setattr(target, "means_disk", lambda _path: True)
    monkeypatch.setattr(target, "look", lambda path, **_named: seen(path, kernel))
    monkeypatch.setattr(medium, "opened", functools.partial(medium.opened, kernel=kernel))
    for name in ("disk", "other"):
        (tmp_path / name).write_bytes(USED)
        os.truncate(tmp_path / name, SECTORS * 512)
    (tmp_path / "sdx").symlink_to(tmp_path / "disk")
    return tmp_path / "sdx"


class Terminal(io.StringIO):
    """A terminal at which somebody answers."""

    def isatty(self) -> bool:
        return True


def root_of(disk: Path) -> bytes:
    """The first bytes of slot A's root."""
    (root,) = (each for each in read_partitions(disk) if each.name == "root-fs-a")
    with disk.open("rb") as file:
        file.seek(root.first_lba * 512)
        return file.read(4)


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
    ("more", "told", "said"),
    [
        ({"test_keys": True}, True, "Its secure boot keys are test keys: never ship what they signed."),
        ({"test_keys": False}, False, None),
        ({}, None, "Its image.json does not say whether test keys signed it: an older build made it."),
    ],
)
def test_an_image_that_test_keys_signed_is_flashed_and_that_is_said(
    image: Path, card: Path, more: dict[str, bool], told: bool | None, said: str | None
) -> None:
    describe(image, **more)
    code, found, error = flashed("--image", image, "--to", card, "--json")
    assert (code, json.loads(found)["test_keys"]) == (0, told), error
    code, found, error = flashed("--image", image, "--to", card, "--yes")
    assert (code, {"test_keys"} & set(found.split())) == (0, set()), error
    assert [line for line in error.splitlines() if "test keys" in line] == ([] if said is None else [said])


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("--size", "2x"), 2, "--size: expected a number with M, G, MiB or GiB"),
        (("--size", "10M"), 1, "--size: expected at least"),
        (("--size", "9999999G"), 1, "--size: expected at most 2,199,023,255,552 bytes, got 9,999,999,000,000,000"),
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


def test_a_disk_is_named_by_who_wants_it_erased(image: Path, stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--image", image, "--to", stick)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert "nobody is there to be asked" in flashed(*words)[2]
    for said in ("y", "SanDisk", str(stick), ""):
        monkeypatch.setattr(sys, "stdin", Terminal(f"{said}\n"))
        _, _, error = flashed(*words)
        assert "nothing was written" in error
        assert f"All that is on {stick} is lost: {NAMED}." in error
    assert "is for files" in flashed(*words, "--size", "4G")[2]
    assert stick.read_bytes() == USED.ljust(SECTORS * 512, b"\0")
    monkeypatch.setattr(sys, "stdin", Terminal(f"{NAMED}\n"))
    assert flashed(*words)[0] == 0
    assert [each.name for each in read_partitions(stick)][-1] == "data"
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert flashed(*words, "--yes")[0] == 0


def test_a_disk_that_gets_the_name_during_the_question_is_not_written(
    image: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = stick.with_name("other")

    def swap(_target: Target) -> None:
        stick.unlink()
        stick.symlink_to(other)

    monkeypatch.setattr(flash, "_ask", swap)
    code, _, error = flashed("--image", image, "--to", stick)
    assert code == 0, error
    assert other.read_bytes() == USED.ljust(SECTORS * 512, b"\0")
    assert [each.name for each in read_partitions(stick.with_name("disk"))][-1] == "data"


def test_an_image_that_is_built_during_the_question_is_not_written(
    image: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build gives its disk the name of the old one: what was verified is written."""

    def rebuild(_target: Target) -> None:
        content = (image / "disk.img").read_bytes()
        (image / "disk.img.new").write_bytes(content.replace(b"root", b"toor"))
        (image / "disk.img.new").replace(image / "disk.img")

    monkeypatch.setattr(flash, "_ask", rebuild)
    code, _, error = flashed("--image", image, "--to", stick)
    assert code == 0, error
    assert root_of(stick) == b"root"


def test_an_image_that_is_changed_during_the_question_leaves_a_disk_without_a_table(
    image: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(_target: Target) -> None:
        with (image / "disk.img").open("r+b") as disk:
            disk.seek(9 << 20)
            disk.write(b"toor")

    monkeypatch.setattr(flash, "_ask", change)
    code, _, error = flashed("--image", image, "--to", stick)
    assert (code, "disk.img: expected the file that was built (SHA-256 " in error) == (1, True), error
    assert not any(table_bytes(stick, SECTORS))


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
