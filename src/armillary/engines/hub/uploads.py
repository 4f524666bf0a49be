# SPDX-License-Identifier: Apache-2.0
"""Files that devices upload: what is known of each, in the hub's database; the bytes are files beside it.

``open`` (a device asked for a place), ``stored`` (its bytes are here), ``confirmed`` or ``failed`` (it said how it
went).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from armillary.engines.database.port import Connection
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
    """One file.

    Attributes:
        upload_id: IoT Hub's correlation id.
        name: As the device named it, made harmless.
        sha256: Hex, of the bytes; empty while there are none.
        status: What the device said about it.
        expires_ms: Until when its bytes are taken, Unix milliseconds.
    """

    upload_id: str
    device_id: str
    name: str
    state: State
    size: int
    sha256: str
    content_type: str
    status: str
    begun_ms: int
    expires_ms: int
    changed_ms: int


def begun(upload: Upload) -> Callable[[Connection], list[str]]:
    """A change: give a device a place for a file. Returns the ids of open ones that are over and were forgotten.

    The change raises :class:`RateLimitedError` when it has as many as it may have.
    """

    def apply(connection: Connection) -> list[str]:
        over = [
            str(row[0])
            for row in connection.execute(
                "DELETE FROM upload WHERE device_id = ? AND state = 'open' AND expires_ms <= ? RETURNING upload_id",
                (upload.device_id, upload.begun_ms),
            ).fetchall()
        ]
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
            (
                upload.upload_id, upload.device_id, upload.name, upload.state, upload.size, upload.sha256,
                upload.content_type, upload.status, upload.begun_ms, upload.expires_ms, upload.changed_ms,
            ),
        )  # fmt: skip
        return over

    return apply


def stored(upload_id: str, *, size: int, sha256: str, content_type: str, now_ms: int) -> Callable[[Connection], bool]:
    """A change: the bytes are here; False when they were before."""

    def apply(connection: Connection) -> bool:
        changed = connection.execute(
            "UPDATE upload SET state = 'stored', size = ?, sha256 = ?, content_type = ?, changed_ms = ?"
            " WHERE upload_id = ? AND state = 'open'",
            (size, sha256, content_type[:100], now_ms, upload_id),
        )
        return changed.rowcount == 1

    return apply


def settled(upload_id: str, device_id: str, *, good: bool, status: str, now_ms: int) -> Callable[[Connection], Upload]:
    """A change: the device said how it went; its word is believed only where bytes are here.

    The change raises :class:`NotFoundError` when this device has no such upload.
    """

    def apply(connection: Connection) -> Upload:
        found = read_upload(connection, upload_id)
        if found is None or found.device_id != device_id or found.state not in ("open", "stored"):
            raise NotFoundError("there is no such upload", remedy="Use the correlation id of an upload under way.")
        state = "confirmed" if good and found.state == "stored" else "failed"
        connection.execute(
            "UPDATE upload SET state = ?, status = ?, changed_ms = ? WHERE upload_id = ?",
            (state, status[:256], now_ms, upload_id),
        )
        return read_upload(connection, upload_id) or found

    return apply


def forgotten_over(now_ms: int) -> Callable[[Connection], list[str]]:
    """A change: forget open uploads whose address is over. Returns their ids."""

    def apply(connection: Connection) -> list[str]:
        rows = connection.execute(
            "DELETE FROM upload WHERE state = 'open' AND expires_ms <= ? RETURNING upload_id", (now_ms,)
        )
        return [str(row[0]) for row in rows.fetchall()]

    return apply


def deleted(upload_id: str) -> Callable[[Connection], None]:
    """A change: forget a file."""

    def apply(connection: Connection) -> None:
        connection.execute("DELETE FROM upload WHERE upload_id = ?", (upload_id,))

    return apply


def read_upload(connection: Connection, upload_id: str) -> Upload | None:
    """One file."""
    query = f"SELECT {_COLUMNS} FROM upload WHERE upload_id = ?"  # noqa: S608 - constants
    row = connection.execute(query, (upload_id,)).fetchone()
    return None if row is None else Upload(*row)


def read_over(connection: Connection, now_ms: int) -> bool:
    """Whether there is an open upload whose address is over."""
    query = "SELECT 1 FROM upload WHERE state = 'open' AND expires_ms <= ? LIMIT 1"
    return connection.execute(query, (now_ms,)).fetchone() is not None


def read_states(connection: Connection, upload_ids: Sequence[str]) -> dict[str, str]:
    """States of those of these uploads that are known, by id."""
    marks = ", ".join("?" * len(upload_ids))
    query = f"SELECT upload_id, state FROM upload WHERE upload_id IN ({marks})"  # noqa: S608 - question marks
    return {str(row[0]): str(row[1]) for row in connection.execute(query, tuple(upload_ids))}


def read_uploads(connection: Connection, device_id: str) -> list[Upload]:
    """A device's files, newest first."""
    query = f"SELECT {_COLUMNS} FROM upload WHERE device_id = ? ORDER BY begun_ms DESC, upload_id"  # noqa: S608 - constants
    return [Upload(*row) for row in connection.execute(query, (device_id,))]
