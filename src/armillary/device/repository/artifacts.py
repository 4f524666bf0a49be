# SPDX-License-Identifier: Apache-2.0
"""Fetches artifacts that signed metadata names, from whatever source gives the right bytes.

Sources are untrusted and may differ: what one gave may be continued from the next, until the whole turns out wrong.
Then all of it is thrown away and no two sources are mixed again for this artifact, so that a good one alone is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from armillary.device.repository.partial import PartialFile, forget_downloads
from armillary.device.repository.source import HttpSource
from armillary.device.repository.sources import TARGETS, Sources
from armillary.engines.flash.port import Flash
from armillary.errors import FlashFullError, MismatchError, TransferError
from armillary.update.repository.targets import VerifiedTarget, address_of

ATTEMPTS = 3  # of one source in a row, each going on where the last one stopped
ROUNDS = 2  # over all sources: a good one that was asked too early is asked again
# Beside the artifacts themselves: the install record, reports, the log, room for the file system.
SPARE_BYTES = 1024 * 1024


class Artifacts:
    """Fetches artifacts; ``free_bytes`` says how much the flash still takes."""

    def __init__(self, flash: Flash, sources: Sources, free_bytes: Callable[[], int]) -> None:
        self._flash = flash
        self._sources = sources
        self._free_bytes = free_bytes

    def check_room(self, targets: Sequence[VerifiedTarget]) -> None:
        """Raise FlashFullError before anything is fetched, if the flash has no room for all of ``targets``.

        Each needs its slot and, while it is under way, its pieces; those that are there already are not counted twice.
        """
        forget_downloads(self._flash, keep=targets)
        partly = sum(PartialFile(self._flash, target).received for target in targets)
        needed = 2 * sum(target.length for target in targets) - partly + SPARE_BYTES
        free = self._free_bytes()
        if needed > free:
            raise FlashFullError(
                f"the set needs {needed} bytes of flash: expected at most the {free} bytes that are free"
            )

    async def fetch(self, target: VerifiedTarget, *, consistent: bool) -> bytes:
        """The bytes of an artifact, checked against its signed length and hashes.

        Raises:
            MismatchError: every source that has it gives other bytes.
            TransferError: no source gave all of it; what came is kept for the next time.
        """
        address = TARGETS + address_of(target, consistent=consistent)
        file = PartialFile(self._flash, target)
        failure: MismatchError | TransferError = TransferError(f"{target.path}: no source of the repository is known")
        alone = False
        for _ in range(ROUNDS):
            for source in self._sources.for_artifacts():
                if alone:
                    file.restart()
                begun_at = file.received
                try:
                    await self._take(source, address, file, target)
                    return file.finish()
                except MismatchError as error:
                    failure = error
                    alone = True
                    if begun_at == 0:
                        self._sources.blame(source, error)
                    file.restart()
                except TransferError as error:
                    failure = failure if isinstance(failure, MismatchError) else error
        raise failure

    def forget(self) -> None:
        """Drop what was kept of downloads: the set is installed, or is not wanted any more."""
        forget_downloads(self._flash)

    async def _take(self, source: HttpSource, address: str, file: PartialFile, target: VerifiedTarget) -> None:
        failure = TransferError(f"{target.path}: not begun")
        for _ in range(ATTEMPTS):
            before = file.received
            if before == target.length:
                return
            try:
                await source.append(address, file, target.length)
            except TransferError as error:
                failure = error
                if file.received <= before:
                    break  # it gave nothing: the next source
                continue
            if file.received == target.length:
                return
            failure = TransferError(f"{source.name}: {file.received} of {target.length} bytes of {target.path}")
        raise failure
