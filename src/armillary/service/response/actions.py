# SPDX-License-Identifier: Apache-2.0
"""Actions as operators use them: preview, run, approve, cancel, undo, and what expires.

Beyond so many devices (``approvals.py``) one person alone is not enough.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import tokens as token_rows
from armillary.engines.records.response import actions as action_rows
from armillary.engines.records.schema.rows import Page
from armillary.engines.records.schema.security.response_rows import Action, ActionDevice
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.response import state
from armillary.response.action import KINDS, kind_named
from armillary.response.approval import check_second_person
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise
from armillary.service.response.aims import ActionRequest
from armillary.service.response.approvals import Approvals
from armillary.service.response.asking import Asked, Asking, Preview, check
from armillary.service.response.effects import EFFECTS
from armillary.service.response.performing import Performer, enter

# Actions that expire in one transaction.
EXPIRED_AT_ONCE: Final = 100


class Actions:
    """Operations on actions. From any thread."""

    def __init__(self, context: Context, asking: Asking, approvals: Approvals, performer: Performer) -> None:
        self._context = context
        self._asking = asking
        self._approvals = approvals
        self._performer = performer

    # -- ask ------------------------------------------------------------------------------------------------------

    def preview(self, request: ActionRequest) -> Preview:
        """What an action would do now; raises as :meth:`Asking.preview`."""
        return self._asking.preview(request)

    def run(self, request: ActionRequest, *, actor: str) -> Action:
        """Do an action at once, or have it wait for a second person where it touches too many devices.

        Raises as :meth:`preview`, and ConflictError where there is nothing to act on.
        """
        check(request)
        made = self._asking.ask(Asked(request=request, actor=actor))
        if made.state == "running":
            self._performer.perform(made.action_id)
        return self.get(made.action_id)

    # -- decide ---------------------------------------------------------------------------------------------------

    def approve(self, action_id: UUID, *, actor: str) -> Action:
        """Let an action begin, or go on, that waits for a person.

        What a playbook proposed, or was paused at, becomes the approver's own request where it touches more devices
        than one person alone may: it then waits for a second person.

        Raises:
            NotFoundError: no such action.
            ConflictError: it waits for nobody, it has expired, or the approver may be who asked.
        """
        self.expire_due()

        def change(connection: Connection) -> str:
            action = action_or_raise(connection, action_id)
            if action.state == "waiting":
                check_second_person(action.asked_by, actor, _makers(connection, action.catalog_id))
                return enter(
                    self._context, connection, action, "approve", actor=actor, approved_by=actor, is_capped=False
                )
            if action.state in state.DECIDING and self._approvals.needs_second(
                connection, action.catalog_id, action.kind, action.devices - action.done - action.skipped
            ):
                said = f"{actor} asks for it; it waits for a second person"
                return enter(self._context, connection, action, "ask-second", said=said, actor=actor, asked_by=actor)
            return enter(self._context, connection, action, "approve", actor=actor, approved_by=actor, is_capped=False)

        if self._context.records.write(change) == "running":
            self._performer.perform(action_id)
        return self.get(action_id)

    def cancel(self, action_id: UUID, *, actor: str, reason: str = "") -> Action:
        """Stop an action where it is; what it did stays done until it is undone. ConflictError if it has ended."""

        def change(connection: Connection) -> None:
            action = action_or_raise(connection, action_id)
            enter(self._context, connection, action, "cancel", said=reason or f"by {actor}", actor=actor)

        self._context.records.write(change)
        return self.get(action_id)

    def undo(self, action_id: UUID, *, actor: str) -> Action:
        """Undo what an action did.

        ConflictError where its kind cannot be undone, it did nothing, or it is still under way.
        """

        def change(connection: Connection) -> bool:
            action = action_or_raise(connection, action_id)
            kind = KINDS[action.kind]
            state.after(action.state, "undo")  # before anything else: what is not possible says so
            if kind.final:
                raise ConflictError(f"{action.kind} cannot be undone: {kind.final}", remedy="Look at each device.")
            is_whole = action.kind not in EFFECTS
            if not action.done and not (is_whole and action.effects.get("rollouts")):
                raise ConflictError("the action did nothing that could be undone", remedy="Nothing needs to be done.")
            acting = replace(action, approved_by=actor)  # what is undone is undone by whoever says so
            said = self._performer.undo_whole(connection, acting) if is_whole else ""
            values = {"undone": action.done} if is_whole else {}
            enter(self._context, connection, action, "undo", said=said, actor=actor, approved_by=actor, **values)
            return is_whole

        if self._context.records.write(change):
            self._performer.told()
        else:
            self._performer.perform(action_id)
        return self.get(action_id)

    def expire_due(self) -> int:
        """End the actions that nobody approved in time; returns how many."""
        expired = 0
        while True:
            late = self._context.records.read(lambda c: action_rows.overdue(c, self._context.now(), EXPIRED_AT_ONCE))
            if not late:
                return expired

            def change(connection: Connection, late: tuple[Action, ...] = late) -> None:
                for each in late:
                    action = action_or_raise(connection, each.action_id)
                    if action.state in state.DECIDING:
                        enter(self._context, connection, action, "expire", said="nobody approved it in time")

            self._context.records.write(change)
            expired += len(late)

    # -- look -----------------------------------------------------------------------------------------------------

    def get(self, action_id: UUID) -> Action:
        """An action; NotFoundError if there is none of this id."""
        return self._context.records.read(lambda c: action_or_raise(c, action_id))

    def list(
        self,
        *,
        catalog: str | None = None,
        state: str | None = None,
        kind: str | None = None,
        finding_id: UUID | None = None,
        limit: int = 50,
        after: str | None = None,
        order: str = "",
    ) -> Page[Action]:
        """Actions, newest first or in an order; ``state`` may also be ``living``: those that have not ended."""
        if kind is not None:
            kind_named(kind)
        before, states = None if order else number_after(after), _states(state)

        def query(connection: Connection) -> Page[Action]:
            owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            return action_rows.page(
                connection,
                catalog_id=owner,
                states=states,
                kind=kind,
                finding_id=finding_id,
                limit=bounded(limit),
                before=before,
                order=order,
                after=after,
            )

        return self._context.records.read(query)

    def devices(
        self, action_id: UUID, *, state: str | None = None, limit: int = 100, after: str | None = None
    ) -> Page[ActionDevice]:
        """The devices of an action, by id; NotFoundError if there is none of this id."""

        def query(connection: Connection) -> Page[ActionDevice]:
            action_or_raise(connection, action_id)
            return action_rows.devices(connection, action_id, state=state, limit=bounded(limit), after=after)

        return self._context.records.read(query)


def action_or_raise(connection: Connection, action_id: UUID) -> Action:
    """The action of an id; NotFoundError if there is none."""
    found = action_rows.one(connection, action_id)
    if found is None:
        raise no_such_action(action_id)
    return found


def no_such_action(action_id: UUID) -> NotFoundError:
    """The error for an action that does not exist, or is another catalog's than the caller's."""
    return NotFoundError(f"action {action_id} does not exist", remedy="List them: armillary action list.")


def _makers(connection: Connection, catalog_id: UUID | None) -> list[tuple[str, str]]:
    """Who made the tokens that may act here; of names in other catalogs nothing follows, and nothing is told."""
    return [
        (each.name, each.created_by)
        for each in token_rows.every(connection)
        if each.catalog_id is None or each.catalog_id == catalog_id
    ]


def _states(word: str | None) -> tuple[str, ...]:
    if word is None:
        return ()
    if word == "living":
        return state.LIVING
    if word not in state.STATES:
        raise InvalidArgumentError(
            f"state: expected living, {', '.join(state.STATES)}, got {word!a:.40}", remedy="Use one of these words."
        )
    return (word,)
