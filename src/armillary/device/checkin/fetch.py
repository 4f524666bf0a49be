# SPDX-License-Identifier: Apache-2.0
"""Fetches artifacts: by a delta from what the device has where the service gives one, else whole.

A delta saves bytes and nothing depends on it: whatever is wrong with one ends in one line of the journal and the whole
artifact is fetched. Both ways end at the digest that was offered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from hashlib import sha256

from armillary.device.checkin.endpoint import DeviceEndpoint
from armillary.device.state.journal import Journal
from armillary.engines.flash.port import Flash
from armillary.errors import ArmillaryError, DeltaError, InstallError, RateLimitedError
from armillary.update.delta.choice import StoredArtifact, source_of
from armillary.wire.device.checkin import OfferedImage
from armillary.wire.update.delta import ArtifactDigest

Fetch = Callable[[OfferedImage], Awaitable[bytes]]

# A delta that the service is still making is waited for this long in all; then the whole is sooner there.
PATIENCE_S = 120.0


class ArtifactFetch:
    """Fetches what an offer names; ``stored`` says what runs from ``flash`` now, ``sleep`` waits seconds."""

    def __init__(
        self,
        endpoint: DeviceEndpoint,
        flash: Flash,
        stored: Callable[[], Iterable[StoredArtifact]],
        journal: Journal,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._endpoint = endpoint
        self._flash = flash
        self._stored = stored
        self._journal = journal
        self._sleep = sleep

    async def fetch(self, image: OfferedImage, whole: Fetch) -> bytes:
        """The bytes of an offered artifact, its digest checked; ``whole`` fetches it where there is no delta.

        Raises what ``whole`` raises.
        """
        source = source_of(image, self._stored())
        made = None if source is None else await self._by_delta(source, image)
        return await whole(image) if made is None else made

    async def _by_delta(self, source: StoredArtifact, image: OfferedImage) -> bytes | None:
        """The artifact by a delta from ``source``; None where the whole has to be fetched."""
        patience_s = PATIENCE_S
        while True:
            try:
                return await self._reconstruct(source, image)
            except RateLimitedError as error:  # it is being made
                if error.retry_after_s > patience_s:
                    self._give_up(image, error)
                    return None
                patience_s -= max(error.retry_after_s, 1)
                await self._sleep(error.retry_after_s)
            except ArmillaryError as error:
                self._give_up(image, error)
                return None

    async def _reconstruct(self, source: StoredArtifact, image: OfferedImage) -> bytes | None:
        from armillary.engines.delta.zstd import decompress  # noqa: PLC0415 - most boots install nothing
        from armillary.update.delta.reconstruction import Reconstruction  # noqa: PLC0415

        target = ArtifactDigest(image.size, image.sha256)
        made, fetched = bytearray(), 0
        reconstruction: Reconstruction | None = None
        async with aclosing(self._endpoint.delta(source.sha256, image)) as blocks:
            async for block in blocks:
                if reconstruction is None:
                    old = await asyncio.to_thread(self._content, source)
                    reconstruction = Reconstruction(
                        ArtifactDigest(len(old), source.sha256),
                        target,
                        read=_reader(old),
                        decompress=decompress,
                        write=made.extend,
                    )
                fetched += len(block)
                await asyncio.to_thread(reconstruction.feed, block)
        if reconstruction is None:
            return None  # an empty answer: there is no delta
        await asyncio.to_thread(reconstruction.finish)
        self._journal.write("delta-used", name=image.name, image_id=str(image.image_id), bytes=fetched, of=image.size)
        return bytes(made)

    def _content(self, source: StoredArtifact) -> bytes:
        content = self._flash.read(source.region)
        if content is None or sha256(content).digest() != source.sha256:
            raise InstallError(f"flash region {source.region} no longer holds what a delta starts from")
        return content

    def _give_up(self, image: OfferedImage, error: ArmillaryError) -> None:
        self._journal.write(
            "delta-refused" if isinstance(error, DeltaError) else "delta-missed",
            name=image.name,
            image_id=str(image.image_id),
            reason=error.message,
        )


def _reader(content: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, size: content[offset : offset + size]
