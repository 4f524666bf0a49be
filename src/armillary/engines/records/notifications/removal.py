# SPDX-License-Identifier: Apache-2.0
"""Deletes notification channels with all that they have still to be told."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, delete, select

from armillary.engines.records.schema.security import notification_tables as tables

_channel, _event, _delivery = tables.notification_channel, tables.notification_event, tables.notification_delivery


def remove(connection: Connection, number: int) -> None:
    """Delete a channel with all that it has still to be told."""
    connection.execute(delete(_delivery).where(_delivery.c.channel_number == number))
    _forget_told(connection)
    connection.execute(delete(_channel).where(_channel.c.number == number))


def remove_of_catalog(connection: Connection, catalog_id: UUID) -> None:
    """Delete the channels of a catalog; what the service's channels have still to be told of it stays."""
    for number in connection.execute(select(_channel.c.number).where(_channel.c.catalog_id == catalog_id)).scalars():
        remove(connection, number)


def _forget_told(connection: Connection) -> None:
    """Delete the events that no channel has still to be told."""
    left = select(_delivery.c.event_number).where(_delivery.c.event_number == _event.c.number)
    connection.execute(delete(_event).where(~left.exists()))
