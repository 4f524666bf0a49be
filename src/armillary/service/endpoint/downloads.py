# SPDX-License-Identifier: Apache-2.0
"""Replies that take longer than a turn of the event loop: images, the repository, new identity certificates."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from armillary.errors import ArmillaryError, NotFoundError
from armillary.service.context.blobs import Blobs
from armillary.service.endpoint.connection import OCTETS, DeviceConnection
from armillary.service.endpoint.problem import RequestRefusedError
from armillary.service.endpoint.ranges import parse_range
from armillary.service.repository.files import RepositoryFiles
from armillary.service.updates.offers import Offers
from armillary.service.verifier.device_states import DeviceStates
from armillary.service.verifier.peers import Peer

CHUNK_BYTES: Final = 64 * 1024

# Makes the message with a new identity certificate for a chip, a device id and the end, Unix seconds UTC, of its
# present one. Signs and records: not for the event loop.
RenewIdentity = Callable[[str, str, int], bytes]


@dataclass(eq=False)
class Downloads:
    """Sends images, the repository and new identity certificates, each in a task of its own, in one event loop."""

    _states: DeviceStates
    _offers: Offers
    _blobs: Blobs
    _repository: RepositoryFiles
    _renew_identity: RenewIdentity
    _counts: Counter[str]
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def close(self) -> None:
        """Cancel the replies under way."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def send_image(self, connection: DeviceConnection, peer: Peer, name: bytes) -> None:
        """Begin to send the package of an image that this device should have.

        Raises:
            DeviceFault: the device is not admitted.
            NotFoundError: the image is not offered to it.
            RequestRefusedError: the range makes no sense.
        """
        state = self._states.admitted(peer.device_id)
        try:
            image_id = UUID(name.decode("ascii"))
        except (ValueError, UnicodeDecodeError) as error:
            raise NotFoundError("no such image", remedy="Ask for an image of the last offer.") from error
        wanted = self._offers.wanted(state.group_id, state.number, state.chip)
        image = next((one for one in wanted.offer.images if one.image_id == image_id), None) if wanted else None
        if image is None:
            raise NotFoundError("this image is not offered to this device", remedy="Check in again for a new offer.")
        self._begin_file(connection, self._blobs.path(image.sha256), image.size)

    def send_file(self, connection: DeviceConnection, peer: Peer, path: bytes) -> None:
        """Begin to send a file of the repository: every admitted device may have each, they are signed and public.

        Raises:
            DeviceFault: the device is not admitted.
            NotFoundError: the repository has no such file.
            RequestRefusedError: the range makes no sense.
        """
        self._states.admitted(peer.device_id)
        found = self._repository.served(path.decode("ascii", errors="replace"))
        self._begin_file(connection, found, found.stat().st_size)

    def _begin_file(self, connection: DeviceConnection, path: Path, size: int) -> None:
        first, last, status = 0, size - 1, 200
        if connection.range_header is not None:
            first, last = parse_range(connection.range_header, size)
            status = 206
        self._begin(self._send(connection, path, first, last, status, size))

    def send_identity(self, connection: DeviceConnection, peer: Peer) -> None:
        """Begin to make and send a new identity certificate; DeviceFault if the device is not admitted."""
        chip = self._states.admitted(peer.device_id).chip
        self._begin(self._give_identity(connection, peer, chip))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _give_identity(self, connection: DeviceConnection, peer: Peer, chip: str) -> None:
        try:
            message = await asyncio.to_thread(self._renew_identity, chip, peer.device_id, peer.not_after)
        except ArmillaryError as error:
            connection.fail(error)
        else:
            connection.reply_ok(message)

    async def _send(
        self, connection: DeviceConnection, path: Path, first: int, last: int, status: int, size: int
    ) -> None:
        try:
            file = path.open("rb")
        except OSError:
            self._counts["files missing"] += 1
            connection.fail(RequestRefusedError(503, "the file cannot be read"))
            return
        with file:
            extra = b"accept-ranges: bytes\r\n"
            if status == 206:
                extra += b"content-range: bytes %d-%d/%d\r\n" % (first, last, size)
            connection.start_reply(status, last - first + 1, content=OCTETS, extra=extra)
            file.seek(first)
            left = last - first + 1
            while left:
                chunk = file.read(min(CHUNK_BYTES, left))
                if not chunk or not await connection.write(chunk):
                    connection.abort()
                    return
                left -= len(chunk)
        self._counts["files sent"] += 1
        connection.end_reply()
