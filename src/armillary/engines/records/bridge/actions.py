# SPDX-License-Identifier: Apache-2.0
"""Actions of bridged devices, and what was said of them."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, select, update

from armillary.engines.records.queries.pages import every, first, newest_first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.bridge_rows import BridgeAction, BridgeStatus
from armillary.engines.records.schema.rows import Page, from_row

_action, _status, _outcome = schema.bridge_action, schema.bridge_status, schema.outcome
_as_action = partial(from_row, BridgeAction)

# Of one action; an update is told in a few dozen, and a controller that says more loses the oldest.
MAX_STATUSES: Final = 100
# Of one device; the newest say what it has.
MAX_ACTIONS: Final = 20


def open_of(connection: Connection, device_number: int) -> BridgeAction | None:
    """The device's open action."""
    return first(connection, select(_action).where(_action.c.open_device == device_number), _as_action)


def newest_of(connection: Connection, device_number: int, deployment_id: UUID) -> BridgeAction | None:
    """The device's newest action for a deployment."""
    here = (_action.c.device_number == device_number) & (_action.c.deployment_id == deployment_id)
    return first(connection, select(_action).where(here).order_by(_action.c.number.desc()).limit(1), _as_action)


def installed_by(connection: Connection, device_number: int) -> BridgeAction | None:
    """The device's newest action that ended well."""
    here = (_action.c.device_number == device_number) & (_action.c.state == "finished")
    return first(connection, select(_action).where(here).order_by(_action.c.number.desc()).limit(1), _as_action)


def one(connection: Connection, device_number: int, number: int) -> BridgeAction | None:
    """The device's action of a number; another device's counts as none."""
    here = (_action.c.device_number == device_number) & (_action.c.number == number)
    return first(connection, select(_action).where(here), _as_action)


def page(connection: Connection, device_number: int, *, limit: int, before: int | None) -> Page[BridgeAction]:
    """The device's actions, newest first."""
    query = select(_action).where(_action.c.device_number == device_number)
    return newest_first(connection, query, _action, _as_action, limit=limit, before=before)


def add(connection: Connection, device_number: int, deployment_id: UUID, *, now: int) -> BridgeAction:
    """Open an action; the database refuses a second open one. The oldest beyond :data:`MAX_ACTIONS` are deleted."""
    key = connection.execute(
        insert(_action).values(
            device_number=device_number,
            deployment_id=deployment_id,
            open_device=device_number,
            state="offered",
            reason="",
            may_repeat=True,
            created_at=now,
            changed_at=now,
        )
    ).inserted_primary_key
    if key is None:
        raise AssertionError("an insert gave no row number")
    _forget_old(connection, device_number)
    made = one(connection, device_number, int(key[0]))
    if made is None:
        raise AssertionError("a row is not there after its insert")
    return made


def change(connection: Connection, action: BridgeAction, *, final: bool) -> None:
    """Store state, reason and time of an action; a final one is no device's open action any more."""
    values: dict[str, object] = {
        "state": action.state,
        "reason": action.reason,
        "may_repeat": action.may_repeat,
        "changed_at": action.changed_at,
    }
    if final:
        values |= {"open_device": None, "finished_at": action.changed_at}
    connection.execute(update(_action).where(_action.c.number == action.number).values(values))


def say(connection: Connection, number: int, status: BridgeStatus) -> None:
    """Add what was said of an action; the oldest beyond :data:`MAX_STATUSES` are deleted."""
    connection.execute(
        insert(_status).values(
            action_number=number,
            at=status.at,
            event=status.event,
            progress=status.progress,
            code=status.code,
            messages=json.dumps(list(status.messages)),
        )
    )
    mine = _status.c.action_number == number
    newest = select(_status.c.number).where(mine).order_by(_status.c.number.desc()).offset(MAX_STATUSES - 1).limit(1)
    oldest_kept = connection.execute(newest).scalar_one_or_none()
    if oldest_kept is not None:
        connection.execute(delete(_status).where(mine, _status.c.number < oldest_kept))


def said(connection: Connection, number: int) -> tuple[BridgeStatus, ...]:
    """What was said of an action, oldest first."""
    query = select(_status).where(_status.c.action_number == number).order_by(_status.c.number)
    return every(connection, query, _as_status)


def add_outcome(
    connection: Connection, action: BridgeAction, image_id: UUID, component_id: UUID, outcome: str, *, at: int
) -> None:
    """Record how an image of an action ended, where the watch and roll-outs read it."""
    values = {
        "device_number": action.device_number,
        "offer_id": action.deployment_id,
        "deployment_id": action.deployment_id,
        "image_id": image_id,
        "component_id": component_id,
        "outcome": outcome,
        "reason": action.reason,
        "at": at,
        "received_at": at,
    }
    dialect.insert_new(connection, _outcome, [values])


def remove_device(connection: Connection, device_number: int) -> None:
    """Delete all actions of a device."""
    _remove(connection, _action.c.device_number == device_number)


def _forget_old(connection: Connection, device_number: int) -> None:
    mine = _action.c.device_number == device_number
    newest = select(_action.c.number).where(mine).order_by(_action.c.number.desc()).offset(MAX_ACTIONS - 1).limit(1)
    oldest_kept = connection.execute(newest).scalar_one_or_none()
    if oldest_kept is not None:
        _remove(connection, mine & (_action.c.number < oldest_kept))


def _remove(connection: Connection, chosen: Any) -> None:
    connection.execute(delete(_status).where(_status.c.action_number.in_(select(_action.c.number).where(chosen))))
    connection.execute(delete(_action).where(chosen))


def _as_status(row: Row[Any]) -> BridgeStatus:
    return from_row(BridgeStatus, row, messages=tuple(json.loads(row.messages)))
