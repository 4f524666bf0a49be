# SPDX-License-Identifier: Apache-2.0
"""A roll-out's view of its devices, as offers need it: who has its turn, and whether anything may be granted now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.queries.planning import parts, reach
from armillary.engines.records.response import kept as kept_rows
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.errors import InvalidArgumentError
from armillary.rollout.cohort import PlaceOrder, order_of
from armillary.rollout.policy import Ring
from armillary.service.context.number_set import NumberSet

Wish = TypeVar("Wish")

# A lease ends at a full step, so that a device that asks again and again is given the same offer: every hour, and for
# short leases an eighth of them.
LEASE_STEP_S: Final = 3600
LEASE_PARTS: Final = 8


@dataclass(frozen=True, slots=True)
class Staging(Generic[Wish]):
    """The snapshot of one roll-out.

    Attributes:
        wanted: For devices that have their turn; what was there before when it rolls back.
        order: In which the roll-out takes devices; those whose place is at most ``reach`` have their turn.
        named: Row numbers of devices that have it out of order, and ``groups`` all of whose devices have.
        is_held: Nobody is granted ``wanted`` who does not have it.
        lease_s: For how many seconds it may be installed without asking again; 0 for no end.
        only: Row numbers of the devices that it is for; None: all of its groups.
    """

    wanted: Wish
    order: PlaceOrder
    reach: int
    named: frozenset[int] = frozenset()
    groups: frozenset[UUID] = frozenset()
    is_held: bool = False
    lease_s: int = 0
    only: NumberSet | None = None

    def has_turn(self, device_number: int, group_id: UUID | None) -> bool:
        """Whether the roll-out decides for a device of a group."""
        if self.only is not None and device_number not in self.only:
            return False
        return self.order.place(device_number) <= self.reach or device_number in self.named or group_id in self.groups


def staging_of(connection: Connection, rollout: Rollout, wanted: Wish) -> Staging[Wish]:
    """The snapshot of a roll-out whose devices with their turn should have ``wanted``."""
    named = ring_numbers(connection, rollout)
    if not rollout.by_place:
        named |= reach.out_of_place(connection, rollout)
    order, is_back = order_of(rollout.rollout_id), rollout.state == "rolling-back"
    lease_s = 0 if is_back else rollout.policy.lease_s
    groups = ring_groups(connection, rollout)
    only = None if rollout.action_id is None else chosen_by(connection, rollout.action_id)
    return Staging(wanted, order, rollout.reach, named, groups, rollout.state == "held", lease_s, only)


def chosen_by(connection: Connection, action_id: UUID) -> NumberSet:
    """The devices of an action, by their row numbers: a million are 125 KB."""
    found = NumberSet()
    for number in kept_rows.numbers(connection, action_id):
        found.add(number)
    return found


def leased(lease_s: int, now: int) -> tuple[int, int]:
    """Until when what is offered now may be installed, and from when on it is offered with a later end."""
    step = max(1, min(LEASE_STEP_S, lease_s // LEASE_PARTS))
    begun = now // step * step
    return begun + lease_s, begun + step


def ring_numbers(connection: Connection, rollout: Rollout) -> frozenset[int]:
    """Row numbers of the devices that rings name, of those rings that have started."""
    rings = rollout.policy.rings[: rollout.cohort + 1]
    return reach.numbers_of(connection, rollout, [device for ring in rings for device in ring.devices])


def ring_groups(connection: Connection, rollout: Rollout, only: int | None = None) -> frozenset[UUID]:
    """The device groups that rings name, of those rings that have started, or of one cohort alone."""
    rings = rollout.policy.rings[: rollout.cohort + 1] if only is None else rollout.policy.rings[only : only + 1]
    return frozenset(parts.named(connection, [path for ring in rings for path in ring.groups]).values())


def check_rings(connection: Connection, rollout: Rollout) -> None:
    """Refuse rings that name a device or a group that is out of reach: it is misspelt, or of somebody else."""
    for ring in rollout.policy.rings:
        _check_groups(connection, rollout, ring)
        found = reach.numbers_of(connection, rollout, ring.devices)
        if len(found) != len(ring.devices):
            missing = next(one for one in ring.devices if not reach.numbers_of(connection, rollout, [one]))
            where = f"group {rollout.group}" if rollout.group else rollout.target
            raise InvalidArgumentError(
                f"cohort {ring.name}: device {missing[:16]}... is not in {where}",
                remedy="List the devices: armillary device list.",
            )


def _check_groups(connection: Connection, rollout: Rollout, ring: Ring) -> None:
    mine = {part.group_id for part in rollout.parts}
    found = parts.named(connection, ring.groups)
    for path in ring.groups:
        group = catalog_rows.group_by_id(connection, found[path]) if path in found else None
        is_reached = group is not None and (
            group.group_id in mine
            if rollout.release_id is None
            else group.os_feed == rollout.feed and rollout.only_catalog_id in (None, group.catalog_id)
        )
        if not is_reached:
            where = f"catalog {rollout.catalog}" if rollout.release_id is None else rollout.target
            raise InvalidArgumentError(
                f"cohort {ring.name}: device group {path} is not in {where}",
                remedy="List the groups: armillary device-group list.",
            )
