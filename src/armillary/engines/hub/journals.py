# SPDX-License-Identifier: Apache-2.0
"""The journals that data exports read in order: where each begins and ends, and the blocks of the message log.

The lines of the other two journals are read in ``twins.py`` and ``connectivity.py``.
"""

from __future__ import annotations

from enum import Enum

from armillary.engines.database.port import Connection


class Journal(Enum):
    """Tables whose rows have rising numbers that are never reused; the oldest are deleted. Value: table and column."""

    MESSAGES = ("block", "seq")
    TWINS = ("twin_change", "number")
    CONNECTIONS = ("connectivity", "number")


def newest_number(connection: Connection, journal: Journal) -> int:
    """The number of the newest entry, also if it was deleted since; 0 if there was none."""
    table, column = journal.value
    query = f"SELECT coalesce(max({column}), 0) FROM {table}"  # noqa: S608 - constants
    (newest,) = connection.execute(query).fetchone()
    if journal is Journal.MESSAGES:  # all blocks may have been deleted after they were flushed
        (flushed,) = connection.execute("SELECT value FROM progress WHERE name = 'flushed'").fetchone()
        newest = max(newest, flushed)
    return int(newest)


def number_before_oldest(connection: Connection, journal: Journal) -> int:
    """The number before the oldest entry that is still kept; the newest number if none is."""
    table, column = journal.value
    (oldest,) = connection.execute(f"SELECT min({column}) FROM {table}").fetchone()  # noqa: S608 - constants
    return newest_number(connection, journal) if oldest is None else int(oldest) - 1


def read_blocks(connection: Connection, after: int, limit: int) -> list[tuple[int, bytes]]:
    """Blocks of the log with higher numbers than ``after``, in order: number and content (``series/log/blocks.py``)."""
    query = "SELECT seq, data FROM block WHERE seq > ? ORDER BY seq LIMIT ?"
    return connection.execute(query, (after, limit)).fetchall()
