# SPDX-License-Identifier: Apache-2.0
"""A general broker in its own thread on loopback, without TLS unless a context is given."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from armillary.engines.hub.broker import BrokerStore
from armillary.hub.broker.broker import MqttBroker
from armillary.hub.link.counters import Counters
from armillary.wire.hub.credentials import HubCredentials, HubPeer

DEADLINE_S = 10.0


class RunningBroker:
    """A broker with its event loop in a thread; ``folder`` of None keeps everything in memory."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        context: ssl.SSLContext | None = None,
        identify: Callable[[HubCredentials], HubPeer] = lambda _: HubPeer(""),
        forbidden_filters: frozenset[str] = frozenset(),
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.counters = Counters()
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="broker-loop")
        self.thread.start()
        options: dict[str, Any] = {} if clock is None else {"clock": clock}

        async def start() -> tuple[MqttBroker, int]:
            store = None if folder is None else BrokerStore(folder)
            made = MqttBroker(identify, self.counters, store=store, forbidden_filters=forbidden_filters, **options)
            return made, await made.listen(context, "127.0.0.1", 0)

        self.broker, self.port = self.run(start())

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(DEADLINE_S)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        async def call() -> Any:
            return function(*arguments)

        return self.run(call())

    def close(self) -> None:
        try:
            self.run(self.broker.close())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(DEADLINE_S)
            self.loop.close()
