# SPDX-License-Identifier: Apache-2.0
"""Twins in the hub's database: read, and change in the writer's transaction.

The rules are in ``armillary.twin``; here a twin is read, changed by them and written back in one transaction in
the one writing thread, so two changes never lose each other. A device without a row has an empty twin.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from armillary.twin.document import Twin, decode_twin, encode_twin


def read_twin(connection: sqlite3.Connection, device_id: str) -> Twin:
    """The twin of a device; an empty one for a device that has none yet."""
    row = connection.execute("SELECT document FROM twin WHERE device_id = ?", (device_id,)).fetchone()
    return Twin(device_id=device_id) if row is None else decode_twin(device_id, row[0])


def read_twins(connection: sqlite3.Connection, device_ids: Sequence[str]) -> dict[str, Twin]:
    """The twins of some devices (a few hundred: each is a mark of one query); those without one are left out."""
    marks = ", ".join("?" * len(device_ids))
    rows = connection.execute(f"SELECT device_id, document FROM twin WHERE device_id IN ({marks})", tuple(device_ids))  # noqa: S608 - marks only
    return {device_id: decode_twin(device_id, document) for device_id, document in rows}


def changed_twin(device_id: str, change: Callable[[Twin], Twin]) -> Callable[[sqlite3.Connection], Twin]:
    """A change for the writer that applies ``change`` to a twin and returns the new one."""

    def apply(connection: sqlite3.Connection) -> Twin:
        twin = change(read_twin(connection, device_id))
        connection.execute(
            "INSERT INTO twin (device_id, document) VALUES (?1, ?2)"
            " ON CONFLICT (device_id) DO UPDATE SET document = excluded.document",
            (device_id, encode_twin(twin)),
        )
        return twin

    return apply
