# SPDX-License-Identifier: Apache-2.0
"""Sends what the queue has of one identity: live messages first, older ones beside them at a bounded rate.

A message leaves the queue when the hub has acknowledged it, and not before; what was on its way when the connection
ended is sent again. Each identity has a sender of its own: one that the hub does not let in keeps no other waiting.

A hub closes the connection over a message that it cannot take (MQTT 3.1.1 has no other word for it). So a connection
that ended before anything was acknowledged makes the sender careful: it sends one message at a time, and one over which
a connection ends again is rejected, which sets it aside in the end (``engines/equipment/queue.py``).
"""

from __future__ import annotations

import asyncio
import re
from functools import cache
from urllib.parse import quote

from armillary.engines.equipment.queue import MessageQueue
from armillary.guardian.hub.connection import HubConnection
from armillary.guardian.log import log
from armillary.wire.equipment.message import Lane, Stored

# On their way at once. The hub acknowledges after its group commit: one at a time would be some hundred a second.
WINDOW = 64
BACKFILL_AT_ONCE = 16
# Live messages become old by themselves, and the rate of the backfill recovers: how often to look.
LOOK_S = 2.0
# A hub closes over a message at once; a connection that ends later ended for another reason.
CLOSED_OVER_S = 5.0
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")  # RFC 3986 §2.3: stands for itself


def property_bag(message: Stored) -> str:
    """The properties of a message as they stand in its topic (IoT Hub: percent-encoded, joined by ``&``)."""
    return "&".join(f"{_name(name)}={_value(value)}" for name, value in message.properties.items())


@cache
def _name(name: str) -> str:
    return quote(name, safe="$.-_")  # Of a handful: ``message.py`` has them


def _value(value: str) -> str:
    return value if _UNRESERVED.fullmatch(value) else quote(value, safe="-_.~")


class Sender:
    """Sends the messages of one identity; ``equipment`` is its name, empty for the guardian itself."""

    def __init__(self, equipment: str, queue: MessageQueue, connection: HubConnection) -> None:
        self._equipment = equipment
        self._queue = queue
        self._connection = connection
        self._flying: dict[int, float] = {}  # Sequence -> when it was sent, seconds of the loop
        self._connections = 0  # How many there have been
        self._careful = False
        self._progress = True  # Something was acknowledged since the last connection began
        self._look = asyncio.Event()  # There may be something to send
        self._old_at = 0.0  # When old messages are looked for again, seconds of the loop
        queue.watch(self._look.set, equipment)

    def connected(self) -> None:
        """There is a connection."""
        self._connections += 1
        self._progress, self._old_at = False, 0.0
        self._look.set()

    def disconnected(self) -> None:
        """There is none any more: what was on its way is taken again."""
        now = asyncio.get_running_loop().time()
        if self._flying and not self._progress:
            sequence, sent = next(iter(self._flying.items()))
            if self._careful and now - sent < CLOSED_OVER_S:
                log(f"{self._equipment or 'the guardian'}: the hub closed the connection over message {sequence}")
                self._queue.reject(sequence, "the hub closed the connection over it")
            self._careful = True
        self._flying.clear()
        self._queue.release(self._equipment)

    async def run(self) -> None:
        """Send until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._look.clear()
            if not await self._send_some():
                timer = loop.call_later(LOOK_S, self._look.set)
                try:
                    await self._look.wait()
                finally:
                    timer.cancel()

    async def _send_some(self) -> bool:
        """Send what fits now; False where nothing is left that could be sent at once."""
        room = self._window - len(self._flying)
        if not self._connection.is_connected or room <= 0:
            return False
        found = await self._queue.take(Lane.LIVE, room, self._equipment)
        old, now = list[Stored](), asyncio.get_running_loop().time()
        if len(found) < room and now >= self._old_at:
            at_once = min(room - len(found), BACKFILL_AT_ONCE)
            old = await self._queue.take(Lane.BACKFILL, at_once, self._equipment)
            self._old_at = now if old else now + LOOK_S
        for message in found + old:
            self._send(message)
        return len(found) == room or bool(old)

    @property
    def _window(self) -> int:
        return 1 if self._careful else WINDOW

    def _send(self, message: Stored) -> None:
        try:
            done = self._connection.publish(property_bag(message), message.body)
        except ConnectionError:
            self._queue.release(self._equipment)
            return
        self._flying[message.sequence] = asyncio.get_running_loop().time()
        connection = self._connections
        done.add_done_callback(lambda done: self._settled(message.sequence, connection, done))

    def _settled(self, sequence: int, connection: int, done: asyncio.Future[None]) -> None:
        if done.cancelled() or done.exception() is not None:
            return  # The connection ended: :meth:`disconnected` has released it
        was_full = len(self._flying) >= self._window
        self._flying.pop(sequence, None)
        if connection == self._connections:  # Not a late word of the one before
            self._progress, self._careful = True, False
        self._queue.acknowledge([sequence])
        if was_full:
            self._look.set()
