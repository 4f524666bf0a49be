# SPDX-License-Identifier: Apache-2.0
"""A general broker in its own process, to be killed: ``python kill_broker_runner.py FOLDER PORT``; prints its port."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop

from armillary.engines.hub.broker import BrokerStore
from armillary.hub.broker.broker import MqttBroker
from armillary.hub.link.counters import Counters
from armillary.wire.hub.credentials import HubPeer


async def serve(folder: Path, port: int) -> None:
    broker = MqttBroker(lambda _: HubPeer(""), Counters(), store=BrokerStore(folder))
    print(await broker.listen(None, "127.0.0.1", port), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
