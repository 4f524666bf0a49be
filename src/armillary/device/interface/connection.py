# SPDX-License-Identifier: Apache-2.0
"""One connection of an application: frames in, answers and events out, all of it bounded.

A connection is not read from while the application is over its rate or has :data:`IN_FLIGHT_LIMIT` calls under way: its
own socket fills and it waits. What it does not read stays in its own socket: answers wait with their calls, and of
events :data:`EVENTS_LIMIT` wait, the oldest are dropped and counted.

Descriptors that an application sends are dropped by the kernel: the device reads without room for them (recv(2)).
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import errno
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from armillary.device.interface.allowance import Allowance
from armillary.device.interface.method import Answer
from armillary.device.interface.session import Session
from armillary.device.interface.table import MethodTable
from armillary.errors import WireError
from armillary.wire.device.interface.frame import FrameReader, encode_frame
from armillary.wire.device.interface.message import notification, refusal

# Calls under way on one connection: some wait (for a line, for a partner), others go on beside them.
IN_FLIGHT_LIMIT = 16
# Events that wait for an application that does not read.
EVENTS_LIMIT = 64
READ_SIZE_BYTES = 16 * 1024


class Connection:
    """Serves one connection until either side ends it. Owns ``stream``, which does not block.

    ``refused`` is called with why, where the device ends it for what was sent.
    """

    def __init__(
        self,
        stream: socket.socket,
        session: Session,
        table: MethodTable,
        allowance: Allowance,
        refused: Callable[[str], object],
    ) -> None:
        self._stream = stream
        self._refused = refused
        self._session = session
        self._table = table
        self._allowance = allowance
        self._calls: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(IN_FLIGHT_LIMIT)
        self._writing = asyncio.Lock()
        self._events: deque[tuple[str, Mapping[str, Any]]] = deque()
        self._lost = 0
        self._has_events = asyncio.Event()
        self._ending = contextlib.ExitStack()

    async def serve(self) -> None:
        """Work until the application closes it, sends what is no frame, or this is cancelled."""
        telling = asyncio.create_task(self._tell(), name="interface events")
        try:
            with contextlib.suppress(OSError):  # the application is gone
                await self._read()
        finally:
            for task in (telling, *self._calls):
                task.cancel()
            await asyncio.gather(telling, *self._calls, return_exceptions=True)
            self._ending.close()
            self._stream.close()

    def notify(self, event: str, data: Mapping[str, Any]) -> None:
        """Send an event; never waits."""
        if len(self._events) >= EVENTS_LIMIT:
            self._events.popleft()
            self._lost += 1
        self._events.append((event, data))
        self._has_events.set()

    def on_disconnect(self, callback: Callable[[], object]) -> None:
        """Call this when the connection ends; the last one first."""
        self._ending.callback(callback)

    async def _read(self) -> None:
        loop, frames = asyncio.get_running_loop(), FrameReader()
        while data := await loop.sock_recv(self._stream, READ_SIZE_BYTES):
            try:
                for message in frames.feed(data):
                    await self._begin(message)
            except WireError as error:
                self._refused(error.message)
                await self._send(refusal(None, errno.EPROTO, error.message, remedy=error.remedy, named=error.code))
                return

    async def _begin(self, message: Mapping[str, Any]) -> None:
        """Start a call as soon as the application's rate and its other calls leave room."""
        await self._allowance.wait()
        await self._room.acquire()
        task = asyncio.create_task(self._call(message), name="interface call")
        self._calls.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._room.release()

    async def _call(self, message: Mapping[str, Any]) -> None:
        said, given = await self._table.answer(self._session, message, self)
        try:
            with contextlib.suppress(OSError):  # the application is gone; reading ends the connection
                await self._say(said, given)
        finally:
            if given is not None:
                given.close()

    async def _say(self, said: Mapping[str, Any], given: Answer | None) -> None:
        """Send an answer, or that its descriptors could not come along; nothing of the answer is sent then."""
        try:
            await self._send(said, given)
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS:
                raise
            remedy = "Take the descriptors of earlier answers first."
            message = "too many descriptors are on their way to applications"
            await self._send(refusal(said["id"], errno.ETOOMANYREFS, message, remedy=remedy))

    async def _tell(self) -> None:
        while True:
            await self._has_events.wait()
            while self._events:
                (event, data), lost = self._events.popleft(), self._lost
                self._lost = 0
                await self._send(notification(event, data, lost=lost))
            self._has_events.clear()

    async def _send(self, message: Mapping[str, Any], given: Answer | None = None) -> None:
        frame = encode_frame(message)
        async with self._writing:
            rest = frame
            if given is not None and given.descriptors:
                rest = frame[await self._send_descriptors(frame, given.descriptors) :]
            await asyncio.get_running_loop().sock_sendall(self._stream, rest)

    async def _send_descriptors(self, frame: bytes, descriptors: tuple[int, ...]) -> int:
        """Send the first bytes of a frame with descriptors; returns how many bytes went."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        while True:
            try:
                return self._stream.sendmsg([frame], rights)
            except BlockingIOError:
                await _writable(self._stream)


async def _writable(stream: socket.socket) -> None:
    """Wait until a socket takes more."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(stream, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_writer(stream)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
