# SPDX-License-Identifier: Apache-2.0
"""The planner: reads every running roll-out, asks ``rollout/plan.py`` what to do, and does it.

It reconciles: each run starts from what the records say, so a crash between seeing and doing loses nothing. It plans
on a snapshot and, when it writes, does so only if the roll-out still stands where the plan found it; a person's
command in between wins, and the next run plans again.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import findings as finding_rows, images as image_rows, rollouts as rollout_rows
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.plan import FAILED, DeviceMove, RolloutMember, RolloutPlan, RolloutProgress, plan
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.updates.deployments import Deployments
from armillary.service.updates.offers import has
from armillary.service.updates.rollouts import apply_event
from armillary.service.watch.detections import Observation
from armillary.service.watch.watch import record
from armillary.wire.device.checkin import InstalledImage

ACTOR: Final = "planner"
# States in which an image counts as arrived.
SETTLED: Final = frozenset({"running", "stopped"})


class Planner:
    """Plans roll-outs and carries the plans out."""

    def __init__(self, context: Context, deployments: Deployments, notices: Notices) -> None:
        self._context = context
        self._deployments = deployments
        self._notices = notices

    def run_once(self) -> int:
        """Plan every running roll-out once; returns how many changed."""
        changed = 0
        for rollout in self._context.records.read(rollout_rows.living):
            changed += self._run(rollout)
        if changed:
            self._notices.groups_changed()
        return changed

    def _run(self, rollout: Rollout) -> bool:
        now = self._context.now()
        made, numbers = self._context.records.read(lambda c: self._plan(c, rollout, now))
        if not (made.moves or made.start or made.event or made.cohort != rollout.cohort):
            return False
        return self._context.records.write(lambda c: self._execute(c, rollout, made, numbers, now))

    def _plan(self, connection: Connection, rollout: Rollout, now: int) -> tuple[RolloutPlan, dict[str, int]]:
        wanted = _image_ids(connection, rollout.deployment_id)
        previous = _image_ids(connection, rollout.previous_deployment_id)
        failures = rollout_rows.failures(connection, rollout.deployment_id)
        members = rollout_rows.members(connection, rollout)
        inventory = [_member(one, rollout, wanted, previous, failures.get(one.number)) for one in members]
        progress = RolloutProgress(
            rollout_id=rollout.rollout_id,
            catalog_id=rollout.catalog_id,
            state=rollout.state,
            cohort=rollout.cohort,
            since=rollout.changed_at,
        )
        made = plan(rollout.policy, progress, inventory, finding_rows.living(connection, rollout.catalog_id), now)
        return made, {one.device_id: one.number for one in members}

    def _execute(
        self, connection: Connection, rollout: Rollout, made: RolloutPlan, numbers: dict[str, int], now: int
    ) -> bool:
        current = rollout_rows.one(connection, rollout.rollout_id)
        if current is None or (current.state, current.cohort, current.changed_at) != (
            rollout.state,
            rollout.cohort,
            rollout.changed_at,
        ):
            return False
        for move in made.moves:
            values = _values(move, now)
            rollout_rows.move(connection, rollout.rollout_id, numbers[move.device_id], values)
        if made.start:
            rollout_rows.start(
                connection, rollout.rollout_id, made.cohort, [numbers[one] for one in made.start], now=now
            )
        if made.cohort != rollout.cohort:
            rollout_rows.change(connection, rollout.rollout_id, {"cohort": made.cohort, "cohort_started_at": now})
            detail = {"cohort": made.cohort + 1, "devices": len(made.start)}
            self._context.audit(connection, ACTOR, "rollout.cohort", str(rollout.rollout_id), detail)
        finding_id = made.finding_id
        if made.event in ("hold", "roll-back"):
            finding = record(connection, _held(rollout, made), now)
            finding_id = finding_id or finding.finding_id
        if made.event:
            apply_event(
                self._context, self._deployments, connection, current, made.event, made.reason, ACTOR, finding_id
            )
        return True


def _values(move: DeviceMove, now: int) -> dict[str, object]:
    """Columns to write for a device that moves; a recorded failure stays until the device confirms."""
    values: dict[str, object] = {"state": move.state}
    if move.state == "offered":
        values["offered_at"] = now
    else:
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
        title=f"The roll-out to {rollout.product}/{rollout.group} was stopped",
        cause=made.reason,
        proposed_action=action,
        catalog_id=rollout.catalog_id,
        group_id=rollout.group_id,
        deployment_id=rollout.deployment_id,
        rollout_id=rollout.rollout_id,
    )


def _member(
    one: rollout_rows.Member,
    rollout: Rollout,
    wanted: frozenset[UUID],
    previous: frozenset[UUID],
    failure: tuple[str, str] | None,
) -> RolloutMember:
    seen_since = one.started_at is not None and one.checked_in_at is not None and one.checked_in_at >= one.started_at
    offered = seen_since and one.offered_deployment_id == rollout.deployment_id
    back = seen_since and one.offered_deployment_id == rollout.previous_deployment_id
    never_offered = one.offered_at is None and not offered
    return RolloutMember(
        device_id=one.device_id,
        state=one.state,
        cohort=one.cohort,
        started_at=one.started_at,
        finished_at=one.finished_at,
        offered=offered,
        converged=offered and _runs(one.installed, wanted),
        restored=never_offered or (back and _runs(one.installed, previous)),
        failure=failure[0] if failure and seen_since and not never_offered else "",
        reason=failure[1] if failure else "",
    )


def _runs(installed: tuple[InstalledImage, ...], image_ids: frozenset[UUID]) -> bool:
    return has(installed, image_ids) and all(one.state in SETTLED for one in installed)


def _image_ids(connection: Connection, deployment_id: UUID | None) -> frozenset[UUID]:
    deployment = None if deployment_id is None else image_rows.deployment(connection, deployment_id)
    return frozenset() if deployment is None else frozenset(image.image_id for image in deployment.images)
