# SPDX-License-Identifier: Apache-2.0
"""What operators do with roll-outs: start, approve, hold, resume, roll back, cancel; ``planner.py`` does the rest.

Where a catalog asks for a second person, a new roll-out is *proposed* and touches no device until somebody else than
its author approves it; and plain deployments, which reach every device at once, are refused there.

Not here: when a roll-out advances or stops, and its state table (``armillary.rollout``, pure rules).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.queries.planning.preview import RolloutPreview, previewed
from armillary.engines.records.response import kept as kept_rows
from armillary.engines.records.schema.rollout_rows import Rollout, RolloutDevice, RolloutPart
from armillary.engines.records.schema.rows import DeviceGroup, Page
from armillary.errors import (
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
)
from armillary.rollout.policy import RolloutPolicy, to_json as policy_to_json
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise
from armillary.service.updates.deployments import Deployments, free_group_or_raise
from armillary.service.updates.rollout_events import apply_event
from armillary.service.updates.staging import check_rings
from armillary.wire.text.given_text import unseen

MAX_REASON_LENGTH = 1024  # as every reason that a route takes (api/native/service/requests.py)


# A preview holds up what devices write, so there is one at a time; others wait as long as a person would.
PREVIEW_WAIT_S = 10


class Rollouts:
    """Operations on roll-outs."""

    def __init__(self, context: Context, deployments: Deployments, notices: Notices) -> None:
        self._context = context
        self._deployments = deployments
        self._notices = notices
        self.previews = RolloutPreviews(context, self._start)

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

        Groups of the catalog that a ring names get them as well, before the group.

        Raises:
            NotFoundError: a group or one of the images does not exist in this catalog.
            InvalidArgumentError: images that do not go together or do not fit a group's devices, or a ring that names
                a device of another group, or a group of another catalog.
            ConflictError: another roll-out decides for a group, or it takes no application updates.
        """
        careful = policy or RolloutPolicy()

        def change(connection: Connection) -> Rollout:
            target = free_group_or_raise(connection, catalog, product, group)
            return self._start(connection, target, image_ids, actor, careful, None)

        rollout = self._context.records.write(change)
        self._notices.groups_changed()
        return rollout

    def start_in(
        self,
        connection: Connection,
        group: DeviceGroup,
        image_ids: Sequence[UUID],
        *,
        actor: str,
        policy: RolloutPolicy,
        action_id: UUID,
    ) -> Rollout:
        """Bring a set of images to those devices of a group that an action names, in the caller's transaction.

        At its end they keep it, and the group's own deployment stays: no other device gets anything. The caller tells
        that groups changed. Raises as :meth:`start`, and InvalidArgumentError for a policy with rings.
        """
        if policy.rings:
            raise InvalidArgumentError("rings: expected none, got some", remedy="The devices are those of the action.")
        target = free_group_or_raise(connection, group.catalog, group.product, group.name)
        return self._start(connection, target, image_ids, actor, policy, action_id)

    def _start(
        self,
        connection: Connection,
        target: DeviceGroup,
        image_ids: Sequence[UUID],
        actor: str,
        careful: RolloutPolicy,
        action_id: UUID | None,
    ) -> Rollout:
        now, rollout_id = self._context.now(), uuid4()
        waits = catalog_rows.needs_approval(connection, target.catalog_id)
        *further, last = (
            self._part(connection, one, image_ids, rollout_id, actor, is_kept=action_id is not None)
            for one in (*_ring_groups(connection, target, careful), target)
        )
        made = Rollout(
            rollout_id=rollout_id,
            catalog_id=target.catalog_id,
            group_id=target.group_id,
            catalog=target.catalog,
            product=target.product,
            group=target.name,
            deployment_id=last.deployment_id,
            previous_deployment_id=last.previous_deployment_id,
            further=tuple(further),
            policy=careful,
            state="proposed" if waits else "running",
            cohort=-1,
            cohort_started_at=None,
            reason="",
            created_at=now,
            created_by=actor,
            changed_at=now,
            action_id=action_id,
        )
        check_rings(connection, made)
        rollout_rows.add(connection, made)
        detail = {"deployment": str(last.deployment_id), "policy": policy_to_json(careful)}
        if action_id is not None:
            detail["action"] = str(action_id)
        verb = "propose" if waits else "start"
        self._context.audit(connection, actor, f"rollout.{verb}", str(rollout_id), detail)
        return rollout_or_raise(connection, rollout_id)

    def _part(
        self,
        connection: Connection,
        group: DeviceGroup,
        image_ids: Sequence[UUID],
        rollout_id: UUID,
        actor: str,
        *,
        is_kept: bool,
    ) -> RolloutPart:
        """A device group of a new roll-out, with the deployment that it gets.

        ``is_kept``: its devices keep that, so that the way back from it is to what such a roll-out gave them before.
        """
        if group.update_policy != "UpdateAll":
            raise ConflictError(
                f"group {group.name} takes no application updates ({group.update_policy})",
                remedy="Set its update policy to UpdateAll first.",
            )
        deployment = self._deployments.prepare(
            connection, group, image_ids, actor=actor, deployment_id=None, rollout_id=rollout_id
        )
        return RolloutPart(
            group_id=group.group_id,
            product=group.product,
            group=group.name,
            deployment_id=deployment.deployment_id,
            previous_deployment_id=kept_rows.newest_deployment(connection, group) if is_kept else group.deployment_id,
        )

    def get(self, rollout_id: UUID) -> Rollout:
        """A roll-out with its counts; NotFoundError if there is none of this id."""
        return self._context.records.read(lambda c: rollout_or_raise(c, rollout_id))

    def list(
        self,
        *,
        catalog: str | None = None,
        state: str | None = None,
        limit: int = 50,
        after: str | None = None,
        rising: bool = False,
    ) -> Page[Rollout]:
        """Roll-outs, newest first, or with ``rising`` oldest first."""
        before = number_after(after)

        def query(connection: Connection) -> Page[Rollout]:
            owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            return rollout_rows.page(
                connection, catalog_id=owner, state=state, limit=bounded(limit), before=before, rising=rising
            )

        return self._context.records.read(query)

    def list_devices(
        self, rollout_id: UUID, *, failed: bool = False, limit: int = 100, after: str | None = None
    ) -> Page[RolloutDevice]:
        """The devices a roll-out has started, or those of them that failed, by id."""

        def query(connection: Connection) -> Page[RolloutDevice]:
            if rollout_rows.uncounted(connection, rollout_id) is None:
                raise no_such_rollout(rollout_id)
            return rollout_rows.devices(
                connection, rollout_id, now=self._context.now(), failed=failed, limit=bounded(limit), after=after
            )

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

    def roll_back(self, rollout_id: UUID, *, reason: str, actor: str, catalog: str | None = None) -> Rollout:
        """Give every device that started what it had before, and follow until each one has it.

        A completed roll-out too, in one call: the deployment before it is the group's again, at once; an OS release
        goes back to the feed that it was promoted from, or is no longer its only catalog's. ``catalog`` is the only one
        that the actor may speak for.

        Raises:
            ConflictError: something newer is in force, or under way, or devices cannot go back.
            PermissionDeniedError: an OS release was promoted to all catalogs, and the actor speaks for one.
        """
        return self._command(rollout_id, "roll-back", reason, actor, catalog)

    def cancel(self, rollout_id: UUID, *, reason: str, actor: str) -> Rollout:
        """Stop deciding for the group; its deployment stays the one from before."""
        return self._command(rollout_id, "cancel", reason, actor)

    def _command(self, rollout_id: UUID, event: str, reason: str, actor: str, catalog: str | None = None) -> Rollout:
        hidden = unseen(reason)
        if len(reason) > MAX_REASON_LENGTH or hidden:
            raise InvalidArgumentError(
                f"reason: expected at most {MAX_REASON_LENGTH} printable characters on one line, got "
                + (f"the character {hidden}" if hidden else f"{len(reason)}"),
                remedy="Say it in a line.",
            )

        def change(connection: Connection) -> bool:
            found = rollout_rows.uncounted(connection, rollout_id)
            if found is None:
                raise no_such_rollout(rollout_id)
            if found.is_promoted and catalog is not None:
                raise PermissionDeniedError(
                    f"OS {found.version} was promoted to {found.feed} for all catalogs",
                    remedy="Ask an operator of the whole service.",
                )
            apply_event(self._context, self._deployments, connection, found, event, reason, actor)
            return found.is_promoted

        if self._context.records.write(change):
            self._notices.releases_changed()
        self._notices.groups_changed()  # first of all: a halt is obeyed before anything is counted
        return self.get(rollout_id)


