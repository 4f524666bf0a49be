# SPDX-License-Identifier: Apache-2.0
"""What operators do with roll-outs: start, approve, hold, resume, roll back, cancel; ``planner.py`` does the rest.

Where a catalog asks for a second person, a new roll-out is *proposed* and touches no device until somebody else than
its author approves it; and plain deployments, which reach every device at once, are refused there.

Not here: when a roll-out advances or stops, and its state table (``armillary.rollout``, pure rules).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    images as image_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.queries.planning import reach
from armillary.engines.records.schema.rollout_rows import Rollout, RolloutDevice, RolloutEvent
from armillary.engines.records.schema.rows import Page
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.rollout import state
from armillary.rollout.policy import RolloutPolicy, to_json as policy_to_json
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise, group_or_raise
from armillary.service.updates.deployments import Deployments, free_group_or_raise

MAX_REASON_LENGTH = 1024  # as every reason that a route takes (api/native/service/requests.py)


class Rollouts:
    """Operations on roll-outs."""

    def __init__(self, context: Context, deployments: Deployments, notices: Notices) -> None:
        self._context = context
        self._deployments = deployments
        self._notices = notices

    def start(
        self,
        catalog: str,
        product: str,
        group: str,
        image_ids: Sequence[UUID],
        *,
        actor: str,
        policy: RolloutPolicy | None = None,
    ) -> Rollout:
        """Bring a set of images to a group in cohorts; only proposed where the catalog asks for a second person.

        Raises:
            NotFoundError: the group or one of the images does not exist in this catalog.
            InvalidArgumentError: images that do not go together or do not fit the group's devices, or a ring that
                names a device of another group.
            ConflictError: another roll-out decides for this group, or it takes no application updates.
        """
        now, rollout_id, careful = self._context.now(), uuid4(), policy or RolloutPolicy()

        def change(connection: Connection) -> Rollout:
            target = free_group_or_raise(connection, catalog, product, group)
            waits = catalog_rows.needs_approval(connection, target.catalog_id)
            if target.update_policy != "UpdateAll":
                raise ConflictError(
                    f"group {target.name} takes no application updates ({target.update_policy})",
                    remedy="Set its update policy to UpdateAll first.",
                )
            deployment = self._deployments.prepare(
                connection, target, image_ids, actor=actor, deployment_id=None, rollout_id=rollout_id
            )
            made = Rollout(
                rollout_id=rollout_id,
                catalog_id=target.catalog_id,
                group_id=target.group_id,
                catalog=target.catalog,
                product=target.product,
                group=target.name,
                deployment_id=deployment.deployment_id,
                previous_deployment_id=target.deployment_id,
                policy=careful,
                state="proposed" if waits else "running",
                cohort=-1,
                cohort_started_at=None,
                reason="",
                created_at=now,
                created_by=actor,
                changed_at=now,
            )
            _check_rings(connection, made)
            rollout_rows.add(connection, made)
            detail = {"deployment": str(deployment.deployment_id), "policy": policy_to_json(careful)}
            verb = "propose" if waits else "start"
            self._context.audit(connection, actor, f"rollout.{verb}", str(rollout_id), detail)
            return rollout_or_raise(connection, rollout_id)

        rollout = self._context.records.write(change)
        self._notices.groups_changed()
        return rollout

    def get(self, rollout_id: UUID) -> Rollout:
        """A roll-out with its counts; NotFoundError if there is none of this id."""
        return self._context.records.read(lambda c: rollout_or_raise(c, rollout_id))

    def list(
        self, *, catalog: str | None = None, state: str | None = None, limit: int = 50, after: str | None = None
    ) -> Page[Rollout]:
        """Roll-outs, newest first."""
        before = number_after(after)

        def query(connection: Connection) -> Page[Rollout]:
            owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            return rollout_rows.page(connection, catalog_id=owner, state=state, limit=bounded(limit), before=before)

        return self._context.records.read(query)

    def list_devices(
        self, rollout_id: UUID, *, failed: bool = False, limit: int = 100, after: str | None = None
    ) -> Page[RolloutDevice]:
        """The devices a roll-out has started, or those of them that failed, by id."""

        def query(connection: Connection) -> Page[RolloutDevice]:
            if rollout_rows.uncounted(connection, rollout_id) is None:
                raise no_such_rollout(rollout_id)
            return rollout_rows.devices(connection, rollout_id, failed=failed, limit=bounded(limit), after=after)

        return self._context.records.read(query)

    def approve(self, rollout_id: UUID, *, actor: str) -> Rollout:
        """Let a proposed roll-out begin; ConflictError for who made it, or where it waits for nobody."""
        return self._command(rollout_id, "approve", "", actor)

    def needs_approval(self, catalog: str) -> bool:
        """Whether roll-outs of a catalog wait for a second person."""
        return self._context.records.read(
            lambda c: catalog_rows.needs_approval(c, catalog_or_raise(c, catalog).catalog_id)
        )

    def set_needs_approval(self, catalog: str, *, needed: bool, actor: str) -> bool:
        """Say whether roll-outs of a catalog wait for a second person; those that are proposed go on waiting."""

        def change(connection: Connection) -> bool:
            owner = catalog_or_raise(connection, catalog)
            catalog_rows.set_needs_approval(connection, owner.catalog_id, needed)
            self._context.audit(connection, actor, "rollout.approval-policy", owner.name, {"needed": needed})
            return needed

        return self._context.records.write(change)

    def hold(self, rollout_id: UUID, *, reason: str, actor: str) -> Rollout:
        """Stop starting devices. Installations under way go on; only a person resumes it."""
        return self._command(rollout_id, "hold", reason, actor)

    def resume(self, rollout_id: UUID, *, actor: str) -> Rollout:
        """Go on: what failed so far is accepted and does not hold it again."""
        return self._command(rollout_id, "resume", "", actor)

    def roll_back(self, rollout_id: UUID, *, reason: str, actor: str) -> Rollout:
        """Give every device that started what it had before, and follow until each one has it.

        A completed roll-out too, in one call: the deployment before it is the group's again, at once. ConflictError
        where something newer is in force, or under way.
        """
        return self._command(rollout_id, "roll-back", reason, actor)

    def cancel(self, rollout_id: UUID, *, reason: str, actor: str) -> Rollout:
        """Stop deciding for the group; its deployment stays the one from before."""
        return self._command(rollout_id, "cancel", reason, actor)

    def _command(self, rollout_id: UUID, event: str, reason: str, actor: str) -> Rollout:
        if len(reason) > MAX_REASON_LENGTH:
            raise InvalidArgumentError(
                f"reason: expected at most {MAX_REASON_LENGTH} characters, got {len(reason)}", remedy="Shorten it."
            )

        def change(connection: Connection) -> Rollout:
            found = rollout_or_raise(connection, rollout_id)
            apply_event(self._context, self._deployments, connection, found, event, reason, actor)
            return rollout_or_raise(connection, rollout_id)

        rollout = self._context.records.write(change)
        self._notices.groups_changed()
        return rollout


def rollout_or_raise(connection: Connection, rollout_id: UUID) -> Rollout:
    """The roll-out of an id; NotFoundError if there is none."""
    found = rollout_rows.one(connection, rollout_id)
    if found is None:
        raise no_such_rollout(rollout_id)
    return found


def no_such_rollout(rollout_id: UUID) -> NotFoundError:
    """The error for a roll-out that does not exist, or is another catalog's than the caller's."""
    return NotFoundError(f"roll-out {rollout_id} does not exist", remedy="List them: armillary rollout list.")


def apply_event(
    context: Context,
    deployments: Deployments,
    connection: Connection,
    rollout: Rollout,
    event: str,
    reason: str,
    actor: str,
    finding_id: UUID | None = None,
) -> None:
    """Apply an event to a roll-out in the caller's transaction; ConflictError if it is not possible in this state."""
    now = context.now()
    after = state.after(rollout.state, event)
    if event == "approve" and actor.casefold() == rollout.created_by.casefold():
        raise ConflictError(
            f"{actor} made this roll-out and cannot approve it",
            remedy="Ask a second person: whoever makes a roll-out needs somebody else's word.",
        )
    values: dict[str, object] = {"state": after, "changed_at": now, "reached_at": None}
    if event != "restored":  # why it was rolled back stays
        values["reason"] = reason
    if event == "finish":
        image_rows.put_in_force(connection, rollout.deployment_id, rollout.group_id, now=now)
    if event == "roll-back":
        if rollout.state == "completed":
            _check_newest(connection, rollout)
        if rollout.previous_deployment_id is None:
            # Nothing was in force before: devices that have the images must learn that none are wanted.
            values["previous_deployment_id"] = _put_nothing_in_force(context, deployments, connection, rollout, actor)
        elif rollout.state == "completed":
            image_rows.put_in_force(connection, rollout.previous_deployment_id, rollout.group_id, now=now)
    rollout_rows.change(connection, rollout.rollout_id, values)
    line = RolloutEvent(at=now, actor=actor, event=event, reason=reason, finding_id=finding_id)
    rollout_rows.note(connection, rollout.rollout_id, line)
    detail = {"from": rollout.state, "to": after, "reason": reason}
    context.audit(connection, actor, f"rollout.{event}", str(rollout.rollout_id), detail)


