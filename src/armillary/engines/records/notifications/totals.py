# SPDX-License-Identifier: Apache-2.0
"""How all notification channels are doing together; small, because it is loaded where there is no channel."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from armillary.engines.records.schema.security import notification_tables as tables

_channel = tables.notification_channel


class Totals(NamedTuple):
    """How all channels are doing together."""

    channels: int
    failing: int  # those whose last attempt failed
    waiting: int  # events, as are the following
    delivered: int
    given_up: int
    dropped: int


def are_there(connection: Connection) -> bool:
    """Whether there is any channel."""
    return connection.execute(select(_channel.c.number).limit(1)).first() is not None


def totals(connection: Connection) -> Totals:
    """How all channels are doing together."""
    columns = _channel.c
    counts = (columns.waiting, columns.delivered, columns.given_up, columns.dropped)
    counted = (func.coalesce(func.sum(each), 0) for each in counts)
    failing = select(func.count()).select_from(_channel).where(columns.failures > 0).scalar_subquery()
    row = connection.execute(select(func.count(), failing, *counted).select_from(_channel)).one()
    return Totals(*map(int, row))
