# SPDX-License-Identifier: Apache-2.0
"""The planner: looks at every living roll-out, asks ``rollout/plan.py`` what to do, and does it.

It reconciles: each run starts from what the records say, so a crash between seeing and doing loses nothing. It plans
on a snapshot and, when it writes, does so only if the roll-out still stands where the plan found it; a person's
command in between wins, and the next run plans again.

A run reads the counters of each roll-out and the devices that checked in since the run before, not the whole fleet;
and it starts and moves so many devices at once that no transaction keeps check-ins waiting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    findings as finding_rows,
    reports as report_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.queries.planning import reach, starts
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.cohort import EVERYBODY
from armillary.rollout.plan import DeviceMove, RolloutPlan, RolloutProgress, plan
from armillary.rollout.tally import FAILED, UNFINISHED
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.repository.repository import Repository
from armillary.service.updates.deployments import Deployments
from armillary.service.updates.rollout_events import apply_event
from armillary.service.updates.sighting import Sighting, look
from armillary.service.updates.staging import ring_groups
from armillary.service.updates.targets import artifacts_of
from armillary.service.watch.detections import Observation
from armillary.service.watch.watch import record

if TYPE_CHECKING:
    from armillary.service.watch.crash_rates import CrashLooks, LookedAtCrashes

ACTOR: Final = "planner"
# Check-ins that one run looks at, and devices that it starts of one roll-out; the rest are the next run's.
CHECK_INS_AT_ONCE: Final = 10_000
STARTS_AT_ONCE: Final = 20_000
# Check-ins are numbered before they are committed: several writers may commit a lower number a little later.
IN_FLIGHT: Final = 500
# A planner that is further behind passes over the oldest check-ins: their devices will check in again.
MOST_BEHIND: Final = 20 * CHECK_INS_AT_ONCE
# News of bridged devices has the time at which its transaction began, not that of its commit.
BRIDGED_SLACK_S: Final = 10
# How far it got is stored after so many check-ins, so that an idle roll-out costs no commits.
STORE_EVERY: Final = 1000


class Planner:
    """Plans roll-outs and carries the plans out; one run at a time."""

    def __init__(self, context: Context, deployments: Deployments, notices: Notices, repository: Repository) -> None:
        self._context = context
        self._deployments = deployments
        self._notices = notices
        self._repository = repository
        # The newest check-in that every living roll-out has seen; as it is stored. None: not read yet.
        self._position: int | None = None
        self._stored = 0
        self._bridged_since = 0  # Unix seconds: news of bridged devices before it was seen by every living roll-out
        self._has_promoted = False

    @cached_property
    def _crashes(self) -> CrashLooks:
        from armillary.service.watch.crash_rates import CrashLooks  # noqa: PLC0415 - memory: with the first roll-out

        return CrashLooks()

    def run_once(self) -> int:
        """Plan every running roll-out once; returns how many changed."""
        began = self._context.now()
        living, after, up_to = self._context.records.read(self._span)
        changed, is_done = 0, True
        for rollout in living:
            done = self._run(rollout, after, up_to)
            changed += bool(done)
            is_done &= done is not None
        if is_done:
            self._position = up_to
            self._bridged_since = began - BRIDGED_SLACK_S
            if up_to - self._stored >= STORE_EVERY or (changed and up_to != self._stored):
                self._context.records.write(lambda c: finding_rows.set_position(c, ACTOR, up_to))
                self._stored = up_to
        if self._has_promoted:
            self._has_promoted = False
            self._notices.releases_changed()
        if changed:
            self._notices.groups_changed()
        return changed

    def _span(self, connection: Connection) -> tuple[list[Rollout], int, int]:
        """The roll-outs to plan, and the check-ins to look at: after which number, up to which."""
        living = [one for one in rollout_rows.living(connection) if one.state != "proposed"]
        newest = report_rows.newest_number(connection, "check_in")
        if self._position is None:
            self._position = self._stored = finding_rows.position(connection, ACTOR)
        if not living:
            return [], newest, newest
        position = max(min(self._position, newest), newest - MOST_BEHIND)
        return living, max(0, position - IN_FLIGHT), min(newest, position + CHECK_INS_AT_ONCE)

    def _run(self, rollout: Rollout, after: int, up_to: int) -> bool | None:
        """Whether the roll-out changed; None if somebody changed it meanwhile."""
        now, is_running = self._context.now(), rollout.state == "running"
        is_named = not is_running or self._is_named(rollout)
        made, sighting = self._context.records.read(
            lambda c: self._plan(c, rollout, after, up_to, now, is_named=is_named)
        )
        if not self._keep(rollout, sighting.crashes):
            return None
        is_due = is_running and (made.waits != rollout.reason or (made.due > 0 and not made.waits))
        stays = (made.cohort, made.reached_at) == (rollout.cohort, rollout.reached_at)
        if stays and not (made.moves or made.start or made.event or is_due):
            return False
        is_done = self._context.records.write(lambda c: self._execute(c, rollout, made, sighting.numbers, now))
        self._has_promoted |= is_done and made.event == "finish" and rollout.release_id is not None
        return is_done or None

    def _keep(self, rollout: Rollout, looked: LookedAtCrashes | None) -> bool:
        """Keep what new crashes are evidence of before anything follows from it; False if somebody else did."""
        if looked is None or looked.now is None:
            return True
        from armillary.engines.records.queries.planning import crashes as crash_rows  # noqa: PLC0415 - memory, as above

        kept, now, crashes = looked.kept, looked.now, looked.crashes
        return self._context.records.write(lambda c: crash_rows.keep(c, rollout, kept, now, crashes))

    def _is_named(self, rollout: Rollout) -> bool:
        """Whether the repository names what a roll-out brings; files for bridged devices are in no repository."""
        digests = self._context.records.read(lambda c: artifacts_of(c, rollout))
        return not digests or self._repository.names(digests, rollout.catalog_id)

    def _plan(
        self, connection: Connection, rollout: Rollout, after: int, up_to: int, now: int, *, is_named: bool
    ) -> tuple[RolloutPlan, Sighting]:
        since = self._bridged_since
        sighting = look(
            connection,
            rollout,
            self._crashes,
            after=after,
            up_to=up_to,
            bridged_since=since,
            now=now,
            is_named=is_named,
        )
        progress = RolloutProgress(
            catalog_id=rollout.catalog_id,
            state=rollout.state,
            cohort=rollout.cohort,
            since=rollout.changed_at,
            due=rollout.due,
            reached_at=rollout.reached_at,
        )
        return plan(rollout.policy, progress, sighting.seen, now), sighting

    def _execute(
        self, connection: Connection, rollout: Rollout, made: RolloutPlan, numbers: Mapping[str, int], now: int
    ) -> bool:
        current = rollout_rows.uncounted(connection, rollout.rollout_id)
        if current is None or (current.state, current.cohort, current.changed_at) != (
            rollout.state,
            rollout.cohort,
            rollout.changed_at,
        ):
            return False
        by_columns: dict[tuple[str, ...], list[dict[str, object]]] = defaultdict(list)
        for move in made.moves:
            values = {"device_number": numbers[move.device_id], **_values(move, now)}
            by_columns[tuple(values)].append(values)
        for rows in by_columns.values():
            starts.move(connection, rollout.rollout_id, rows)
        if made.start:
            starts.start(connection, rollout.rollout_id, made.cohort, [numbers[one] for one in made.start], now=now)
        if rollout.state == "running" and not made.event:
            self._go_on(connection, current, made, now)
        finding_id = made.finding_id
        if made.event in ("hold", "roll-back"):
            finding = record(connection, _held(rollout, made), now)
            finding_id = finding_id or finding.finding_id
        if made.event:
            apply_event(
                self._context, self._deployments, connection, current, made.event, made.reason, ACTOR, finding_id
            )
        return True

    def _go_on(self, connection: Connection, rollout: Rollout, made: RolloutPlan, now: int) -> None:
        """Begin the next cohort, if it is its time, and start those of the newest one that are due; or say why not."""
        values: dict[str, object] = {"reached_at": made.reached_at, "reason": made.waits}
        if made.waits:
            rollout_rows.change(connection, rollout.rollout_id, values)
            return
        is_new = made.cohort != rollout.cohort
        if is_new:
            values |= {"cohort": made.cohort, "cohort_started_at": now, "reached_at": None}
        devices = due = made.due
        if made.cohort < len(rollout.policy.rings):
            if is_new or due:
                started, due = self._start_ring(connection, rollout, made.cohort, now, is_new=is_new)
                devices = started + due
        elif due:
            count = min(due, STARTS_AT_ONCE)
            started, up_to, is_more = starts.start_next(connection, rollout, made.cohort, count, now=now)
            due = due - started if is_more else 0
            is_last = made.cohort == rollout.policy.steps - 1
            values |= {"reach": EVERYBODY if is_last and not due else up_to}
        if is_new:
            detail = {"cohort": made.cohort + 1, "devices": devices}
            self._context.audit(connection, ACTOR, "rollout.cohort", str(rollout.rollout_id), detail)
        rollout_rows.change(connection, rollout.rollout_id, {**values, "due": due})

    def _start_ring(
        self, connection: Connection, rollout: Rollout, cohort: int, now: int, *, is_new: bool
    ) -> tuple[int, int]:
        """Start devices of a ring: those that it names at once, those of its groups in portions.

        Returns how many started, and how many are left.
        """
        ring, started = rollout.policy.rings[cohort], 0
        if is_new:
            numbers = reach.numbers_of(connection, rollout, ring.devices)
            started = starts.start(connection, rollout.rollout_id, cohort, sorted(numbers), now=now)
        if not ring.groups:
            return started, 0
        groups = ring_groups(connection, rollout, only=cohort)
        more, left = starts.start_ring(connection, rollout, cohort, groups, STARTS_AT_ONCE, now=now)
        return started + more, left


def _values(move: DeviceMove, now: int) -> dict[str, object]:
    """Columns to write for a device that moves; a recorded failure stays until the device confirms."""
    values: dict[str, object] = {"state": move.state}
    if move.timed_from is not None:
        values["timed_from"] = move.timed_from
    if move.state == "offered":
        values["offered_at"] = now
    elif move.state not in UNFINISHED:
        values["finished_at"] = now
    if failure := move.state if move.state in FAILED else move.failure:
        values |= {"failure": failure, "reason": move.reason}
    elif move.state == "confirmed":
        values |= {"failure": None, "reason": ""}
    return values


def _held(rollout: Rollout, made: RolloutPlan) -> Observation:
    action = (
        "It rolls back by itself, as its policy says."
        if made.event == "roll-back"
        else "Look at the devices that failed, then roll back, or resume if the failures are acceptable."
    )
    return Observation(
        kind="rollout-held",
        key=(str(rollout.rollout_id),),
        severity="high",
        title=f"The roll-out to {rollout.target} was stopped",
        cause=made.reason,
        proposed_action=action,
        catalog_id=rollout.catalog_id,
        group_id=rollout.group_id,
        deployment_id=rollout.deployment_id,
        rollout_id=rollout.rollout_id,
    )
