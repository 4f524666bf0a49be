# SPDX-License-Identifier: Apache-2.0
"""The states of a roll-out, as a table.

Rules: a held roll-out leaves that state by a person's word only (resume, roll-back, cancel). Completed, rolled-back
and cancelled are final. Cancelling leaves the group's deployment as it was: devices that already changed are offered
it again without being followed; rolling back follows them until each one has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from armillary.errors import ConflictError

STATES: Final = ("running", "held", "rolling-back", "rolled-back", "completed", "cancelled")
EVENTS: Final = ("hold", "resume", "roll-back", "restored", "finish", "cancel")

# state -> event -> next state; what is not in the table is refused.
TRANSITIONS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "running": MappingProxyType(
            {"hold": "held", "roll-back": "rolling-back", "finish": "completed", "cancel": "cancelled"}
        ),
        "held": MappingProxyType({"resume": "running", "roll-back": "rolling-back", "cancel": "cancelled"}),
        "rolling-back": MappingProxyType({"restored": "rolled-back"}),
        "rolled-back": MappingProxyType({}),
        "completed": MappingProxyType({}),
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