def _check_newest(connection: Connection, rollout: Rollout) -> None:
    """Refuse to roll back a completed roll-out after which something else came: it would undo that as well."""
    group = group_or_raise(connection, rollout.catalog, rollout.product, rollout.group)
    living = rollout_rows.living_of_group(connection, rollout.group_id)
    if living is not None:
        raise ConflictError(
            f"roll-out {living.rollout_id} ({living.state}) decides for group {group.name}",
            remedy="Roll that one back, or cancel it first.",
        )
    if group.deployment_id != rollout.deployment_id:
        raise ConflictError(
            "a newer deployment is in force in this group",
            remedy="Roll out the images that you want back: armillary rollout create.",
        )


def _check_rings(connection: Connection, rollout: Rollout) -> None:
    """Refuse rings that name a device which is not in the group: it is misspelt, or of somebody else."""
    for ring in rollout.policy.rings:
        found = reach.numbers_of(connection, rollout, ring.devices)
        if len(found) != len(ring.devices):
            missing = next(one for one in ring.devices if not reach.numbers_of(connection, rollout, [one]))
            raise InvalidArgumentError(
                f"ring {ring.name}: device {missing[:16]}... is not in group {rollout.group}",
                remedy="List the group's devices: armillary device list --device-group NAME.",
            )


def _put_nothing_in_force(
    context: Context, deployments: Deployments, connection: Connection, rollout: Rollout, actor: str
) -> UUID:
    group = group_or_raise(connection, rollout.catalog, rollout.product, rollout.group)
    empty = deployments.prepare(connection, group, (), actor=actor, deployment_id=None, rollout_id=rollout.rollout_id)
    image_rows.put_in_force(connection, empty.deployment_id, group.group_id, now=context.now())
    return empty.deployment_id
