# SPDX-License-Identifier: Apache-2.0
"""The states of a roll-out, as a table.

Rules: a held roll-out leaves that state by a person's word only (resume, roll-back, cancel), and so does a proposed
one: somebody else than who made it approves it. Rolled-back and cancelled are final; a completed roll-out can still be
rolled back while its deployment is the group's. Cancelling leaves the group's deployment as it was: devices that
already changed are offered it again without being followed; rolling back follows them until each one has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from armillary.errors import ConflictError

STATES: Final = ("proposed", "running", "held", "rolling-back", "rolled-back", "completed", "cancelled")
EVENTS: Final = ("approve", "hold", "resume", "roll-back", "restored", "finish", "cancel")
# In these a roll-out decides for its group.
LIVING: Final = ("proposed", "running", "held", "rolling-back")

# state -> event -> next state; what is not in the table is refused.
TRANSITIONS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "proposed": MappingProxyType({"approve": "running", "cancel": "cancelled"}),
        "running": MappingProxyType(
            {"hold": "held", "roll-back": "rolling-back", "finish": "completed", "cancel": "cancelled"}
        ),
        "held": MappingProxyType({"resume": "running", "roll-back": "rolling-back", "cancel": "cancelled"}),
        "rolling-back": MappingProxyType({"restored": "rolled-back"}),
        "rolled-back": MappingProxyType({}),
        "completed": MappingProxyType({"roll-back": "rolling-back"}),
        "cancelled": MappingProxyType({}),
    }
)


def after(state: str, event: str) -> str:
    """The state after an event; ConflictError, which says what is possible, if it is not possible now."""
    possible = TRANSITIONS[state]
    if event not in possible:
        raise ConflictError(
            f"a roll-out that is {state} cannot {event}",
            remedy=f"Possible now: {', '.join(possible)}." if possible else "It has ended; start a new one.",
        )
    return possible[event]
