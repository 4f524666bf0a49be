# SPDX-License-Identifier: Apache-2.0
"""One port of this host with one client at a time, who is the user that runs the device, or root.

The kernel says whose a connection is; any other is closed before a byte of it is read. No application reaches the port,
whatever its manifest declares (``own_ports``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable

from armillary.engines.host.connections import peer_user
from armillary.engines.sandbox.network.own_ports import own_port

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def open_door(host: str, serve: Serve) -> AsyncGenerator[int]:
    """Let clients in, one after the other, while the block runs; gives the port, and ends with whoever is inside.

    ``serve`` has one connection, and is cancelled with the block.
    """
    clients: set[asyncio.Task[None]] = set()

    async def let_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - streams run it in one
        if clients:  # one is inside, or being looked at
            writer.close()
            return
        clients.add(task)
        try:
            user = await asyncio.to_thread(peer_user, writer.get_extra_info("socket"))
            if user in (0, os.geteuid()):
                await serve(reader, writer)
        except (OSError, asyncio.CancelledError):  # it has gone, or the block ends: there is nobody to tell
            pass
        finally:
            clients.discard(task)
            writer.close()

    server = await asyncio.start_server(let_in, host, 0, start_serving=False)
    port = int(server.sockets[0].getsockname()[1])
    with own_port(port):
        await server.start_serving()
        try:
            yield port
        finally:
            server.close()
            for task in tuple(clients):
                task.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
