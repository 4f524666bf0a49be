# SPDX-License-Identifier: Apache-2.0
"""Rows of files that devices upload; the bytes are files beside the hub's database.

States: ``open`` (the device asked to upload), ``stored`` (the bytes have arrived), ``confirmed`` or ``failed`` (what
the device reported).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final, Literal

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import writer_change
from armillary.errors import NotFoundError, RateLimitedError

# IoT Hub: uploads a device may have open at once.
MAX_OPEN: Final = 10
# Files of one device; operators delete what they do not need.
MAX_FILES: Final = 1000
# And their bytes together.
MAX_DEVICE_BYTES: Final = 2 << 30
RETRY_S: Final = 600

State = Literal["open", "stored", "confirmed", "failed"]

TABLES: Final = """
CREATE TABLE IF NOT EXISTS upload (
    upload_id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    size INTEGER NOT NULL DEFAULT 0,
    sha256 TEXT NOT NULL DEFAULT '',
    content_type TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL DEFAULT '',
    begun_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS upload_device ON upload (device_id, begun_ms);
"""

_COLUMNS: Final = (
    "upload_id, device_id, name, state, size, sha256, content_type, status, begun_ms, expires_ms, changed_ms"
)


@dataclass(frozen=True, slots=True)
class Upload:
    """One file."""

    upload_id: str  # IoT Hub's correlation id
    device_id: str
    name: str  # The device's name for it, sanitised
    state: State
    size: int
    sha256: str  # Of the bytes, hex; empty before they arrive
    content_type: str
    status: str  # The device's status description
    begun_ms: int
    expires_ms: int  # When its upload address ends, Unix milliseconds
    changed_ms: int


@writer_change
def begun(connection: Connection, upload: Upload) -> list[str]:
    """Open an upload; returns the ids of the device's open uploads that had expired and were deleted.

    Raises:
        RateLimitedError: the device has all the uploads, files or bytes that it may have.
    """
    over = connection.execute(
        "DELETE FROM upload WHERE device_id = ? AND state = 'open' AND expires_ms <= ? RETURNING upload_id",
        (upload.device_id, upload.begun_ms),
    ).fetchall()
    count, waiting, size = connection.execute(
        "SELECT count(*), coalesce(sum(CASE WHEN state = 'open' THEN 1 ELSE 0 END), 0),"
        " CAST(coalesce(sum(size), 0) AS BIGINT) FROM upload WHERE device_id = ?",
        (upload.device_id,),
    ).fetchone()
    if waiting >= MAX_OPEN or count >= MAX_FILES or size >= MAX_DEVICE_BYTES:
        raise RateLimitedError(
            f"device {upload.device_id[:40]} has {waiting} open uploads and {count} files of {size} bytes; "
            f"it may have ({MAX_OPEN}, {MAX_FILES}, {MAX_DEVICE_BYTES})",
            retry_after_s=RETRY_S,
        )
    connection.execute(
        f"INSERT INTO upload ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
        astuple(upload),
    )
    return [str(row[0]) for row in over]


@writer_change
def stored(connection: Connection, upload_id: str, *, size: int, sha256: str, content_type: str, now_ms: int) -> bool:
    """Note that the bytes have arrived; False when they had before."""
    changed = connection.execute(
        "UPDATE upload SET state = 'stored', size = ?, sha256 = ?, content_type = ?, changed_ms = ?"
        " WHERE upload_id = ? AND state = 'open'",
        (size, sha256, content_type[:100], now_ms, upload_id),
    )
    return changed.rowcount == 1


@writer_change
def settled(connection: Connection, upload_id: str, device_id: str, *, good: bool, status: str, now_ms: int) -> Upload:
    """Note how the device says the upload went; without its bytes it has failed, whatever the device says.

    Raises:
        NotFoundError: this device has no such upload under way.
    """
    found = read_upload(connection, upload_id)
    if found is None or found.device_id != device_id or found.state not in ("open", "stored"):
        raise NotFoundError("there is no such upload", remedy="Use the correlation id of an upload under way.")
    state = "confirmed" if good and found.state == "stored" else "failed"
    connection.execute(
        "UPDATE upload SET state = ?, status = ?, changed_ms = ? WHERE upload_id = ?",
        (state, status[:256], now_ms, upload_id),
    )
    return read_upload(connection, upload_id) or found


@writer_change
def forgotten_over(connection: Connection, now_ms: int) -> list[str]:
    """Delete the open uploads whose address has ended; returns their ids."""
    rows = connection.execute(
        "DELETE FROM upload WHERE state = 'open' AND expires_ms <= ? RETURNING upload_id", (now_ms,)
    )
    return [str(row[0]) for row in rows.fetchall()]


@writer_change
def deleted(connection: Connection, upload_id: str) -> Upload | None:
    """Delete the row of a file, and return it if it was there."""
    query = f"DELETE FROM upload WHERE upload_id = ? RETURNING {_COLUMNS}"  # noqa: S608 - constants
    row = connection.execute(query, (upload_id,)).fetchone()
    return None if row is None else Upload(*row)


def read_upload(connection: Connection, upload_id: str) -> Upload | None:
    """One file."""
    query = f"SELECT {_COLUMNS} FROM upload WHERE upload_id = ?"  # noqa: S608 - constants
    row = connection.execute(query, (upload_id,)).fetchone()
    return None if row is None else Upload(*row)


def read_over(connection: Connection, now_ms: int) -> bool:
    """Whether there is an open upload whose address has ended."""
    query = "SELECT 1 FROM upload WHERE state = 'open' AND expires_ms <= ? LIMIT 1"
    return connection.execute(query, (now_ms,)).fetchone() is not None


def read_states(connection: Connection, upload_ids: Sequence[str]) -> dict[str, str]:
    """The states of uploads by id; unknown ids are left out."""
    marks = ", ".join("?" * len(upload_ids))
    query = f"SELECT upload_id, state FROM upload WHERE upload_id IN ({marks})"  # noqa: S608 - question marks
    return {str(row[0]): str(row[1]) for row in connection.execute(query, tuple(upload_ids))}


def read_uploads(connection: Connection, device_id: str) -> list[Upload]:
    """A device's files, newest first."""
    query = f"SELECT {_COLUMNS} FROM upload WHERE device_id = ? ORDER BY begun_ms DESC, upload_id"  # noqa: S608 - constants
    return [Upload(*row) for row in connection.execute(query, (device_id,))]