class RolloutPreviews:
    """Says what roll-outs would do."""

    def __init__(self, context: Context, start: Callable[..., Rollout]) -> None:
        self._context = context
        self._start = start
        self._one = threading.Lock()

    def of(
        self, catalog: str, product: str, group: str, image_ids: Sequence[UUID], *, policy: RolloutPolicy | None = None
    ) -> RolloutPreview:
        """What :meth:`Rollouts.start` would do; nothing of it is kept.

        Raises:
            QuotaExceededError: others are being made still, after a wait.
            ArmillaryError: as :meth:`Rollouts.start` does.
        """

        def begin(connection: Connection) -> Rollout:
            target = free_group_or_raise(connection, catalog, product, group)
            return self._start(connection, target, image_ids, "preview", policy or RolloutPolicy(), None)

        if not self._one.acquire(timeout=PREVIEW_WAIT_S):
            raise QuotaExceededError("other roll-outs are being previewed", retry_after_s=PREVIEW_WAIT_S)
        try:
            return previewed(self._context.records.write, begin)
        finally:
            self._one.release()


def _ring_groups(connection: Connection, target: DeviceGroup, policy: RolloutPolicy) -> Iterator[DeviceGroup]:
    """The device groups of the target's catalog that rings name beside it, each free for a roll-out."""
    for path in (path for ring in policy.rings for path in ring.groups):
        catalog, product, group = path.split("/")
        if catalog.casefold() != target.catalog.casefold():
            raise InvalidArgumentError(
                f"rings: device group {path} is not of catalog {target.catalog}, whose images these are",
                remedy="Name groups of the catalog.",
            )
        found = free_group_or_raise(connection, catalog, product, group)
        if found.group_id != target.group_id:
            yield found


def rollout_or_raise(connection: Connection, rollout_id: UUID) -> Rollout:
    """The roll-out of an id; NotFoundError if there is none."""
    found = rollout_rows.one(connection, rollout_id)
    if found is None:
        raise no_such_rollout(rollout_id)
    return found


def no_such_rollout(rollout_id: UUID) -> NotFoundError:
    """The error for a roll-out that does not exist, or is another catalog's than the caller's."""
    return NotFoundError(f"roll-out {rollout_id} does not exist", remedy="List them: armillary rollout list.")
