# SPDX-License-Identifier: Apache-2.0
"""Connections that come through a door. Who waits, and who is kept out: ``tests/service/endpoint/test_listener.py``."""

from __future__ import annotations

import asyncio
import enum
import socket

import pytest

from armillary.engines.door import Door


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_what_is_let_in_is_a_connected_socket_that_says_in_numbers_what_it_is(host: str, family: int) -> None:
    async def let_one_in() -> None:
        entered: asyncio.Queue[socket.socket] = asyncio.Queue()
        door = Door("test", lambda one, _: entered.put_nowait(one), lambda: False)
        port = await door.open(host, 0)
        with socket.create_connection((host, port), timeout=10) as peer:
            peer.sendall(b"hello")
            with await asyncio.wait_for(entered.get(), 10) as one:
                assert (one.family, one.type, one.proto) == (family, socket.SOCK_STREAM, 0)
                assert not isinstance(one.family, enum.Enum)
                assert one.getpeername()[:2] == peer.getsockname()[:2]
                assert await asyncio.get_running_loop().sock_recv(one, 10) == b"hello"
        door.close()

    asyncio.run(let_one_in())
