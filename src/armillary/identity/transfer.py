# SPDX-License-Identifier: Apache-2.0
"""Transfer of a device between two owners: who may do what, and when.

::

    (none) --offer, by the owner--> offered --accept, by the one it is offered to--> accepted: the device moves
                                       |-----decline, by the one it is offered to--> declined
                                       |-----cancel, by the owner------------------> cancelled
                                       '-----the time is over----------------------> expired

Both owners have to say yes, each in his own name; whatever is settled stays settled.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from armillary.errors import ConflictError, NotFoundError


class TransferState(enum.Enum):
    """Where an offer stands."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class TransferEvent(enum.Enum):
    """What can happen to an offer."""

    ACCEPT = "accept"
    DECLINE = "decline"
    CANCEL = "cancel"
    EXPIRE = "expire"


class Side(enum.Enum):
    """Who speaks."""

    GIVER = "giver"
    TAKER = "taker"
    CLOCK = "clock"


# (state, event) -> who alone may cause it, and the new state. What is not named is refused.
TRANSITIONS: Final[Mapping[tuple[TransferState, TransferEvent], tuple[Side, TransferState]]] = {
    (TransferState.OFFERED, TransferEvent.ACCEPT): (Side.TAKER, TransferState.ACCEPTED),
    (TransferState.OFFERED, TransferEvent.DECLINE): (Side.TAKER, TransferState.DECLINED),
    (TransferState.OFFERED, TransferEvent.CANCEL): (Side.GIVER, TransferState.CANCELLED),
    (TransferState.OFFERED, TransferEvent.EXPIRE): (Side.CLOCK, TransferState.EXPIRED),
}


def settle(
    state: TransferState,
    event: TransferEvent,
    *,
    speaker: UUID,
    giver: UUID,
    taker: UUID,
    now: int,
    expires_at: int,
) -> TransferState:
    """The new state after what the catalog ``speaker`` says at ``now`` (Unix seconds).

    Raises:
        NotFoundError: the speaker has nothing to do with the offer, or it is not his to say this.
        ConflictError: the offer is settled already, or its time is over.
    """
    sides = [side for side, catalog in ((Side.GIVER, giver), (Side.TAKER, taker)) if catalog == speaker]
    if not sides:
        raise NotFoundError("there is no such transfer", remedy="List them: armillary device transfer list.")
    if (state, event) not in TRANSITIONS:
        raise ConflictError(
            f"the transfer is {state.value}, expected {TransferState.OFFERED.value}",
            remedy="Nothing was changed; the owner can make a new offer.",
        )
    needed, after = TRANSITIONS[state, event]
    if needed not in sides:
        who = "the catalog that it is offered to" if needed is Side.TAKER else "the catalog that offers it"
        raise NotFoundError(f"only {who} can {event.value} a transfer", remedy="Name that catalog with --catalog.")
    if now >= expires_at:
        raise ConflictError("the transfer has expired", remedy="Ask the owner for a new offer.")
    return after


def standing(state: TransferState, *, now: int, expires_at: int) -> TransferState:
    """The state as it is at ``now``: an offer whose time is over counts as expired, whatever is stored."""
    is_over = state is TransferState.OFFERED and now >= expires_at
    return TransferState.EXPIRED if is_over else state
