# SPDX-License-Identifier: Apache-2.0
"""The guardian's loop: a connect that does not return holds nobody else up, and can be given up at once."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.waiting import DEADLINE_S

from armillary.guardian import loop as module
from armillary.guardian.loop import GuardianLoop


def run(coroutine: Any) -> Any:
    with asyncio.Runner(loop_factory=GuardianLoop) as runner:
        return runner.run(coroutine)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read(100))
    await writer.drain()
    writer.close()


def test_it_connects_as_asyncio_does():
    async def play() -> bytes:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(b"hello")
        found = await reader.read(100)
        writer.close()
        server.close()
        return found

    assert run(play()) == b"hello"


def test_a_port_that_nobody_listens_at_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            run(asyncio.open_connection("127.0.0.1", taken.getsockname()[1]))


def test_a_connect_that_blocks_blocks_nobody_and_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch):
    """As in the sandbox, where a connect of a non-blocking socket returns when it is done."""
    blocked, let_go = threading.Event(), threading.Event()

    def connect(_own: socket.socket, _address: object) -> None:
        blocked.set()
        assert let_go.wait(30)
        raise TimeoutError("nobody there")

    monkeypatch.setattr(module, "_connect", connect)

    async def play() -> int:
        connecting = asyncio.create_task(asyncio.open_connection("127.0.0.1", 9))
        turns = 0
        while not blocked.is_set():
            await asyncio.sleep(0)
        for _ in range(1000):
            await asyncio.sleep(0)
            turns += 1
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        assert connecting.cancelled()
        let_go.set()
        async with asyncio.timeout(DEADLINE_S):
            while descriptors() > before:
                await asyncio.sleep(0.005)
        return turns

    async def opened() -> int:
        return descriptors()

    before = run(opened())
    assert run(play()) == 1000


def test_what_the_sandbox_puts_into_the_descriptor_is_used(monkeypatch: pytest.MonkeyPatch):
    """The broker replaces the socket of the thread's descriptor by one that it has connected outside."""

    def connect(own: socket.socket, address: tuple[str, int]) -> None:
        outside = socket.create_connection(address)
        os.dup2(outside.fileno(), own.fileno())
        outside.close()

    monkeypatch.setattr(module, "_connect", connect)
    test_it_connects_as_asyncio_does()


def test_what_is_under_way_at_the_threads_descriptor_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    """As in the sandbox: another socket stands there, which the kernel is connecting, or has connected by now."""

    def connect(own: socket.socket, address: Any) -> None:
        with socket.socket() as stream:
            stream.setblocking(False)
            error = stream.connect_ex(address)
            os.dup2(stream.fileno(), own.fileno(), inheritable=False)
        raise BlockingIOError(error, "in progress")

    monkeypatch.setattr(module, "_connect", connect)
    test_it_connects_as_asyncio_does()
    test_a_port_that_nobody_listens_at_is_refused()
