# SPDX-License-Identifier: Apache-2.0
"""The hub's folder: its lock, and the mark that says where its series are.

::

    FOLDER/lock     held with flock for the life of the process
    FOLDER/made     present once the database was made: a folder that has lost its database is not begun anew.
                    Empty for ``hub.db`` in the folder; else JSON: ``database`` (host and name), ``store`` (the id that
                    the database has, too), ``complete``

What else is in the folder (rules, exports) counts on numbers of one log, so a folder keeps to its database.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armillary.engines.durable import not_writable, write_file
from armillary.errors import DataFolderError, DataFolderInUseError


@dataclass(frozen=True, slots=True)
class Binding:
    """The database that a folder's series are in."""

    database: str  # Host and name, for people
    store: str  # The id that the database has, too
    complete: bool  # Whether the database was made; until then it may be empty


class Folder:
    """The locked folder; made if it is missing.

    Raises:
        DataFolderInUseError: another process holds it.
        DataFolderError: not writable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made = path / "made"
        self._file = path / "hub.db"
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise not_writable(path, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise DataFolderInUseError(f"{path} is held by another process") from error

    def release(self) -> None:
        """Release the lock. May be called twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def check_embedded(self) -> None:
        """Check that the folder's series are in its own file.

        Raises:
            DataFolderError: they are in a PostgreSQL database, or the file is lost.
        """
        bound = self.bound()
        if bound is not None:
            raise DataFolderError(
                f"{self.path}: its series are in the PostgreSQL database {bound.database}, and none is set",
                remedy="Set series_database to it, or choose another folder with --data.",
            )
        if self._made.exists() and not self._file.exists():
            raise DataFolderError(
                f"{self._file} is missing, though it was made here before",
                remedy=f"Restore it from a backup; or delete {self._made} to begin again without telemetry and twins.",
            )

    def note_embedded(self) -> None:
        """Note that the file was made.

        Raises:
            DataFolderError: not writable.
        """
        try:
            self._made.touch(mode=0o600)
        except OSError as error:
            raise not_writable(self._made, error) from error

    def bound(self) -> Binding | None:
        """The PostgreSQL database of this folder; None when its series are in its own file, or nowhere yet.

        Raises:
            DataFolderError: the mark cannot be read.
        """
        try:
            text = self._made.read_text("utf-8") if self._made.exists() else ""
            if not text.strip():
                return None
            found: Any = json.loads(text)
            return Binding(str(found["database"]), str(found["store"]), bool(found["complete"]))
        except OSError as error:
            raise not_writable(self._made, error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise DataFolderError(f"{self._made}: damaged", remedy="Restore it from a backup.") from error

    def check_not_embedded(self, database: str) -> None:
        """Check that the folder's series are not in its own file.

        Raises:
            DataFolderError: they are.
        """
        if self._file.exists() or (self._made.exists() and self.bound() is None):
            raise DataFolderError(
                f"{self.path}: its series are in {self._file.name}, and series_database is {database}",
                remedy="Leave series_database empty; or begin in another folder (--data) and bring telemetry with "
                "armillary telemetry export and import.",
            )

    def bind(self, binding: Binding) -> None:
        """Note which database the series are in, durably.

        Raises:
            DataFolderError: not writable.
        """
        document = {"database": binding.database, "store": binding.store, "complete": binding.complete}
        write_file(self._made, json.dumps(document).encode(), mode=0o600)
