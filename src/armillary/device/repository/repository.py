# SPDX-License-Identifier: Apache-2.0
"""The update repository as one device sees it: refreshed with the time that the service signed, corrected by root.

A device is given its first root at its manufacture. One of before asks the service itself for it, over the connection
whose root it was manufactured with: that is trusted as much as the service is at that moment, never a mirror. From then
on the root in flash and what it leads to decide, whoever runs the service. One that is damaged is asked for again.
"""

from __future__ import annotations

from armillary.device.repository.artifacts import Artifacts
from armillary.device.repository.source import HttpSource
from armillary.device.repository.sources import METADATA, Sources
from armillary.device.state.clock import DeviceClock
from armillary.device.state.metadata_store import FlashMetadata
from armillary.engines.flash.port import Flash
from armillary.errors import ClockAheadError, DataFolderError, ExpiredMetadataError, RepositoryError, TransferError
from armillary.update.repository import limits, steps
from armillary.update.repository.client import TrustedRepository, refresh
from armillary.update.repository.targets import VerifiedTarget

# The root that a device without one asks for; it follows the later ones from there, each signed by the one before.
FIRST_ROOT = "1.root.json"


class DeviceRepository:
    """Refreshes trusted metadata and fetches artifacts.

    ``own`` is the source behind the service's pinned connection, ``sources`` all of them; ``artifacts`` fetches.
    """

    def __init__(
        self, flash: Flash, clock: DeviceClock, *, own: HttpSource, sources: Sources, artifacts: Artifacts
    ) -> None:
        self._store = FlashMetadata(flash)
        self._clock = clock
        self._own = own
        self._sources = sources
        self._artifacts = artifacts

    async def refresh(self) -> TrustedRepository:
        """Bring the trusted metadata up to date.

        Raises:
            RepositoryError: metadata must not be trusted, or the device does not know the time yet: by the host's clock
                everything that ever expired could be brought back (freeze).
            ClockAheadError: it has expired by a time that is later than what the service says now.
        """
        if not self._clock.signed:
            raise RepositoryError(
                "the service has not given this device the time since its start",
                remedy="Nothing: the device asks at its next check-in.",
            )
        if not self._has_root():
            await self._take_first_root()
        try:
            return await refresh(self._sources, self._store, now=self._clock.now(), correct=self._clock.correct)
        except ExpiredMetadataError as error:
            if self._clock.ahead_s:
                raise ClockAheadError(
                    f"the service has told this device a time that is {self._clock.ahead_s} s later than what it says "
                    f"now: {error.message}"
                ) from error
            raise

    def check_room(self, targets: tuple[VerifiedTarget, ...]) -> None:
        """Raise FlashFullError if the flash has no room for all of ``targets``; before anything is fetched."""
        self._artifacts.check_room(targets)

    async def fetch(self, trusted: TrustedRepository, target: VerifiedTarget) -> bytes:
        """The bytes of an artifact; see :meth:`Artifacts.fetch`."""
        return await self._artifacts.fetch(target, consistent=trusted.consistent)

    def forget_downloads(self) -> None:
        """Drop what was kept of downloads: the set is installed, or is not wanted any more."""
        self._artifacts.forget()

    def _has_root(self) -> bool:
        """Whether there is a root that the medium gives and that is one: signed by itself."""
        try:
            kept = self._store.read(steps.ROOT)
            return kept is not None and bool(steps.first_root(kept))
        except (DataFolderError, RepositoryError):
            return False

    async def _take_first_root(self) -> None:
        data = await self._own.read(METADATA + FIRST_ROOT, limits.MAX_ROOT_BYTES)
        if data is None:
            raise TransferError("the service has no update repository", remedy="Update the service.")
        self._store.keep(steps.ROOT, steps.first_root(data).data)
