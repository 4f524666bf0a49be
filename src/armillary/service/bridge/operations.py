# SPDX-License-Identifier: Apache-2.0
"""What operators do with actions of controllers: look at them, cancel one, try a deployment again."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from armillary.engines.records.bridge import actions as action_rows
from armillary.engines.records.schema.bridge_rows import BridgeAction, BridgeDevice, BridgeStatus
from armillary.engines.records.schema.rows import Page
from armillary.errors import ConflictError
from armillary.service.bridge.actions import sight_of
from armillary.service.bridge.devices import device_or_raise
from armillary.service.bridge.history import Said, action_or_raise, record
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.updates.offers import Offers
from armillary.wire.hawkbit.action import FINAL


class ActionOperations:
    """Operations on actions. An unknown catalog or controller raises NotFoundError."""

    def __init__(self, context: Context, offers: Offers) -> None:
        self._context = context
        self._offers = offers

    def list(self, catalog: str, controller: str, *, limit: int = 50, after: str | None = None) -> Page[BridgeAction]:
        """The actions of a controller, newest first; NotFoundError if the catalog has no such controller."""
        before = number_after(after)

        def query(connection: Connection) -> Page[BridgeAction]:
            device = device_or_raise(connection, catalog, controller)
            return action_rows.page(connection, device.number, limit=bounded(limit), before=before)

        return self._context.records.read(query)

    def show(self, catalog: str, controller: str, number: int) -> tuple[BridgeAction, tuple[BridgeStatus, ...]]:
        """An action and what was said of it, oldest first; NotFoundError if there is none."""

        def query(connection: Connection) -> tuple[BridgeAction, tuple[BridgeStatus, ...]]:
            device = device_or_raise(connection, catalog, controller)
            return action_or_raise(connection, device, number), action_rows.said(connection, number)

        return self._context.records.read(query)

    def cancel(self, catalog: str, controller: str, number: int, *, actor: str) -> BridgeAction:
        """Ask a controller to cancel its open action; the same deployment is not offered to it again.

        Raises:
            NotFoundError: no such controller or action.
            ConflictError: it is closed.
        """

        def change(connection: Connection) -> BridgeAction:
            device = device_or_raise(connection, catalog, controller)
            action = action_or_raise(connection, device, number)
            reason = f"canceled by {actor}"
            said = Said(event="cancel", messages=(reason,), reason=reason)
            made = record(connection, device, replace(action, may_repeat=False), said, self._context.now())
            detail = {"catalog": catalog, "controller": controller, "action": number}
            self._context.audit(connection, actor, "bridge-action.cancel", device.device_id, detail)
            return made

        return self._context.records.write(change)

    def retry(self, catalog: str, controller: str, *, actor: str) -> BridgeDevice:
        """Let a controller be offered its group's deployment again, although that failed or was canceled there.

        Raises:
            NotFoundError: no such controller.
            ConflictError: nothing failed, or it works on an action.
        """

        def change(connection: Connection) -> BridgeDevice:
            device = device_or_raise(connection, catalog, controller)
            wanted = sight_of(connection, device, self._offers).wanted
            last = None if wanted is None else action_rows.newest_of(connection, device.number, wanted.deployment_id)
            if last is None or last.state not in FINAL or last.may_repeat:
                raise ConflictError("nothing failed that could be tried again", remedy="See bridge device show.")
            action_rows.change(connection, replace(last, may_repeat=True), final=True)
            detail = {"catalog": catalog, "controller": controller, "action": last.number}
            self._context.audit(connection, actor, "bridge-action.retry", device.device_id, detail)
            return device

        return self._context.records.write(change)
