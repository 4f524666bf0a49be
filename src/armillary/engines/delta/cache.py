# SPDX-License-Identifier: Apache-2.0
"""The deltas that were made, in a folder of bounded size: the ones used longest ago give way.

::

    FOLDER/<source sha256>-<target sha256>          a delta; an empty file says that none is worth it
    FOLDER/<source sha256>-<target sha256>.partial  being made; locked by the process that makes it

Several processes share a folder: files come by rename and go by unlink, and what is being sent stays open. Nothing here
is a record: a folder that is lost is made anew, and a damaged delta is noticed by every device that gets it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from armillary.engines.durable import PARTIAL_SUFFIX, not_writable


class DeltaCache:
    """The folder, which keeps ``limit_bytes`` at most; safe from any thread and process."""

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self._folder = folder
        self.limit_bytes = limit_bytes

    def prepare(self) -> None:
        """Make the folder; DataFolderError if it cannot be made."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise not_writable(self._folder, error) from error

    def path(self, source: bytes, target: bytes) -> Path:
        """Where the delta between two artifacts, by SHA-256, is kept."""
        return self._folder / f"{source.hex()}-{target.hex()}"

    def find(self, source: bytes, target: bytes) -> Path | None:
        """The delta that was made, or the empty file that says that none is worth it; None if nobody made one."""
        path = self.path(source, target)
        try:
            os.utime(path)  # it is used now
        except OSError:
            return None
        return path

    def shrink(self) -> None:
        """Remove what was used longest ago until the folder is within its limit."""
        kept = []
        for path in self._folder.iterdir():
            if path.suffix != PARTIAL_SUFFIX:
                with contextlib.suppress(FileNotFoundError):  # another process was first
                    status = path.stat()
                    kept.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in kept)
        for _, size, path in sorted(kept):
            if total <= self.limit_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size

    def forget(self, artifact: bytes) -> None:
        """Remove every delta from or to an artifact: it is no longer served."""
        for path in self._folder.glob(f"*{artifact.hex()}*"):
            path.unlink(missing_ok=True)
