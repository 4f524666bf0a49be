# SPDX-License-Identifier: Apache-2.0
"""Rounds of power cuts that were played before count; the end says how many came back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.armillary_processes import armillary_here

from armillary.cli.device_image import trial_service
from armillary.device_image import virtual_machine
from armillary.device_image.architecture import table
from armillary.device_image.power import cuts, later
from armillary.device_image.power.cuts import ATTESTED, Round
from armillary.device_image.power.later import signing_key
from armillary.device_image.power.phases import Phase
from armillary.errors import HostError, InvalidArgumentError


@pytest.fixture(autouse=True)
def no_keys_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later, "signing_key", lambda *_: None)


NONE = {"write": 0, "stop": 0, "firmware": 0, "start": 0, "trial": 0, "confirm": 0, "recovery": 0}


def kept(folder: Path, *came_back: bool, seed: int = 1, image_sha256: str = "") -> None:
    of = {"seed": seed, "image_sha256": image_sha256}
    lines = [
        {"number": number, "phase": "write", "came_back": each, "taken_back": False} | of
        for number, each in enumerate(came_back)
    ]
    (folder / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_rounds_that_were_played_are_not_played_again(tmp_path: Path) -> None:
    kept(tmp_path, True, True)
    done = armillary_here("image", "power-cuts", "--folder", str(tmp_path), "--times", "2", env={})
    assert done.returncode == 0
    assert done.stdout == (  # a phase that no cut came in is named
        "2 of 2 came back and were attested; "
        "cut in write 2, stop 0, firmware 0, start 0, trial 0, confirm 0, recovery 0\n"
    )


@pytest.mark.parametrize("of", [{"seed": 2}, {"image_sha256": "01"}])
def test_rounds_of_another_plan_or_image_are_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: dict[str, Any]
) -> None:
    monkeypatch.setattr(table, "architecture_of", lambda _image, **_: table.X86_64)
    (tmp_path / "image.json").write_text("{}")
    kept(tmp_path, True, **of)
    words = ("--folder", str(tmp_path), "--image", str(tmp_path), "--seed", "1")
    done = armillary_here("image", "power-cuts", *words, env={})
    assert (done.returncode, f"was begun with another {next(iter(of))}" in done.stderr) == (1, True), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"image.json", "rounds.jsonl"}


def test_a_folder_that_was_begun_with_another_image_has_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first round, too."""
    monkeypatch.setattr(table, "architecture_of", lambda _image, **_: table.X86_64)
    (tmp_path / "image.json").write_text("{}")
    words = ("image", "power-cuts", "--folder", str(tmp_path), "--image", str(tmp_path), "--seed", "1")
    for plan, said in (
        ('{"seed": 1, "image_sha256": "01"}', "was begun with another image_sha256"),
        ('{"seed": 2, "image_sha256": "01"}', "was begun with another seed: expected 1, got 2"),
        ("{", "plan.json: expected the seed and the image that its folder was begun with"),
    ):
        (tmp_path / "plan.json").write_text(plan)
        done = armillary_here(*words, env={})
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr


def test_without_the_keys_of_the_image_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "architecture_of", lambda _image, **_: table.X86_64)
    monkeypatch.setattr(later, "signing_key", signing_key)
    image = tmp_path / "image"
    image.mkdir()
    (image / "image.json").write_text("{}")
    done = armillary_here("image", "power-cuts", "--folder", str(tmp_path / "x"), "--image", str(image), env={})
    assert (done.returncode, "expected the keys of a build" in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "x").exists()


def test_a_folder_with_the_data_of_another_service_is_refused_and_gets_no_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "architecture_of", lambda _image, **_: table.X86_64)
    (tmp_path / "image.json").write_text("{}")
    (tmp_path / "service/data").mkdir(parents=True)
    words = ("--folder", str(tmp_path), "--image", str(tmp_path))
    done = armillary_here("image", "power-cuts", *words, env={})
    assert (done.returncode, "expected the data of a trial" in done.stderr) == (1, True), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"image.json", "service"}


