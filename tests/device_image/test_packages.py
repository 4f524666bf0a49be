# SPDX-License-Identifier: Apache-2.0
"""What is in a Debian package is read without a script of it running; lists of another architecture are its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from armillary.device_image.architecture import package_lists
from armillary.device_image.debian import PackedFile, content_of, files_of
from armillary.errors import InvalidArgumentError

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


def test_a_file_that_a_package_has_to_have_is_read_or_named(tmp_path: Path) -> None:
    file = package(tmp_path)
    assert content_of(file, "usr/lib/x86_64-linux-gnu/libold.so.1") == b"old"
    for path in ("usr/bin/none", "usr/bin/link"):
        with pytest.raises(
            InvalidArgumentError, match=rf"thing\.deb: expected a package with {path}, found no such file"
        ):
            content_of(file, path)


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
