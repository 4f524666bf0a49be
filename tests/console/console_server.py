# SPDX-License-Identifier: Apache-2.0
"""The console over a rehearsed fleet, served over TLS on a free loopback port."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from tests.console.rehearsed_fleet import RehearsedFleet

from armillary.console.application import console_app
from armillary.console.sources.signed_in import SignedIn
from armillary.console.sources.sources import Sources, SourcesFor

# Fast, so that a test sees a revoked token end a stream without waiting for people's five seconds.
RECHECK_S = 0.2
START_WITHIN_S = STOP_WITHIN_S = 60.0  # for a host that does much else


class Stage:
    """The fleet that plays now: a test puts its own on, the server stays."""

    def __init__(self, fleet: RehearsedFleet) -> None:
        self.fleet = fleet

    def __getattr__(self, name: str) -> Any:
        return getattr(self.fleet, name)


class Seen:
    """The fleet for one operator, whose name is in the lines of the audit log."""

    def __init__(self, stage: Stage, operator: SignedIn) -> None:
        self._stage, self._operator = stage, operator

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stage, name)
        takes_operator = next(iter(inspect.signature(found).parameters), "") == "operator"
        return functools.partial(found, self._operator) if takes_operator else found


@dataclass
class RunningConsole:
    url: str
    stage: Stage
    loop: asyncio.AbstractEventLoop
    context: ssl.SSLContext

    @property
    def fleet(self) -> RehearsedFleet:
        return self.stage.fleet

    def say(self, metric: str, value: object, at_ms: int) -> None:
        """Send one live point, once somebody listens."""
        queue = self.fleet.points
        assert queue is not None, "nobody listens"
        self.loop.call_soon_threadsafe(queue.put_nowait, {"metric": metric, "value": value, "at_ms": at_ms})


@contextlib.contextmanager
def serve(certificate: Path) -> Iterator[RunningConsole]:
    listening = socket.create_server(("127.0.0.1", 0))
    stage = Stage(RehearsedFleet())
    of = lambda operator: Sources(**dict.fromkeys(Sources.__slots__, Seen(stage, operator)))  # noqa: E731 - as the real
    app = console_app(SourcesFor(stage, of), recheck_s=RECHECK_S)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ssl_certfile=str(certificate),
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    started = threading.Event()
    holder: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        holder.append(asyncio.get_running_loop())
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        started.set()
        await serving

    thread = threading.Thread(target=asyncio.run, args=(main(),), name="console")
    thread.start()
    assert started.wait(START_WITHIN_S), "the console did not start"
    context = ssl.create_default_context(cafile=str(certificate))
    try:
        yield RunningConsole(f"https://localhost:{listening.getsockname()[1]}", stage, holder[0], context)
    finally:
        server.should_exit = True
        thread.join(STOP_WITHIN_S)
        assert not thread.is_alive(), f"the console did not stop: {_what_goes_on(thread, holder[0])}"


def _what_goes_on(thread: threading.Thread, loop: asyncio.AbstractEventLoop) -> str:
    """Where the thread is, and what its loop waits for."""
    frame = sys._current_frames().get(thread.ident or 0)
    where = traceback.format_stack(frame) if frame is not None else []
    return "".join([*where, *(f"\n{task!r}" for task in asyncio.all_tasks(loop))])
