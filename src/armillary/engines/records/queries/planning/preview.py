# SPDX-License-Identifier: Apache-2.0
"""What a roll-out would do before anybody starts it: it is started and undone in one transaction.

So it is checked by what starts it, and counted over the same devices. No audit line, no device and no group has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import images as image_rows
from armillary.engines.records.queries.planning import parts as part_rows, reach
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import Image
from armillary.rollout.cohort import due_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewGroup:
    """A device group that would get it: how many devices it has, what it has in force, and what would come."""

    product: str
    group: str
    devices: int
    before: tuple[Image, ...]
    after: tuple[Image, ...]


@dataclass(frozen=True, slots=True)
class PreviewStep:
    """A cohort, and how many devices would begin with it."""

    name: str
    devices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPreview:
    """What would happen.

    Attributes:
        needs_approval: A second person would have to approve it before its first cohort.
        devices: How many devices it is for.
        groups: Empty for an OS release, which is for a feed.
        steps: In the order in which they begin.
        target: What is rolled out to whom, for people.
    """

    needs_approval: bool
    devices: int
    groups: tuple[PreviewGroup, ...]
    steps: tuple[PreviewStep, ...]
    target: str


class _UndoneError(Exception):
    """Ends the transaction of a preview."""

    def __init__(self, preview: RolloutPreview) -> None:
        super().__init__("undone")
        self.preview = preview


def previewed(
    write: Callable[[Callable[[Connection], None]], None], start: Callable[[Connection], Rollout]
) -> RolloutPreview:
    """What ``start`` would begin; ``write`` runs a change in a transaction. Raises what ``start`` raises."""

    def change(connection: Connection) -> None:
        raise _UndoneError(_preview(connection, start(connection)))

    try:
        write(change)
    except _UndoneError as undone:
        return undone.preview
    raise AssertionError("a preview was committed")


def _preview(connection: Connection, rollout: Rollout) -> RolloutPreview:
    devices = reach.devices_in_reach(connection, rollout)
    return RolloutPreview(
        needs_approval=rollout.state == "proposed",
        devices=devices,
        groups=tuple(
            PreviewGroup(
                product=part.product,
                group=part.group,
                devices=reach.devices_of_groups(connection, rollout, frozenset({part.group_id})),
                before=_images(connection, part.previous_deployment_id),
                after=_images(connection, part.deployment_id),
            )
            for part in rollout.parts
        ),
        steps=_steps(connection, rollout, devices),
        target=rollout.target,
    )


def _steps(connection: Connection, rollout: Rollout, devices: int) -> tuple[PreviewStep, ...]:
    """Devices of each cohort: a device that several rings name goes with the first of them."""
    policy, reached, steps = rollout.policy, 0, list[PreviewStep]()
    numbers, groups = frozenset[int](), frozenset[UUID]()
    for ring in policy.rings:
        numbers |= reach.numbers_of(connection, rollout, ring.devices)
        groups |= frozenset(part_rows.named(connection, ring.groups).values())
        by_group = reach.devices_of_groups(connection, rollout, groups) if groups else 0
        now = by_group + reach.outside_groups(connection, rollout, numbers, groups)
        steps.append(PreviewStep(ring.name, now - reached))
        reached = now
    for index in range(len(policy.cohorts)):
        more = due_of(policy.cohorts, index, devices, reached)
        steps.append(PreviewStep(policy.step_name(len(policy.rings) + index), more))
        reached += more
    return tuple(steps)


def _images(connection: Connection, deployment_id: UUID | None) -> tuple[Image, ...]:
    found = None if deployment_id is None else image_rows.deployment(connection, deployment_id)
    return () if found is None else found.images
