# SPDX-License-Identifier: Apache-2.0
"""From when on a device of a roll-out may install what it was offered: its time to confirm runs from then.

A device that checks in outside of its group's maintenance windows is alive, and does nothing wrong by waiting. When the
next one opens is known here, whatever the device says. That an application puts the update off is the device's own
word; it holds for as long as the group allows, counted from when the device was offered the update.

All is judged as of the device's last check-in: one that falls silent does not wait, however many windows go by.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.queries.planning.looks import Member
from armillary.engines.records.schema.update_rows import UpdateSchedule
from armillary.service.updates.schedules import told
from armillary.update.schedule.begin import not_yet
from armillary.wire.device.offer_timing import OfferTiming

_MINUTE_S = 60  # windows begin and end at full minutes


class Waits:
    """Judges the devices of one look at a roll-out; what it reads of schedules it reads once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._schedules: dict[UUID, UpdateSchedule] = {}
        self._told: dict[tuple[UUID, int], OfferTiming] = {}

    def may_begin_at(self, one: Member) -> int | None:
        """From when on a device may install what it was offered, Unix seconds UTC; None for one that was not heard."""
        heard_at = one.checked_in_at
        if heard_at is None or one.group_id is None:
            return None
        waits = not_yet(
            self._timing(one.group_id, heard_at),
            now=heard_at,
            heard_at=heard_at if one.offered_at is None else one.offered_at,
            deferred_until=one.deferred_until,
        )
        if waits is not None and waits.until is not None:
            return waits.until
        if waits is not None:  # no window within a month: nobody can be late
            return heard_at
        return heard_at if one.timed_from is None else min(one.timed_from, heard_at)

    def _timing(self, group_id: UUID, moment: int) -> OfferTiming:
        """What devices of a group were told at a moment."""
        schedule = self._schedules.get(group_id)
        if schedule is None:
            schedule = self._schedules[group_id] = catalog_rows.update_schedule(self._connection, group_id)
        minute = moment - moment % _MINUTE_S
        if (found := self._told.get((group_id, minute))) is None:
            found = self._told[group_id, minute] = told(schedule, minute).timing
        return found