def test_a_service_that_was_ended_while_it_was_set_up_begins_again(tmp_path: Path) -> None:
    """Its catalog may be there, of which nothing was kept; with an enrolment it is complete, and stays."""
    for state, stays in (({"releases": 0, "token": "t"}, False), ({"releases": 3, "enrolment": "e"}, True)):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "trial.json").write_text(json.dumps(state))
        trial_service.TrialService(tmp_path, tmp_path)
        assert (tmp_path / "data").exists() is stays


def test_data_of_a_service_that_no_trial_made_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its service is first started a trial keeps that the data are its own."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/records.db").write_text("mine")
    with pytest.raises(InvalidArgumentError, match="expected the data of a trial"):
        trial_service.TrialService(tmp_path, tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["data", "records.db"]

    def killed(data: Path, *_: object, **__: object) -> None:
        data.mkdir()
        raise HostError("it was killed while it started", remedy="Start it again.")

    monkeypatch.setattr(trial_service, "start_service", killed)
    own = tmp_path / "own"
    with pytest.raises(HostError, match="killed"):
        trial_service.TrialService(own, tmp_path).start()
    trial_service.TrialService(own, tmp_path)
    assert not (own / "data").exists()


def test_one_that_did_not_come_back_is_a_failure(tmp_path: Path) -> None:
    kept(tmp_path, True, False)
    done = armillary_here("image", "power-cuts", "--folder", str(tmp_path), "--times", "2", "--json", env={})
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "rounds": 2,
        "came_back": 1,
        "by_phase": NONE | {"write": 2},
        "taken_back": 0,
    }


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


def round_of(number: int, verdict: str, *, reached: bool) -> Round:
    return Round(
        number,
        Phase.WRITE,
        reached,
        Phase.STOP,
        1.0,
        "b",
        taken_back=False,
        verdict=verdict,
        back_s=2.0,
        lines=("the last line",),
    )


@pytest.mark.parametrize(
    ("verdict", "reached", "code", "told"),
    [
        (ATTESTED, True, 0, "stop     +   1.0 s  back: slot b, attested after 2.0 s"),
        ("refused", True, 1, "NOT BACK: slot b, refused after 2.0 s\n      the last line"),
        (ATTESTED, False, 1, "NOT BACK: not cut, it did not get to write\n      the last line"),
    ],
)
def test_rounds_go_on_where_they_stopped_and_each_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: str, reached: bool, code: int, told: str
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
        yield round_of(1, verdict, reached=reached)

    monkeypatch.setattr(trial_service, "TrialService", Pretended)
    monkeypatch.setattr(table, "architecture_of", lambda _image, **_: table.X86_64)
    monkeypatch.setattr(virtual_machine, "prepare", lambda _settings: None)
    monkeypatch.setattr(cuts, "Bench", Pretended)
    monkeypatch.setattr(cuts, "play", play)
    (tmp_path / "image.json").write_text("{}")
    kept(tmp_path, True, seed=7, image_sha256=hashlib.sha256(b"{}").hexdigest())
    words = ("--folder", str(tmp_path), "--image", str(tmp_path), "--times", "2", "--seed", "7", "--json")
    found = armillary_here("image", "power-cuts", *words, env={})
    assert (found.returncode, told in found.stderr) == (code, True), found.stderr
    assert json.loads(found.stdout)["came_back"] == 2 - code
    assert done[:4] == [
        ("start", None),
        ("prepare", None),
        ("come_up", None),
        ("play", {"seed": 7, "begin": 1, "times": 2}),
    ]
    assert [name for name, _ in done[4:]] == ["close", "close"]
    of_before, kept_now = map(json.loads, (tmp_path / "rounds.jsonl").read_text().splitlines())
    assert (kept_now["came_back"], "lines" in kept_now) == (not code, bool(code))
    assert {name: kept_now[name] for name in ("seed", "image_sha256")}.items() <= of_before.items()
