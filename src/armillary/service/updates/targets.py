# SPDX-License-Identifier: Apache-2.0
"""What the devices of a roll-out are compared with: a deployment's images, or the version of an OS release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import images as image_rows, releases as release_rows
from armillary.engines.records.queries.planning.looks import BadOutcome, Member
from armillary.engines.records.schema.rollout_rows import Rollout, RolloutPart
from armillary.rollout.cohort import PlaceOrder, order_of
from armillary.rollout.plan import RolloutMember
from armillary.rollout.tally import UNFINISHED
from armillary.service.updates.offers import has
from armillary.service.updates.staging import ring_groups, ring_numbers
from armillary.service.updates.waits import Waits
from armillary.wire.device.checkin import InstalledImage
from armillary.wire.hawkbit.artifact import IMAGE_TYPE as BRIDGE_IMAGE

NO_GROUP: Final = UUID(int=0)
# States in which an image counts as arrived.
SETTLED: Final = frozenset({"running", "stopped"})


@dataclass(frozen=True, slots=True)
class Target:
    """A roll-out's target.

    Attributes:
        wanted: Image ids of the deployments, or of the release's components.
        parts: By device group what it gets, and the image ids of its deployment before.
        named: Row numbers of devices in rings that have started; ``groups``: device groups in them.
    """

    rollout: Rollout
    wanted: frozenset[UUID]
    parts: Mapping[UUID, tuple[RolloutPart, frozenset[UUID]]]
    order: PlaceOrder
    named: frozenset[int]
    groups: frozenset[UUID]

    @property
    def previous(self) -> frozenset[UUID]:
        """Image ids of the deployments before, in all groups."""
        return frozenset().union(*(image_ids for _, image_ids in self.parts.values()))

    def member(self, one: Member, failure: BadOutcome | None, waits: Waits) -> RolloutMember:
        """How a device stands to the roll-out."""
        seen_since = (
            one.started_at is not None and one.checked_in_at is not None and one.checked_in_at >= one.started_at
        )
        offered, converged, restored = (self._system if self.rollout.release_id else self._applications)(
            one, seen_since
        )
        is_mine = failure is not None and one.started_at is not None and failure.received_at >= one.started_at
        may_wait = offered and one.state in UNFINISHED
        told = failure if is_mine and seen_since and (one.offered_at is not None or offered) else None
        return RolloutMember(
            device_id=one.device_id,
            state=one.state,
            cohort=one.cohort,
            started_at=one.started_at,
            finished_at=one.finished_at,
            timed_from=one.timed_from,
            may_begin_at=waits.may_begin_at(one) if may_wait else None,
            offered=offered,
            converged=converged,
            restored=restored,
            failure="" if told is None else told.outcome,
            reason="" if told is None else told.reason,
            reached=self._is_reached(one),
            gone=not one.is_in_reach,
        )

    def _is_reached(self, one: Member) -> bool:
        place = self.order.place(one.number)
        return place <= self.rollout.reach or one.number in self.named or one.group_id in self.groups

    def _applications(self, one: Member, seen_since: bool) -> tuple[bool, bool, bool]:  # noqa: FBT001 - one of three facts
        """Whether it was offered the deployment, runs exactly it, and is back at what was before."""
        part, previous = self.parts.get(one.group_id or NO_GROUP, (None, frozenset()))
        if part is None:  # in another group now
            return False, False, False
        offered = seen_since and one.offered_deployment_id == part.deployment_id
        back = seen_since and None is not one.offered_deployment_id == part.previous_deployment_id
        never_offered = one.offered_at is None and not offered and not back
        return (
            offered,
            offered and _runs(one.installed, self.wanted),
            never_offered or (back and _runs(one.installed, previous)),
        )

    def _system(self, one: Member, seen_since: bool) -> tuple[bool, bool, bool]:  # noqa: FBT001 - one of three facts
        """The same of an OS release: whoever has its turn is offered it with its next check-in."""
        boots = one.os_version == self.rollout.version
        runs = boots and one.verdict == "attested" and not one.is_on_trial
        is_back = self.rollout.state == "rolling-back"
        asked_back = is_back and one.checked_in_at is not None and one.checked_in_at >= self.rollout.changed_at
        # On the way back: with a check-in between the last look and the roll-back.
        offered = seen_since and not asked_back
        # Whatever is on trial may still end as the other: a device that falls back to the release is not restored.
        is_away = not boots and not one.is_on_trial
        may_come = one.offered_at is not None or offered
        return offered, offered and runs, is_back and is_away and (asked_back or not may_come)


def target_of(connection: Connection, rollout: Rollout) -> Target:
    """The target of a roll-out."""
    if rollout.release_id is not None:
        wanted = release_rows.image_ids(connection, rollout.release_id)
    else:
        wanted = _image_ids(connection, rollout.deployment_id)
    before = {one.group_id: (one, _image_ids(connection, one.previous_deployment_id)) for one in rollout.parts}
    named, groups = ring_numbers(connection, rollout), ring_groups(connection, rollout)
    return Target(rollout, wanted, before, order_of(rollout.rollout_id), named, groups)


def artifacts_of(connection: Connection, rollout: Rollout) -> frozenset[bytes]:
    """The SHA-256 of what a roll-out brings that the repository has to name; files for bridged devices it does not."""
    if rollout.release_id is not None:
        found = (one for one in release_rows.every(connection) if one.release_id == rollout.release_id)
        return frozenset(part.digest for release in found for part in release.components)
    # Further groups get deployments of the same images.
    deployment = None if rollout.deployment_id is None else image_rows.deployment(connection, rollout.deployment_id)
    images = () if deployment is None else deployment.images
    return frozenset(image.sha256 for image in images if image.image_type != BRIDGE_IMAGE)


def _runs(installed: tuple[InstalledImage, ...], image_ids: frozenset[UUID]) -> bool:
    return has(installed, image_ids) and all(one.state in SETTLED for one in installed)


def _image_ids(connection: Connection, deployment_id: UUID | None) -> frozenset[UUID]:
    deployment = None if deployment_id is None else image_rows.deployment(connection, deployment_id)
    return frozenset() if deployment is None else frozenset(image.image_id for image in deployment.images)
