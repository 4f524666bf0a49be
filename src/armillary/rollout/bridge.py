# SPDX-License-Identifier: Apache-2.0
"""next_step(wanted, has, action, earlier) -> what a bridged device that polls is to do, and nothing else.

(1) A device with an open action works on it; one for another deployment than the wanted one is canceled first. A
    cancellation under way is waited for, whatever is wanted meanwhile.
(2) Where nothing is wanted, a device keeps what it has.
(3) A device that has what is wanted gets nothing. A wanted deployment without images takes nothing from a device (DDI
    has no word for that); the service forgets what it has.
(4) A deployment that failed on a device, or that a person canceled there, is not offered to it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

CANCELING = "canceling"


class Step(Enum):
    """What to do."""

    NOTHING = auto()
    OFFER = auto()  # Open an action for the wanted deployment
    CANCEL = auto()  # Ask the device to cancel its open action
    FORGET = auto()  # Record that the device has none of our artifacts


@dataclass(frozen=True, slots=True)
class WantedDeployment:
    """A deployment, and the artifacts that it names."""

    deployment_id: UUID
    image_ids: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class OpenAction:
    """The action that a device works on; ``state`` as of ``wire/hawkbit/action.py``."""

    deployment_id: UUID
    state: str


def next_step(
    wanted: WantedDeployment | None, has: frozenset[UUID], action: OpenAction | None, *, may_repeat: bool
) -> Step:
    """The next step; see the rules above.

    ``has`` are the artifacts that the device installed last; ``may_repeat`` is False where the wanted deployment may
    not be offered to it again.
    """
    if action is not None:  # (1)
        is_wanted = wanted is not None and wanted.deployment_id == action.deployment_id
        return Step.NOTHING if is_wanted or action.state == CANCELING else Step.CANCEL
    if wanted is None or wanted.image_ids == has:  # (2), (3)
        return Step.NOTHING
    if not wanted.image_ids:  # (3)
        return Step.FORGET
    return Step.OFFER if may_repeat else Step.NOTHING  # (4)
