# SPDX-License-Identifier: Apache-2.0
"""Rounds of power cuts that were played before count; the end says how many came back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.armillary_processes import armillary_here

from armillary.cli.device_image import trial_service
from armillary.device_image import virtual_machine
from armillary.device_image.architecture import table
from armillary.device_image.power import cuts
from armillary.device_image.power.cuts import ATTESTED, Round
from armillary.device_image.power.phases import Phase


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


def test_a_folder_that_is_none_and_rounds_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = armillary_here("image", "power-cuts", "--folder", tmp_path / "file", env={})
    assert (done.returncode, "file: expected a folder, got a file" in done.stderr) == (1, True), done.stderr
    kept(tmp_path, True)
    for line in (b"{", b"[]", b'{"phase": "write"}', b"\xff\xfe"):
        (tmp_path / "rounds.jsonl").write_bytes((tmp_path / "rounds.jsonl").read_bytes().splitlines()[0] + b"\n" + line)
        done = armillary_here("image", "power-cuts", "--folder", tmp_path, env={})
        assert (done.returncode, "rounds.jsonl:2: expected a round that was played" in done.stderr) == (1, True)


def test_without_an_image_nothing_is_made_and_the_command_that_builds_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("armillary.device_image.recipe.recipe_folder", lambda: tmp_path / "image")
    done = armillary_here("image", "power-cuts", "--folder", tmp_path / "cuts", "--arch", "arm64", env={})
    assert (done.returncode, "armillary image build --arch arm64." in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "cuts").exists()


def round_of(number: int, verdict: str) -> Round:
    return Round(number, Phase.WRITE, Phase.STOP, 1.0, "b", taken_back=False, verdict=verdict, back_s=2.0, lines=("x",))


@pytest.mark.parametrize(("verdict", "code"), [(ATTESTED, 0), ("refused", 1)])
def test_rounds_go_on_where_they_stopped_and_each_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: str, code: int
) -> None:
    """Machine and service are pretended."""
    done: list[tuple[str, object]] = []

    class Pretended:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __getattr__(self, name: str) -> Any:
            return lambda *_: done.append((name, None)) or True

    def play(_bench: object, **planned: int) -> Iterator[Round]:
        done.append(("play", planned))
        yield round_of(1, verdict)

    monkeypatch.setattr(trial_service, "TrialService", Pretended)
    monkeypatch.setattr(table, "architecture_of", lambda _image, **_: table.X86_64)
    monkeypatch.setattr(virtual_machine, "prepare", lambda _settings: None)
    monkeypatch.setattr(cuts, "Bench", Pretended)
    monkeypatch.setattr(cuts, "play", play)
    kept(tmp_path, True)
    words = ("--folder", str(tmp_path), "--times", "2", "--seed", "7", "--json")
    found = armillary_here("image", "power-cuts", *words, env={})
    assert found.returncode == code, found.stderr
    assert json.loads(found.stdout)["came_back"] == 2 - code
    assert done[:4] == [
        ("start", None),
        ("prepare", None),
        ("come_up", None),
        ("play", {"seed": 7, "begin": 1, "times": 2}),
    ]
    assert [name for name, _ in done[4:]] == ["close", "close"]
    (_, line) = (tmp_path / "rounds.jsonl").read_text().splitlines()
    assert (json.loads(line)["came_back"], "lines" in json.loads(line)) == (not code, bool(code))
