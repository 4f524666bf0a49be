# SPDX-License-Identifier: Apache-2.0
"""What was changed on the disk never runs: the other slot comes up, or nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S, time_for

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.attacks import ATTACKS, UBOOT_ATTACKS, UNCHANGED, Attack, attacks_on, play

# What scripts/test-image-in-ci looks for: of a host with too much to do no other failure counts.
ACCEPTED = "A CHANGED IMAGE RAN"
# One for each thing that has to refuse: signature, key, root hash, data, tree, both slots. The others are variations.
QUICK = {
    "signed file: one bit of the kernel",
    "signed file: another root hash in the command line",
    "signed file: signed by another key",
    "root: one bit of the first data block",
    "root: one bit of every fourth data block",
    "root: one bit of the top of the tree",
    "both slots: one bit of each kernel",
    "both slots: signed by another key",
}
assert {attack.name for attack in (*ATTACKS, *UBOOT_ATTACKS)} >= QUICK


def parameter(attack: Attack) -> object:
    marks = () if attack.name in QUICK else (pytest.mark.image_full,)
    return pytest.param(attack, marks=marks, id=attack.name.replace(" ", "-"))


EVERY = {attack.name: attack for attack in (*ATTACKS, *UBOOT_ATTACKS)}


@pytest.mark.parametrize("attack", [parameter(attack) for attack in EVERY.values()])
def test_what_was_changed_never_runs(image: Path, architecture: Architecture, attack: Attack) -> None:
    here = {each.name: each for each in attacks_on(architecture)}
    if attack.name not in here:
        pytest.skip("an attack on images of another machine; to enable: make image-test-full")
    attack = here[attack.name]
    (outcome,) = play(image, within_s=time_for(2), attacks=(attack,))
    assert not outcome.accepted, "\n".join((ACCEPTED, *outcome.lines))
    assert outcome.started == attack.comes_up, "\n".join(outcome.lines)


def test_the_attack_that_changes_nothing_is_accepted(image: Path) -> None:
    """The control: a machine that was not attacked comes up in slot A, and is counted as accepted."""
    (outcome,) = play(image, within_s=BOOT_S, attacks=(UNCHANGED,))
    assert outcome.accepted, "\n".join(outcome.lines)
    assert outcome.started == UNCHANGED.comes_up
