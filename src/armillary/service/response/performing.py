# SPDX-License-Identifier: Apache-2.0
"""Does what actions say, a step at a time: some devices, their audit lines and the action's counts in one commit.

A service that is killed between two steps goes on with the next one; a step is done whole or not at all. No step waits
for another part: halts are one transaction, and before all others in a run, so that thousands of devices of another
action keep none of them waiting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid5

import structlog
from sqlalchemy import Connection

from armillary.engines.records.notifications import outbox
from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.response import actions as action_rows, targets as target_rows
from armillary.engines.records.schema.security.response_rows import Action
from armillary.errors import ArmillaryError, HostError
from armillary.response import budget, state
from armillary.response.action import KINDS
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.response.effects import EFFECTS, DeviceEffect
from armillary.service.response.wholes import Wholes
from armillary.wire.notification.event import Event

_log = structlog.get_logger("armillary.service.response")

# Devices of one step: each has an audit line, and check-ins wait no longer than that takes.
STEP: Final = 200
# Steps of one action in the call that asks for it; the rest is the loop's.
STEPS_AT_ONCE: Final = 25
# Steps of each action in one run of the loop: half a second of work, so that the watch and the planner have their turn.
STEPS_A_RUN: Final = 5
# The first of these is done first. What is not named comes after.
ORDER: Final = ("halt", "notify", "roll-back")
# How loudly each state is told; others are "info".
_SEVERITIES: Final[Mapping[str, str]] = {"proposed": "medium", "waiting": "medium", "paused": "high", "failed": "high"}


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did: to which devices, by which effect, and whether there is more to do."""

    action: Action
    device_ids: tuple[str, ...] = ()
    is_undone: bool = False
    is_whole: bool = False
    has_more: bool = False


