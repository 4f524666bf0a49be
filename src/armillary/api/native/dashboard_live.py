# SPDX-License-Identifier: Apache-2.0
"""Live values of a dashboard: once a second, the newest value of each name that its tiles show.

However much devices send, a reader gets at most one value a second for each device and name; a reader that takes
nothing is let go and counted (``live_readers_shed``), as is one of an export. A stream ends after a while, and browsers
ask again: what is in a group and on the dashboard is looked at anew then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from armillary.errors import ArmillaryError
from armillary.platform.authored.device_facts import of_catalog
from armillary.platform.dashboards.devices import DashboardDevices
from armillary.twin.author.dashboard import Dashboard

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.ports import Directory

Item = dict[str, Any]

# How often what came is handed on (seconds): faster than people read.
INTERVAL_S: Final = 1.0
# How long one stream lasts (seconds), and how long its reader may take nothing.
LIFE_S: Final = 300.0
SHED_S: Final = 20.0
# Tiles over more devices show what all of them say together, and read it anew instead.
MAX_TILE_DEVICES: Final = 500


def wanted_of(devices: DashboardDevices, dashboard: Dashboard) -> Mapping[str, frozenset[str]]:
    """Device id -> names that tiles show of it one by one. Tiles that cannot be answered have none."""
    found: dict[str, frozenset[str]] = {}
    for tile in dashboard.tiles:
        names = set(tile.values)
        if "location" in tile.options:
            names |= {f"{tile.options['location']}.{axis}" for axis in ("lat", "lon")}
        try:
            ids = devices.of(tile.source)
        except ArmillaryError:  # the tile itself says what is wrong
            continue
        if names and len(ids) <= MAX_TILE_DEVICES:
            for each in ids:
                found[each] = found.get(each, frozenset()) | names
    return found


async def batches(
    hub: Hub,
    directory: Directory,
    wanted: Mapping[str, frozenset[str]],
    closing: asyncio.Event,
    life_s: float = LIFE_S,
    catalog: str | None = None,
) -> AsyncGenerator[list[Item]]:
    """What came, every INTERVAL_S, often nothing; ends with the service or after ``life_s``.

    With ``catalog`` nothing of a device that has left it meanwhile.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + life_s
    stop = asyncio.ensure_future(closing.wait())
    gathering = hub.live.gather(wanted)
    try:
        while loop.time() < ends:
            await asyncio.wait((stop,), timeout=INTERVAL_S)
            if stop.done():
                return
            items = [
                {"device_id": device, "name": name, "at_ms": at_ms, "value": value}
                for (device, name), (at_ms, value) in gathering.take().items()
            ]
            yield (
                items if catalog is None or not items else await run_in_threadpool(_still_of, directory, items, catalog)
            )
    finally:
        stop.cancel()
        gathering.close()


def _still_of(directory: Directory, items: list[Item], catalog: str) -> list[Item]:
    mine = of_catalog(directory, sorted({each["device_id"] for each in items}), catalog)
    return [each for each in items if each["device_id"] in mine]


class PromptResponse(StreamingResponse):
    """An answer in parts, to a reader that has to take each of them within SHED_S.

    ``shed`` is called for a reader that did not; its connection ends. ``named`` as of any streaming response.
    """

    def __init__(
        self, shed: Callable[[], None], parts: AsyncIterator[bytes] | AsyncIterator[str] | Iterator[bytes], **named: Any
    ) -> None:
        super().__init__(parts, **named)
        self._shed = shed

    async def stream_response(self, send: Send) -> None:
        """Send, or let the reader go."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(SHED_S):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            self._shed()
        finally:
            close = getattr(self.body_iterator, "aclose", None)
            if close is not None:
                await close()


class LiveResponse(PromptResponse):
    """Server-sent events."""

    def __init__(self, shed: Callable[[], None], events: AsyncIterator[bytes] | AsyncIterator[str]) -> None:
        super().__init__(shed, events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
