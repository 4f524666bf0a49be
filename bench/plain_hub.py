# SPDX-License-Identifier: Apache-2.0
"""A hub alone, for load only: ``python -m bench.plain_hub FOLDER [CHAIN KEY TRUSTED]``.

Without the three PEM files it speaks no TLS; with them it asks for client certificates, as the product does. Who a
client is, is taken from its client id in both cases.

Prints its port, then runs until SIGTERM and prints its counters. Everything behind the socket is the product's:
TLS, parsing, topic check, group commit with synchronous=FULL, acknowledgement after the commit, decoding; and how its
process keeps its memory.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import uvloop

from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore
from armillary.hub.front.front import Front
from armillary.hub.front.notices import HubNotices
from armillary.hub.link.admission import Admission
from armillary.hub.link.counters import Counters
from armillary.hub.link.tls import hub_context
from armillary.roles.memory import give_back_memory, keep_one_heap
from armillary.wire.hub.credentials import HubPeer


async def serve(folder: Path, *tls: Path) -> None:
    store = SeriesStore(folder, retention=Retention(), listener=lambda *_: None)
    counters = Counters()
    admission = Admission(lambda credentials: HubPeer(credentials.client_id), time.time)
    front = Front(store, admission.identify, counters, HubNotices())
    context = hub_context(tls[0], tls[1], tls[2].read_text("ascii")) if tls else None
    port = await front.listen(context, "127.0.0.1", 0)
    trimming = asyncio.create_task(give_back_memory())
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(port, flush=True)
    await stop.wait()
    trimming.cancel()
    print(json.dumps({"kept": counters.messages_kept, "decoded": store.decoder.messages}), flush=True)
    await front.close()
    store.commits.close()


if __name__ == "__main__":
    keep_one_heap()
    uvloop.run(serve(*map(Path, sys.argv[1:])))
