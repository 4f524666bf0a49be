# SPDX-License-Identifier: Apache-2.0
"""Actions as controllers see them: what each is to do when it polls, its deployment, its feedback."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.bridge import actions as action_rows, devices as bridge_rows
from armillary.engines.records.queries import (
    devices as device_rows,
)
from armillary.engines.records.schema.bridge_rows import BridgeAction, BridgeArtifact, BridgeDevice, BridgeStatus
from armillary.errors import NotFoundError
from armillary.rollout.bridge import OpenAction, Step, WantedDeployment, next_step
from armillary.service.bridge.history import POLL, Said, action_or_raise, artifacts_of, no_action, record
from armillary.service.bridge.polls import Polls
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.updates.offers import Offers, Wanted
from armillary.update.schedule.begin import not_yet
from armillary.wire.hawkbit import action as action_table
from armillary.wire.hawkbit.action import FINAL
from armillary.wire.hawkbit.artifact import CHIP
from armillary.wire.hawkbit.config_data import ConfigData, applied
from armillary.wire.hawkbit.documents import Links
from armillary.wire.hawkbit.feedback import Feedback


class ControllerActions:
    """Decides, tells and hears. Each method takes the device that ``callers.py`` has authenticated."""

    def __init__(self, context: Context, offers: Offers, polls: Polls, notices: Notices) -> None:
        self._context = context
        self._offers = offers
        self._polls = polls
        self._notices = notices

    def poll(self, device: BridgeDevice) -> Links:
        """What a device is to do now; opens or cancels an action where something else is wanted than before."""
        seen = self._context.records.read(lambda c: sight_of(c, device, self._offers))
        wanted = seen.wanted
        is_other = wanted is not None and device.offered_deployment_id != wanted.deployment_id
        if seen.step is not Step.NOTHING or is_other or device.polled_at is None:
            seen = self._context.records.write(lambda c: self._do(c, device))
        else:
            self._polls.note(device.number)
        installed = self._context.records.read(lambda c: action_rows.installed_by(c, device.number))
        action = seen.action
        is_canceling = action is not None and action.state == "canceling"
        return Links(
            deployment=action.number if action is not None and not is_canceling and self._may_begin(seen) else None,
            cancel=action.number if action is not None and is_canceling else None,
            installed=None if installed is None else installed.number,
            config_data=device.attributes_at is None,
        )

    def deployment(self, device: BridgeDevice, number: int) -> tuple[BridgeArtifact, ...]:
        """The artifacts of a device's open action, which counts as retrieved.

        Raises:
            NotFoundError: it has no such action, or it is being canceled, or what it is about was deleted.
        """

        def query(connection: Connection) -> tuple[BridgeAction, tuple[BridgeArtifact, ...]]:
            action = action_or_raise(connection, device, number)
            seen = sight_of(connection, device, self._offers)
            if action.state in FINAL or action.state == "canceling" or not self._may_begin(seen):
                raise no_action(number)
            return action, artifacts_of(connection, device, action)

        action, artifacts = self._context.records.read(query)
        if action_table.after(action.state, "retrieve") != action.state:
            self._apply(device, number, Said(event="retrieve"))
        return artifacts

    def installed(self, device: BridgeDevice, number: int) -> tuple[BridgeArtifact, ...]:
        """The artifacts of an action that ended well; NotFoundError if the device has no such one."""

        def query(connection: Connection) -> tuple[BridgeArtifact, ...]:
            action = action_or_raise(connection, device, number)
            if action.state != "finished":
                raise no_action(number)
            return artifacts_of(connection, device, action)

        return self._context.records.read(query)

    def cancellation(self, device: BridgeDevice, number: int) -> None:
        """Raise NotFoundError unless an action of the device is being canceled."""
        action = self._context.records.read(lambda c: action_or_raise(c, device, number))
        if action.state not in ("canceling", "canceled"):
            raise no_action(number)

    def feedback(self, device: BridgeDevice, number: int, said: Feedback) -> BridgeAction:
        """Take feedback about an update.

        Raises:
            NotFoundError: the device has no such action.
            ConflictError: it is closed (``bridge.action-closed``).
        """
        return self._apply(device, number, _said(action_table.event_of(said), said))

    def cancel_feedback(self, device: BridgeDevice, number: int, said: Feedback) -> BridgeAction:
        """Take feedback about a cancellation; raises as :meth:`feedback`."""
        return self._apply(device, number, _said(action_table.cancel_event_of(said), said))

    def configure(self, device: BridgeDevice, given: ConfigData) -> None:
        """Keep what a device tells about itself; InvalidArgumentError for too many attributes."""

        def change(connection: Connection) -> None:
            current = bridge_rows.device_numbered(connection, device.number)
            before = {} if current is None else current.attributes
            values = {
                "attributes": json.dumps(applied(given, before), ensure_ascii=False),
                "attributes_at": self._context.now(),
            }
            bridge_rows.change_device(connection, device.number, values)

        self._context.records.write(change)

    def artifact(self, device: BridgeDevice, image_id: UUID, filename: str) -> BridgeArtifact:
        """An artifact that the device may fetch: of its open action, or of the one that it installed last.

        Raises:
            NotFoundError: it may fetch none of this id and name.
        """
        for each in self._fetchable(device):
            if each.image_id == image_id and each.filename == filename:
                return each
        raise NotFoundError("this artifact is not offered to this device", remedy=POLL)

    def modules(self, device: BridgeDevice, image_id: UUID) -> tuple[BridgeArtifact, ...]:
        """As :meth:`artifact`, by the id alone; empty where the device may fetch none of it."""
        return tuple(each for each in self._fetchable(device) if each.image_id == image_id)

    def _fetchable(self, device: BridgeDevice) -> tuple[BridgeArtifact, ...]:
        def query(connection: Connection) -> tuple[BridgeArtifact, ...]:
            number = device.number
            found = (action_rows.open_of(connection, number), action_rows.installed_by(connection, number))
            return tuple(
                each for action in found if action is not None for each in artifacts_of(connection, device, action)
            )

        return self._context.records.read(query)

    def _may_begin(self, seen: BridgeSight) -> bool:
        """Whether a device may fetch what its open action is about: one that has begun goes on, whatever changes.

        One that has not waits while its roll-out is held, and outside the group's maintenance windows.
        """
        if seen.action is None or seen.action.state != "offered":
            return True
        timing = self._offers.schedule(seen.group_id).timing
        return seen.is_granted and not_yet(timing, now=self._context.now(), heard_at=seen.action.created_at) is None

    def _do(self, connection: Connection, polling: BridgeDevice) -> BridgeSight:
        """Take the step again on what the records say now, and do it."""
        now = self._context.now()
        device = bridge_rows.device_numbered(connection, polling.number)
        if device is None:  # removed meanwhile
            return BridgeSight(None, Step.NOTHING, None, polling.group_id, is_granted=False)
        seen = sight_of(connection, device, self._offers)
        wanted, action = seen.wanted, seen.action
        status: dict[str, object] = {"checked_in_at": now, "verdict": Polls.VERDICT}
        if wanted is not None:
            status["offered_deployment_id"] = wanted.deployment_id
        if seen.step is Step.FORGET:
            status["installed"] = device_rows.installed_text(())
        bridge_rows.set_status(connection, device.number, status, now=now)
        if seen.step is Step.CANCEL and action is not None:
            why = "another deployment is wanted" if wanted is not None else "nothing is wanted any more"
            said = Said(event="cancel", messages=(why,), reason=why)
            action = record(connection, device, action, said, now)
        if seen.step is Step.OFFER and wanted is not None:
            action = action_rows.add(connection, device.number, wanted.deployment_id, now=now)
            offered = BridgeStatus(at=now, event="offer", progress="", code=None, messages=())
            action_rows.say(connection, action.number, offered)
        return replace(seen, action=action)

    def _apply(self, device: BridgeDevice, number: int, said: Said) -> BridgeAction:
        def change(connection: Connection) -> BridgeAction:
            current = bridge_rows.device_numbered(connection, device.number)
            if current is None:
                raise no_action(number)
            action = action_or_raise(connection, current, number)
            return record(connection, current, action, said, self._context.now())

        made = self._context.records.write(change)
        if made.state in FINAL:
            self._notices.news()
        return made


@dataclass(frozen=True, slots=True)
class BridgeSight:
    """A device as a poll finds it: its open action, the next step, what it should have.

    ``is_granted`` says whether it may begin with that now: while a roll-out is held, nobody may who has not begun.
    """

    action: BridgeAction | None
    step: Step
    wanted: WantedDeployment | None
    group_id: UUID
    is_granted: bool


def sight_of(connection: Connection, device: BridgeDevice, offers: Offers) -> BridgeSight:
    """See a device; an action under way for what the group's roll-out distributes is left alone while that is held."""
    installed = device_rows.installed_from(device.installed)
    action = action_rows.open_of(connection, device.number)
    wanted = _deployment_of(offers.wanted(device.group_id, device.number, CHIP))
    granted = _deployment_of(offers.granted(device.group_id, device.number, CHIP, installed))
    is_at_it = action is not None and wanted is not None and action.deployment_id == wanted.deployment_id
    if not is_at_it:
        wanted = granted
    last = None
    if wanted is not None and action is None:
        last = action_rows.newest_of(connection, device.number, wanted.deployment_id)
    step = next_step(
        wanted,
        frozenset(each.image_id for each in installed),
        None if action is None else OpenAction(action.deployment_id, action.state),
        may_repeat=last is None or last.may_repeat,
    )
    return BridgeSight(action, step, wanted, device.group_id, is_granted=granted == wanted)


def _deployment_of(found: Wanted | None) -> WantedDeployment | None:
    if found is None or found.offer.deployment_id is None:
        return None
    return WantedDeployment(found.offer.deployment_id, found.image_ids)


def _said(event: str, said: Feedback) -> Said:
    return Said(event=event, messages=said.messages, code=said.code, progress=said.progress)
