# SPDX-License-Identifier: Apache-2.0
"""Rounds of power cuts that were played before count; the end says how many came back."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.armillary_processes import armillary_here


def kept(folder: Path, *came_back: bool) -> None:
    lines = [
        {"number": number, "phase": "write", "came_back": each, "taken_back": False}
        for number, each in enumerate(came_back)
    ]
    (folder / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_rounds_that_were_played_are_not_played_again(tmp_path: Path) -> None:
    kept(tmp_path, True, True)
    done = armillary_here("image", "power-cuts", "--folder", str(tmp_path), "--times", "2", env={})
    assert (done.returncode, done.stdout) == (0, "2 of 2 came back and were attested; cut in write 2\n")


def test_one_that_did_not_come_back_is_a_failure(tmp_path: Path) -> None:
    kept(tmp_path, True, False)
    done = armillary_here("image", "power-cuts", "--folder", str(tmp_path), "--times", "2", "--json", env={})
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"rounds": 2, "came_back": 1, "by_phase": {"write": 2}, "taken_back": 0}


def test_an_image_that_u_boot_starts_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    image, folder = tmp_path / "image", tmp_path / "rounds"
    image.mkdir()
    (image / "image.json").write_text('{"architecture": "imx8mp"}')
    done = armillary_here("image", "power-cuts", "--folder", str(folder), "--image", str(image), env={})
    assert done.returncode != 0
    assert "expected an image that UEFI starts, got one for imx8mp" in done.stderr
    assert not list(folder.iterdir())
