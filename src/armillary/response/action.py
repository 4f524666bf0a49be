# SPDX-License-Identifier: Apache-2.0
"""The kinds of actions: what each does, at what it is aimed, and what of it can be undone.

An action that takes away what a device may do, or that cannot be undone, is never automatic on the word of devices: a
device that reports what it likes must not be able to have others shut out (``playbook.py`` checks it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from armillary.errors import InvalidArgumentError

# What an action can be aimed at, one of them for each action.
DEVICES: Final = "devices"  # ids
GROUP: Final = "device_group"  # PRODUCT/GROUP
FINDING: Final = "finding"  # its devices, its image, its roll-out or its advisory, whichever the kind takes
ADVISORY: Final = "advisory"  # the devices that it affects; of a halt: the roll-outs that bring what it affects
IMAGE: Final = "image"  # the devices that report it, or the roll-outs that bring it
ROLLOUT: Final = "rollout"
FLOOR: Final = "floor"  # chip, image type, lowest security version
TARGETS: Final = (DEVICES, GROUP, FINDING, ADVISORY, IMAGE, ROLLOUT, FLOOR)
_OF_DEVICES: Final = frozenset({DEVICES, GROUP, FINDING, ADVISORY, IMAGE})
_OF_ROLLOUTS: Final = frozenset({ROLLOUT, GROUP, FINDING, ADVISORY, IMAGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of action.

    Attributes:
        does: What it does, for people.
        targets: At what it can be aimed.
        final: Why it cannot be undone; empty if it can.
        only_proposed: Why a playbook may propose it only; empty if it may do it.
        restricts: It takes away what devices may do: automatic only on what the service has seen itself.
        touches_devices: It counts against how many devices automatic actions may touch.
    """

    does: str
    targets: frozenset[str]
    final: str = ""
    only_proposed: str = ""
    restricts: bool = False
    touches_devices: bool = True


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "notify": Kind(
            does="tells the notification channels",
            targets=frozenset({FINDING, ADVISORY}),
            final="what was told is told",
            touches_devices=False,
        ),
        "quarantine": Kind(
            does="lets devices check in and update, and do nothing else", targets=_OF_DEVICES, restricts=True
        ),
        "revoke": Kind(
            does="withdraws the identity of devices: they are refused, and get no updates",
            targets=_OF_DEVICES,
            final="a device that was refused may be out of reach; single ones: armillary device restore",
            only_proposed="it leaves devices without updates",
            restricts=True,
        ),
        "halt": Kind(
            does="halts roll-outs: no further device is offered what they bring",
            targets=_OF_ROLLOUTS,
            touches_devices=False,
        ),
        "roll-back": Kind(
            does="gives the devices of roll-outs what they had before",
            targets=_OF_ROLLOUTS,
            final="roll out again what was rolled back",
        ),
        "raise-floor": Kind(
            does="refuses releases of a boot component below a security version, on all devices of a chip",
            targets=frozenset({FLOOR}),
            final="floors only rise: a lower one would let old holes back in",
            only_proposed="it cannot be undone",
            restricts=True,
        ),
        "re-attest": Kind(
            does="asks devices to check in and prove what they run at once",
            targets=_OF_DEVICES,
            final="a device that was asked has been asked",
        ),
        "deploy-fix": Kind(
            does="rolls the repaired image out to the devices that an advisory affects, and to no others",
            targets=frozenset({ADVISORY, FINDING}),
            only_proposed="which image is the repair is for a person to confirm",
        ),
    }
)


def kind_named(name: str) -> Kind:
    """The kind of a name; InvalidArgumentError if there is none."""
    if name not in KINDS:
        raise InvalidArgumentError(
            f"kind: expected {', '.join(KINDS)}, got {name!a:.40}",
            remedy="docs/concepts/actions.md has what each does.",
        )
    return KINDS[name]


def check_target(name: str, target: str) -> None:
    """Raise InvalidArgumentError where a kind of action cannot be aimed at this."""
    kind = kind_named(name)
    if target not in kind.targets:
        allowed = ", ".join(each for each in TARGETS if each in kind.targets)
        raise InvalidArgumentError(
            f"target of {name}: expected {allowed}, got {target!a:.40}",
            remedy="docs/concepts/actions.md has what each can be aimed at.",
        )