class Performer:
    """Does actions; from any thread."""

    def __init__(self, context: Context, notices: Notices, wholes: Wholes, on_floor: Any) -> None:
        self._context = context
        self._notices = notices
        self._wholes = wholes
        self._on_floor = on_floor

    def run_once(self) -> bool:
        """Do the next steps of all actions that are under way; whether there is more to do."""
        under_way = self._context.records.read(action_rows.under_way)
        ranks = {kind: rank for rank, kind in enumerate(ORDER)}
        ordered = sorted(under_way, key=lambda each: ranks.get(each.kind, len(ORDER)))
        left = [each.action_id for each in ordered if self.perform(each.action_id, STEPS_A_RUN)]
        return bool(left)

    def perform(self, action_id: UUID, most: int | None = None) -> bool:
        """Do the next steps of an action, so many at most; whether there is more to do."""
        for _ in range(STEPS_AT_ONCE if most is None else most):
            step = self._step(action_id)
            if step is None:
                return False
            self._tell(step)
            if not step.has_more:
                return False
        return True

    def _step(self, action_id: UUID) -> Step | None:
        found = self._context.records.read(lambda c: action_rows.one(c, action_id))
        fleet = 0
        if found is not None and found.is_capped and found.state == "running":
            fleet = self._context.records.read(lambda c: target_rows.fleet(c, found.catalog_id))
        try:
            return self._context.records.write(partial(self._do, action_id=action_id, fleet=fleet))
        except HostError as error:  # the disk, say: nothing of the step was kept, and the next run does it
            _log.warning("an action waits", action=str(action_id), error=str(error))
            return None
        except ArmillaryError as error:
            self._context.records.write(partial(self._fail, action_id=action_id, said=str(error)))
            return None

    def _do(self, connection: Connection, action_id: UUID, fleet: int) -> Step | None:
        action = action_rows.one(connection, action_id)
        if action is None:
            return None
        effect = EFFECTS.get(action.kind)
        if action.state == "running":
            if effect is None:
                return self._whole(connection, action, fleet)
            return self._devices(connection, action, effect, fleet)
        if action.state == "undone" and effect is not None and action.undone < action.done:
            return self._undo_devices(connection, action, effect)
        return None

    def _devices(self, connection: Connection, action: Action, effect: DeviceEffect, fleet: int) -> Step:
        at, most = self._context.now(), STEP
        if action.is_capped:
            most = min(most, budget.allowed(fleet, self._spent(connection, action, at)))
        chosen = action_rows.next_devices(connection, action.action_id, "pending", most + 1)
        if len(chosen) > most == 0:
            self._pause(connection, action, fleet, action.devices - action.done - action.skipped)
            return Step(action)
        done, skipped = dict[int, str](), dict[int, str]()
        found = {
            each.device_id: each for each in _described(self._context, connection, [one for _, one in chosen[:most]])
        }
        for number, device_id in chosen[:most]:
            device = found.get(device_id)
            said = "it is no longer in this catalog"
            if device is not None and device.catalog_id == action.catalog_id:
                said = effect.do(self._context, connection, action, device, at)
            if said:
                skipped[number] = said
            else:
                done[number] = device_id
        action_rows.mark(connection, action.action_id, list(done), "done", at=at, counts=action.is_capped)
        action_rows.skip(connection, action.action_id, skipped)
        counts = {"done": action.done + len(done), "skipped": action.skipped + len(skipped)}
        action_rows.change(connection, action.action_id, **counts)
        has_more = len(chosen) > most
        if not has_more:
            said = f"{counts['done']} devices" + (f", {counts['skipped']} passed over" if counts["skipped"] else "")
            enter(self._context, connection, action, "finish", said=said)
        return Step(action, tuple(done.values()), has_more=has_more)

    def _undo_devices(self, connection: Connection, action: Action, effect: DeviceEffect) -> Step:
        chosen = action_rows.next_devices(connection, action.action_id, "done", STEP)
        times = action_rows.done_at(connection, action.action_id, [number for number, _ in chosen])
        found = {each.device_id: each for each in _described(self._context, connection, [one for _, one in chosen])}
        undone = []
        for number, device_id in chosen:
            device = found.get(device_id)
            if device is None or device.catalog_id != action.catalog_id or effect.undo is None:
                continue
            if not effect.undo(self._context, connection, action, device, times[number]):
                undone.append(device_id)
        action_rows.mark(connection, action.action_id, [number for number, _ in chosen], "undone", at=0)
        left = action.done - action.undone - len(chosen)
        action_rows.change(connection, action.action_id, undone=action.undone + len(chosen))
        return Step(action, tuple(undone), is_undone=True, has_more=bool(chosen) and left > 0)

    def _whole(self, connection: Connection, action: Action, fleet: int) -> Step:
        at = self._context.now()
        if action.is_capped and KINDS[action.kind].touches_devices:
            spent = self._spent(connection, action, at)
            if action.devices > budget.allowed(fleet, spent):
                self._pause(connection, action, fleet, action.devices)
                return Step(action)
        done = self._wholes.do(connection, action)
        values: dict[str, Any] = {"effects": done.effects, "done": done.devices}
        if action.kind == "deploy-fix":
            values["done"] = action.devices
        action_rows.change(connection, action.action_id, **values)
        enter(self._context, connection, action, "finish", said=done.said)
        return Step(action, is_whole=True)

    def undo_whole(self, connection: Connection, action: Action) -> str:
        """Undo an action that did something to roll-outs, in the caller's transaction, who then calls :meth:`told`."""
        return self._wholes.undo(connection, action)

    def told(self) -> None:
        """Roll-outs were changed: what devices are offered is computed again."""
        self._notices.groups_changed()

    def _spent(self, connection: Connection, action: Action, at: int) -> budget.Spent:
        counted = action_rows.counted_since
        return budget.Spent(
            day=counted(connection, action.catalog_id, at - budget.DAY_S),
            minute=counted(connection, action.catalog_id, at - budget.MINUTE_S),
        )

    def _pause(self, connection: Connection, action: Action, fleet: int, wanted: int) -> None:
        said = budget.why(fleet, self._spent(connection, action, self._context.now()), wanted)
        enter(self._context, connection, action, "pause", said=said)

    def _fail(self, connection: Connection, action_id: UUID, said: str) -> None:
        action = action_rows.one(connection, action_id)
        if action is not None and action.state == "running":
            enter(self._context, connection, action, "fail", said=said[:1000])

    def _tell(self, step: Step) -> None:
        """After the commit: other parts read again what was changed."""
        effect = EFFECTS.get(step.action.kind)
        if step.device_ids and effect is not None:
            tell = effect.untell if step.is_undone else effect.tell
            if tell is not None:
                tell(self._notices, step.device_ids)
        if step.is_whole and step.action.kind == "raise-floor":
            self._on_floor()
        elif step.is_whole and step.action.kind != "notify":
            self._notices.groups_changed()


def _described(context: Context, connection: Connection, device_ids: Sequence[str]) -> Sequence[Any]:
    return device_rows.some(connection, device_ids, **context.as_of) if device_ids else ()


def enter(
    context: Context,
    connection: Connection,
    action: Action,
    event: str,
    *,
    said: str = "",
    actor: str = "service",
    **values: Any,
) -> str:
    """Put an action into the state after an event, with its audit line, and tell who listens; the new state."""
    after, now = state.after(action.state, event), context.now()
    action_rows.change(connection, action.action_id, state=after, changed_at=now, said=said, **values)
    detail = {"kind": action.kind, "from": action.state, "to": after, "said": said}
    context.audit(connection, actor, f"action.{event}", str(action.action_id), detail)
    tell(context, connection, action, after, said)
    return after


def tell(context: Context, connection: Connection, action: Action, word: str, said: str) -> None:
    """Keep an action's new state for those who are notified."""
    about = f"Action {action.kind} is {word}" + (f" ({action.playbook})" if action.playbook else "")
    event = Event(
        event_id=uuid5(action.action_id, f"{word} {context.now()}"),
        kind=f"action.{word}",
        severity=_SEVERITIES.get(word, "info"),
        at=context.now(),
        title=f"{about}: {action.devices} devices",
        text=f"{action.reason}\n\n{said}".strip(),
        subject=str(action.action_id),
        data={"action_id": str(action.action_id), "kind": action.kind, "state": word, "target": dict(action.target)},
    )
    outbox.enqueue(connection, event, action.catalog_id)
