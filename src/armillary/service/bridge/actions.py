# SPDX-License-Identifier: Apache-2.0
"""Actions as controllers see them: what each is to do when it polls, its deployment, its feedback."""

from __future__ import annotations

import json
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
from armillary.service.updates.offers import Offers
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
        wanted = wanted_for(self._offers, device)
        step, open_action = self._context.records.read(lambda c: step_of(c, device, wanted))
        is_other = wanted is not None and device.offered_deployment_id != wanted.deployment_id
        is_news = is_other or device.polled_at is None
        if step is not Step.NOTHING or is_news:
            open_action = self._context.records.write(lambda c: self._do(c, device.number, wanted))
        else:
            self._polls.note(device.number)
        installed = self._context.records.read(lambda c: action_rows.installed_by(c, device.number))
        is_canceling = open_action is not None and open_action.state == "canceling"
        number = None if open_action is None else open_action.number
        return Links(
            deployment=None if is_canceling else number,
            cancel=number if is_canceling else None,
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
            if action.state in FINAL or action.state == "canceling":
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

    def _do(self, connection: Connection, number: int, wanted: WantedDeployment | None) -> BridgeAction | None:
        """Take the step again on what the records say now, and do it; returns the open action."""
        now = self._context.now()
        device = bridge_rows.device_numbered(connection, number)
        if device is None:  # removed meanwhile
            return None
        step, action = step_of(connection, device, wanted)
        status: dict[str, object] = {"checked_in_at": now, "verdict": Polls.VERDICT}
        if wanted is not None:
            status["offered_deployment_id"] = wanted.deployment_id
        if step is Step.FORGET:
            status["installed"] = device_rows.installed_text(())
        bridge_rows.set_status(connection, device.number, status, now=now)
        if step is Step.CANCEL and action is not None:
            why = "another deployment is wanted" if wanted is not None else "nothing is wanted any more"
            return record(connection, device, action, Said(event="cancel", messages=(why,), reason=why), now)
        if step is Step.OFFER and wanted is not None:
            action = action_rows.add(connection, device.number, wanted.deployment_id, now=now)
            action_rows.say(
                connection, action.number, BridgeStatus(at=now, event="offer", progress="", code=None, messages=())
            )
        return action

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


def _said(event: str, said: Feedback) -> Said:
    return Said(event=event, messages=said.messages, code=said.code, progress=said.progress)


def wanted_for(offers: Offers, device: BridgeDevice) -> WantedDeployment | None:
    """What a device should have; None where nothing is wanted."""
    found = offers.wanted(device.group_id, device.number, CHIP)
    if found is None or found.offer.deployment_id is None:
        return None
    return WantedDeployment(found.offer.deployment_id, found.image_ids)


def step_of(
    connection: Connection, device: BridgeDevice, wanted: WantedDeployment | None
) -> tuple[Step, BridgeAction | None]:
    """The next step of a device, and its open action."""
    action = action_rows.open_of(connection, device.number)
    last = None
    if wanted is not None and action is None:
        last = action_rows.newest_of(connection, device.number, wanted.deployment_id)
    step = next_step(
        wanted,
        frozenset(each.image_id for each in device_rows.installed_from(device.installed)),
        None if action is None else OpenAction(action.deployment_id, action.state),
        may_repeat=last is None or last.may_repeat,
    )
    return step, action
