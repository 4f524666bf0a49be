# SPDX-License-Identifier: Apache-2.0
"""What channels have still to be told, in the order in which it happened, and what came of each attempt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from armillary.engines.records.notifications import channels as channel_rows
from armillary.engines.records.queries.pages import every, newest_first
from armillary.engines.records.schema.rows import Page, from_row
from armillary.engines.records.schema.security import notification_tables as tables
from armillary.engines.records.schema.security.notification_rows import Channel, Delivery
from armillary.wire.notification import event as notification

# Events of a channel that were given up and are kept to be looked at and sent again; the oldest go first.
MAX_GIVEN_UP: Final = 1_000

_channel, _event, _delivery = tables.notification_channel, tables.notification_event, tables.notification_delivery


@dataclass(frozen=True, slots=True)
class Room:
    """Which channels may be told now: not those that are being told, nor those of owners that have no place left."""

    without: Collection[int] = ()  # numbers of channels
    full_owners: Collection[UUID | None] = ()
    only_healthy: bool = False  # no channel whose last attempt failed

    def fits(self) -> ColumnElement[bool]:
        """The condition."""
        columns = _channel.c
        owners = list(map(channel_rows.owner_of, self.full_owners))
        found = (columns.waiting > 0) & columns.number.not_in(list(self.without)) & columns.owner.not_in(owners)
        return found & (columns.failures == 0) if self.only_healthy else found


def due(connection: Connection, room: Room, *, now_ms: int, limit: int) -> tuple[Channel, ...]:
    """Channels that are due: those that do not fail first, and whoever has waited longest first."""
    columns = _channel.c
    query = select(_channel).where(room.fits(), columns.due_ms <= now_ms)
    query = query.order_by(columns.failures > 0, columns.due_ms, columns.number).limit(limit)
    return every(connection, query, channel_rows.as_channel)


def next_due_ms(connection: Connection, room: Room) -> int | None:
    """When the next channel is due; None if there is none."""
    found = connection.execute(select(func.min(_channel.c.due_ms)).where(room.fits())).scalar()
    return None if found is None else int(found)


def oldest(connection: Connection, channel_number: int, limit: int) -> tuple[Delivery, ...]:
    """What a channel is to be told next, in order."""
    return every(connection, _of(channel_number, "waiting").order_by(_delivery.c.number).limit(limit), _as_delivery)


def page_given_up(connection: Connection, channel_number: int, *, limit: int, before: int | None) -> Page[Delivery]:
    """What a channel was not told, newest first."""
    query = _of(channel_number, "given-up")
    return newest_first(connection, query, _delivery, _as_delivery, limit=limit, before=before)


def told(connection: Connection, channel_number: int, deliveries: Sequence[Delivery], *, now_ms: int) -> None:
    """Note that a channel was told; it is due again at once, behind those that wait since before."""
    gone = _forget(connection, [each.number for each in deliveries])
    columns = _channel.c
    connection.execute(
        update(_channel)
        .where(columns.number == channel_number)
        .values(
            waiting=columns.waiting - gone,
            delivered=columns.delivered + gone,
            failures=0,
            due_ms=now_ms,
            delivered_at=now_ms // 1000,
        )
    )


def failed(
    connection: Connection,
    channel_number: int,
    deliveries: Sequence[Delivery],
    *,
    give_up_after: int,
    counts: bool,
    due_ms: int,
    now_ms: int,
    error: str,
) -> int:
    """Note a failed attempt; how many of the deliveries are given up.

    With ``counts`` it is an attempt of each of them, and those that have had ``give_up_after`` are given up. Else it
    tells nothing of a single one: the next attempt is of the first alone.
    """
    given_up = 0
    for each in deliveries if counts else ():
        attempts = each.attempts + 1
        state = "given-up" if attempts >= give_up_after else "waiting"
        given_up += state == "given-up"
        values = {"attempts": attempts, "state": state, "error": error}
        connection.execute(update(_delivery).where(_delivery.c.number == each.number).values(values))
    columns = _channel.c
    connection.execute(
        update(_channel)
        .where(columns.number == channel_number)
        .values(
            waiting=columns.waiting - given_up,
            given_up=columns.given_up + given_up,
            failures=columns.failures + 1,
            due_ms=due_ms,
            failed_at=now_ms // 1000,
            error=error,
        )
    )
    if given_up:
        _forget_oldest_given_up(connection, channel_number)
    return given_up


def retry(connection: Connection, channel_number: int, *, now_ms: int) -> int:
    """Have a channel be told again what was given up and is kept; how many events that is."""
    again = (_delivery.c.channel_number == channel_number) & (_delivery.c.state == "given-up")
    count = connection.execute(update(_delivery).where(again).values(state="waiting", attempts=0)).rowcount
    columns = _channel.c
    connection.execute(
        update(_channel)
        .where(columns.number == channel_number)
        .values(waiting=columns.waiting + count, given_up=columns.given_up - count, failures=0, due_ms=now_ms)
    )
    return count


def _forget(connection: Connection, numbers: Sequence[int]) -> int:
    """Delete deliveries, and the events that nobody else is to be told; how many deliveries there were."""
    here = _delivery.c.number.in_(list(numbers))
    events = connection.execute(select(_delivery.c.event_number).where(here)).scalars().all()
    count = connection.execute(delete(_delivery).where(here)).rowcount
    left = select(_delivery.c.event_number).where(_delivery.c.event_number == _event.c.number)
    connection.execute(delete(_event).where(_event.c.number.in_(list(events)), ~left.exists()))
    return count


def _forget_oldest_given_up(connection: Connection, channel_number: int) -> None:
    mine = (_delivery.c.channel_number == channel_number) & (_delivery.c.state == "given-up")
    newest = select(_delivery.c.number).where(mine).order_by(_delivery.c.number.desc()).offset(MAX_GIVEN_UP)
    if old := connection.execute(newest).scalars().all():
        _forget(connection, old)


def _of(channel_number: int, state: str) -> Any:
    return (
        select(_delivery, _event.c.document, _event.c.catalog_id)
        .join(_event, _event.c.number == _delivery.c.event_number)
        .where(_delivery.c.channel_number == channel_number, _delivery.c.state == state)
    )


def _as_delivery(row: Row[Any]) -> Delivery:
    return from_row(Delivery, row, event=notification.decode(row.document))
