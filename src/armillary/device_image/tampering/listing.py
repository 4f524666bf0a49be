# SPDX-License-Identifier: Apache-2.0
"""All attacks that ``armillary image attack`` knows of an image, by name: what each changes, and what has to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.attacks import Attack, attacks_on
from armillary.device_image.tampering.attacks import DeviceAttack, End, attacks_on_device
from armillary.device_image.tampering.older_os import SLOTS_ALONE, WHOLE
from armillary.errors import InvalidArgumentError
from armillary.update.install.component import SLOTS

# Whose disk is changed: one that nobody had yet, or that of a machine which a service knows.
_FRESH: Final = "fresh disk"
_DEVICE: Final = "device"


@dataclass(frozen=True, slots=True)
class Listed:
    """An attack as it is listed."""

    name: str
    changes: str
    expected: str


@dataclass(frozen=True, slots=True)
class Attacks:
    """Attacks of each kind: on a slot of a fresh disk, on a machine that is a device, by an older OS on such a one."""

    on_slots: tuple[Attack, ...]
    on_device: tuple[DeviceAttack, ...]
    by_older_os: tuple[str, ...]

    def listed(self) -> tuple[Listed, ...]:
        """All of them, in the order in which they are played."""
        older = (Listed(name, f"{_DEVICE}: the OS in its slots", End.NOTHING.value) for name in self.by_older_os)
        return (*map(_on_slot, self.on_slots), *map(_on_device, self.on_device), *older)

    def chosen(self, texts: Sequence[str]) -> Attacks:
        """Those whose name contains one of these texts, in upper or lower case; all of them where there is no text.

        Raises:
            InvalidArgumentError: a text is in no attack's name.
        """
        names = [each.name for each in self.listed()]
        for text in texts:
            if not text.strip() or not any(_has(name, text) for name in names):
                raise InvalidArgumentError(
                    f"--only {text!r:.60}: expected a part of an attack's name, no attack on this image has it",
                    remedy=f"Choose among: {'; '.join(names)}.",
                )
        wanted = {name for name in names if not texts or any(_has(name, text) for text in texts)}
        return Attacks(
            tuple(each for each in self.on_slots if each.name in wanted),
            tuple(each for each in self.on_device if each.name in wanted),
            tuple(name for name in self.by_older_os if name in wanted),
        )


def every_attack(target: Architecture, seed: int) -> Attacks:
    """All attacks on an image of this architecture; of images that U-Boot starts, none are played on a device."""
    if not target.has_uefi:
        return Attacks(attacks_on(target), (), ())
    return Attacks(attacks_on(target), attacks_on_device(target, seed), (WHOLE, SLOTS_ALONE))


def comes_up(slot: str) -> str:
    """What is expected of a start of which this slot has to come up, "" for none."""
    return f"slot {slot} comes up" if slot else "nothing comes up"


def _has(name: str, text: str) -> bool:
    return text.casefold() in name.casefold()


def _on_slot(attack: Attack) -> Listed:
    slots = "both slots" if attack.slots == SLOTS else "slot A"
    changed = []
    if attack.environment is not None:
        changed.append("U-Boot's environment")
    if attack.unified is not None:
        changed.append(f"the signed file in {slots}")
    if attack.root is not None:
        changed.append(f"the root file system in {slots}")
    return Listed(attack.name, f"{_FRESH}: {', '.join(changed)}", comes_up(attack.comes_up))


def _on_device(attack: DeviceAttack) -> Listed:
    changed = []
    if attack.store is not None:
        changed.append("the firmware's variables")
    if attack.table is not None:
        changed.append("the partition table")
    if attack.foreign is not None:
        changed.append("a partition that is added")
    return Listed(attack.name, f"{_DEVICE}: {', '.join(changed)}", attack.ends.value)
