# SPDX-License-Identifier: Apache-2.0
"""A server at the private network: a flood is not read, others get their turn, and a refusal says what to do."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest
from tests.fixtures.namespaces import network_namespace
from tests.fixtures.other_user import run_as_other
from tests.fixtures.waiting import until

from armillary.engines.private_network.datagrams import READ_BYTES, DatagramServer, bound_socket

BURST = 16


def here() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.bind(("127.0.0.1", 0))
    return made


async def flooded(per_second: float, *, datagrams: int = 400) -> tuple[int, int]:
    """How many of a flood were looked at, and how often others had their turn until the last was there."""
    seen, turns = [], 0
    served, client = here(), here()
    server = DatagramServer(served, lambda data, _: seen.append(data), burst=BURST, per_second=per_second)
    client.connect(served.getsockname())
    for number in range(datagrams):
        client.send(b"%d" % number)
        turns += 1
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    server.close()
    client.close()
    assert server.refused == len(seen)
    return len(seen), turns


def test_beyond_its_rate_a_flood_is_not_read() -> None:
    looked_at, turns = asyncio.run(flooded(0.001))
    assert (looked_at, turns) == (BURST, 400)


def test_within_its_rate_everything_is_read() -> None:
    """The control."""
    looked_at, _ = asyncio.run(flooded(1e9))
    assert looked_at > BURST


def test_after_a_flood_it_goes_on() -> None:
    async def main() -> bytes:
        served, client = here(), here()
        server = DatagramServer(served, lambda data, sender: (b"!" + data, sender), burst=1, per_second=50.0)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, served.getsockname())
        said = b""
        for number in range(5):
            client.send(b"%d" % number)
            said += await asyncio.wait_for(loop.sock_recv(client, 10), 60)
        server.close()
        client.close()
        assert (server.answered, server.refused) == (5, 0)
        return said

    assert asyncio.run(main()) == b"!0!1!2!3!4"


def test_empty_and_overlong_datagrams_and_senders_that_are_gone_end_nothing() -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        served, client = here(), here()
        server = DatagramServer(
            served, lambda data, sender: (b"x", sender) if not seen.append(len(data)) else None, burst=99, per_second=1
        )
        gone = here()
        gone.sendto(b"", served.getsockname())
        gone.close()
        client.sendto(bytes(60000), served.getsockname())
        client.sendto(b"ok", served.getsockname())
        await until(lambda: len(seen) == 3, "all are looked at")
        server.close()
        client.close()
        return seen

    assert asyncio.run(main()) == [0, READ_BYTES, 2]


def test_a_refusal_says_what_to_do() -> None:
    with network_namespace() as inside:
        with pytest.raises(OSError, match="no interface nobody0") as refused:
            inside.call(lambda: bound_socket("nobody0", "0.0.0.0", 67))
        assert refused.value.errno == errno.ENOENT
        first = inside.call(lambda: bound_socket("lo", "0.0.0.0", 67))
        with pytest.raises(OSError, match="port 67: stop it") as refused:
            inside.call(lambda: bound_socket("lo", "127.0.0.1", 67))
        assert refused.value.errno == errno.EADDRINUSE
        first.close()
        inside.call(lambda: bound_socket("lo", "127.0.0.1", 67)).close()


def test_a_device_that_a_user_runs_is_told_so() -> None:
    program = (
        "from armillary.engines.private_network.datagrams import bound_socket\n"
        "try: bound_socket('lo', '127.0.0.1', 67)\n"
        "except OSError as error: print(error.errno, error.strerror)\n"
    )
    found = run_as_other(["-c", program])
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith(f"{errno.EPERM} this device may not serve at port 67: start the device as root")
