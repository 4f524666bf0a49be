# SPDX-License-Identifier: Apache-2.0
"""A device runs for months: what applications ask for and give up again, and how often they start, leaves nothing.

What leaks does so at every call or start. Python counts memory by who asked for it, so threads that other tests share
in this process do not matter; to list all objects instead breaks the tuples that such a thread is just filling.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio.pytest_plugin
import pytest
from tests.device.interface.asking import Client, Host, application, parts
from tests.device.interface.peripheral_bench import MINE, Hardware

from armillary import content
from armillary.capability import board as boards
from armillary.device.applications.admission import Application
from armillary.device.applications.port import Run
from armillary.device.interface.allowance import Allowance
from armillary.device.interface.connection import Connection
from armillary.device.interface.methods import method_table
from armillary.device.interface.session import Session
from armillary.device.interface.table import MethodTable
from armillary.device.interface.work import Work
from armillary.device.peripherals.ownership import PeripheralMap
from armillary.device.peripherals.use import PeripheralUse
from armillary.engines.peripherals.port import LineRequest
from armillary.engines.peripherals.selection import BoardPeripherals

pytestmark = pytest.mark.anyio
CALLS, RUNS = 200, 50
FRAMES = 64  # enough of a stack to reach who runs the loop
PARTNER = UUID(int=2)
PAIRS: Mapping[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "a watch that is begun anew": (("health.watch", {"within_s": 3600}),),
    "a watch": (("health.watch", {"within_s": 3600}), ("health.unwatch", {})),
    "events": (("events.subscribe", {}), ("events.unsubscribe", {})),
    "a pin": (("gpio.open-output", {"pin": 8, "level": 1}), ("gpio.close", {"pin": 8})),
    "a channel": (("application.connect", {"component_id": str(PARTNER)}),),
}


def granted(number: int, partner: UUID) -> Application:
    made = application(number, SystemEventNotifications=True, AllowedApplicationConnections=[str(partner)])
    return replace(made, grant=replace(made.grant, peripherals=MINE))


ONE, OTHER = granted(1, PARTNER), granted(2, UUID(int=1))


def whole_table(folder: Path, use: PeripheralUse) -> MethodTable:
    """All methods of a device whose peripherals are those of the first application."""
    owners = PeripheralMap()
    owners.assign([ONE.grant])
    grants = {each.component_id: each.grant for each in (ONE, OTHER)}
    return method_table(parts(folder, peripherals=use, owners=owners, grant_of=grants.get))


@contextlib.contextmanager
def allocations_traced() -> Iterator[None]:
    tracemalloc.start(FRAMES)
    try:
        yield
    finally:
        tracemalloc.stop()


def blocks() -> Counter[str]:
    """Blocks of memory in use that the loop of this test asked for, by the line that did."""
    gc.collect()
    of_this_loop = tracemalloc.Filter(inclusive=True, filename_pattern=anyio.pytest_plugin.__file__, all_frames=True)
    counted = tracemalloc.take_snapshot().filter_traces([of_this_loop]).statistics("lineno")
    return Counter({str(each.traceback): each.count for each in counted})


async def answered(times: int, name: str, table: MethodTable, session: Session, asker: Connection) -> tuple[int, int]:
    """Ask so often; how many callbacks the run and the connection then have."""
    for _ in range(times):
        for method, parameters in PAIRS[name]:
            said, given = await table.answer(session, {"id": 1, "method": method, "parameters": parameters}, asker)
            assert "result" in said, said
            if given is not None:
                given.close()
        await asyncio.sleep(0)  # what was cancelled ends
    return len(session._closing._exit_callbacks), len(asker._ending._exit_callbacks)  # type: ignore[attr-defined]


async def test_what_is_kept_at_every_call_is_noticed() -> None:
    """The control of the next test: the stack is kept deep enough, and of this loop."""
    kept = list[object]()
    with allocations_traced():
        before = blocks()
        for _ in range(CALLS):
            kept.append(object())
            await asyncio.sleep(0)
        assert max((blocks() - before).values(), default=0) >= len(kept) == CALLS


@pytest.mark.parametrize("name", PAIRS)
async def test_what_is_asked_for_and_given_up_again_leaves_nothing(tmp_path: Path, name: str) -> None:
    """Callbacks of the run and of the connection, and blocks of memory, are as many as after the first times."""
    loop = asyncio.get_running_loop()
    table = whole_table(tmp_path, PeripheralUse(BoardPeripherals(boards.parse(content.board_file("mt3620-simulated")))))
    run = Run(application=ONE, on_event=print, end=print, defer=print, pid=lambda: None)
    session = Session(run, Work(None, loop.time))  # type: ignore[arg-type]  # nothing here works in a thread
    near, far = socket.socketpair()
    allowance = Allowance(burst=1, per_second=1.0, monotonic=loop.time)
    connection = Connection(near, session, table, allowance, lambda _: None)
    with near, far, allocations_traced():
        callbacks, before = await answered(10, name, table, session, connection), blocks()
        assert await answered(CALLS, name, table, session, connection) == callbacks
        assert {line: count for line, count in (blocks() - before).items() if count > CALLS // 2} == {}
        connection._ending.close()
        session.close()
    left = weakref.ref(session)
    del session, connection, run
    await asyncio.sleep(0)
    gc.collect()
    assert left() is None


class Node:
    """A line with a descriptor of its own."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("line")

    def configure(self, request: LineRequest) -> None:
        """It is as it is."""

    def close(self) -> None:
        os.close(self.descriptor)


