# SPDX-License-Identifier: Apache-2.0
"""Live values for open streams: one bounded queue each, whose oldest values are dropped and counted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Set as AbstractSet
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from armillary.hub.link.counters import Counters
from armillary.hub.link.limits import MAX_LIVE_QUEUE
from armillary.wire.hub.telemetry import Telemetry, Value


@dataclass(frozen=True, slots=True)
class LiveValues:
    """What one message measured, as it arrives."""

    device_id: str
    at_ms: int  # Time of measurement, Unix milliseconds
    values: Mapping[str, Value]  # Name -> value


class LiveListener(AsyncIterator[LiveValues]):
    """An endless iterator of live values; ``async with`` or :meth:`close` ends it. Belongs to one event loop."""

    def __init__(self, owner: LiveListeners, device_id: str | None, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self.device_id = device_id
        self.loop = loop
        self._queue: deque[LiveValues] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, live: LiveValues) -> None:
        """Add values; called in the listener's loop."""
        if len(self._queue) >= MAX_LIVE_QUEUE:
            self._queue.popleft()
            self._owner.counters.live_values_dropped += 1
        self._queue.append(live)
        self._wake()

    async def __anext__(self) -> LiveValues:
        """The next values.

        Raises:
            StopAsyncIteration: the listener or the hub was closed.
        """
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._queue.popleft()

    def close(self) -> None:
        """Stop listening. May be called twice."""
        self._closed = True
        self._owner.remove(self)
        self._wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class LiveGathering(LiveListener):
    """Newest values of many devices, read about once a second: one for each name of ``wanted`` (device id -> names)."""

    def __init__(
        self, owner: LiveListeners, wanted: Mapping[str, AbstractSet[str]], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(owner, None, loop)
        self.wanted = wanted
        self._newest: dict[tuple[str, str], tuple[int, Value]] = {}

    def put(self, live: LiveValues) -> None:
        """Keep what is wanted of them, instead of what was there before."""
        for name in live.values.keys() & self.wanted.get(live.device_id, frozenset()):
            self._newest[live.device_id, name] = (live.at_ms, live.values[name])

    def take(self) -> Mapping[tuple[str, str], tuple[int, Value]]:
        """What came since it was last asked: (device id, name) -> (time, value)."""
        found, self._newest = self._newest, {}
        return found


class LiveListeners:
    """All listeners, by the device they watch (None: every device)."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self._by_device: dict[str | None, tuple[LiveListener, ...]] = {}

    @property
    def idle(self) -> bool:
        """Whether nobody listens."""
        return not self._by_device

    def listen(self, device_id: str | None = None) -> LiveListener:
        """Live values of a device, or of all, as an async iterator. Call it in the loop that will iterate."""
        listener = LiveListener(self, device_id, asyncio.get_running_loop())
        self._enter(listener, (device_id,))
        return listener

    def gather(self, wanted: Mapping[str, AbstractSet[str]]) -> LiveGathering:
        """Newest values of some names of many devices, taken at intervals. Call it in the loop that takes them."""
        gathering = LiveGathering(self, wanted, asyncio.get_running_loop())
        self._enter(gathering, wanted)
        return gathering

    def shed(self) -> None:
        """Count a reader of live values that was too slow and was disconnected."""
        self.counters.live_readers_shed += 1

    def remove(self, listener: LiveListener) -> None:
        """Stop a listener."""
        watched = listener.wanted if isinstance(listener, LiveGathering) else (listener.device_id,)
        for device_id in watched:
            rest = tuple(each for each in self._by_device.get(device_id, ()) if each is not listener)
            if rest:
                self._by_device[device_id] = rest
            else:
                self._by_device.pop(device_id, None)

    def _enter(self, listener: LiveListener, watched: Iterable[str | None]) -> None:
        for device_id in watched:
            self._by_device[device_id] = (*self._by_device.get(device_id, ()), listener)

    def publish(self, device_id: str, telemetry: Telemetry, loop: asyncio.AbstractEventLoop) -> None:
        """Hand values to everybody who watches the device; called in the hub's loop."""
        if not self._by_device:
            return
        listeners = self._by_device.get(device_id, ()) + self._by_device.get(None, ())
        if not listeners:
            return
        live = LiveValues(device_id, telemetry.at_ms, telemetry.values)
        for listener in listeners:
            if listener.loop is loop:
                listener.put(live)
            elif not listener.loop.is_closed():
                listener.loop.call_soon_threadsafe(listener.put, live)

    def close(self) -> None:
        """End every listener."""
        for listeners in list(self._by_device.values()):
            for listener in listeners:
                if listener.loop.is_running():
                    listener.loop.call_soon_threadsafe(listener.close)
