# SPDX-License-Identifier: Apache-2.0
"""Attacks on a machine that is a device: its service believes nothing that was changed, and nothing unverified runs.

One machine is enrolled for all of them (where tests run beside one another, one for each process that runs them), and
put right after each attack. One that does not come back is left, and the next attack gets another.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S

from armillary.cli.device_image.attacked_device import NEWER, attacked_device
from armillary.cli.device_image.trial_service import TrialService
from armillary.device_image.architecture.table import X86_64, Architecture
from armillary.device_image.tampering.attacks import DeviceAttack, End, Outcome, attacks_on_device
from armillary.device_image.tampering.listing import every_attack
from armillary.device_image.tampering.older_os import OlderOs
from armillary.device_image.tampering.playing import Victim

pytestmark = [pytest.mark.image_full, pytest.mark.long]
SEED = 1


class Scene:
    """The machine that is attacked, and its service; each is begun when it is asked for."""

    def __init__(self, image: Path, folder: Path) -> None:
        self._image, self._folder = image, folder
        self._number = 0
        self._open = contextlib.ExitStack()
        self._found: tuple[Victim, TrialService] | None = None
        self._older: OlderOs | None = None

    def play(self, attack: DeviceAttack) -> Outcome:
        victim, _ = self._machine()
        return self._seen(victim.play(attack))

    def put_back(self, name: str) -> Outcome:
        """Play an attack by an older OS; the machine takes the newer one before the first of them."""
        victim, service = self._machine()
        if self._older is None:
            self._older = OlderOs(victim, lambda: service.publish_next(security_version=NEWER))
            self._older.take_update()
        return self._seen(self._older.play(name))

    def leave(self) -> None:
        """End the machine and its service."""
        self._found = self._older = None
        self._open.close()

    def _machine(self) -> tuple[Victim, TrialService]:
        if self._found is None:
            self._number += 1
            found = attacked_device(self._image, self._folder / str(self._number), within_s=2 * BOOT_S)
            self._found = self._open.enter_context(found)
            self._found[0].keep()
        return self._found

    def _seen(self, outcome: Outcome) -> Outcome:
        if not outcome.came_back:
            self.leave()
        return outcome


@pytest.fixture(scope="module")
def scene(image: Path, architecture: Architecture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    if not architecture.has_uefi:
        pytest.skip("attacks on a device are played on images that UEFI starts; to enable: make image-test-full")
    found = Scene(image, tmp_path_factory.mktemp("attacked"))
    yield found
    found.leave()


def named(name: str) -> str:
    """An attack's name as pytest's -k takes it: without colons, commas and apostrophes."""
    return "-".join(re.findall(r"\w+", name))


def judge(outcome: Outcome, ends: End) -> None:
    text = "\n".join(outcome.lines)
    assert not outcome.accepted, f"ACCEPTED\n{text}"
    assert outcome.end is ends, text
    assert outcome.came_back, f"the machine was put right and is not attested\n{text}"


@pytest.mark.parametrize("name", [attack.name for attack in attacks_on_device(X86_64, SEED)], ids=named)
def test_what_was_changed_is_neither_believed_nor_run_unverified(
    scene: Scene, architecture: Architecture, name: str
) -> None:
    (attack,) = [each for each in attacks_on_device(architecture, SEED) if each.name == name]
    judge(scene.play(attack), attack.ends)


@pytest.mark.parametrize("name", every_attack(X86_64, SEED).by_older_os, ids=named)
def test_an_older_os_that_is_put_back_does_not_become_a_device(scene: Scene, name: str) -> None:
    judge(scene.put_back(name), End.NOTHING)


@pytest.mark.parametrize(
    "attack",
    [
        DeviceAttack("nothing, as what is believed", End.ATTESTED, is_believed=True),
        DeviceAttack("nothing, as what runs", End.ATTESTED, ran=("verified root from /dev/vda",)),
    ],
    ids=lambda attack: named(attack.name),
)
def test_the_attack_that_changes_nothing_is_accepted(scene: Scene, attack: DeviceAttack) -> None:
    """The control: a machine that was not attacked is attested, from a root that is verified, and counts as accepted."""
    outcome = scene.play(attack)
    assert outcome.accepted, "\n".join(outcome.lines)
    assert (outcome.end, outcome.came_back) == (End.ATTESTED, True)
