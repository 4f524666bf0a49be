# SPDX-License-Identifier: Apache-2.0
"""Keeps an event for the channels that it is for, in the transaction of what it tells of.

Where no channel wants it, nothing is written. A channel that is told nothing keeps the first :data:`MAX_WAITING` events
and counts the others: every event has a number within its channel, so that whoever reads them sees the gap.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select, update

from armillary.engines.records.schema.security import notification_tables as tables
from armillary.wire.notification.choice import Choice
from armillary.wire.notification.event import Event, encode

# Events of one channel that wait: two weeks of one each two minutes, and about 15 MB at most of usual findings.
MAX_WAITING: Final = 10_000

_channel, _event, _delivery = tables.notification_channel, tables.notification_event, tables.notification_delivery


def enqueue(
    connection: Connection,
    event: Event,
    catalog_id: UUID | None,
    channel: str | None = None,
    *,
    is_own: bool = False,
    told: Collection[str] = (),
) -> int:
    """Keep an event for every channel that wants it; how many do.

    Those of the event's catalog and those of the whole service hear it; an event of no catalog (None) only the latter.
    With ``channel``, a name, only channels of that name do, whatever they usually want to hear; with ``is_own`` none of
    the whole service. Without it those of the names ``told`` do not, because they were told already: with ``is_own``
    those of the catalog.
    """
    if channel is not None:
        wanting = list(_of(connection, catalog_id, channel, is_own=is_own))
    else:
        already = {name.lower() for name in told}
        wanting = [
            row
            for row in _of(connection, catalog_id, None)
            if _wants(row, event) and not (row.name_key in already and (row.catalog_id is not None or not is_own))
        ]
    kept = [row for row in wanting if row.waiting < MAX_WAITING]
    event_number = _keep(connection, event, catalog_id) if kept else 0
    for row in wanting:
        is_kept = row.waiting < MAX_WAITING
        counted = {"waiting": _channel.c.waiting + 1} if is_kept else {"dropped": _channel.c.dropped + 1}
        connection.execute(
            update(_channel).where(_channel.c.number == row.number).values(sequence=_channel.c.sequence + 1, **counted)
        )
        if is_kept:
            connection.execute(
                insert(_delivery).values(
                    channel_number=row.number,
                    event_number=event_number,
                    sequence=row.sequence + 1,
                    state="waiting",
                    attempts=0,
                    kept_at=event.at,
                    error="",
                )
            )
    return len(wanting)


def _of(connection: Connection, catalog_id: UUID | None, name: str | None, *, is_own: bool = False) -> Sequence[Any]:
    columns = _channel.c
    mine: ColumnElement[bool] = columns.catalog_id.is_(None)
    if is_own:
        mine = columns.catalog_id == catalog_id
    elif catalog_id is not None:
        mine = or_(mine, columns.catalog_id == catalog_id)
    query = select(
        columns.number,
        columns.sequence,
        columns.waiting,
        columns.name_key,
        columns.catalog_id,
        columns.topics,
        columns.finding_kinds,
        columns.min_severity,
    ).where(mine)
    if name is not None:
        query = query.where(columns.name_key == name.lower())
    return connection.execute(query.order_by(columns.number)).all()


def _wants(row: Row[Any], event: Event) -> bool:
    choice = Choice(
        topics=json.loads(row.topics), finding_kinds=json.loads(row.finding_kinds), min_severity=row.min_severity
    )
    return choice.hears_of(event.topic, str(event.data.get("kind"))) and choice.hears_from(event.severity)


def _keep(connection: Connection, event: Event, catalog_id: UUID | None) -> int:
    made = connection.execute(
        insert(_event).values(event_id=event.event_id, catalog_id=catalog_id, document=encode(event))
    ).inserted_primary_key
    if made is None:
        raise AssertionError("an insert gave no row number")
    return int(made[0])
