# SPDX-License-Identifier: Apache-2.0
"""What the planner sees of one roll-out: the devices that reported, the counters, findings, the release before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import findings as finding_rows, images as image_rows
from armillary.engines.records.queries.planning import before as before_rows, looks, reach
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.cohort import PlaceOrder, order_of
from armillary.rollout.comparison import SIGNALS
from armillary.rollout.plan import Alarm, RolloutMember, Sight
from armillary.rollout.tally import FAILED
from armillary.service.updates.offers import has
from armillary.service.updates.staging import ring_numbers
from armillary.wire.device.checkin import InstalledImage
from armillary.wire.device.finding import Finding

# States in which an image counts as arrived.
SETTLED: Final = frozenset({"running", "stopped"})
# Devices whose time is up that one look takes; the rest are the next one's. A million in one transaction would keep
# check-ins waiting for their commit.
OVERDUE_AT_ONCE: Final = 20_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """A sight of a roll-out, and the row number of each device in it."""

    seen: Sight
    numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Target:
    """What devices are compared with."""

    rollout: Rollout
    wanted: frozenset[UUID]
    previous: frozenset[UUID]
    order: PlaceOrder
    named: frozenset[int]  # by rings that have started


def look(
    connection: Connection, rollout: Rollout, *, after: int, up_to: int, bridged_since: int = 0, now: int
) -> Sighting:
    """See a roll-out whose devices were last looked at up to the check-in numbered ``after``.

    Bridged devices do not check in: those are looked at of which there is news since ``bridged_since``.
    """
    target = _Target(
        rollout,
        _image_ids(connection, rollout.deployment_id),
        _image_ids(connection, rollout.previous_deployment_id),
        order_of(rollout.rollout_id),
        ring_numbers(connection, rollout),
    )
    found = {one.number: one for one in looks.reported(connection, rollout, after=after, up_to=up_to)}
    found |= {one.number: one for one in looks.bridged(connection, rollout, since=bridged_since)}
    found |= {one.number: one for one in _overdue(connection, rollout, now)}
    failures = looks.failures(connection, rollout.deployment_id, found)
    members = [_member(one, target, failures.get(one.number)) for one in found.values()]
    tally = looks.tally(connection, rollout.rollout_id, rollout.changed_at)
    findings = finding_rows.headlines(connection, rollout.catalog_id)
    crashed = _crashed(connection, rollout, findings, target.wanted)
    devices = reach.devices_in_reach(connection, rollout)
    suspects = tally.count_recent(FAILED) + sum(bool(one.failure) for one in members) + crashed
    compared = rollout.policy.false_hold_percent and (suspects or _is_time_up(rollout, now))
    seen = Sight(
        members=members,
        tally=tally,
        devices=devices,
        alarms=[Alarm(one, looks.named_by(connection, rollout.rollout_id, [one.finding_id])) for one in findings],
        crashed=crashed,
        before=_before(connection, target, findings, devices, now) if compared else {},
    )
    return Sighting(seen, {one.device_id: one.number for one in found.values()})


def _is_time_up(rollout: Rollout, now: int) -> bool:
    """Whether devices that have not confirmed may be timed out: no time runs while a roll-out is held."""
    return rollout.state == "running" and now - rollout.changed_at >= rollout.policy.timeout_s


def _overdue(connection: Connection, rollout: Rollout, now: int) -> list[looks.Member]:
    if rollout.state == "rolling-back":
        return looks.never_offered(connection, rollout, limit=OVERDUE_AT_ONCE)
    if not _is_time_up(rollout, now):
        return []
    started_before = now - rollout.policy.timeout_s
    return looks.overdue(connection, rollout, started_before=started_before, limit=OVERDUE_AT_ONCE)


def _crashed(
    connection: Connection, rollout: Rollout, findings: tuple[Finding, ...], image_ids: frozenset[UUID]
) -> int:
    """Started devices on which one of the roll-out's images crashes, since it runs."""
    mine = [one.finding_id for one in _crashes(findings, image_ids) if one.last_seen >= rollout.changed_at]
    return looks.named_by(connection, rollout.rollout_id, mine)


def _crashes(findings: tuple[Finding, ...], image_ids: frozenset[UUID]) -> list[Finding]:
    return [one for one in findings if one.kind == "application-crashed" and one.image_id in image_ids]


def _before(
    connection: Connection, target: _Target, findings: tuple[Finding, ...], devices: int, now: int
) -> dict[str, tuple[int, int]]:
    """By signal: how many devices failed so with the release before, and of how many."""
    rollout = target.rollout
    crashing = sum(one.device_count for one in _crashes(findings, target.previous - target.wanted))
    silent_since = now - rollout.policy.timeout_s
    rates = (
        before_rows.taken_back_before(connection, rollout),
        before_rows.silent_share(connection, rollout, before=silent_since, devices=devices),
        (min(crashing, devices), devices) if target.previous - target.wanted else (0, 0),
    )
    return dict(zip(SIGNALS, rates, strict=True))


def _member(one: looks.Member, target: _Target, failure: tuple[str, str] | None) -> RolloutMember:
    rollout = target.rollout
    seen_since = one.started_at is not None and one.checked_in_at is not None and one.checked_in_at >= one.started_at
    offered = seen_since and one.offered_deployment_id == rollout.deployment_id
    back = seen_since and None is not one.offered_deployment_id == rollout.previous_deployment_id
    never_offered = one.offered_at is None and not offered and not back
    return RolloutMember(
        device_id=one.device_id,
        state=one.state,
        cohort=one.cohort,
        started_at=one.started_at,
        finished_at=one.finished_at,
        offered=offered,
        converged=offered and _runs(one.installed, target.wanted),
        restored=never_offered or (back and _runs(one.installed, target.previous)),
        failure=failure[0] if failure and seen_since and not never_offered else "",
        reason=failure[1] if failure else "",
        reached=target.order.place(one.number) <= rollout.reach or one.number in target.named,
        gone=one.group_id != rollout.group_id or one.revoked_at is not None,
    )


def _runs(installed: tuple[InstalledImage, ...], image_ids: frozenset[UUID]) -> bool:
    return has(installed, image_ids) and all(one.state in SETTLED for one in installed)


def _image_ids(connection: Connection, deployment_id: UUID | None) -> frozenset[UUID]:
    deployment = None if deployment_id is None else image_rows.deployment(connection, deployment_id)
    return frozenset() if deployment is None else frozenset(image.image_id for image in deployment.images)
