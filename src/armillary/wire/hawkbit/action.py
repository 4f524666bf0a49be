# SPDX-License-Identifier: Apache-2.0
"""The states of an action (one deployment on one controller) as a table, in hawkBit's words but for ``offered``.

Rules: a controller closes its action with success or failure, and nothing opens it again. While the server cancels it,
the controller may still finish: what it then says is what is installed. A controller may reject a cancellation; the
action goes on. What the server asks last (``canceling``) is not undone by progress that was under way.

Where a controller's words lead follows hawkBit's DDI root controller: ``closed`` with ``failure`` is an error, with
``success`` or ``none`` a success; ``rejected`` warns; ``canceled`` outside of a cancellation gives the update up.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from armillary.errors import ConflictError
from armillary.wire.hawkbit.feedback import Feedback

STATES: Final = (
    "offered", "retrieved", "running", "download", "downloaded", "warning",
    "canceling", "finished", "error", "canceled",
)  # fmt: skip
EVENTS: Final = (
    "retrieve", "download", "downloaded", "proceed", "warn", "succeed", "fail", "give-up",
    "cancel", "confirm-cancel", "reject-cancel", "fail-cancel",
)  # fmt: skip
FINAL: Final = frozenset({"finished", "error", "canceled"})

# The same for every state in which a controller works on its action.
_WORKING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "download": "download", "downloaded": "downloaded", "proceed": "running", "warn": "warning",
        "succeed": "finished", "fail": "error", "give-up": "error", "cancel": "canceling",
    }
)  # fmt: skip
# state -> event -> next state; what is not in the table is refused.
TRANSITIONS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "offered": MappingProxyType({**_WORKING, "retrieve": "retrieved"}),
        "running": MappingProxyType({**_WORKING, "retrieve": "running"}),
        "retrieved": MappingProxyType({**_WORKING, "retrieve": "retrieved"}),
        "download": MappingProxyType({**_WORKING, "retrieve": "download"}),
        "downloaded": MappingProxyType({**_WORKING, "retrieve": "downloaded"}),
        "warning": MappingProxyType({**_WORKING, "retrieve": "warning"}),
        "canceling": MappingProxyType(
            {
                **dict.fromkeys(("retrieve", "download", "downloaded", "proceed", "warn", "cancel"), "canceling"),
                "succeed": "finished", "fail": "error", "give-up": "canceled",
                "confirm-cancel": "canceled", "reject-cancel": "running", "fail-cancel": "error",
            }
        ),
        "finished": MappingProxyType({}),
        "error": MappingProxyType({}),
        "canceled": MappingProxyType({}),
    }
)  # fmt: skip


def after(state: str, event: str) -> str:
    """The state after an event; ConflictError if it is not possible in this state."""
    possible = TRANSITIONS[state]
    if event in possible:
        return possible[event]
    if not possible:
        raise ConflictError(
            f"the action is closed ({state})",
            remedy="Poll again: a new action has another id.",
            code="bridge.action-closed",
        )
    raise ConflictError(
        f"an action that is {state} cannot {event}",
        remedy="Nothing is canceled here: poll again.",
        code="bridge.action-closed",
    )


def event_of(said: Feedback) -> str:
    """The event of feedback about an update."""
    if said.execution == "closed":
        return "fail" if said.finished == "failure" else "succeed"
    words = {"canceled": "give-up", "rejected": "warn", "download": "download", "downloaded": "downloaded"}
    return words.get(said.execution, "warn" if said.finished == "failure" else "proceed")


def cancel_event_of(said: Feedback) -> str:
    """The event of feedback about a cancellation."""
    if said.execution == "closed":
        return "fail-cancel" if said.finished == "failure" else "confirm-cancel"
    # hawkBit takes "canceled" here for a mistake of the client and warns; what it says is that it canceled.
    return {"canceled": "confirm-cancel", "rejected": "reject-cancel"}.get(said.execution, "proceed")
