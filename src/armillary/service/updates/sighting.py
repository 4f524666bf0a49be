# SPDX-License-Identifier: Apache-2.0
"""What the planner sees of one roll-out: the devices that reported, the counters, findings, the release before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import findings as finding_rows
from armillary.engines.records.queries.planning import before as before_rows, looks, reach
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.comparison import SIGNALS
from armillary.rollout.plan import Alarm, Sight
from armillary.rollout.tally import FAILED
from armillary.service.updates.targets import Target, target_of
from armillary.service.updates.waits import Waits
from armillary.wire.device.finding import Finding

if TYPE_CHECKING:
    from armillary.service.watch.crash_rates import CrashLooks, LookedAtCrashes

# Devices whose time is up that one look takes; the rest are the next one's. A million in one transaction would keep
# check-ins waiting for their commit.
OVERDUE_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """A sight of a roll-out, and the row number of each device in it."""

    seen: Sight
    numbers: Mapping[str, int]
    crashes: LookedAtCrashes | None


def look(
    connection: Connection,
    rollout: Rollout,
    crash_looks: CrashLooks,
    *,
    after: int,
    up_to: int,
    bridged_since: int = 0,
    now: int,
    is_named: bool,
) -> Sighting:
    """See a roll-out whose devices were last looked at up to the check-in numbered ``after``.

    Bridged devices do not check in: those are looked at of which there is news since ``bridged_since``. ``is_named``:
    the repository names what the roll-out brings.
    """
    target = target_of(connection, rollout)
    found = {one.number: one for one in looks.reported(connection, rollout, after=after, up_to=up_to)}
    found |= {one.number: one for one in looks.bridged(connection, rollout, since=bridged_since)}
    found |= {one.number: one for one in _overdue(connection, rollout, now)}
    failures = looks.failures(connection, rollout, target.wanted, found)
    waits = Waits(connection)
    members = [target.member(one, failures.get(one.number), waits) for one in found.values()]
    tally = looks.tally(connection, rollout.rollout_id, rollout.changed_at)
    findings = finding_rows.headlines(connection, rollout.catalog_id)
    devices = reach.devices_in_reach(connection, rollout)
    rings = range(len(rollout.policy.rings))
    confirmed = tally.count(("confirmed",)) - sum(tally.count(("confirmed",), cohort=ring) for ring in rings)
    judged = None if rollout.release_id else target.wanted | target.previous
    crashes: LookedAtCrashes | None = None
    if rollout.release_id is not None or target.previous:
        crashes = crash_looks.look(connection, rollout, judged, confirmed=confirmed, devices=devices, now=now)
    if crashes is not None:  # rates decide, and no finding that something crashes
        findings = tuple(one for one in findings if one not in _crashes(findings, judged))
    crashed = _crashed(connection, target, findings)
    suspects = tally.count_recent(FAILED) + sum(bool(one.failure) for one in members) + crashed
    compared = rollout.policy.false_hold_percent and (suspects or _is_time_up(rollout, now))
    seen = Sight(
        members=members,
        tally=tally,
        devices=devices,
        alarms=[Alarm(one, looks.named_by(connection, rollout.rollout_id, [one.finding_id])) for one in findings],
        crashed=crashed,
        before=_before(connection, target, findings, devices, now) if compared else {},
        rates=None if crashes is None else crashes.rates,
        is_named=is_named,
    )
    return Sighting(seen, {one.device_id: one.number for one in found.values()}, crashes)


def _is_time_up(rollout: Rollout, now: int) -> bool:
    """Whether devices that have not confirmed may be timed out: no time runs while a roll-out is held."""
    return rollout.state == "running" and now - rollout.changed_at >= rollout.policy.timeout_s


def _overdue(connection: Connection, rollout: Rollout, now: int) -> list[looks.Member]:
    if rollout.state == "rolling-back":
        return looks.never_offered(connection, rollout, limit=OVERDUE_AT_ONCE)
    if not _is_time_up(rollout, now):
        return []
    timed_before = now - rollout.policy.timeout_s
    return looks.overdue(connection, rollout, timed_before=timed_before, limit=OVERDUE_AT_ONCE)


def _crashed(connection: Connection, target: Target, findings: tuple[Finding, ...]) -> int:
    """Started devices on which one of the new images crashes since it runs; of an OS release, any application."""
    rollout = target.rollout
    crashes = _crashes(findings, None if rollout.release_id else target.wanted)
    mine = [one.finding_id for one in crashes if one.last_seen >= rollout.changed_at]
    return looks.named_by(connection, rollout.rollout_id, mine)


def _crashes(findings: tuple[Finding, ...], image_ids: frozenset[UUID] | None) -> list[Finding]:
    return [
        one
        for one in findings
        if one.kind == "application-crashed" and (image_ids is None or one.image_id in image_ids)
    ]


def _before(
    connection: Connection, target: Target, findings: tuple[Finding, ...], devices: int, now: int
) -> dict[str, tuple[int, int]]:
    """By signal: how many devices failed so with the release before, and of how many."""
    rollout, old = target.rollout, target.previous - target.wanted
    if rollout.release_id is not None:
        crashes = _crashes(findings, None)
        started = looks.named_by(connection, rollout.rollout_id, [one.finding_id for one in crashes])
        crashing = sum(one.device_count for one in crashes) - started, devices
    else:
        crashing = sum(one.device_count for one in _crashes(findings, old)), devices if old else 0
    silent_since = now - rollout.policy.timeout_s
    rates = (
        before_rows.taken_back_before(connection, rollout),
        before_rows.silent_share(connection, rollout, before=silent_since, devices=devices),
        (max(0, min(crashing)), crashing[1]),
    )
    return dict(zip(SIGNALS, rates, strict=True))
