# SPDX-License-Identifier: Apache-2.0
"""Downloads that are under way, kept in flash piece by piece: a restart goes on where the power went.

A piece is a region, ``downloads/<digest>/<number>``, written whole or not at all. Pieces are not trusted: the whole
file is checked when its last byte is there, and pieces that do not make the file are thrown away. Small files are not
kept: fetching them again costs less than wearing the flash.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from armillary.engines.flash.port import Flash, replace_region

if TYPE_CHECKING:  # a device at rest does not load the TUF library
    from armillary.update.repository.targets import VerifiedTarget

FOLDER = "downloads"
PIECE_BYTES = 1024 * 1024  # a cut loses at most this much; 17 minutes at the least rate


class PartialFile:
    """The bytes of one artifact so far, those of an earlier start among them."""

    def __init__(self, flash: Flash, target: VerifiedTarget) -> None:
        self._flash = flash
        self._target = target
        self._folder = folder_of(target)
        self._data = bytearray()
        self._pieces = 0
        if target.length > PIECE_BYTES:
            self._load()

    @property
    def received(self) -> int:
        """Bytes that are here."""
        return len(self._data)

    def write(self, data: bytes) -> None:
        """Take the next bytes; every full piece goes to flash."""
        self._data += data
        while self._target.length > PIECE_BYTES and len(self._data) >= (self._pieces + 1) * PIECE_BYTES:
            start = self._pieces * PIECE_BYTES
            replace_region(
                self._flash, f"{self._folder}/{self._pieces}", bytes(self._data[start : start + PIECE_BYTES])
            )
            self._pieces += 1

    def restart(self) -> None:
        """Forget all bytes, in flash as well."""
        self._data.clear()
        self._pieces = 0
        for region in self._flash.regions(f"{self._folder}/"):
            self._flash.remove(region)

    def finish(self) -> bytes:
        """The whole file, checked; MismatchError if it is not the artifact."""
        check = self._target.check()
        whole = check.update(bytes(self._data))
        check.finish()
        return whole

    def _load(self) -> None:
        while (piece := self._flash.read(f"{self._folder}/{self._pieces}")) is not None:
            if len(piece) != PIECE_BYTES or len(self._data) + PIECE_BYTES > self._target.length:
                self.restart()  # of another version of this program, or damaged
                return
            self._data += piece
            self._pieces += 1


def folder_of(target: VerifiedTarget) -> str:
    """Folder of regions for an artifact: its digest, as long as a region's name may be."""
    return f"{FOLDER}/{next(iter(target.hashes.values()))[:64].lower()}"


def forget_downloads(flash: Flash, *, keep: Iterable[VerifiedTarget] = ()) -> None:
    """Remove what was kept of downloads, but for those still wanted."""
    folders = tuple(f"{folder_of(target)}/" for target in keep)
    for region in flash.regions(f"{FOLDER}/"):
        if not region.startswith(folders):
            flash.remove(region)
