# SPDX-License-Identifier: Apache-2.0
"""Alerts of rules, told by the notification channels that rules name and by those that chose alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import Connection

from armillary.engines.records.notifications import channels as channel_rows, outbox
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.service.context.context import Context
from armillary.wire.device.finding import SEVERITIES
from armillary.wire.notification.event import Event

# Ids of alerts' events are made of their delivery's (RFC 9562 §5.5): an alert that is told again has the same.
_NAMESPACE: Final = UUID("1e0ab0f3-6a0c-5c11-8b35-0d6f6f0c9d27")
MAX_TITLE_CHARACTERS: Final = 200


class AlertNotices:
    """Channels as the rules of the platform see them (``platform/ports.py``)."""

    def __init__(self, context: Context, wake: Callable[[], None]) -> None:
        self._context = context
        self._wake = wake  # has what waits be sent

    def tell(self, channel: str, catalog: str, whole: bool, delivery: str, said: Mapping[str, Any]) -> int:  # noqa: FBT001
        """Have the channels of a name tell of an alert; how many there are.

        Those of the ``catalog``, and with ``whole`` those of the whole service.
        """
        event = _event(delivery, said)

        def change(connection: Connection) -> int:
            owner = _owner(connection, catalog)
            if owner is None and not whole:
                return 0
            return outbox.enqueue(connection, event, owner, channel, is_own=not whole)

        return self._told(change)

    def tell_choosers(
        self,
        named: Sequence[str],
        catalog: str,
        whole: bool,  # noqa: FBT001
        delivery: str,
        said: Mapping[str, Any],
    ) -> int:
        """Have the channels tell of an alert that chose alerts, but those of the names ``named``; how many there are.

        Those of the ``catalog`` and of the whole service. Names mean channels as in :meth:`tell`.
        """
        event = _event(delivery, said)

        def change(connection: Connection) -> int:
            return outbox.enqueue(connection, event, _owner(connection, catalog), is_own=not whole, told=named)

        return self._told(change)

    def heard(self) -> Mapping[str | None, int]:
        """From which severity on alerts are heard: catalog in lower case, or None for all -> its rank."""

        def read(connection: Connection) -> dict[str | None, int]:
            found: dict[str | None, int] = {}
            for each in channel_rows.every_one(connection):
                if each.choice.hears_of("alert"):
                    owner = None if each.catalog_id is None else catalog_rows.catalog_by_id(connection, each.catalog_id)
                    name = None if owner is None else owner.name.lower()
                    rank = SEVERITIES.index(each.min_severity)
                    found[name] = min(rank, found.get(name, rank))
            return found

        return self._context.records.read(read)

    def is_there(self, channel: str, catalog: str | None) -> bool:
        """Whether a rule of a catalog, or with None one of all catalogs, has such a channel."""

        def read(connection: Connection) -> bool:
            if catalog is None:
                return any(each.name.lower() == channel.lower() for each in channel_rows.every_one(connection))
            found = catalog_rows.catalog_named(connection, catalog)
            return found is not None and channel_rows.named(connection, found.catalog_id, channel) is not None

        return self._context.records.read(read)

    def _told(self, change: Callable[[Connection], int]) -> int:
        told = self._context.records.write(change)
        self._wake()
        return told


def _owner(connection: Connection, catalog: str) -> UUID | None:
    found = catalog_rows.catalog_named(connection, catalog) if catalog else None
    return None if found is None else found.catalog_id


def _event(delivery: str, said: Mapping[str, Any]) -> Event:
    device = said["device_name"] or said["device_id"]
    return Event(
        event_id=uuid5(_NAMESPACE, delivery),
        kind="alert.fired",
        severity=said["severity"],
        at=said["fired_at"],
        title=f"{said['rule']}: {device}"[:MAX_TITLE_CHARACTERS],
        text=said["why"],
        subject=str(said["device_id"]),
        data=said,
    )
