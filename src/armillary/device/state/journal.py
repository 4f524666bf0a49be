# SPDX-License-Identifier: Apache-2.0
"""The device's log: JSON lines on disk, bounded in size; listeners get every entry.

One line an entry: ``{"at": unix seconds, "event": word, ...}``. Two files of at most
:data:`MAX_FILE_BYTES` each, so that a chatty application can never fill the disk. What leaves them is kept without the
output of applications in two more such files: no application prints the device's own events away. Each application has
a share of the log besides (``output_share.py``), and what is dropped is counted. Not synced: it explains, it decides
nothing. A device with another owner begins a new log: beside it stands whose it is.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from armillary.device.state.output_share import WINDOW_S, OutputShare
from armillary.engines.durable import write_file
from armillary.errors import DataFolderError

MAX_FILE_BYTES = 256 * 1024  # two of them hold hours of a normal device and minutes of a crash loop
MAX_TEXT_CHARACTERS = 1024  # of one field: a line of application output
OUTPUT = "output"  # a line that an application has printed, or had written to the log

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
        self._share = OutputShare()
        self._size = 0
        if self._path is not None:
            with contextlib.suppress(OSError):  # a device without a log is one; listeners still hear
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
                self._append(self._path, _line(entry))
        for listener in self._listeners:
            listener(entry)

    def output(self, name: str, stream: str, text: str, **fields: object) -> None:
        """Append a line of an application's output, or count it: what is over its share is dropped."""
        now = self._now()
        self._tell_dropped(name, self._share.due(name, now))
        if self._share.take(name, len(text[:MAX_TEXT_CHARACTERS].encode("utf-8", "replace")), now):
            self.write(OUTPUT, name=name, stream=stream, **fields, text=text)
        elif self._share.dropped(name) == 1:
            self.write("output-limited", name=name, reason=f"too much for {WINDOW_S} s: the rest of them is dropped")

    def end_output(self, name: str) -> None:
        """Say what was dropped of an application's output: its run has ended."""
        self._tell_dropped(name, self._share.end(name))

    def _tell_dropped(self, name: str, lines: int) -> None:
        if lines:
            self.write("output-dropped", name=name, lines=lines)

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
            before = mark.read_text("utf-8", "replace") if mark.exists() else ""
            if before not in ("", owner):
                for file in _files(self._path):
                    file.unlink(missing_ok=True)
                self._size = 0
            if before != owner:
                write_file(mark, owner.encode(), mode=0o600)
        except (OSError, DataFolderError):
            return False
        self._owner = owner
        return True

    def _append(self, path: Path, line: bytes) -> None:
        if self._size + len(line) > MAX_FILE_BYTES and self._size:
            _keep_events(path)
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
    for file in _files(folder / "device.jsonl"):
        for _, entry in _lines(file):
            yield entry


def _files(path: Path) -> tuple[Path, ...]:
    """The files of a log, oldest first: two with events alone, two with everything."""
    events = _events(path)
    return older(events), events, older(path), path


def _events(path: Path) -> Path:
    """The file of the events that have left ``path`` and the one before it."""
    return path.with_name("events.jsonl")


def _keep_events(path: Path) -> None:
    """Keep the device's own events of the file that is about to go."""
    kept = b"".join(line + b"\n" for line, entry in _lines(older(path)) if entry.get("event") != OUTPUT)
    events = _events(path)
    with contextlib.suppress(OSError):  # on a full disk the log goes on without what is older
        if kept and events.exists() and events.stat().st_size + len(kept) > MAX_FILE_BYTES:
            events.replace(older(events))
        with events.open("ab") as file:
            file.write(kept)


def _lines(file: Path) -> Iterator[tuple[bytes, dict[str, object]]]:
    """Each whole line of a file with its entry."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError:  # there is none, or a sector of it is bad: what can be read of the log is
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield line, entry


def _line(entry: dict[str, object]) -> bytes:
    """An entry as a line of the log; what is no text in any encoding, such as half a character, is a question mark."""
    return json.dumps(entry, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


def _shortened(value: object) -> object:
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS:
        return value[:MAX_TEXT_CHARACTERS] + "…"
    return value
