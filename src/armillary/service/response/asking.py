# SPDX-License-Identifier: Apache-2.0
"""How an action comes about: previewed, or recorded with the devices that it is to touch.

The devices are chosen when somebody asks: what a second person approves is what was shown, whatever joins a group
meanwhile.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.response import actions as action_rows, targets as target_rows
from armillary.engines.records.schema.security.response_rows import Action
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.response.action import KINDS, kind_named
from armillary.response.budget import FLEET_SHARE
from armillary.service.context.context import Context
from armillary.service.registry.quarantine import MAX_LIFETIME_S, MIN_LIFETIME_S
from armillary.service.response.aims import ActionRequest, Aim, Aims
from armillary.service.response.approvals import Approvals
from armillary.service.response.effects import EFFECTS
from armillary.service.response.performing import tell
from armillary.wire.text.given_text import unseen

MAX_REASON: Final = 1024
MAX_MESSAGE: Final = 200
# Devices that a preview names.
SHOWN: Final = 10
# Kinds whose devices are chosen when somebody asks.
OF_DEVICES: Final = frozenset({*EFFECTS, "deploy-fix"})
# What an action of a kind can be asked for besides its target.
OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "notify": frozenset({"channel", "message"}),
    "quarantine": frozenset({"ends_after_s"}),
    "deploy-fix": frozenset({"images", "policy"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an action would do; nothing has been changed."""

    kind: str
    does: str
    devices: int
    first: tuple[str, ...]  # ids of some of them
    words: tuple[str, ...]
    needs_second_person: bool
    undo: str  # "" if it can be undone, else why not
    fleet: int  # devices of the catalog
    automatic_limit: int  # devices that automatic actions may touch in a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request with who asks, and by which playbook and finding; ``expires_after_s`` None: as the catalog says."""

    request: ActionRequest
    actor: str
    playbook: str = ""
    finding_id: UUID | None = None
    is_automatic: bool = False
    expires_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """An action that is about to be recorded: its devices are in it."""

    action_id: UUID
    asked: Asked
    aim: Aim


