# SPDX-License-Identifier: Apache-2.0
"""The tree of a log: which hashes are kept, and how the rest is made of entries.

Kept is the hash of every 256 entries, of every 65,536, and so on, written in the commit of the entry that completes
them. What is above the last 256 is hashed when it is asked for. So an entry costs nothing but its own row, and every
256th reads the 255 before it.

A log that had entries before it had a tree gets its hashes in steps (:func:`catch_up`): each continues after the last
hash that is there, so that it may end anywhere. Until it has caught up, entries complete nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection, func, insert, select

from armillary.engines.records.schema import log_tables
from armillary.errors import DataFolderError
from armillary.wire.transparency import merkle
from armillary.wire.transparency.merkle import WholeSubtree, folded, leaf_hash
from armillary.wire.transparency.tiles import TILE_WIDTH, ReadHashes, subtrees

# Hashes of 256 entries in one step of catching up: 4,096 entries, some 30 ms of the one writer.
STEP_TILES: Final = 16

# (connection, index of the first, count) -> leaves of a log's entries in their order; fewer where it has no more.
ReadLeaves = Callable[[Connection, int, int], Sequence[bytes]]

_subtree = log_tables.log_subtree


def extend(connection: Connection, log: str, size: int, leaves: ReadLeaves) -> None:
    """Keep what the entry that made the log ``size`` long has completed; in the entry's transaction."""
    tiles = size // TILE_WIDTH
    if size % TILE_WIDTH == 0 and _kept(connection, log, 1) == tiles - 1:
        _keep(connection, log, tiles - 1, leaves)


def catch_up(connection: Connection, log: str, size: int, leaves: ReadLeaves) -> bool:
    """Keep some of what a log of ``size`` entries has completed and is not there; whether that was all."""
    begin, tiles = _kept(connection, log, 1), size // TILE_WIDTH
    for number in range(begin, min(tiles, begin + STEP_TILES)):
        _keep(connection, log, number, leaves)
    return begin + STEP_TILES >= tiles


def is_caught_up(connection: Connection, log: str, size: int) -> bool:
    """Whether everything that a log of ``size`` entries has completed is there."""
    return _kept(connection, log, 1) >= size // TILE_WIDTH


def whole_subtrees(connection: Connection, log: str, leaves: ReadLeaves) -> WholeSubtree:
    """The hashes that proofs are made of.

    Asked for a hash of entries that are not there, or before :func:`catch_up` has ended, it raises DataFolderError.
    """
    return subtrees(_reader(connection, log, leaves))


def root_of(connection: Connection, log: str, size: int, leaves: ReadLeaves) -> bytes:
    """The root of the first ``size`` entries; DataFolderError as :func:`whole_subtrees`."""
    return merkle.root_of(whole_subtrees(connection, log, leaves), size)


def kept_hashes(connection: Connection, log: str, first: int, count: int) -> tuple[bytes, ...]:
    """The hashes kept of 256 entries each, by the number of the first; fewer where there are no more."""
    return _read(connection, log, 1, first, count)


def _keep(connection: Connection, log: str, number: int, leaves: ReadLeaves) -> None:
    """Keep the hash of a run of 256 entries, and those above that it completes."""
    read = _reader(connection, log, leaves)
    level, place = 1, number
    while True:
        made = folded(read(level - 1, place * TILE_WIDTH, TILE_WIDTH))
        connection.execute(insert(_subtree).values(log=log, level=level, number=place, hash=made))
        if (place + 1) % TILE_WIDTH:
            return
        level, place = level + 1, place // TILE_WIDTH


def _reader(connection: Connection, log: str, leaves: ReadLeaves) -> ReadHashes:
    def read(level: int, first: int, count: int) -> Sequence[bytes]:
        if level == 0:
            found: Sequence[bytes] = tuple(leaf_hash(each) for each in leaves(connection, first, count))
        else:
            found = _read(connection, log, level, first, count)
        if len(found) != count:
            raise DataFolderError(
                f"the {log} log lacks entries: {count} expected from {first} (level {level}), {len(found)} are there",
                remedy="Entries were removed. Restore the data folder from a backup and keep this one as evidence.",
            )
        return found

    return read


def _read(connection: Connection, log: str, level: int, first: int, count: int) -> tuple[bytes, ...]:
    query = (
        select(_subtree.c.hash)
        .where(_subtree.c.log == log, _subtree.c.level == level)
        .where(_subtree.c.number >= first, _subtree.c.number < first + count)
        .order_by(_subtree.c.number)
    )
    return tuple(bytes(each) for each in connection.execute(query).scalars())


def _kept(connection: Connection, log: str, level: int) -> int:
    """How many hashes of a level there are; they are without gaps."""
    query = select(func.max(_subtree.c.number)).where(_subtree.c.log == log, _subtree.c.level == level)
    newest = connection.execute(query).scalar_one()
    return 0 if newest is None else int(newest) + 1
