# SPDX-License-Identifier: Apache-2.0
"""Actions, and where each device stands in one."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, Select, delete, func, insert, literal, select, update

from armillary.engines.records import ordered
from armillary.engines.records.queries.pages import every, first, newest_first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rows import Page, from_row, to_row
from armillary.engines.records.schema.security.response_rows import Action, ActionDevice
from armillary.engines.records.schema.security.response_tables import action as _action, action_device as _part
from armillary.response.state import DECIDING

_device = schema.device
# Word of an order -> what actions are sorted by (``order_words.ACTIONS``).
ORDERS: Final[Mapping[str, ordered.Order]] = MappingProxyType(
    {
        "kind": ordered.by_text(_action.c.kind),
        "state": ordered.by_text(_action.c.state),
        "devices": ordered.by_number(_action.c.devices),
        "done": ordered.by_number(_action.c.done),
        "asked_by": ordered.by_text(_action.c.asked_by),
        "asked_at": ordered.by_number(_action.c.asked_at),
    }
)
# Devices that are put into an action by one transaction: a fifth of a second.
GATHERED_AT_ONCE: Final = 20_000


def add(connection: Connection, made: Action) -> None:
    """Record an action."""
    values = to_row(_action, made, **{name: _text(getattr(made, name)) for name in ("target", "options", "effects")})
    connection.execute(insert(_action).values(values))


def gather(connection: Connection, action_id: UUID, chosen: Select[Any], after: int) -> int | None:
    """Put the next devices that a query of row numbers finds into an action; the number to go on after, or None.

    The action need not be recorded yet: what never gets one is forgotten (:func:`forget_lost`).
    """
    found = chosen.where(_device.c.number > after).order_by(_device.c.number).limit(GATHERED_AT_ONCE)
    numbers = connection.execute(found).scalars().all()
    if not numbers:
        return None
    same = {"action_id": action_id, "state": "pending", "said": "", "is_counted": False}
    columns = ("device_number", *same)
    constants = [literal(value, _part.c[name].type).label(name) for name, value in same.items()]
    rows = select(_device.c.number, *constants).where(
        _device.c.number.in_(chosen), _device.c.number > after, _device.c.number <= numbers[-1]
    )
    dialect.insert_selected(connection, _part, columns, rows)
    return None if len(numbers) < GATHERED_AT_ONCE else int(numbers[-1])


def gathered(connection: Connection, action_id: UUID) -> int:
    """How many devices are in an action."""
    query = select(func.count()).select_from(_part).where(_part.c.action_id == action_id)
    return int(connection.execute(query).scalar_one())


def forget_lost(connection: Connection) -> int:
    """Delete devices of actions that were never recorded: who gathered them was cut short."""
    known = select(_action.c.action_id)
    return connection.execute(delete(_part).where(_part.c.action_id.not_in(known))).rowcount


def one(connection: Connection, action_id: UUID) -> Action | None:
    """The action of an id."""
    return first(connection, select(_action).where(_action.c.action_id == action_id), _as_action)


def page(
    connection: Connection,
    *,
    catalog_id: UUID | None,
    states: Sequence[str] = (),
    kind: str | None = None,
    finding_id: UUID | None = None,
    limit: int,
    before: int | None = None,
    order: str = "",
    after: str | None = None,
) -> Page[Action]:
    """Actions of a catalog (None: all), newest first.

    With an ``order`` (``order_words.ACTIONS``) in that one, after the cursor ``after`` instead of ``before``.
    """
    query = select(_action)
    for column, value in (
        (_action.c.catalog_id, catalog_id),
        (_action.c.kind, kind),
        (_action.c.finding_id, finding_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if states:
        query = query.where(_action.c.state.in_(states))
    if order:
        key = ordered.Key(_action.c.number)
        return ordered.page(connection, query, order, ORDERS, key, _as_action, limit=limit, after=after, what="actions")
    return newest_first(connection, query, _action, _as_action, limit=limit, before=before)


def under_way(connection: Connection) -> tuple[Action, ...]:
    """Actions that are being done or undone, oldest first."""
    left = (_action.c.state == "running") | ((_action.c.state == "undone") & (_action.c.undone < _action.c.done))
    return every(connection, select(_action).where(left).order_by(_action.c.number), _as_action)


def overdue(connection: Connection, now: int, limit: int) -> tuple[Action, ...]:
    """Actions that wait for a person, and expire by now."""
    late = _action.c.state.in_(DECIDING) & (_action.c.expires_at <= now)
    return every(connection, select(_action).where(late).order_by(_action.c.number).limit(limit), _as_action)


def change(connection: Connection, action_id: UUID, **values: Any) -> None:
    """Set columns of an action; ``effects`` as a mapping."""
    if "effects" in values:
        values["effects"] = _text(values["effects"])
    connection.execute(update(_action).where(_action.c.action_id == action_id).values(values))


def next_devices(connection: Connection, action_id: UUID, state: str, limit: int) -> list[tuple[int, str]]:
    """Row numbers and ids of the next devices of an action in a state."""
    query = (
        select(_part.c.device_number, _device.c.device_id)
        .join(_device, _device.c.number == _part.c.device_number)
        .where(_part.c.action_id == action_id, _part.c.state == state)
        .order_by(_part.c.device_number)
        .limit(limit)
    )
    return [(row.device_number, row.device_id) for row in connection.execute(query)]


def mark(
    connection: Connection, action_id: UUID, numbers: Collection[int], state: str, *, at: int, counts: bool = False
) -> None:
    """Note that devices of an action are done, skipped or undone; ``counts``: against what automatic ones may touch.

    When one was done stays where it is undone.
    """
    values: dict[str, Any] = {"state": state}
    if state == "done":
        values |= {"done_at": at, "is_counted": counts}
    here = (_part.c.action_id == action_id) & _part.c.device_number.in_(numbers)
    connection.execute(update(_part).where(here).values(values))


def skip(connection: Connection, action_id: UUID, reasons: Mapping[int, str]) -> None:
    """Note that devices of an action are passed over, and why."""
    for number, said in reasons.items():
        here = (_part.c.action_id == action_id) & (_part.c.device_number == number)
        connection.execute(update(_part).where(here).values(state="skipped", said=said[:200]))


def done_at(connection: Connection, action_id: UUID, numbers: Collection[int]) -> dict[int, int]:
    """When an action was done with devices: row number -> time."""
    here = (_part.c.action_id == action_id) & _part.c.device_number.in_(numbers)
    rows = connection.execute(select(_part.c.device_number, _part.c.done_at).where(here))
    return {row.device_number: row.done_at or 0 for row in rows}


def counted_since(connection: Connection, catalog_id: UUID | None, since: int) -> int:
    """How many devices automatic actions of a catalog touched since a time; also what was undone since.

    Of roll-backs those count that their roll-outs had started, as they have no devices of their own.
    """
    query = (
        select(func.count(_part.c.device_number.distinct()))
        .join(_action, _action.c.action_id == _part.c.action_id)
        .where(_part.c.done_at > since, _part.c.is_counted, _action.c.catalog_id == catalog_id)
    )
    columns = _action.c
    back = select(func.coalesce(func.sum(columns.done), 0)).where(
        columns.kind == "roll-back", columns.state == "done", columns.is_capped, columns.changed_at > since
    )
    back = back.where(columns.catalog_id == catalog_id)
    return int(connection.execute(query).scalar_one()) + int(connection.execute(back).scalar_one())


def devices(
    connection: Connection, action_id: UUID, *, state: str | None, limit: int, after: str | None
) -> Page[ActionDevice]:
    """The devices of an action, or those in a state, by id."""
    query = (
        select(_part, _device.c.device_id)
        .join(_device, _device.c.number == _part.c.device_number)
        .where(_part.c.action_id == action_id)
        .order_by(_device.c.device_id)
        .limit(limit + 1)
    )
    if state is not None:
        query = query.where(_part.c.state == state)
    if after is not None:
        query = query.where(_device.c.device_id > after)
    rows = connection.execute(query).all()
    items = tuple(from_row(ActionDevice, row) for row in rows[:limit])
    return Page(items, items[-1].device_id if len(rows) > limit else None)


def _text(value: Any) -> str:
    return json.dumps(dict(value), sort_keys=True, separators=(",", ":"))


def _as_action(row: Row[Any]) -> Action:
    return from_row(Action, row, **{name: json.loads(getattr(row, name)) for name in ("target", "options", "effects")})
