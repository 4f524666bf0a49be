# SPDX-License-Identifier: Apache-2.0
"""Files of JSON lines that an export writes: appended durably, rotated by size, the oldest deleted on request.

::

    FOLDER/000001.jsonl, 000002.jsonl, ...   one record a line, UTF-8

A file whose last line is incomplete after a crash is cut back to the line before: the export writes the record again.
"""

from __future__ import annotations

import os
from pathlib import Path

from armillary.errors import DataFolderError

_SUFFIX = ".jsonl"
_DIGITS = 6
_READ_BACK_BYTES = 1 << 16


class JsonLines:
    """A folder of JSON lines.

    Args:
        folder: Made if it is missing.
        rotate_bytes: Size of a file after which the next one is begun.
        keep_files: How many files to keep; None for all.
    """

    def __init__(self, folder: Path, *, rotate_bytes: int, keep_files: int | None) -> None:
        self._folder = folder
        self._rotate_bytes = rotate_bytes
        self._keep_files = keep_files
        self._checked: Path | None = None

    def append(self, lines: list[bytes]) -> None:
        """Append lines (without their ends), durably.

        Raises:
            DataFolderError: the disk refuses.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._current()
            data = b"".join(each + b"\n" for each in lines)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(descriptor, "ab", closefd=False) as file:
                    file.write(data)
                    file.flush()
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._forget_old()
        except OSError as error:
            self._checked = None  # a part of the lines may be written
            raise DataFolderError(
                f"{self._folder}: cannot be written ({error.strerror})",
                remedy="Free space on its disk; it is tried again.",
            ) from error

    def _current(self) -> Path:
        files = self._files()
        if not files:
            return self._path(1)
        newest = files[-1]
        if newest != self._checked:
            _cut_to_last_line(newest)
            self._checked = newest
        if newest.stat().st_size < self._rotate_bytes:
            return newest
        self._checked = self._path(int(newest.stem) + 1)
        return self._checked

    def _files(self) -> list[Path]:
        found = [each for each in self._folder.iterdir() if each.suffix == _SUFFIX and each.stem.isdecimal()]
        return sorted(found, key=lambda each: int(each.stem))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:0{_DIGITS}}{_SUFFIX}"

    def _forget_old(self) -> None:
        if self._keep_files is not None:
            for each in self._files()[: -self._keep_files]:
                each.unlink()


def _cut_to_last_line(path: Path) -> None:
    with path.open("r+b") as file:
        end = at = file.seek(0, os.SEEK_END)
        while at > 0:
            start = max(0, at - _READ_BACK_BYTES)
            file.seek(start)
            newline = file.read(at - start).rfind(b"\n")
            if newline >= 0:
                at = start + newline + 1
                break
            at = start
        if at < end:
            file.truncate(at)
            os.fsync(file.fileno())
