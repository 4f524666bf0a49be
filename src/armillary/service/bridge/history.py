# SPDX-License-Identifier: Apache-2.0
"""What happens to an action: an event is recorded together with all that follows from it, in one transaction.

What a controller says ends in three places: in the history of its action, in the state of its device (what is
installed), and, when it closes the action, among the outcomes of all devices. From there the watch makes findings and
the planner halts roll-outs, as for devices that attest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.bridge import actions as action_rows, devices as bridge_rows
from armillary.engines.records.queries import (
    devices as device_rows,
    images as image_rows,
)
from armillary.engines.records.schema.bridge_rows import BridgeAction, BridgeArtifact, BridgeDevice, BridgeStatus
from armillary.errors import NotFoundError
from armillary.service.bridge.polls import Polls
from armillary.wire.device.checkin import InstalledImage
from armillary.wire.hawkbit import action as action_table
from armillary.wire.hawkbit.action import FINAL
from armillary.wire.hawkbit.artifact import IMAGE_TYPE

# Of what was said at once, characters: a log of 48 lines is cut to its end.
MAX_SAID_CHARS: Final = 8192
# Of a reason as outcomes and findings show it.
MAX_REASON_CHARS: Final = 512
POLL: Final = "Poll again: the answer names what there is to do."
# Final state -> outcome of the deployment's images on the device.
_OUTCOMES: Final = {"finished": "confirmed", "error": "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was said of an action, by its controller or by the service.

    ``reason`` is why it ends, where the service says so; None for the controller's last message.
    """

    event: str  # Of ``wire/hawkbit/action.py``
    messages: tuple[str, ...] = ()
    code: int | None = None
    progress: str = ""
    reason: str | None = None


def record(connection: Connection, device: BridgeDevice, action: BridgeAction, said: Said, now: int) -> BridgeAction:
    """Record an event of an action and what follows from it; ConflictError if it is not possible in its state."""
    state = action_table.after(action.state, said.event)
    made = replace(
        action,
        state=state,
        reason=_reason(action, state, said),
        may_repeat=action.may_repeat and state != "error",
        changed_at=now,
        finished_at=now if state in FINAL else None,
    )
    action_rows.change(connection, made, final=state in FINAL)
    line = BridgeStatus(at=now, event=said.event, progress=said.progress, code=said.code, messages=_kept(said.messages))
    action_rows.say(connection, action.number, line)
    if state in FINAL:
        _close(connection, device, made, now)
    return made


def action_or_raise(connection: Connection, device: BridgeDevice, number: int) -> BridgeAction:
    """A device's action; NotFoundError if it has none of this number."""
    found = action_rows.one(connection, device.number, number)
    if found is None:
        raise no_action(number)
    return found


def no_action(number: int) -> NotFoundError:
    """The error for an action that a device does not have, or not any more."""
    return NotFoundError(f"the device has no such action: {number}", remedy=POLL)


def artifacts_of(connection: Connection, device: BridgeDevice, action: BridgeAction) -> tuple[BridgeArtifact, ...]:
    """The artifacts of an action's deployment, in its order; none once the deployment was deleted."""
    deployment = image_rows.deployment(connection, action.deployment_id)
    if deployment is None or deployment.catalog_id != device.catalog_id:
        return ()
    ids = [image.image_id for image in deployment.images]
    found = {each.image_id: each for each in bridge_rows.artifacts(connection, device.catalog_id, ids)}
    return tuple(found[each] for each in ids if each in found)


def _kept(messages: tuple[str, ...]) -> tuple[str, ...]:
    """The last messages that fit."""
    left, first = MAX_SAID_CHARS, len(messages)
    while first and len(messages[first - 1]) <= left:
        first -= 1
        left -= len(messages[first])
    return messages[first:]


def _reason(action: BridgeAction, state: str, said: Said) -> str:
    if said.reason is not None:
        return said.reason
    if state == "error":
        last = said.messages[-1] if said.messages else ""
        return (last or ("the device gave no reason" if said.code is None else f"status code {said.code}"))[
            :MAX_REASON_CHARS
        ]
    return action.reason if state in ("canceling", "canceled") else ""


def _close(connection: Connection, device: BridgeDevice, action: BridgeAction, now: int) -> None:
    """Record what a closed action means for its device, where roll-outs and the watch read it."""
    outcome = _OUTCOMES.get(action.state)
    if action.state == "canceled" and not action.may_repeat:  # by a person: the device did not get it
        outcome = "failed"
    artifacts = artifacts_of(connection, device, action)
    status: dict[str, object] = {"checked_in_at": now, "verdict": Polls.VERDICT}
    if action.state == "finished":
        status["installed"] = device_rows.installed_text([_installed(each) for each in artifacts])
    if outcome is not None:
        status["updated_at"] = now
        for each in artifacts:
            action_rows.add_outcome(connection, action, each.image_id, each.component_id, outcome, at=now)
    bridge_rows.set_status(connection, device.number, status, now=now)


def _installed(artifact: BridgeArtifact) -> InstalledImage:
    return InstalledImage(
        component_id=artifact.component_id,
        image_id=artifact.image_id,
        image_type=IMAGE_TYPE,
        name=artifact.name,
        state="running",
    )