class Asking:
    """Previews actions and records them. From any thread."""

    def __init__(self, context: Context, aims: Aims, approvals: Approvals) -> None:
        self._context = context
        self._aims = aims
        self._approvals = approvals
        # Devices without an action are those of somebody who holds this, or are forgotten.
        self.gathering = threading.RLock()

    def preview(self, request: ActionRequest) -> Preview:
        """What an action would do now.

        Raises:
            InvalidArgumentError: a kind, a target, an option or a combination that there is not.
            NotFoundError: the catalog, or what it is aimed at, is not there.
        """
        kind = kind_named(request.kind)
        check(request)

        def query(connection: Connection) -> Preview:
            aim = self._aims.of(connection, request)
            devices, fleet = aim.count(connection), target_rows.fleet(connection, aim.catalog_id)
            return Preview(
                kind=request.kind,
                does=kind.does,
                devices=devices,
                first=aim.first_ids(connection, SHOWN),
                words=aim.words,
                needs_second_person=self._approvals.needs_second(connection, aim.catalog_id, request.kind, devices),
                undo=kind.final,
                fleet=fleet,
                automatic_limit=max(1, fleet // FLEET_SHARE),
            )

        return self._context.records.read(query)

    def ask(self, asked: Asked) -> Action:
        """Record an action with its devices; it is not done yet. Raises as :meth:`preview`.

        One that has no devices of its own, such as a halt, waits for nobody who gathers.
        """
        with self.gathering if asked.request.kind in OF_DEVICES else contextlib.nullcontext():
            gathered = self.gather(asked)
            return self._context.records.write(lambda c: self.add_in(c, gathered))

    def gather(self, asked: Asked) -> Gathered:
        """Choose what an action is to touch, and put the devices into it, some in each transaction.

        It is recorded by :meth:`add_in`; until then the caller holds :attr:`gathering`.
        """
        aim = self._context.records.read(lambda c: self._aims.of(c, asked.request))
        found = Gathered(uuid4(), asked, aim)
        for chosen in aim.devices if asked.request.kind in OF_DEVICES else ():
            after: int | None = 0
            while after is not None:
                portion = partial(action_rows.gather, action_id=found.action_id, chosen=chosen, after=after)
                after = self._context.records.write(portion)
        return found

    def add_in(self, connection: Connection, found: Gathered) -> Action:
        """Record an action that was gathered, in the caller's transaction; ConflictError where it touches nothing."""
        asked, aim, now = found.asked, found.aim, self._context.now()
        request = asked.request
        kind, devices = KINDS[request.kind], _devices(connection, found)
        if not devices and (request.kind in OF_DEVICES or (request.kind == "roll-back" and not aim.rollouts)):
            raise ConflictError(
                f"{request.kind} would touch nothing: {'; '.join(aim.words) or 'no device'}",
                remedy="Look at it first: armillary action preview.",
            )
        needs_second = self._approvals.needs_second(connection, aim.catalog_id, request.kind, devices)
        entered = "proposed" if asked.playbook and not asked.is_automatic else "waiting" if needs_second else "running"
        if asked.playbook and asked.is_automatic:
            entered = "running"
        approval = self._approvals.of(connection, aim.catalog_id)
        made = Action(
            action_id=found.action_id,
            catalog_id=aim.catalog_id,
            kind=request.kind,
            state=entered,
            target=dict(request.target),
            options=dict(request.options),
            reason=request.reason,
            playbook=asked.playbook,
            finding_id=asked.finding_id or (None if aim.finding is None else aim.finding.finding_id),
            asked_by=asked.actor,
            asked_at=now,
            approved_by="",
            changed_at=now,
            expires_at=now + (asked.expires_after_s or approval.expires_after_s),
            devices=devices,
            is_capped=asked.is_automatic,
            effects=_frozen(request.kind, aim),
            said="; ".join(aim.words)[:1000],
        )
        action_rows.add(connection, made)
        detail = {
            "kind": request.kind,
            "target": dict(request.target),
            "reason": request.reason,
            "devices": devices,
            "state": entered,
        } | ({"playbook": asked.playbook} if asked.playbook else {})
        self._context.audit(connection, asked.actor, "action.ask", str(found.action_id), detail)
        tell(self._context, connection, made, entered, kind.does)
        return made

    def forget_lost(self) -> int:
        """Forget devices that were put into actions which were never recorded; returns how many rows."""
        with self.gathering:
            return self._context.records.write(action_rows.forget_lost)


def _devices(connection: Connection, found: Gathered) -> int:
    if found.asked.request.kind in OF_DEVICES:
        return action_rows.gathered(connection, found.action_id)
    return found.aim.count(connection)


def _frozen(kind: str, aim: Aim) -> Mapping[str, Any]:
    """What is approved besides devices: the roll-outs to take back, the images of a fix."""
    if kind == "roll-back":
        return {"rollouts": [str(each.rollout_id) for each in aim.rollouts]}
    if kind == "deploy-fix":
        fixes = [
            {
                "group_id": str(each.group_id),
                "image_ids": [str(image_id) for image_id in each.image_ids],
                "cancels": None if each.cancels is None else str(each.cancels),
            }
            for each in aim.fixes
            if each.image_ids
        ]
        return {"fixes": fixes}
    return {}


def check(request: ActionRequest) -> None:
    """Raise InvalidArgumentError for a reason or an option that an action of this kind does not take."""
    kind_named(request.kind)
    if not request.reason.strip() or len(request.reason) > MAX_REASON or unseen(request.reason):
        raise InvalidArgumentError(
            f"reason: expected 1 to {MAX_REASON} printable characters on one line, got {request.reason!a:.60}",
            remedy="Say why, in a line.",
        )
    taken = OPTIONS.get(request.kind, frozenset())
    for name, value in request.options.items():
        if value is not None and name not in taken:
            raise InvalidArgumentError(
                f"{name}: an action of kind {request.kind} takes {', '.join(sorted(taken)) or 'no option'}",
                remedy="Leave it out.",
            )
    ends = request.options.get("ends_after_s")
    if ends is not None and not MIN_LIFETIME_S <= ends <= MAX_LIFETIME_S:
        raise InvalidArgumentError(
            f"ends_after_s: expected {MIN_LIFETIME_S} to {MAX_LIFETIME_S}, got {ends}", remedy="Use such a number."
        )
    message = request.options.get("message")
    if message is not None and (not 0 < len(message) <= MAX_MESSAGE or unseen(message)):
        raise InvalidArgumentError(
            f"message: expected 1 to {MAX_MESSAGE} printable characters on one line, got {message!a:.60}",
            remedy="Say it in a line.",
        )
