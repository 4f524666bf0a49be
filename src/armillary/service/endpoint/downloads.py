# SPDX-License-Identifier: Apache-2.0
"""Replies that take longer than a turn of the event loop: artifacts, deltas, the repository, new identities."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from armillary.engines.records.schema.lineage import serial_of
from armillary.errors import ArmillaryError, NotFoundError
from armillary.service.context.blobs import Blobs
from armillary.service.endpoint.connection import OCTETS, DeviceConnection
from armillary.service.endpoint.fetch_log import FetchLog
from armillary.service.endpoint.problem import RequestRefusedError
from armillary.service.endpoint.ranges import parse_range
from armillary.service.repository.files import RepositoryFiles, is_for
from armillary.service.updates.deltas import WAIT_S, Asker, Deltas, Pair
from armillary.service.updates.offers import Offers
from armillary.service.verifier.device_states import DeviceState, DeviceStates
from armillary.service.verifier.peers import Peer
from armillary.wire.device.checkin import OfferedImage

CHUNK_BYTES: Final = 64 * 1024

_DELTA: Final = re.compile(rb"([0-9a-f]{64})/([0-9a-f]{64})")

_ARTIFACT: Final = re.compile(r"targets/(?:[^/]+/)+([0-9a-f]{64})\.")

# Called once an artifact was sent to its end.
Sent = Callable[[], None]

# Makes the message with a new identity certificate for a chip, a device id and the end, Unix seconds UTC, of its
# present one. Signs and records: not for the event loop.
RenewIdentity = Callable[[str, str, int], bytes]


@dataclass(eq=False)
class Downloads:
    """Sends artifacts, deltas and new identity certificates, each in a task of its own, in one event loop."""

    _states: DeviceStates
    _offers: Offers
    _blobs: Blobs
    _deltas: Deltas
    _repository: RepositoryFiles
    _renew_identity: RenewIdentity
    _counts: Counter[str]
    _fetches: FetchLog
    _now: Callable[[], int]
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def close(self) -> None:
        """Cancel the replies under way."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._deltas.close()

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
        image = self._offered(state, lambda one: one.image_id == image_id)
        part = _part(connection, image.size)
        self._begin(self._send(connection, self._blobs.path(image.sha256), *part, self._fetched(state, image)))

    def send_delta(self, connection: DeviceConnection, peer: Peer, names: bytes) -> None:
        """Begin to send the delta between two artifacts, ``<source SHA-256>/<target SHA-256>`` in hex.

        An empty answer says that there is none, and the device fetches the target.

        Raises:
            DeviceFault: the device is not admitted.
            NotFoundError: the target is not offered to it.
        """
        state = self._states.admitted(peer.device_id)
        named = _DELTA.fullmatch(names)
        if named is None:
            raise NotFoundError(
                "no such delta", remedy="Name two artifacts by their SHA-256: SOURCE/TARGET, 64 digits."
            )
        pair = Pair(bytes.fromhex(named[1].decode()), bytes.fromhex(named[2].decode()))
        image = self._offered(state, lambda one: one.sha256 == pair.target)
        asker = Asker(state.device_id, state.catalog_id, state.chip, state.installed)
        self._begin(self._give_delta(connection, asker, pair, self._fetched(state, image)))

    def send_file(self, connection: DeviceConnection, peer: Peer, path: bytes) -> None:
        """Begin to send a file of the repository: of the OS and of the device's own catalog.

        Raises:
            DeviceFault: the device is not admitted.
            NotFoundError: the repository has no such file, or it is another catalog's. Of the root after the newest
                that is an answer, which every device gets that looks for a newer one, and no refusal.
            RequestRefusedError: the range makes no sense.
        """
        state = self._states.admitted(peer.device_id)
        name = path.decode("ascii", errors="replace")
        try:
            found = self._repository.served(name if is_for(name, state.catalog_id) else "")
        except NotFoundError as error:
            if not self._repository.is_next_root(name):
                raise
            connection.fail(error, is_refusal=False)
            return
        part = _part(connection, found.stat().st_size)
        self._begin(self._send(connection, found, *part, self._artifact_fetched(state, name)))

    def send_identity(self, connection: DeviceConnection, peer: Peer) -> None:
        """Begin to make and send a new identity certificate; DeviceFault if the device is not admitted."""
        chip = self._states.admitted(peer.device_id).chip
        self._begin(self._give_identity(connection, peer, chip))

    def _offered(self, state: DeviceState, is_it: Callable[[OfferedImage], bool]) -> OfferedImage:
        """The image of the device's offer that is asked for; NotFoundError."""
        images = self._offers.images(state.group_id, state.number, state.chip)
        image = next((one for one in images if is_it(one)), None)
        if image is None:
            raise NotFoundError("this image is not offered to this device", remedy="Check in again for a new offer.")
        return image

    def _fetched(self, state: DeviceState, image: OfferedImage) -> Sent:
        """Note that a device fetches an image of its offer; returns what is to be called once all of it was sent."""
        number, check_in = state.number, serial_of(state.lineage)
        if not check_in:
            return _nothing  # it has never checked in, so it was offered nothing
        self._fetches.begun(number, check_in, self._now())
        return lambda: self._fetches.sent(number, check_in, image.sha256, self._now())

    def _artifact_fetched(self, state: DeviceState, path: str) -> Sent:
        """The same of a file of the repository; metadata, and what is not of the offer, is not noted."""
        named = _ARTIFACT.match(path)
        images = () if named is None else self._offers.images(state.group_id, state.number, state.chip)
        image = next((one for one in images if named is not None and one.sha256.hex() == named[1]), None)
        return _nothing if image is None else self._fetched(state, image)

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

    async def _give_delta(self, connection: DeviceConnection, asker: Asker, pair: Pair, sent: Sent) -> None:
        connection.wait(WAIT_S)
        try:
            path = await self._deltas.find(asker, pair)
            size = 0 if path is None else path.stat().st_size
            part = _part(connection, size) if size else (0, -1, 200, 0)
        except ArmillaryError as error:
            connection.fail(error)
            return
        except OSError:
            path, part = None, (0, -1, 200, 0)  # it gave way to others just now
        self._counts["deltas sent" if path else "deltas missing"] += 1
        if path is None:
            connection.start_reply(200, 0, content=OCTETS)
            connection.end_reply()
        else:
            await self._send(connection, path, *part, sent)

    async def _send(
        self, connection: DeviceConnection, path: Path, first: int, last: int, status: int, size: int, sent: Sent
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
        if last + 1 == size:
            sent()
        connection.end_reply()


def _nothing() -> None:
    """What the end of any other file means."""


def _part(connection: DeviceConnection, size: int) -> tuple[int, int, int, int]:
    """First and last byte, HTTP status and size of what a request asks of a content; RequestRefusedError (416)."""
    if connection.range_header is None:
        return 0, size - 1, 200, size
    return *parse_range(connection.range_header, size), 206, size
