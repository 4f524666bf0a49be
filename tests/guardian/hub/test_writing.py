# SPDX-License-Identifier: Apache-2.0
"""How what is published gets into a socket: in one go, and the rest as the other side takes it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from armillary.guardian.hub import connection

BYTES = 16 << 20  # More than a pair of sockets takes at once


class Client:
    """What the loop uses of paho's client, without MQTT."""

    def __init__(self, stream: socket.socket) -> None:
        self.on_socket_register_write: Callable[..., None] | None = None
        self.on_socket_unregister_write: Callable[..., None] | None = None
        self.on_socket_close = self.on_disconnect = None
        self.writes = 0
        self._stream = stream
        self._waiting = b""
        self._is_registered = False

    def publish(self, data: bytes) -> None:
        self._waiting += data
        if not self._is_registered and self.on_socket_register_write is not None:
            self._is_registered = True
            self.on_socket_register_write(self, None, self._stream)

    def socket(self) -> socket.socket:
        return self._stream

    def want_write(self) -> bool:
        return bool(self._waiting)

    def loop_read(self) -> None:
        """Nothing comes."""

    def loop_write(self) -> None:
        self.writes += 1
        try:
            self._waiting = self._waiting[self._stream.send(self._waiting) :]
        except BlockingIOError:
            return
        if not self._waiting and self.on_socket_unregister_write is not None:
            self._is_registered = False
            self.on_socket_unregister_write(self, None, self._stream)


async def received(other: socket.socket, size: int) -> int:
    found = 0
    while found < size:
        found += len(await asyncio.get_running_loop().sock_recv(other, 1 << 20))
    return found


@pytest.mark.parametrize(("sizes", "writes"), [((10, 20, 30), 1), ((BYTES,), None)], ids=("small", "large"))
def test_all_that_is_published_arrives(sizes: tuple[int, ...], writes: int | None):
    async def run() -> None:
        loop = asyncio.get_running_loop()
        own, other = socket.socketpair()
        with own, other:
            for each in (own, other):
                each.setblocking(False)
            client: Any = Client(own)
            connection._watch(client, loop, asyncio.Event())
            for size in sizes * 2:
                client.publish(b"x" * size)
            assert await received(other, sum(sizes) * 2) == sum(sizes) * 2
            assert client.writes == writes or (writes is None and client.writes > 1)
            loop.remove_reader(own)
            assert not loop.remove_writer(own), "nothing waits for room any more"

    asyncio.run(run())


def test_what_was_published_before_the_end_is_written_by_nobody():
    async def run() -> None:
        loop = asyncio.get_running_loop()
        own, other = socket.socketpair()
        with own, other:
            own.setblocking(False)
            client: Any = Client(own)
            connection._watch(client, loop, asyncio.Event())
            client.publish(b"x" * BYTES)
            loop.remove_reader(own)
            client.on_socket_register_write = None  # As whoever closes it does
            for _ in range(3):
                await asyncio.sleep(0)
            assert client.want_write()
            assert not loop.remove_writer(own)

    asyncio.run(run())
