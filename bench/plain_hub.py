# SPDX-License-Identifier: Apache-2.0
"""A hub without TLS, for load only: ``python -m bench.plain_hub FOLDER``. The client id is taken for the identity.

Prints its port, then runs until SIGTERM and prints its counters. Everything behind the socket is the product's:
parsing, topic check, group commit with synchronous=FULL, acknowledgement after the commit, decoding.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import uvloop

from armillary.engines.series.store import Retention, SeriesStore
from armillary.hub.counters import Counters
from armillary.hub.front import Front
from armillary.wire.hub_credentials import HubPeer


async def serve(folder: Path) -> None:
    store = SeriesStore(folder, retention=Retention(), listener=lambda *_: None)
    counters = Counters()
    front = Front(store, lambda credentials: HubPeer(credentials.client_id), counters)
    port = await front.listen(None, "127.0.0.1", 0)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(port, flush=True)
    await stop.wait()
    print(json.dumps({"kept": counters.messages_kept, "decoded": store.decoder.messages}), flush=True)
    await front.close()
    store.commits.close()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
