# SPDX-License-Identifier: Apache-2.0
"""The model id that a device announces when it connects (IoT Plug and Play). Nothing proves it."""

from __future__ import annotations

from typing import Final

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import writer_change

# DTDL: a model's identifier has at most 2,048 characters; IoT Hub takes 256.
MAX_MODEL_ID_CHARS: Final = 256

TABLES: Final = """
CREATE TABLE IF NOT EXISTS announcement (
    device_id TEXT PRIMARY KEY,
    model_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


@writer_change
def announced(connection: Connection, device_id: str, model_id: str, *, now_ms: int) -> None:
    """Store the model id that a device announced."""
    connection.execute(
        "INSERT INTO announcement (device_id, model_id, at_ms) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (device_id) DO UPDATE SET model_id = ?2, at_ms = ?3",
        (device_id, model_id[:MAX_MODEL_ID_CHARS], now_ms),
    )


def read_model_id(connection: Connection, device_id: str) -> str | None:
    """The model id that a device announced last; None when it never did."""
    row = connection.execute("SELECT model_id FROM announcement WHERE device_id = ?", (device_id,)).fetchone()
    return None if row is None else str(row[0])
