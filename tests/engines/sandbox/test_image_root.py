# SPDX-License-Identifier: Apache-2.0
"""Images become folders, credentials become files that the right programs can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from armillary.engines.sandbox.within.image_root import extract_image, share_tree_with_group
from armillary.errors import InstallError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_and_modes(tmp_path: Path) -> None:
    files = {"app_manifest.json": b"{}", "bin/app": b"#!", "/lib/deep/x.py": b"x"}
    old = os.umask(0o077)
    try:
        root = extract_image(files, {"/bin/app"}, tmp_path / "image")
    finally:
        os.umask(old)
    assert {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} == {
        "app_manifest.json",
        "bin/app",
        "lib/deep/x.py",
    }
    assert (mode(root / "bin/app"), mode(root / "lib/deep/x.py")) == (0o555, 0o444)
    assert {mode(path) for path in (root, root / "bin", root / "lib", root / "lib/deep")} == {0o755}


@pytest.mark.parametrize("name", ["../x", "bin/../../x", "", "/", "a\0b", "//etc/x/.."])
def test_paths_stay_inside(tmp_path: Path, name: str) -> None:
    with pytest.raises(InstallError):
        extract_image({name: b"x"}, (), tmp_path / "image")
    assert not (tmp_path / "image").exists()
    assert not (tmp_path / "x").exists()


def test_a_half_written_image_of_a_crash_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".image.new").mkdir()
    (tmp_path / ".image.new" / "left").write_bytes(b"over")
    root = extract_image({"bin/app": b"x"}, (), tmp_path / "image")
    assert sorted(path.name for path in root.iterdir()) == ["bin"]
    assert list(tmp_path.iterdir()) == [root]


def test_sharing_leaves_links_and_what_is_outside_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"x")
    outside.chmod(0o600)
    folder = tmp_path / "daa"
    (folder / "generation-1").mkdir(parents=True)
    (folder / "generation-1" / "key.pem").write_bytes(b"k")
    (folder / "link").symlink_to(outside)
    (folder / "dangling").symlink_to("nowhere")
    share_tree_with_group(folder)
    assert (mode(outside), outside.stat().st_gid) == (0o600, os.getegid())
    if os.geteuid() == 0:
        assert mode(folder / "generation-1" / "key.pem") == 0o640
