# SPDX-License-Identifier: Apache-2.0
"""A general broker in its own thread on loopback, without TLS unless a context is given."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fixtures.loops import LoopThread

from armillary.engines.hub.broker import BrokerStore
from armillary.hub.broker.broker import MqttBroker
from armillary.hub.link.counters import Counters
from armillary.wire.hub.credentials import HubCredentials, HubPeer


class RunningBroker(LoopThread):
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
        super().__init__("broker-loop")
        options: dict[str, Any] = {} if clock is None else {"clock": clock}

        async def start() -> tuple[MqttBroker, int]:
            store = None if folder is None else BrokerStore(folder)
            made = MqttBroker(identify, self.counters, store=store, forbidden_filters=forbidden_filters, **options)
            return made, await made.listen(context, "127.0.0.1", 0)

        self.broker, self.port = self.run(start())

    def close(self) -> None:
        self.stop(self.broker.close())
