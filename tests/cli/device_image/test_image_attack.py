# SPDX-License-Identifier: Apache-2.0
"""``armillary image attack``: which attacks it plays, what it starts for them, what it says; machines are pretended."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.armillary_processes import armillary_here
from tests.e2e.guides.blocks import step_of

from armillary.cli.device_image import attacked_device
from armillary.device_image import attacks
from armillary.device_image.attacks import ATTACKS, UNCHANGED, Attack
from armillary.device_image.power import later
from armillary.device_image.power.later import signing_key
from armillary.device_image.tampering.attacks import DeviceAttack, End, Outcome
from armillary.device_image.tampering.older_os import SLOTS_ALONE

PK = "variables: bits of PK"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "image.json").write_text('{"architecture": "x86_64"}')
    return folder


class Pretended:
    """Stands in for all that is started; ``done`` is what was, and what was played."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.end = End.NOT_ATTESTED
        self.accepted = False
        self.came_back = True
        # Of the machine as it is, then of all that are attacked.
        self.unchanged, self.started = "a", "b"
        monkeypatch.setattr(attacks, "play", self.play_on_slots)
        monkeypatch.setattr(attacked_device, "attacked_device", self.attacked_device)
        monkeypatch.setattr(attacked_device, "play_all", self.play_all)
        monkeypatch.setattr(attacked_device, "OlderOs", lambda *_: self)
        monkeypatch.setattr(later, "signing_key", lambda *_: None)

    def play_on_slots(self, _: Path, *, within_s: float, attacks: Sequence[Attack]) -> Iterator[Any]:
        assert within_s > 0
        for each in attacks:
            self.done.append(each.name)
            started = self.unchanged if each is UNCHANGED else self.started
            yield slot_outcome(each.name, started, accepted=each is UNCHANGED and bool(started))

    @contextlib.contextmanager
    def attacked_device(self, *_: object, **__: object) -> Iterator[tuple[None, None]]:
        self.done.append("a device")
        yield None, None

    def play_all(self, _: None, found: Sequence[DeviceAttack]) -> Iterator[Outcome]:
        return (self.play(each.name) for each in found)

    def take_update(self) -> None:
        self.done.append("an update")

    def play(self, name: str) -> Outcome:
        self.done.append(name)
        return Outcome(name, self.end, accepted=self.accepted, came_back=self.came_back, seconds=1.0, lines=())


def slot_outcome(name: str, started: str, *, accepted: bool) -> attacks.Outcome:
    return attacks.Outcome(name, started, accepted=accepted, seconds=1.0, lines=("the firmware", "its last line"))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    return Pretended(monkeypatch)


def test_without_an_attack_on_a_device_no_service_and_no_device_is_started(image: Path, pretended: Pretended) -> None:
    words = ("--image", str(image), "--only", "TRUNCATED", "--only", "first data block")
    found = armillary_here("image", "attack", *words, env={})
    assert (found.returncode, found.stdout) == (0, "2 attacks, 0 accepted\n"), found.stderr
    assert pretended.done == ["nothing", "signed file: truncated", "root: one bit of the first data block"]
    assert found.stderr.splitlines()[:2] == [
        "   1.0 s  control   nothing is changed; slot a came up",
        "   1.0 s  stopped   signed file: truncated; slot b came up",
    ]


@pytest.mark.parametrize("unchanged", ["", "b"])
def test_a_machine_that_does_not_come_up_anyway_stops_no_attack(
    image: Path, pretended: Pretended, unchanged: str
) -> None:
    pretended.unchanged = pretended.started = unchanged
    found = armillary_here("image", "attack", "--image", str(image), "--only", "signed file", env={})
    assert (found.returncode, found.stdout, pretended.done) == (1, "", ["nothing"])
    assert "does not come up in slot A before any attack: the firmware | its last line" in found.stderr


@pytest.mark.parametrize(
    ("only", "code", "said"),
    [
        ("another root hash", 1, "1 attacks, 0 accepted, 1 with another outcome than expected\n"),
        ("both slots:", 0, "1 attacks, 0 accepted\n"),
    ],
)
def test_that_nothing_comes_up_is_expected_where_both_slots_are_changed_alone(
    image: Path, pretended: Pretended, only: str, code: int, said: str
) -> None:
    pretended.started = ""
    found = armillary_here("image", "attack", "--image", str(image), "--only", only, env={})
    assert (found.returncode, found.stdout) == (code, said)
    assert ("; nothing came up (expected: slot b comes up)\n" in found.stderr) == bool(code)


