# SPDX-License-Identifier: Apache-2.0
"""The device's log: JSON lines on disk, bounded in size; listeners get every entry.

One line an entry: ``{"at": unix seconds, "event": word, ...}``. Two files of at most
:data:`MAX_FILE_BYTES` each, so that a chatty application can never fill the disk. Not synced: it explains, it
decides nothing. A device with another owner begins a new log: beside it stands whose it is.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from armillary.engines.durable import write_file
from armillary.errors import DataFolderError

MAX_FILE_BYTES = 256 * 1024  # two of them hold hours of a normal device and minutes of a crash loop
MAX_TEXT_CHARACTERS = 1024  # of one field: a line of application output

Listener = Callable[[dict[str, object]], None]


class Journal:
    """Appends entries to the log and tells listeners.

    Without a ``folder`` nothing is kept on disk (simulated fleets). ``now`` gives Unix seconds.
    """

    def __init__(self, folder: Path | None, now: Callable[[], int]) -> None:
        self._path = None if folder is None else folder / "device.jsonl"
        self._now = now
        self._listeners: list[Listener] = []
        self._owner = ""
        self._size = 0
        if self._path is not None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._size = self._path.stat().st_size if self._path.exists() else 0

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` with every further entry."""
        self._listeners.append(listener)

    def write(self, event: str, **fields: object) -> None:
        """Append one entry. Field values are JSON values, or anything whose ``str`` says it."""
        entry: dict[str, object] = {"at": self._now(), "event": event}
        entry.update({name: _shortened(value) for name, value in fields.items()})
        if self._path is not None:
            with contextlib.suppress(OSError):  # a full disk must not stop the device; listeners still hear
                self._append(self._path, json.dumps(entry, ensure_ascii=False, default=str).encode() + b"\n")
        for listener in self._listeners:
            listener(entry)

    def entries(self) -> Iterator[dict[str, object]]:
        """Entries on disk, oldest first."""
        return iter(()) if self._path is None else read_journal(self._path.parent)

    def belongs_to(self, owner: str) -> bool:
        """Delete the entries of another owner, if there are any; returns whether those that are left are ``owner``'s.

        What was written before the device had any owner stays.
        """
        if self._path is None or owner == self._owner:
            return True
        mark = self._path.with_name("owner")
        try:
            before = mark.read_text() if mark.exists() else ""
            if before not in ("", owner):
                older(self._path).unlink(missing_ok=True)
                self._path.unlink(missing_ok=True)
                self._size = 0
            if before != owner:
                write_file(mark, owner.encode(), mode=0o600)
        except (OSError, DataFolderError):
            return False
        self._owner = owner
        return True

    def _append(self, path: Path, line: bytes) -> None:
        if self._size + len(line) > MAX_FILE_BYTES and self._size:
            path.replace(older(path))
            self._size = 0
        with path.open("ab") as file:
            file.write(line)
        self._size += len(line)


def older(path: Path) -> Path:
    """The file that holds the entries before ``path``'s."""
    return path.with_name(path.name + ".1")


def read_journal(folder: Path) -> Iterator[dict[str, object]]:
    """Entries on disk, oldest first. A line cut short by a power cut is passed over."""
    path = folder / "device.jsonl"
    for file in (older(path), path):
        try:
            lines = file.read_bytes().splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry


def _shortened(value: object) -> object:
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS:
        return value[:MAX_TEXT_CHARACTERS] + "…"
    return value
