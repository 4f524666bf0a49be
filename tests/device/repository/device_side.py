# SPDX-License-Identifier: Apache-2.0
"""A device's sources over real sockets, with times that fit a test."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
from tests.fixtures.static_server import StaticServer

from armillary.device.repository.source import HttpSource
from armillary.device.repository.sources import Sources
from armillary.update.repository.pace import PaceRules

# A thousand bytes a second, looked at every 0.3 s: a source that gives one byte every 20 ms is too slow.
QUICK = PaceRules(min_bytes_per_s=1000, window_s=0.3, allowance_s=0.6)


class Network:
    """Servers and sources of one test; ``refused`` has what the device noted about sources."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.refused: list[tuple[str, str]] = []

    def source(self, name: str, server: StaticServer, pace: PaceRules = QUICK) -> HttpSource:
        return HttpSource(name, server.url, lambda: self.session, monotonic=time.monotonic, pace=pace)

    def sources(self, own: HttpSource | None, *mirrors: HttpSource) -> Sources:
        return Sources(own, mirrors, lambda name, reason: self.refused.append((name, reason)))


@contextlib.asynccontextmanager
async def network(*servers: StaticServer) -> AsyncIterator[Network]:
    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(server.serving())
        yield Network(await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False)))


def play(story: Callable[[Network], Awaitable[Any]], *servers: StaticServer) -> Any:
    """Run one story against servers, within a limit."""

    async def within() -> Any:
        async with asyncio.timeout(20), network(*servers) as found:
            return await story(found)

    return asyncio.run(within())
