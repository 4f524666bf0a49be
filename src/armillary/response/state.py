# SPDX-License-Identifier: Apache-2.0
"""The states of an action, as a table.

Rules: an action that a playbook proposes, or that asks for a second person, does nothing before somebody approves it;
whoever asked cannot (``approval.py``). What nobody approves expires. An automatic action that would touch more devices
than ``budget.py`` allows pauses, with what it did done and the rest undone, until a person approves it whole. What was
done can be undone, if its kind can, from every state in which nothing is under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from armillary.errors import ConflictError

STATES: Final = (
    "proposed", "waiting", "running", "paused", "done", "cancelled", "expired", "undone", "failed",
)  # fmt: skip
EVENTS: Final = ("approve", "ask-second", "pause", "finish", "fail", "cancel", "expire", "undo")
# In these somebody has still to decide, or the service to act.
LIVING: Final = ("proposed", "waiting", "running", "paused")
# In these it waits for a person, and expires.
DECIDING: Final = ("proposed", "waiting", "paused")

# state -> event -> next state; what is not in the table is refused.
TRANSITIONS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "proposed": MappingProxyType(
            {"approve": "running", "ask-second": "waiting", "cancel": "cancelled", "expire": "expired"}
        ),
        "waiting": MappingProxyType({"approve": "running", "cancel": "cancelled", "expire": "expired"}),
        "running": MappingProxyType({"pause": "paused", "finish": "done", "fail": "failed", "cancel": "cancelled"}),
        "paused": MappingProxyType(
            {"approve": "running", "ask-second": "waiting", "cancel": "cancelled", "expire": "expired"}
        ),
        "done": MappingProxyType({"undo": "undone"}),
        "failed": MappingProxyType({"undo": "undone"}),
        "cancelled": MappingProxyType({"undo": "undone"}),
        "expired": MappingProxyType({"undo": "undone"}),
        "undone": MappingProxyType({}),
    }
)


def after(state: str, event: str) -> str:
    """The state after an event; ConflictError, which says what is possible, if it is not possible now."""
    possible = TRANSITIONS[state]
    if event not in possible:
        raise ConflictError(
            f"an action that is {state} takes no {event}",
            remedy=f"Possible now: {', '.join(possible)}." if possible else "It has ended; make a new one.",
        )
    return possible[event]
