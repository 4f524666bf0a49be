# SPDX-License-Identifier: Apache-2.0
"""Connects that wait cannot use up the device's descriptors, however many applications make them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import Listeners, Outcome, Stage, linux
from tests.fixtures.waiting import until

from armillary.engines.sandbox.network import held_calls
from armillary.engines.sandbox.network.held_calls import ALWAYS, HELD, PER_CALL, HeldCalls
from armillary.engines.sandbox.port import CallsCrowded

WAITING = 6
CROWD = """
import errno, os, socket, threading
def wait():
    try:
        socket.socket().connect(("127.0.0.1", {port}))
    except OSError as error:
        os.write(1, errno.errorcode[error.errno].encode() + b"\\n")  # one write: threads do not mix
threads = [threading.Thread(target=wait) for _ in range(10)]
for each in threads: each.start()
for each in threads: each.join()
"""
NEIGHBOUR = 'import socket\nprint(socket.create_connection(("127.0.0.1", {port}), 20).recv(5).decode())'


@pytest.fixture
def silent() -> Iterator[int]:
    """A port of loopback at which a connect waits: what the listener would accept is full."""
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            filling = held.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def test_a_crowd_of_connects_that_wait_is_bounded_and_told_and_a_neighbour_goes_on(
    tmp_path: Path, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    stage, sandbox = Stage(tmp_path), linux()
    monkeypatch.setattr(HeldCalls, "limit", WAITING)

    async def play() -> tuple[Outcome, Outcome, list[str]]:
        crowd, neighbour, listeners = Outcome(), Outcome(), await Listeners.open()
        hosts = ["127.0.0.1"]
        running = await sandbox.start(stage.launch(CROWD.format(port=silent), hosts=hosts), crowd.events.append)
        try:
            await until(lambda: len(crowd.lines) == 10 - WAITING, "the others wait")
            open_now = descriptors()
            beside = await sandbox.start(
                stage.launch(NEIGHBOUR.format(port=listeners.port), hosts=hosts), neighbour.events.append
            )
            await beside.wait()
        finally:
            await running.stop(0)
            listeners.close()
        return crowd, neighbour, open_now

    crowd, neighbour, open_now = asyncio.run(play())
    assert crowd.lines == ["ENOBUFS"] * (10 - WAITING)
    assert [each for each in crowd.events if isinstance(each, CallsCrowded)] == [CallsCrowded(WAITING)], "once"
    assert neighbour.lines == ["hello"], neighbour.errors
    assert not [each for each in open_now if each.endswith("/mem")], "memory is open only while it is read"
    assert HELD.has_room(ALWAYS), "nothing is counted any more"


def test_the_bound_follows_the_limit_and_leaves_half_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: dict[str, Any] = {"now": (1024, 4096)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    held = HeldCalls()
    assert held.limit * PER_CALL * 2 == 1024
    for _ in range(held.limit):
        assert held.has_room(50)
        held.add()
    assert not held.has_room(ALWAYS)
    assert held.has_room(ALWAYS - 1), "a neighbour connects one at a time"
    held.remove()
    assert held.has_room(50)
    limits["now"] = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    assert held.limit * PER_CALL * 2 == held_calls.LIMIT


def test_a_device_raises_its_own_limit_alone() -> None:
    code = (
        "import resource\n"
        "from armillary.engines.sandbox.network.held_calls import allow_descriptors\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (512, 900))\n"
        "allow_descriptors()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["900", "900"]


def descriptors() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):  # closed meanwhile
            found.append(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115
    return found
