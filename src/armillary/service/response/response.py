# SPDX-License-Identifier: Apache-2.0
"""Actions and playbooks as the API, the command line and the loops of the service hold them.

Light at rest: what does actions is loaded when there is something to do. A service in which nothing was found loads
none of it.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from armillary.engines.records.response import presence
from armillary.service.advisories.advisories import Advisories
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.updates.updates import Updates
from armillary.service.verifier.security_floors import SecurityFloors

if TYPE_CHECKING:
    from armillary.service.response.actions import Actions
    from armillary.service.response.approvals import Approvals
    from armillary.service.response.asking import Asking
    from armillary.service.response.performing import Performer
    from armillary.service.response.playbooks import Playbooks


class _Parts(NamedTuple):
    """What does actions."""

    actions: Actions
    approvals: Approvals
    asking: Asking
    performer: Performer
    playbooks: Playbooks


class Response:
    """What is done about what was found. From any thread; one run at a time."""

    def __init__(
        self, context: Context, notices: Notices, updates: Updates, advisories: Advisories, floors: SecurityFloors
    ) -> None:
        self._context = context
        self._notices = notices
        self._updates = updates
        self._advisories = advisories
        self._floors = floors
        self._running = threading.Lock()
        self._is_needed = False
        self.is_behind = False  # whether the last run has left steps to do

    @cached_property
    def _parts(self) -> _Parts:
        from armillary.service.response.actions import Actions  # noqa: PLC0415 - as the module says
        from armillary.service.response.aims import Aims  # noqa: PLC0415
        from armillary.service.response.approvals import Approvals  # noqa: PLC0415
        from armillary.service.response.asking import Asking  # noqa: PLC0415
        from armillary.service.response.performing import Performer  # noqa: PLC0415
        from armillary.service.response.playbooks import Playbooks  # noqa: PLC0415
        from armillary.service.response.wholes import Wholes  # noqa: PLC0415

        aims = Aims(self._advisories)
        wholes = Wholes(self._context, aims, self._updates.rollouts, self._updates.deployments, self._floors)
        performer = Performer(self._context, self._notices, wholes, self._floors.raised)
        approvals = Approvals(self._context)
        asking = Asking(self._context, aims, approvals)
        actions = Actions(self._context, asking, approvals, performer)
        return _Parts(actions, approvals, asking, performer, Playbooks(self._context, asking))

    @property
    def actions(self) -> Actions:
        """Operations on actions."""
        return self._parts.actions

    @property
    def approvals(self) -> Approvals:
        """What catalogs ask of actions."""
        return self._parts.approvals

    @property
    def playbooks(self) -> Playbooks:
        """Operations on playbooks."""
        return self._parts.playbooks

    def run_once(self) -> None:
        """Apply playbooks to what was found, do what is under way, and end what nobody approved.

        One run at a time. An action that somebody asks for, a halt above all, does not wait for it.
        """
        if not self._is_needed:
            has_own = (self._context.folder.path / "playbooks").is_dir()
            self._is_needed = has_own or self._context.records.read(presence.is_needed)
            if not self._is_needed:
                return
        parts = self._parts
        with self._running:
            for action_id in parts.playbooks.run_once():
                parts.performer.perform(action_id, 1)
            self.is_behind = parts.performer.run_once()
            parts.actions.expire_due()

    def prune(self) -> None:
        """Forget what no action has come of, and what was done about findings that are there no more; daily."""
        if self._is_needed:
            self._parts.asking.forget_lost()
            self._parts.playbooks.forget()
