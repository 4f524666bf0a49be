# SPDX-License-Identifier: Apache-2.0
"""Rows of notification channels."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema.rows import from_row, to_row
from armillary.engines.records.schema.security import notification_tables as tables
from armillary.engines.records.schema.security.notification_rows import Channel, ChannelStatus
from armillary.wire.notification.choice import Choice

_channel = tables.notification_channel


def add(connection: Connection, channel: Channel, secret: bytes | None) -> Channel:
    """Record a new channel; its number is given here. ``secret`` is sealed."""
    values = to_row(
        _channel,
        channel.status,
        **to_row(
            _channel,
            channel,
            owner=owner_of(channel.catalog_id),
            name_key=channel.name.lower(),
            options=json.dumps(dict(channel.options)),
            secret=secret,
            topics=json.dumps(channel.topics),
            finding_kinds=json.dumps(channel.finding_kinds),
            sequence=0,
        ),
    )
    del values["number"]
    connection.execute(insert(_channel).values(values))
    made = one(connection, channel.channel_id)
    if made is None:
        raise AssertionError("a channel is not there after its insert")
    return made


def choose(connection: Connection, number: int, choice: Choice) -> None:
    """Record what a channel is told from now on; what waits for it is told all the same."""
    chosen = {
        "topics": json.dumps(list(choice.topics)),
        "finding_kinds": json.dumps(list(choice.finding_kinds)),
        "min_severity": choice.min_severity,
    }
    connection.execute(update(_channel).where(_channel.c.number == number).values(**chosen))


def one(connection: Connection, channel_id: UUID) -> Channel | None:
    """The channel of an id."""
    return first(connection, select(_channel).where(_channel.c.channel_id == channel_id), as_channel)


def named(connection: Connection, catalog_id: UUID | None, name: str) -> Channel | None:
    """The channel of a catalog (None: of the service) of a name, in any case."""
    mine = (_channel.c.owner == owner_of(catalog_id)) & (_channel.c.name_key == name.lower())
    return first(connection, select(_channel).where(mine), as_channel)


def every_of(connection: Connection, catalog_id: UUID | None) -> tuple[Channel, ...]:
    """The channels of a catalog, by name."""
    query = select(_channel).where(_channel.c.owner == owner_of(catalog_id)).order_by(_channel.c.name_key)
    return every(connection, query, as_channel)


def every_one(connection: Connection) -> tuple[Channel, ...]:
    """All channels, those of the service first."""
    return every(connection, select(_channel).order_by(_channel.c.owner, _channel.c.name_key), as_channel)


def secret_of(connection: Connection, number: int) -> bytes | None:
    """The sealed secret of a channel."""
    found: bytes | None = connection.execute(select(_channel.c.secret).where(_channel.c.number == number)).scalar()
    return found


def owner_of(catalog_id: UUID | None) -> str:
    """What names are unique within."""
    return "" if catalog_id is None else str(catalog_id)


def as_channel(row: Row[Any]) -> Channel:
    """The channel of a row of the table."""
    return from_row(
        Channel,
        row,
        options=json.loads(row.options),
        topics=tuple(json.loads(row.topics)),
        finding_kinds=tuple(json.loads(row.finding_kinds)),
        status=from_row(ChannelStatus, row),
    )