class Nodes(Hardware):
    """Hardware that answers at once."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on.set()

    def line(self, peripheral: Any, request: LineRequest) -> Any:  # noqa: ARG002 - the port
        return Node()


def held(sessions: Collection[Session]) -> Counter[str]:
    """Descriptors and threads of this process, and sessions of this test."""
    gc.collect()
    descriptors = len([*Path("/proc/self/fd").iterdir()])
    return Counter(descriptors=descriptors, threads=threading.active_count(), sessions=len(sessions))


async def descriptor_answer(client: Client, method: str, **parameters: Any) -> None:
    """Ask for a descriptor and close it."""
    await client.send({"id": 1, "method": method, "parameters": parameters})
    client.stream.setblocking(True)
    _, rights, _, _ = await asyncio.to_thread(socket.recv_fds, client.stream, 65536, 4)
    client.stream.setblocking(False)
    assert len(rights) == 1
    os.close(rights[0])


async def test_an_application_that_is_started_again_and_again_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives up nothing itself: its pin, its watch, its events and its channel end with each run."""
    sessions: weakref.WeakSet[Session] = weakref.WeakSet()

    def noted(*parts: Any) -> Session:
        made = Session(*parts)
        sessions.add(made)
        return made

    monkeypatch.setattr("armillary.device.interface.interface.Session", noted)
    use = PeripheralUse(Nodes())
    rows = [each for each in whole_table(tmp_path, use).rows if each.name != "interface.describe"]
    host = Host(tmp_path, lambda _: rows)

    async def one_run() -> None:
        async with host.open(ONE) as asked:
            client = asked.client()
            assert await client.ask("health.watch", within_s=3600) == {"within_s": 3600}
            assert "network" in await client.ask("events.subscribe")
            await descriptor_answer(client, "gpio.open-output", pin=8, level=1)
            await descriptor_answer(client, "application.connect", component_id=str(PARTNER))
            assert (await client.ask("i2c.transfer", bus="ISU1", address=72, read=1))["data"] == "48"
            await asked.client().ask("events.subscribe")

    for _ in range(5):  # threads that are shared have begun
        await one_run()
    before = held(sessions)
    for _ in range(RUNS):
        await one_run()
    assert {kind: count for kind, count in (held(sessions) - before).items() if count > RUNS // 2} == {}
    use.close()
