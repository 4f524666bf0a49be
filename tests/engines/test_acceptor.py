# SPDX-License-Identifier: Apache-2.0
"""Accepted sockets; which connections wait is tested in ``tests/service/endpoint/test_listener.py``."""

from __future__ import annotations

import asyncio
import enum
import socket

import pytest

from armillary.engines.acceptor import Acceptor


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_an_accepted_socket_is_connected_and_has_plain_numbers_for_family_and_type(host: str, family: int) -> None:
    async def accept_one() -> None:
        entered: asyncio.Queue[socket.socket] = asyncio.Queue()
        acceptor = Acceptor("test", lambda one, _: entered.put_nowait(one), lambda: False)
        port = await acceptor.open(host, 0)
        with socket.create_connection((host, port), timeout=10) as peer:
            peer.sendall(b"hello")
            with await asyncio.wait_for(entered.get(), 10) as one:
                assert (one.family, one.type, one.proto) == (family, socket.SOCK_STREAM, 0)
                assert not isinstance(one.family, enum.Enum)
                assert one.getpeername()[:2] == peer.getsockname()[:2]
                assert await asyncio.get_running_loop().sock_recv(one, 10) == b"hello"
        acceptor.close()

    asyncio.run(accept_one())
