# SPDX-License-Identifier: Apache-2.0
"""What actions do to the whole of what they are aimed at: roll-outs, a floor, those who are told; and how it is undone.

Each runs in one transaction, with its audit lines and the action's new state. What it raises fails the action, and
nothing of it stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Connection

from armillary.engines.records.notifications import outbox
from armillary.engines.records.queries import catalogs as catalog_rows, rollouts as rollout_rows
from armillary.engines.records.response import targets as target_rows
from armillary.engines.records.schema.security.response_rows import Action
from armillary.errors import ConflictError
from armillary.rollout.policy import from_json as policy_from
from armillary.service.context.context import Context
from armillary.service.response.aims import ActionRequest, Aims
from armillary.service.response.effects import actor_of
from armillary.service.updates.deployments import Deployments
from armillary.service.updates.rollout_events import apply_event
from armillary.service.updates.rollouts import Rollouts
from armillary.service.verifier.security_floors import SecurityFloors
from armillary.wire.notification.event import Event


@dataclass(frozen=True, slots=True)
class Whole:
    """What was done.

    Attributes:
        effects: What was made or changed, for showing and undoing.
        said: The same for people.
        devices: How many devices it touches.
    """

    effects: Mapping[str, Any]
    said: str
    devices: int = 0


class Wholes:
    """Does such actions, in the caller's transaction."""

    def __init__(
        self, context: Context, aims: Aims, rollouts: Rollouts, deployments: Deployments, floors: SecurityFloors
    ) -> None:
        self._context = context
        self._aims = aims
        self._rollouts = rollouts
        self._deployments = deployments
        self._floors = floors

    def do(self, connection: Connection, action: Action) -> Whole:
        """Do the whole of an action; raises what makes it impossible."""
        does = {
            "notify": self._notify,
            "halt": self._halt,
            "roll-back": self._roll_back,
            "raise-floor": self._raise_floor,
            "deploy-fix": self._deploy_fix,
        }
        return does[action.kind](connection, action)

    def undo(self, connection: Connection, action: Action) -> str:
        """Undo it; what came of it, for people. ConflictError where nothing of it can be."""
        event = {"halt": "resume", "deploy-fix": "roll-back"}[action.kind]
        changed, left = 0, 0
        for each in action.effects.get("rollouts", ()):
            found = rollout_rows.uncounted(connection, UUID(each))
            if found is None or found.state not in _UNDONE_IN[event]:
                left += 1
                continue
            undone = "cancel" if event == "roll-back" and found.state == "proposed" else event
            self._apply(connection, action, found.rollout_id, undone)
            changed += 1
        if not changed:
            raise ConflictError(
                "nothing of this action is left to undo: its roll-outs went on or have ended", remedy="Look at them."
            )
        return f"{changed} roll-outs: {event}" + (f"; {left} have gone on or ended" if left else "")

    def _notify(self, connection: Connection, action: Action) -> Whole:
        message = action.options.get("message") or action.reason
        event = Event(
            event_id=uuid5(action.action_id, "notice"),
            kind="action.notice",
            severity=action.options.get("severity") or "high",
            at=self._context.now(),
            title=str(message)[:200],
            text=action.reason,
            subject=str(action.action_id),
            data={"finding_id": None if action.finding_id is None else str(action.finding_id), **action.target},
        )
        channels = outbox.enqueue(connection, event, action.catalog_id, action.options.get("channel"))
        said = f"kept for {channels} channels" if channels else "there is no channel: armillary notification-channel"
        return Whole({"channels": channels}, said)

    def _halt(self, connection: Connection, action: Action) -> Whole:
        """What is aimed at now, not when somebody asked: a roll-out that began meanwhile spreads it as well."""
        aim = self._aims.of(connection, request_of(connection, action))
        for rollout in aim.rollouts:
            self._apply(connection, action, rollout.rollout_id, "hold")
        ids = [str(each.rollout_id) for each in aim.rollouts]
        return Whole({"rollouts": ids}, f"{len(ids)} roll-outs halted" if ids else "no roll-out was running")

    def _roll_back(self, connection: Connection, action: Action) -> Whole:
        """What was aimed at when somebody asked, as that is what was approved."""
        done = []
        for each in action.effects.get("rollouts", ()):
            found = rollout_rows.uncounted(connection, UUID(each))
            if found is not None and found.state in ("running", "held", "completed"):
                self._apply(connection, action, found.rollout_id, "roll-back")
                done.append(each)
        if not done:
            raise ConflictError("the roll-outs have ended or go back already", remedy="Look at them: rollout list.")
        devices = target_rows.started(connection, [UUID(each) for each in done])
        return Whole({"rollouts": done}, f"{len(done)} roll-outs go back", devices)

    def _raise_floor(self, connection: Connection, action: Action) -> Whole:
        floor = action.target["floor"]
        holds = self._floors.raise_in(
            connection, floor["chip"], floor["image_type"], floor["minimum"], actor=actor_of(action)
        )
        return Whole({"minimum": holds.minimum}, f"security versions below {holds.minimum} are refused")

    def _deploy_fix(self, connection: Connection, action: Action) -> Whole:
        policy = policy_from(action.options.get("policy") or {})
        started = []
        for fix in action.effects.get("fixes", ()):
            group = catalog_rows.group_by_id(connection, UUID(fix["group_id"]))
            if group is None or group.catalog_id != action.catalog_id:
                continue  # deleted meanwhile
            if fix.get("cancels") is not None:
                self._make_place(connection, action, UUID(fix["cancels"]))
            made = self._rollouts.start_in(
                connection,
                group,
                [UUID(each) for each in fix["image_ids"]],
                actor=actor_of(action),
                policy=policy,
                action_id=action.action_id,
            )
            started.append(str(made.rollout_id))
        if not started:
            raise ConflictError(
                "no device group is left to repair", remedy="Preview it again: armillary action preview."
            )
        return Whole({**action.effects, "rollouts": started}, f"{len(started)} roll-outs to the affected devices")

    def _make_place(self, connection: Connection, action: Action, rollout_id: UUID) -> None:
        """Cancel the roll-out that brings what is to be repaired, if it has not ended."""
        found = rollout_rows.uncounted(connection, rollout_id)
        if found is not None and found.state in ("proposed", "running", "held"):
            self._apply(connection, action, rollout_id, "cancel")

    def _apply(self, connection: Connection, action: Action, rollout_id: UUID, event: str) -> None:
        found = rollout_rows.uncounted(connection, rollout_id)
        if found is None:
            raise AssertionError("a roll-out that was found in this transaction is not there")
        said, actor = f"action {action.action_id}: {action.reason}"[:1024], actor_of(action)
        apply_event(self._context, self._deployments, connection, found, event, said, actor, action.finding_id)


_UNDONE_IN: Mapping[str, frozenset[str]] = {
    "resume": frozenset({"held"}),
    "roll-back": frozenset({"proposed", "running", "held", "completed"}),
}


def request_of(connection: Connection, action: Action) -> ActionRequest:
    """The request that an action was made of."""
    catalog = None
    if action.catalog_id is not None:
        found = catalog_rows.catalog_by_id(connection, action.catalog_id)
        catalog = None if found is None else found.name
    return ActionRequest(
        kind=action.kind, catalog=catalog, target=action.target, reason=action.reason, options=action.options
    )
