# SPDX-License-Identifier: Apache-2.0
"""An application that serves, for tests that are its clients: it runs while they ask, and is stopped afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

from tests.engines.sandbox.sandbox_stage import DEADLINE_S, Outcome, Stage
from tests.fixtures.waiting import until

from armillary.engines.sandbox.port import Sandbox, ServerPort

PATIENCE_S = 10.0


def opened(outcome: Outcome) -> list[ServerPort]:
    """The server ports that were told of."""
    return [each for each in outcome.events if isinstance(each, ServerPort)]


@contextlib.asynccontextmanager
async def serving(
    stage: Stage, sandbox: Sandbox, code: str, *, until_line: str = "ready", **keywords: Any
) -> AsyncIterator[Outcome]:
    """The application, from when it has said ``until_line``."""
    outcome = Outcome()
    running = await sandbox.start(stage.launch(code, **keywords), outcome.events.append)
    try:
        await until(lambda: until_line in outcome.lines, f"{until_line}: {outcome.errors}", DEADLINE_S)
        yield outcome
    finally:
        await running.stop(0)


async def ask(host: str, port: int, words: bytes = b"hello") -> bytes:
    """What a server answers to a client of the host."""
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), PATIENCE_S)
    try:
        writer.write(words)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    finally:
        writer.close()


async def ask_datagram(peer: socket.socket, where: tuple[str, int], words: bytes) -> bytes:
    """What a server answers to a datagram."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendto(peer, words, where)
    return (await asyncio.wait_for(loop.sock_recvfrom(peer, 2048), PATIENCE_S))[0]


def reset(peer: socket.socket) -> None:
    """End a connection as a router that forgot it would."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
    peer.close()
