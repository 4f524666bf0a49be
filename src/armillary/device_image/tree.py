# SPDX-License-Identifier: Apache-2.0
"""A file system before it is written: paths to entries, each with the component that brought it."""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from armillary.errors import ConflictError


@dataclass(frozen=True, slots=True)
class Entry:
    """A file (bytes), a symbolic link (text) or a folder (None); everything is root's."""

    content: bytes | str | None = field(repr=False)
    mode: int
    component: str


class Tree:
    """Entries by path, without a slash in front. Folders are made as they are needed."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def file(self, path: str, content: bytes, *, component: str, mode: int = 0o644) -> None:
        """Put a file; ConflictError if another one is there already."""
        self._put(path, Entry(content, stat.S_IFREG | mode, component))

    def link(self, path: str, target: str, *, component: str) -> None:
        """Put a symbolic link."""
        self._put(path, Entry(target, stat.S_IFLNK | 0o777, component))

    def folder(self, path: str, *, component: str, mode: int = 0o755) -> None:
        """Put an empty folder, or give one its permissions."""
        self._put(path, Entry(None, stat.S_IFDIR | mode, component))

    def sizes(self) -> dict[str, int]:
        """Bytes of files for each component, sorted by name."""
        found: Counter[str] = Counter()
        for entry in self.entries.values():
            found[entry.component] += len(entry.content) if isinstance(entry.content, bytes) else 0
        return dict(sorted(found.items()))

    def write(self, root: Path) -> None:
        """Write everything into an empty folder, in the order of the paths."""
        root.mkdir(parents=True)
        for path, entry in sorted(self.entries.items()):
            place = root / path
            if entry.content is None:
                place.mkdir(exist_ok=True)
                place.chmod(stat.S_IMODE(entry.mode))
            elif isinstance(entry.content, str):
                place.symlink_to(entry.content)
            else:
                descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with open(descriptor, "wb") as file:  # noqa: PTH123 - the descriptor says that it is new
                    file.write(entry.content)
                place.chmod(stat.S_IMODE(entry.mode))

    def _put(self, path: str, entry: Entry) -> None:
        parts = path.split("/")
        if not path or ".." in parts or "" in parts:
            raise ConflictError(f"device image: {path!r} is no path inside the root", remedy="Mend image/image.toml.")
        for end in range(1, len(parts)):
            parent = "/".join(parts[:end])
            found = self.entries.setdefault(parent, Entry(None, stat.S_IFDIR | 0o755, entry.component))
            if found.content is not None:
                raise ConflictError(f"device image: {parent} is no folder", remedy="Mend image/image.toml.")
        earlier = self.entries.get(path)
        if earlier is not None and (earlier.content, earlier.mode) != (entry.content, entry.mode):
            both = f"{earlier.component} and {entry.component}"
            if entry.content is not None or earlier.content is not None:
                raise ConflictError(f"device image: {path} comes from {both}", remedy="Mend image/image.toml.")
        self.entries[path] = entry
