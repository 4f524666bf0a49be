# SPDX-License-Identifier: Apache-2.0
"""Turns SQLite's errors about a full or failing disk and a damaged file into errors that say what to do.

Source: https://www.sqlite.org/rescode.html; the low byte of a result code is the primary code.
"""

from __future__ import annotations

import sqlite3

from armillary.errors import DataFolderError

_DISK = frozenset(
    (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY)
)
_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))


def refusal(what: str, error: BaseException | None) -> DataFolderError | None:
    """The error to raise in place of the driver's ``error``; None when neither disk nor file is to blame.

    ``what`` could not be written or read: a name for people.
    """
    code = int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
    if code in _DISK:
        return DataFolderError(
            f"{what} cannot be written ({error})",
            remedy="Give this user the folder and free space on its disk; nothing of the change was kept.",
        )
    if code in _DAMAGE:
        return DataFolderError(f"{what} cannot be read ({error})", remedy="Restore the data folder from a backup.")
    return None
