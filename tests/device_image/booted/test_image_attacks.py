# SPDX-License-Identifier: Apache-2.0
"""What was changed on the disk never runs: the other slot comes up, or nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S

from armillary.device_image.attacks import ATTACKS, Attack, play


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "-"))
def test_what_was_changed_never_runs(image: Path, attack: Attack) -> None:
    (outcome,) = play(image, within_s=2 * BOOT_S, attacks=(attack,))
    assert not outcome.accepted, "\n".join(outcome.lines)
    wanted = "b" if attack.slots == ("a",) else ""
    assert outcome.started == wanted, "\n".join(outcome.lines)


def test_the_attack_that_changes_nothing_is_accepted(image: Path) -> None:
    """The control: a machine that was not attacked comes up in slot A, and is counted as accepted."""
    (outcome,) = play(image, within_s=BOOT_S, attacks=(Attack("nothing"),))
    assert outcome.accepted, "\n".join(outcome.lines)
    assert outcome.started == "a"
