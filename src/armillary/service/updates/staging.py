# SPDX-License-Identifier: Apache-2.0
"""A roll-out's view of its devices, as offers need it: who has its turn, and whether anything may be granted now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Connection

from armillary.engines.records.queries.planning import reach
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.cohort import PlaceOrder, order_of

Wish = TypeVar("Wish")


@dataclass(frozen=True, slots=True)
class Staging(Generic[Wish]):
    """The snapshot of one roll-out.

    Attributes:
        wanted: For devices that have their turn; what was there before when it rolls back.
        order: In which the roll-out takes devices; those whose place is at most ``reach`` have their turn.
        named: Row numbers of devices that have it out of order.
        is_held: Nobody is granted ``wanted`` who does not have it.
        lease_s: For how many seconds it may be installed without asking again; 0 for no end.
    """

    wanted: Wish
    order: PlaceOrder
    reach: int
    named: frozenset[int] = frozenset()
    is_held: bool = False
    lease_s: int = 0

    def has_turn(self, device_number: int) -> bool:
        """Whether the roll-out decides for a device."""
        return self.order.place(device_number) <= self.reach or device_number in self.named


def staging_of(connection: Connection, rollout: Rollout, wanted: Wish) -> Staging[Wish]:
    """The snapshot of a roll-out whose devices with their turn should have ``wanted``."""
    named = ring_numbers(connection, rollout)
    if not rollout.by_place:
        named |= reach.out_of_place(connection, rollout)
    order, is_back = order_of(rollout.rollout_id), rollout.state == "rolling-back"
    lease_s = 0 if is_back else rollout.policy.lease_s
    return Staging(wanted, order, rollout.reach, named, rollout.state == "held", lease_s)


def ring_numbers(connection: Connection, rollout: Rollout) -> frozenset[int]:
    """Row numbers of the devices that rings name, of those rings that have started."""
    rings = rollout.policy.rings[: rollout.cohort + 1]
    return reach.numbers_of(connection, rollout, [device for ring in rings for device in ring.devices])
