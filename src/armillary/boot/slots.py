# SPDX-License-Identifier: Apache-2.0
"""Which of two OS slots boots: the A/B state table.

Rules:

* One slot is *active*: the last one confirmed. The other is where an update is written; once it is complete and was
  read back, STAGE makes it the candidate.
* A candidate gets :data:`TRIES` boots. ``tries_left`` is lowered **before** the jump, so a candidate that hangs
  uses up its tries without running a line of code that could count.
* CONFIRM comes after the health check and contact with the service; it makes the candidate the active slot.
* While a candidate is on trial nothing may be staged: the other slot is the only way back.
* The table returned by :meth:`SlotTable.after` must be durable before its effect happens. Every cell of
  :data:`TRANSITIONS` is filled; REFUSE leaves the table as it was and raises.

::

    STEADY --stage--> STAGED --boot--> TRIAL --confirm--> STEADY (slots change places)
      ^                 | revert         | boot, none left; revert
      +-----------------+----------------+
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

from armillary.errors import BootRefusedError

# Three: one for the update, one for a power cut during it, one for bad luck.
TRIES = 3
SLOTS = ("a", "b")


class SlotState(enum.Enum):
    """What is known about the slot that is not active."""

    STEADY = "steady"  # nothing to try
    STAGED = "staged"  # complete and read back; the next boot tries it
    TRIAL = "trial"  # was started, not confirmed


class SlotEvent(enum.Enum):
    """What happens."""

    STAGE = "stage"  # an update is complete in the other slot
    BOOT = "boot"  # the device starts, the candidate has tries left
    BOOT_EXHAUSTED = "boot-exhausted"  # the device starts, the candidate has none left
    CONFIRM = "confirm"  # what runs is healthy and has spoken to the service
    REVERT = "revert"  # what runs is not, or the update was withdrawn


class SlotEffect(enum.Enum):
    """What the table does to its numbers."""

    KEEP = "keep"  # nothing changes
    OFFER = "offer"  # the candidate gets all its tries
    TRY = "try"  # one try fewer, the candidate boots
    SWITCH = "switch"  # the candidate becomes active
    DROP = "drop"  # the candidate is forgotten, the active slot boots
    REFUSE = "refuse"  # a defect of the caller


TRANSITIONS: Mapping[tuple[SlotState, SlotEvent], tuple[SlotState, SlotEffect]] = {
    (SlotState.STEADY, SlotEvent.STAGE): (SlotState.STAGED, SlotEffect.OFFER),
    (SlotState.STEADY, SlotEvent.BOOT): (SlotState.STEADY, SlotEffect.KEEP),
    (SlotState.STEADY, SlotEvent.BOOT_EXHAUSTED): (SlotState.STEADY, SlotEffect.KEEP),
    (SlotState.STEADY, SlotEvent.CONFIRM): (SlotState.STEADY, SlotEffect.KEEP),
    (SlotState.STEADY, SlotEvent.REVERT): (SlotState.STEADY, SlotEffect.REFUSE),
    (SlotState.STAGED, SlotEvent.STAGE): (SlotState.STAGED, SlotEffect.OFFER),
    (SlotState.STAGED, SlotEvent.BOOT): (SlotState.TRIAL, SlotEffect.TRY),
    (SlotState.STAGED, SlotEvent.BOOT_EXHAUSTED): (SlotState.STEADY, SlotEffect.DROP),
    (SlotState.STAGED, SlotEvent.CONFIRM): (SlotState.STAGED, SlotEffect.KEEP),
    (SlotState.STAGED, SlotEvent.REVERT): (SlotState.STEADY, SlotEffect.DROP),
    (SlotState.TRIAL, SlotEvent.STAGE): (SlotState.TRIAL, SlotEffect.REFUSE),
    (SlotState.TRIAL, SlotEvent.BOOT): (SlotState.TRIAL, SlotEffect.TRY),
    (SlotState.TRIAL, SlotEvent.BOOT_EXHAUSTED): (SlotState.STEADY, SlotEffect.DROP),
    (SlotState.TRIAL, SlotEvent.CONFIRM): (SlotState.STEADY, SlotEffect.SWITCH),
    (SlotState.TRIAL, SlotEvent.REVERT): (SlotState.STEADY, SlotEffect.DROP),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTable:
    """The durable value.

    Attributes:
        active: Member of :data:`SLOTS`; the last slot that was confirmed.
        tries_left: Boots that the candidate may still use; 0 in STEADY.
    """

    active: str = "a"
    state: SlotState = SlotState.STEADY
    tries_left: int = 0

    def __post_init__(self) -> None:
        if self.active not in SLOTS or not 0 <= self.tries_left <= TRIES:
            raise BootRefusedError(
                f"slot table: expected slot a or b and 0 to {TRIES} tries, got {self.active!r} and {self.tries_left}",
                remedy="The table is damaged; use its other copy.",
            )
        if self.state is SlotState.STEADY and self.tries_left:
            raise BootRefusedError(
                f"slot table: expected no tries without a candidate, got {self.tries_left}",
                remedy="The table is damaged; use its other copy.",
            )

    @property
    def inactive(self) -> str:
        """The slot that updates are written to."""
        return "b" if self.active == "a" else "a"

    @property
    def running(self) -> str:
        """The slot that runs after the last boot: the candidate on trial, else the active one."""
        return self.inactive if self.state is SlotState.TRIAL else self.active

    def after(self, event: SlotEvent) -> SlotTable:
        """The table after an event. BOOT counts as BOOT_EXHAUSTED when no tries are left.

        Raises:
            BootRefusedError: the event may not happen in this state.
        """
        if event is SlotEvent.BOOT and self.state is not SlotState.STEADY and self.tries_left == 0:
            event = SlotEvent.BOOT_EXHAUSTED
        state, effect = TRANSITIONS[self.state, event]
        match effect:
            case SlotEffect.KEEP:
                return self
            case SlotEffect.OFFER:
                return replace(self, state=state, tries_left=TRIES)
            case SlotEffect.TRY:
                return replace(self, state=state, tries_left=self.tries_left - 1)
            case SlotEffect.SWITCH:
                return SlotTable(active=self.inactive, state=state)
            case SlotEffect.DROP:
                return SlotTable(active=self.active, state=state)
            case SlotEffect.REFUSE:
                raise BootRefusedError(
                    f"slot table: expected an event that state {self.state.value} allows, got {event.value}",
                    remedy="Wait until the candidate is confirmed or reverted.",
                )


def select(table: SlotTable) -> tuple[SlotTable, str]:
    """Decide what to boot: the table to make durable **before** the jump, and the slot to jump to."""
    following = table.after(SlotEvent.BOOT)
    return following, following.running