def test_a_device_that_does_not_come_back_fails(image: Path, pretended: Pretended) -> None:
    pretended.came_back = False
    found = armillary_here("image", "attack", "--image", str(image), "--only", PK, env={})
    assert (found.returncode, found.stdout) == (1, "1 attacks, 0 accepted, 1 times the machine did not come back\n")


def test_the_machine_takes_an_update_for_an_older_os_alone(image: Path, pretended: Pretended) -> None:
    armillary_here("image", "attack", "--image", str(image), "--only", PK, env={})
    assert pretended.done == ["a device", PK]
    pretended.done.clear()
    pretended.end = End.NOTHING
    found = armillary_here("image", "attack", "--image", str(image), "--only", "both slots of before", env={})
    assert pretended.done == ["a device", "an update", SLOTS_ALONE]
    assert found.stdout == "1 attacks, 0 accepted\n"


def test_without_the_keys_of_the_image_nothing_is_begun_where_an_older_os_is_to_be_put_back(
    image: Path, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later, "signing_key", signing_key)
    found = armillary_here("image", "attack", "--image", str(image), env={})
    assert (found.returncode, found.stdout, pretended.done) == (1, "", [])
    assert f"{image / 'keys'}: expected the keys of a build" in found.stderr
    assert "--keys" in found.stderr
    found = armillary_here("image", "attack", "--image", str(image), "--only", PK, env={})
    assert (found.returncode, pretended.done) == (0, ["a device", PK])


def test_what_stayed_unclear_is_not_what_was_expected(image: Path, pretended: Pretended) -> None:
    pretended.end = End.NOT_CLEAR
    found = armillary_here("image", "attack", "--image", str(image), "--only", "bits of both headers", env={})
    assert (found.returncode, found.stdout) == (1, "1 attacks, 0 accepted, 1 with another outcome than expected\n")
    assert "not clear within the time (expected: does not start)" in found.stderr


def test_without_a_text_all_are_played(image: Path, pretended: Pretended) -> None:
    found = json.loads(armillary_here("image", "attack", "--image", str(image), "--json", env={}).stdout)
    listed = json.loads(armillary_here("image", "attack", "--list", "--json", env={}).stdout)
    assert [each["name"] for each in found["attacks"]] == [each["name"] for each in listed]
    assert [name for name in pretended.done if name not in {"nothing", "a device", "an update"}] == [
        each["name"] for each in listed
    ]
    assert all(set(each) == {"name", "changes", "expected"} for each in listed)


@pytest.mark.parametrize("accepted", [False, True])
def test_another_outcome_than_expected_is_said_and_fails_accepted_or_not(
    image: Path, pretended: Pretended, accepted: bool
) -> None:
    pretended.end, pretended.accepted = End.ATTESTED, accepted
    found = armillary_here("image", "attack", "--image", str(image), "--only", PK, env={})
    assert found.returncode == 1
    assert found.stdout == f"1 attacks, {int(accepted)} accepted, 1 with another outcome than expected\n"
    assert f"{PK}; attested (expected: runs, not attested)\n" in found.stderr


def test_an_accepted_attack_fails_though_its_outcome_is_the_expected_one(image: Path, pretended: Pretended) -> None:
    pretended.accepted = True
    found = armillary_here("image", "attack", "--image", str(image), "--only", PK, env={})
    assert (found.returncode, found.stdout) == (1, "1 attacks, 1 accepted\n")
    assert "ACCEPTED" in found.stderr


def test_a_list_needs_no_image_and_starts_nothing(pretended: Pretended) -> None:
    found = armillary_here("image", "attack", "--list", "--arch", "imx8mp", "--only", "truncated", env={})
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[1].split("  ")[0] == "signed file: truncated"
    assert pretended.done == []


def test_a_text_that_names_no_attack_is_refused_with_the_names_before_anything_is_started(
    image: Path, pretended: Pretended
) -> None:
    found = armillary_here("image", "attack", "--image", str(image), "--only", PK, "--only", "nonsense", env={})
    assert found.returncode == 1
    assert "--only 'nonsense': expected a part of an attack's name" in found.stderr
    assert all(attack.name in found.stderr for attack in ATTACKS)
    assert (found.stdout, pretended.done) == ("", [])


def test_the_guides_list_is_what_is_printed() -> None:
    step = step_of("docs/guides/device-image.md", "armillary image attack --list --only PK")
    found = armillary_here(*step.command.split()[1:], env={})
    assert found.returncode == 0, found.stderr
    assert [line.rstrip() for line in found.stdout.splitlines()] == [*step.output]
