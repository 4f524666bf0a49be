# SPDX-License-Identifier: Apache-2.0
"""What leaves the queue for the hub: in what order, how much at once, and what becomes of it when the way breaks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.fixtures.waiting import until

from armillary.engines.equipment.queue import MessageQueue, monotonic
from armillary.guardian.hub import sending
from armillary.guardian.hub.sending import Sender, property_bag
from armillary.wire.equipment.message import ClockQuality, Lane, MessageKind, Outgoing


class Hub:
    """A connection whose other side acknowledges when it is told; it closes over a message that it cannot take."""

    def __init__(self, *, bad: bytes = b"nothing") -> None:
        self.is_connected = True
        self.sender: Sender | None = None
        self.bodies: list[bytes] = []
        self.waiting: list[asyncio.Future[None]] = []
        self.acknowledges = True
        self._bad = bad

    def publish(self, bag: str, body: bytes) -> asyncio.Future[None]:
        if not self.is_connected:
            raise ConnectionError("not connected")
        assert "guardian-sequence=" in bag
        self.bodies.append(body)
        done = asyncio.get_running_loop().create_future()
        self.waiting.append(done)
        if self._bad in body:
            asyncio.get_running_loop().call_soon(self.close)
        elif self.acknowledges:
            done.set_result(None)
        return done

    def close(self) -> None:
        """The connection ends, and the next one begins at once."""
        for each in self.waiting:
            if not each.done():
                each.set_exception(ConnectionError("closed"))
        self.waiting.clear()
        assert self.sender is not None
        self.is_connected = False
        self.sender.disconnected()
        self.is_connected = True
        self.sender.connected()


def message(equipment: str, body: bytes) -> Outgoing:
    return Outgoing(equipment, MessageKind.TELEMETRY, body, time.time(), monotonic(), ClockQuality.SYNCED)


@contextlib.asynccontextmanager
async def sent_by(folder: Path, hub: Hub, equipment: str = "espresso1") -> AsyncIterator[MessageQueue]:
    queue = MessageQueue(folder)
    hub.sender = Sender(equipment, queue, hub)  # type: ignore[arg-type]
    hub.sender.connected()
    run = asyncio.create_task(hub.sender.run())
    try:
        yield queue
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await queue.close()


def test_what_is_acknowledged_leaves_the_queue_in_its_order(tmp_path: Path):
    async def play() -> None:
        hub = Hub()
        async with sent_by(tmp_path, hub) as queue:
            bodies = [b'{"a": %d}' % number for number in range(200)]
            await queue.put([message("espresso1", each) for each in bodies])
            await queue.put([message("another", b"{}")])
            await until(lambda: queue.counters.messages == 1, "all of its own to be gone")
            assert hub.bodies == bodies

    asyncio.run(play())


def test_no_more_than_a_window_is_on_its_way_and_it_is_sent_again_when_the_way_broke(tmp_path: Path):
    async def play() -> None:
        hub = Hub()
        hub.acknowledges = False
        async with sent_by(tmp_path, hub) as queue:
            await queue.put([message("espresso1", b'{"a": %d}' % number) for number in range(200)])
            await until(lambda: len(hub.bodies) == sending.WINDOW, "a window")
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(hub.bodies) == sending.WINDOW
            hub.acknowledges = True
            hub.close()
            await until(lambda: queue.counters.messages == 0, "all to be gone")
            assert hub.bodies[sending.WINDOW] == b'{"a": 0}', "careful: from the first on"
            assert len(hub.bodies) == sending.WINDOW + 200

    asyncio.run(play())


def test_a_message_over_which_the_hub_closes_is_set_aside_and_the_others_arrive(tmp_path: Path):
    async def play() -> None:
        hub = Hub(bad=b"poison")
        async with sent_by(tmp_path, hub) as queue:
            bodies = [b'{"a": "poison"}' if number == 3 else b'{"a": %d}' % number for number in range(10)]
            await queue.put([message("espresso1", each) for each in bodies])
            await until(lambda: queue.counters.messages == 0, "all but one to be gone")
            assert queue.counters.set_aside == 1
            ((_, equipment, reason, body),) = await queue.set_aside()
            assert (equipment, body) == ("espresso1", b'{"a": "poison"}')
            assert "closed" in reason
            assert {each for each in bodies if b"poison" not in each} <= set(hub.bodies)

    asyncio.run(play())


def test_the_properties_stand_in_the_topic_percent_encoded(tmp_path: Path):
    async def play() -> None:
        queue = MessageQueue(tmp_path)
        await queue.put([message("espresso1", b"{}")])
        (stored,) = await queue.take(Lane.LIVE, 1)
        bag = property_bag(stored)
        assert f"$.mid={queue.boot}.1&$.ct=application%2Fjson&$.ce=utf-8" in bag
        assert "iothub-creation-time-utc=20" in bag
        assert ":" not in bag
        await queue.close()

    asyncio.run(play())
