# SPDX-License-Identifier: Apache-2.0
"""Debian packages: the pinned file or none, and what is in one is read without a script of it running."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from armillary.device_image import debian
from armillary.device_image.architecture import package_lists
from armillary.device_image.debian import PackedFile, files_of
from armillary.device_image.recipe import Pin
from armillary.errors import HostError

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb: builds on Debian only")


def package(folder: Path) -> Path:
    root = folder / "tree"
    for name, text in {
        "usr/bin/program": "#!",
        "lib/x86_64-linux-gnu/libold.so.1": "old",
        "DEBIAN/postinst": "#!/bin/sh\nexit 1\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    (root / "usr/bin/link").symlink_to("program")
    (root / "DEBIAN/control").write_text(
        "Package: thing\nVersion: 1.0-1\nArchitecture: all\nMaintainer: T <t@example.com>\nDescription: thing\n"
    )
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", root, folder / "thing.deb"], check=True, capture_output=True
    )
    return folder / "thing.deb"


def test_files_and_links_are_read_and_old_folders_are_below_usr(tmp_path: Path) -> None:
    found = {file.path: file for file in files_of(package(tmp_path))}
    assert found == {
        "usr/bin/program": PackedFile("usr/bin/program", b"#!", 0o755),
        "usr/bin/link": PackedFile("usr/bin/link", "program", 0o777),
        "usr/lib/x86_64-linux-gnu/libold.so.1": PackedFile("usr/lib/x86_64-linux-gnu/libold.so.1", b"old", 0o755),
    }


def test_a_package_that_is_kept_is_not_fetched(tmp_path: Path) -> None:
    made = package(tmp_path)
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    (tmp_path / "store").mkdir()
    made.rename(tmp_path / "store" / f"{digest}.deb")
    found = debian.fetch([Pin("thing", "1.0-1", digest)], tmp_path / "store", architecture="amd64")
    assert found == {"thing": tmp_path / "store" / f"{digest}.deb"}


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = package(tmp_path)

    def served(_arguments: list[str], *, folder: Path) -> bytes:
        shutil.copy(made, folder / "thing_1.0-1_all.deb")
        return b""

    monkeypatch.setattr(debian, "run", served)
    with pytest.raises(HostError, match=r"thing 1\.0-1: the package that was fetched is not the pinned one"):
        debian.fetch([Pin("thing", "1.0-1", "a" * 64)], tmp_path / "store", architecture="amd64")
    assert [path.name for path in (tmp_path / "store").glob("aaaa*")] == []


def test_a_version_that_is_not_offered_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_arguments: list[str], *, folder: Path) -> bytes:
        raise HostError(f"apt-get failed in {folder.name}: no version")

    monkeypatch.setattr(debian, "run", refused)
    with pytest.raises(HostError, match="no version") as error:
        debian.fetch([Pin("thing", "0.9", "a" * 64)], tmp_path / "store", architecture="amd64")
    assert "armillary image pin" in error.value.remedy


def test_packages_of_another_architecture_have_lists_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def run(words: list[str]) -> bytes:
        ran.append(words)
        if words[-1] == "update":
            (tmp_path / "lists-arm64/somewhere_binary-arm64_Packages.lz4").write_bytes(b"")
        return b"amd64\n"

    monkeypatch.setattr(package_lists, "run", run)
    options = package_lists.apt_options("arm64", tmp_path)
    assert f"Dir::State::lists={tmp_path}/lists-arm64" in options
    assert "APT::Architecture=arm64" in options
    assert [words[-1] for words in ran] == ["--print-architecture", "update"]
    assert ran[1][-len(options) - 1 : -1] == options
    ran.clear()
    assert package_lists.apt_options("arm64", tmp_path) == options
    assert [words[-1] for words in ran] == ["--print-architecture"]
    assert package_lists.apt_options("arm64", tmp_path, fresh=True) == options
    assert ran[-1][-1] == "update"
    ran.clear()
    assert package_lists.apt_options("amd64", tmp_path, fresh=True) == []
    assert [words[-1] for words in ran] == ["--print-architecture"]
