# SPDX-License-Identifier: Apache-2.0
"""Keeps who runs what up to date, for all that asks for devices by what they run.

The check-in path writes nothing of this: what devices say is compared with what is kept after they have said it. Three
times: by the newest check-ins whenever the service looks, by ids where somebody moved a device, and by all devices
after a start and every hour, for whatever the others do not see (a release that is published after a device booted
it).

A data folder of before this was kept has all of its devices to take in: the first walk does that a second at a time,
and is noted once it came to its end. Until then every answer about devices says how far it is (:class:`TakenIn`).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import ColumnElement, Connection

from armillary.engines.records.advisories import software as software_rows
from armillary.engines.records.queries import findings as finding_rows
from armillary.service.context.context import Context

# Where the last check-in is noted that was looked at, beside the watch's own positions.
POSITION: Final = "software"
# Where it is noted, as 1, that a walk over all devices came to its end.
TAKEN_IN: Final = "software-taken-in"
# Check-ins, or devices, of one look: a change of all of them holds the records for 50 ms.
STEP: Final = 500
# Devices that are compared in one read when all are: nothing is written where nothing differs.
WALK_STEP: Final = 5_000
# A look walks no further once it took so long: the watch and the planner look after it, and a halt waits for them.
WALK_LOOK_S: Final = 1.0
WALK_EVERY_S: Final = 3600
# Moves are kept for as long as support reports ask for them.
KEEP_MOVES_S: Final = 400 * 86_400


@dataclass(frozen=True, slots=True)
class TakenIn:
    """Of how many of all devices it is known what they run; ``whole``: of all that have ever checked in."""

    compared: int
    devices: int
    whole: bool

    def document(self) -> dict[str, object]:
        """As JSON shows it."""
        return {"whole": self.whole, "compared": self.compared, "devices": self.devices}


class Running:
    """What runs where. From any thread; one look at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._looking = threading.Lock()
        self._noting = threading.Lock()
        self._moved: set[str] = set()
        self._has_begun = False
        self._walked_at = context.now()
        self._walk_at: int | None = 0  # where the walk goes on; None between two
        self._is_whole = bool(context.records.read(lambda c: finding_rows.position(c, TAKEN_IN)))

    @property
    def is_whole(self) -> bool:
        """Whether all devices of before were taken in: the next look goes on where they were not."""
        return self._is_whole

    def taken_in(self, connection: Connection) -> TakenIn:
        """How far the first walk over all devices is; after it, whole. Devices are told by their row numbers."""
        last = software_rows.newest(connection)[0]
        compared = last if self._is_whole else min(last, self._walk_at or 0)
        return TakenIn(compared, last, self._is_whole or not last)

    def device_changed(self, device_id: str) -> None:
        """A device has another owner or group, or may have: the next look compares it."""
        with self._noting:
            self._moved.add(device_id)

    def look(self) -> int:
        """Compare all that may have changed; returns how many devices had."""
        with self._looking:
            changed = self._follow() + self._look_at_moved()
            now = self._context.now()
            if self._walk_at is None and not 0 <= now - self._walked_at < WALK_EVERY_S:
                self._walk_at, self._walked_at = 0, now
            return changed + (0 if self._walk_at is None else self._walk(self._walk_at))

    def prune(self) -> None:
        """Forget moves that are too old to be asked for, and sets that nobody has."""
        before = self._context.now() - KEEP_MOVES_S
        self._context.records.write(lambda c: software_rows.prune(c, before=before))

    def _follow(self) -> int:
        changed = 0
        while True:

            def span(connection: Connection) -> tuple[int, int]:
                return finding_rows.position(connection, POSITION), software_rows.newest(connection)[1]

            after, newest = self._context.records.read(span)
            if not self._has_begun:
                # The walk that begins now compares all devices: check-ins of before need not be read one by one.
                self._has_begun = True
                self._context.records.write(partial(finding_rows.set_position, source=POSITION, number=newest))
                return changed
            if newest <= after:
                return changed
            until = min(newest, after + STEP)
            changed += self._compare(software_rows.by_check_in(after, until), until)

    def _look_at_moved(self) -> int:
        with self._noting:
            moved, self._moved = sorted(self._moved), set()
        return sum(self._compare(software_rows.by_id(some)) for some in software_rows.portions(moved))

    def _walk(self, start: int) -> int:
        """Compare the next devices of all; the next look goes on where this one ends."""
        changed, last = 0, self._context.records.read(software_rows.newest)[0]
        begun, end = time.monotonic(), start
        while end < last:
            changed += self._take_in(end, end + WALK_STEP)
            end += WALK_STEP
            if time.monotonic() - begun >= WALK_LOOK_S:
                break
        if end < last:
            self._walk_at = end
            return changed
        self._walk_at = None
        if not self._is_whole:
            self._context.records.write(partial(finding_rows.set_position, source=TAKEN_IN, number=1))
            self._is_whole = True
        return changed

    def _take_in(self, after: int, until: int) -> int:
        whole = software_rows.by_number(after, until)
        if not self._context.records.read(partial(software_rows.has_moved, among=whole)):
            return 0
        now = self._context.now()
        changed = self._context.records.write(partial(software_rows.take_in, among=whole, now=now))
        for first in range(after, until, STEP):
            changed += self._compare(software_rows.by_number(first, min(until, first + STEP)))
        return changed

    def _compare(self, among: ColumnElement[bool], position: int | None = None) -> int:
        """Keep what these devices have; nothing is written where they have what is kept."""
        records, now = self._context.records, self._context.now()
        if position is None and not records.read(lambda c: software_rows.has_moved(c, among)):
            return 0

        def change(connection: Connection) -> int:
            changed = software_rows.place(connection, among, now=now)
            if position is not None:
                finding_rows.set_position(connection, POSITION, position)
            return changed

        return records.write(change)
