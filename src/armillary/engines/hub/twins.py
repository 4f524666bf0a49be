# SPDX-License-Identifier: Apache-2.0
"""Twins in the hub's database.

The rules are in ``armillary.twin``. A change reads a twin, applies them and writes it back in one transaction of the
one writing thread, so that no change is lost. A device without a row has an empty twin.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import writer_change
from armillary.twin.document.document import Twin, decode_twin, encode_twin

# Lines that the journal keeps, and after how many new ones older lines are deleted.
MAX_CHANGES = 100_000
CHANGES_PER_PRUNE = 1000

# The journal of twins: what changed, in order, for data exports. Nothing is written before the first such export.
TABLES = """
CREATE TABLE IF NOT EXISTS twin_change (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    section TEXT NOT NULL,
    properties TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS twin_journal (
    wanted INTEGER PRIMARY KEY
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class TwinChange:
    """A line of the journal."""

    number: int  # Rises with each line
    at_ms: int  # Unix milliseconds
    device_id: str
    section: str  # ``desired``, ``reported`` or ``tags``
    properties: Mapping[str, Any]  # The new value of each member that changed; None for one that was removed


def read_twin(connection: Connection, device_id: str) -> Twin:
    """The twin of a device; an empty one for a device that has none yet."""
    row = connection.execute("SELECT document FROM twin WHERE device_id = ?", (device_id,)).fetchone()
    return Twin(device_id=device_id) if row is None else decode_twin(device_id, row[0])


def read_twins(connection: Connection, device_ids: Sequence[str]) -> dict[str, Twin]:
    """The twins of a few hundred devices (one parameter of a query each); devices without one are left out."""
    marks = ", ".join("?" * len(device_ids))
    rows = connection.execute(f"SELECT device_id, document FROM twin WHERE device_id IN ({marks})", tuple(device_ids))  # noqa: S608 - marks only
    return {device_id: decode_twin(device_id, document) for device_id, document in rows}


@writer_change
def changed_twin(connection: Connection, device_id: str, change: Callable[[Twin], Twin], *, now_ms: int) -> Twin:
    """Apply ``change`` to a twin at ``now_ms`` (Unix) and return the new twin."""
    before = read_twin(connection, device_id)
    twin = change(before)
    connection.execute(
        "INSERT INTO twin (device_id, document) VALUES (?1, ?2)"
        " ON CONFLICT (device_id) DO UPDATE SET document = excluded.document",
        (device_id, encode_twin(twin)),
    )
    if connection.execute("SELECT 1 FROM twin_journal").fetchone() is not None:
        _note(connection, before, twin, now_ms)
    return twin


def journal_wanted(connection: Connection) -> None:
    """Begin to write the journal; a change for the writer."""
    connection.execute("INSERT INTO twin_journal VALUES (1) ON CONFLICT DO NOTHING")


def read_changes(connection: Connection, after: int, limit: int) -> list[TwinChange]:
    """Lines of the journal with higher numbers than ``after``, in order."""
    query = "SELECT number, at_ms, device_id, section, properties FROM twin_change WHERE number > ? ORDER BY number"
    rows = connection.execute(f"{query} LIMIT ?", (after, limit))
    return [
        TwinChange(number, at_ms, device_id, section, json.loads(text))
        for number, at_ms, device_id, section, text in rows
    ]


def _note(connection: Connection, before: Twin, after: Twin, now_ms: int) -> None:
    sections = (
        ("desired", before.desired.properties, after.desired.properties),
        ("reported", before.reported.properties, after.reported.properties),
        ("tags", before.tags, after.tags),
    )
    for section, old, new in sections:
        changed = {name: new.get(name) for name in sorted({*old, *new}) if old.get(name) != new.get(name)}
        if not changed:
            continue
        # The newest line is never deleted, so no number is used twice, and none is left out.
        ((number,),) = connection.execute(
            "INSERT INTO twin_change (number, at_ms, device_id, section, properties)"
            " SELECT coalesce(max(number), 0) + 1, ?1, ?2, ?3, ?4 FROM twin_change RETURNING number",
            (now_ms, after.device_id, section, json.dumps(changed, ensure_ascii=False, separators=(",", ":"))),
        ).fetchall()
        if number % CHANGES_PER_PRUNE == 0:
            connection.execute("DELETE FROM twin_change WHERE number <= ?", (number - MAX_CHANGES,))
