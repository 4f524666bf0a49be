# SPDX-License-Identifier: Apache-2.0
"""Leaves out messages of guardians that came before, in the transaction that writes the others to the log.

A guardian sends a message again when it did not hear that the hub has it. Each says its place among all of its identity
(property ``guardian-sequence``, ``wire/equipment/message.py``); what has come is kept here for each identity and boot.
As it is written with the messages themselves, a message is in the log once, whatever was killed in between.

A message without a place, or with one that cannot be read, is written as it comes, as are those of all other devices.
Identities are those of connections: nobody can say that another's message has come.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

from armillary.engines.database.port import Connection
from armillary.engines.series.log.blocks import PacketRun, PlacedRun
from armillary.errors import WireError
from armillary.wire.equipment.message import SEQUENCE_PROPERTY, Place, read_place
from armillary.wire.equipment.seen import Seen, read_seen
from armillary.wire.hub.topics import parse_bag
from armillary.wire.mqtt.stream import iterate_packets

# Boots of one identity that are remembered, those used last. Messages of older ones are sent first after an outage, so
# of more than two at a time there are none on the way.
MAX_BOOTS: Final = 16

_KEY: Final = f"{SEQUENCE_PROPERTY}="

TABLES: Final = """
-- What came of a guardian's identity in each boot, as in wire/equipment/seen.py. used: its last block in the log.
CREATE TABLE IF NOT EXISTS guardian_boot (
    device INTEGER NOT NULL,
    boot TEXT NOT NULL,
    used INTEGER NOT NULL,
    seen TEXT NOT NULL,
    PRIMARY KEY (device, boot)
) STRICT, WITHOUT ROWID;
"""

_READ: Final = "SELECT seen FROM guardian_boot WHERE device = ? AND boot = ?"
_WRITE: Final = """
INSERT INTO guardian_boot (device, boot, used, seen) VALUES (?, ?, ?, ?)
ON CONFLICT (device, boot) DO UPDATE SET used = excluded.used, seen = excluded.seen
"""
_FORGET_OLD: Final = """
DELETE FROM guardian_boot WHERE device = ?1 AND boot NOT IN
(SELECT boot FROM guardian_boot WHERE device = ?1 ORDER BY used DESC, boot LIMIT ?2)
"""


def without_repeated(connection: Connection, runs: Sequence[PacketRun], block: int) -> tuple[list[PacketRun], int]:
    """The runs of a batch without messages that came before, and how many were left out; the caller commits."""
    seen = _SeenNow(connection)
    kept: list[PacketRun] = []
    repeated = 0
    for run in runs:
        if not isinstance(run, PlacedRun):
            kept.append(run)
            continue
        fresh = [(begin, end) for place, begin, end in _places(run) if place is None or seen.is_new(run.device, place)]
        repeated += run.count - len(fresh)
        if len(fresh) == run.count:
            kept.append(run)
        elif fresh:
            data = b"".join(run.data[begin:end] for begin, end in fresh)
            kept.append(dataclasses.replace(run, data=data, count=len(fresh)))
    seen.write(block)
    return kept, repeated


def _places(run: PacketRun) -> Iterator[tuple[Place | None, int, int]]:
    """The place of each message of a run, None where it has none, and where it begins and ends."""
    for topic, begin, end in iterate_packets(run.data):
        try:
            text = _said(topic)
            yield None if text is None else read_place(text), begin, end
        except WireError:  # the decoder says so: it is kept, and cannot be told from its like
            yield None, begin, end


def _said(topic: str) -> str | None:
    """The value of the property ``guardian-sequence`` in a topic; raises WireError for a bag that is none."""
    bag = topic.partition("/messages/events/")[2].removesuffix("/")
    before, found, rest = bag.partition(_KEY)
    value = rest.partition("&")[0]
    if found and before[-1:] in ("", "&") and _KEY not in rest and "%" not in value:
        return value  # as the bag's reader would say, which takes five times as long
    return dict(parse_bag(topic.partition("/messages/events/")[2])).get(SEQUENCE_PROPERTY)


class _SeenNow:
    """What has come, as of the batch that is being written."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found: dict[tuple[int, str], Seen] = {}
        self._new: set[int] = set()  # Devices with a boot that is not in the table
        self._changed: set[tuple[int, str]] = set()

    def is_new(self, device: int, place: Place) -> bool:
        """Note a message; False when it came before."""
        key = device, place.boot
        seen = self._found.get(key)
        if seen is None:
            seen = self._found[key] = self._read(device, place.boot)
        if place.sequence in seen:
            return False
        self._found[key] = seen.with_place(place)
        self._changed.add(key)
        return True

    def write(self, block: int) -> None:
        """Write what changed."""
        rows = [(*key, block, str(self._found[key])) for key in sorted(self._changed)]
        self._connection.executemany(_WRITE, rows)
        for device in self._new:
            self._connection.execute(_FORGET_OLD, (device, MAX_BOOTS))

    def _read(self, device: int, boot: str) -> Seen:
        row = self._connection.execute(_READ, (device, boot)).fetchone()
        if row is None:
            self._new.add(device)
            return Seen()
        try:
            return read_seen(row[0])
        except WireError:  # the disk changed it: what is sent again is stored again
            return Seen()
