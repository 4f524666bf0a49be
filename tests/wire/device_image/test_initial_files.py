# SPDX-License-Identifier: Apache-2.0
"""The archive of the initial file system, as cpio unpacks it."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from armillary.wire.device_image.initial_files import encode_archive

FILES = {"modules/order": (0o644, b"a.ko\n"), "init": (0o755, b"\x7fELF"), "modules/a.ko": (0o644, b"")}


def test_entries_are_whole_words_in_the_order_of_their_names() -> None:
    archive = encode_archive(FILES)
    assert len(archive) % 4 == 0
    names = (b"init", b"modules", b"modules/a.ko", b"modules/order", b"TRAILER!!!")
    places = [archive.index(name + b"\0") for name in names]
    assert places == sorted(places)
    assert archive[:14] == b"07070100000001"


def test_the_order_in_which_files_are_given_changes_nothing() -> None:
    assert encode_archive(FILES) == encode_archive(dict(reversed(FILES.items())))


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio: sudo apt-get install cpio")
def test_cpio_unpacks_what_was_packed(tmp_path: Path) -> None:
    command = ["cpio", "--extract", "--quiet", "--no-absolute-filenames", "--make-directories", "--no-preserve-owner"]
    subprocess.run(command, input=encode_archive(FILES), cwd=tmp_path, check=True)
    found = {name: (stat.S_IMODE((tmp_path / name).stat().st_mode), (tmp_path / name).read_bytes()) for name in FILES}
    assert found == FILES
