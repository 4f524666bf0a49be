# SPDX-License-Identifier: Apache-2.0
"""A play of notification channels and their outbox: what the queries say, for one engine and the other."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select

from armillary.engines.records.notifications import channels, deliveries, outbox, removal, totals
from armillary.engines.records.notifications.deliveries import Room
from armillary.engines.records.queries import catalogs
from armillary.engines.records.schema.rows import Catalog
from armillary.engines.records.schema.security import notification_tables as tables
from armillary.engines.records.schema.security.notification_rows import Channel, ChannelStatus
from armillary.wire.notification.event import Event

NOW = 1_800_000_000
MINE, THEIRS = UUID(int=11), UUID(int=12)


def channel(number: int, owner: UUID | None, **values: Any) -> Channel:
    return Channel(
        **{
            "number": 0, "channel_id": UUID(int=number), "catalog_id": owner, "name": f"Desk {number}",
            "kind": "webhook", "options": {"url": "https://example.com:443/"}, "topics": (), "finding_kinds": (),
            "min_severity": "info", "created_at": NOW, "created_by": "t", "status": ChannelStatus(), **values,
        }
    )  # fmt: skip


def event(number: int, severity: str = "high") -> Event:
    return Event(
        event_id=UUID(int=1000 + number), kind="action.done", severity=severity, at=NOW + number, title=f"Event {number}",
        text="x", subject="s", data={"kind": "halt"},
    )  # fmt: skip


def played(connection: Connection) -> dict[str, Any]:
    """What is said at each step."""
    seen: dict[str, Any] = {"none": (totals.are_there(connection), totals.totals(connection))}
    for number, catalog_id in enumerate((MINE, THEIRS)):
        made = Catalog(catalog_id=catalog_id, name=f"N{number}", resource_group="rg", tags={}, created_at=NOW)
        catalogs.add_catalog(connection, made)
    for number, owner, values in (
        (1, MINE, {}),
        (2, THEIRS, {}),
        (3, None, {"min_severity": "critical"}),
        (4, None, {}),
    ):
        seen[f"add {number}"] = channels.add(
            connection, channel(number, owner, **values), b"sealed" if number == 1 else None
        )
    seen["named"] = channels.named(connection, MINE, "DESK 1"), channels.named(connection, None, "Desk 1")
    seen["lists"] = (
        channels.every_of(connection, MINE),
        channels.every_of(connection, None),
        channels.every_one(connection),
    )
    seen["secret"] = channels.secret_of(connection, seen["add 1"].number), channels.secret_of(connection, 999)
    seen["kept"] = [outbox.enqueue(connection, event(number), MINE) for number in range(5)]
    seen["kept of all"] = outbox.enqueue(connection, event(9, "critical"), None)
    seen["kept by name"] = outbox.enqueue(connection, event(8, "info"), THEIRS, "desk 2")
    seen["due"] = deliveries.due(connection, Room(), now_ms=NOW * 1000, limit=10)
    one, all_ = seen["add 1"].number, seen["add 4"].number
    seen["due with room"] = deliveries.due(
        connection, Room(without=[all_], full_owners=[MINE, None], only_healthy=True), now_ms=NOW * 1000, limit=10
    )
    first = deliveries.oldest(connection, one, 2)
    seen["oldest"] = first
    deliveries.told(connection, one, first, now_ms=NOW * 1000 + 5)
    second = deliveries.oldest(connection, one, 2)
    common = {"due_ms": NOW * 1000 + 9000, "now_ms": NOW * 1000 + 6, "error": "answered 503"}
    seen["failed"] = [
        deliveries.failed(connection, one, second, give_up_after=2, counts=True, **common),
        deliveries.failed(connection, one, second, give_up_after=2, counts=False, **common),
        deliveries.failed(
            connection, one, deliveries.oldest(connection, one, 1), give_up_after=2, counts=True, **common
        ),
    ]
    seen["next due"] = (
        deliveries.next_due_ms(connection, Room(without=[all_])),
        deliveries.next_due_ms(connection, Room(only_healthy=True, without=[all_], full_owners=[THEIRS, None])),
    )
    seen["given up"] = deliveries.page_given_up(connection, one, limit=5, before=None)
    seen["status"] = channels.one(connection, UUID(int=1))
    seen["totals"] = totals.totals(connection)
    seen["retry"] = deliveries.retry(connection, one, now_ms=NOW * 1000 + 7), channels.one(connection, UUID(int=1))
    seen["again"] = deliveries.oldest(connection, one, 9)
    removal.remove_of_catalog(connection, MINE)
    removal.remove(connection, all_)
    counted = (tables.notification_channel, tables.notification_event, tables.notification_delivery)
    seen["left"] = [connection.execute(select(func.count()).select_from(each)).scalar_one() for each in counted]
    seen["one that is gone"] = channels.one(connection, UUID(int=1))
    return seen
