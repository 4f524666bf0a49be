# SPDX-License-Identifier: Apache-2.0
"""What an unmodified server sees, and its clients: it listens at a declared port, and is reached at the device's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from ipaddress import ip_network
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import Stage, own_network
from tests.engines.sandbox.server_stage import ask, ask_datagram, opened, serving
from tests.fixtures.ports import reserved_port

from armillary.capability.device_addresses import DeviceAddresses, parse_device_addresses
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.network import datagram_server, server_ports
from armillary.engines.sandbox.port import Sandbox, ServerPort
from armillary.engines.sandbox.selection import open_sandbox

SHOUT = """
import socket, threading
def serve(peer):
    data = b""
    while part := peer.recv(1024): data += part
    peer.sendall(data.upper()); peer.close()
with FAMILY as server:
    print("ready", flush=True)
    while True:
        threading.Thread(target=serve, args=server.accept()[:1]).start()
"""
IPV4 = 'socket.create_server(("", PORT))'
IPV6 = 'socket.create_server(("::", PORT), family=socket.AF_INET6)'
BOTH = 'socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)'

needs_ipv6 = pytest.mark.skipif(
    not os.path.exists("/proc/net/if_inet6"),  # noqa: PTH110 - a kernel file
    reason="this host has no IPv6: sysctl net.ipv6.conf.all.disable_ipv6=0",
)


def shout(family: str, port: int) -> str:
    return SHOUT.replace("FAMILY", family).replace("PORT", str(port))


@pytest.mark.anyio
async def test_a_server_is_reached_at_the_devices_address_and_nowhere_else(stage: Stage, sandbox: Sandbox) -> None:
    port = reserved_port()
    async with serving(stage, sandbox, shout(IPV4, port), tcp_server_ports={port}) as found:
        answers = await asyncio.gather(*(ask("127.0.0.1", port, b"number %d" % each) for each in range(5)))
        assert answers == [b"NUMBER %d" % each for each in range(5)]
        with pytest.raises(OSError, match="Connect call failed"):
            await ask("127.0.0.2", port)
    if own_network(sandbox):
        assert opened(found) == [ServerPort("tcp", "127.0.0.1", port, "")]
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))  # the port went with the application


@pytest.mark.anyio
@needs_ipv6
@pytest.mark.parametrize(
    ("listen", "family", "reached"),
    [
        (["::1"], IPV6, ["::1"]),
        (["::1"], BOTH, ["::1"]),
        (["127.0.0.1"], BOTH, ["127.0.0.1"]),
        (["::"], BOTH, ["::1", "127.0.0.1"]),
        (["::"], IPV4, ["127.0.0.1"]),
        (["127.0.0.2", "::1"], IPV4, ["127.0.0.2"]),
    ],
)
async def test_the_device_says_at_which_address(
    stage: Stage, sandbox: Sandbox, listen: list[str], family: str, reached: list[str]
) -> None:
    port = reserved_port()
    given: dict[str, Any] = {"tcp_server_ports": {port}, "addresses": parse_device_addresses(listen)}
    async with serving(stage, sandbox, shout(family, port), **given):
        for host in ("::1", "127.0.0.1", "127.0.0.2"):
            if host in reached:
                assert await ask(host, port) == b"HELLO"
            elif listen != ["::"]:
                with pytest.raises(OSError, match="Connect call failed"):
                    await ask(host, port)


ASYNCIO = """
import asyncio, socket
async def serve(reader, writer):
    writer.write((await reader.read()).upper()); await writer.drain(); writer.close()
async def main():
    server = await asyncio.start_server(serve, sock=socket.create_server(("", PORT)))
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@pytest.mark.anyio
async def test_an_event_loop_serves(stage: Stage, sandbox: Sandbox) -> None:
    """It listens twice, and does not block."""
    port = reserved_port()
    async with serving(stage, sandbox, ASYNCIO.replace("PORT", str(port)), tcp_server_ports={port}):
        assert await ask("127.0.0.1", port) == b"HELLO"


TAKEN = """
import errno, socket, time
for _ in range(3):
    try:
        peer = socket.socket(AF, socket.KIND); peer.bind((HOST, PORT)); peer.listen(); print("listens")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_a_port_that_the_host_has_taken_is_in_use(stage: Stage, sandbox: Sandbox, kind: str) -> None:
    """And told once, in words that help, however often it is tried."""
    code = TAKEN.replace("KIND", kind).replace("AF,", "socket.AF_INET,").replace("HOST", '""')
    with socket.socket(socket.AF_INET, getattr(socket, kind)) as other:
        other.bind(("127.0.0.1", 0))
        if kind == "SOCK_STREAM":
            other.listen()
        port = other.getsockname()[1]
        given: dict[str, Any] = {"tcp_server_ports": {port}, "udp_server_ports": {port}}
        found = stage.run(sandbox, code.replace("PORT", str(port)), **given)
    assert found.lines == ["EADDRINUSE"] * 3, found.errors
    told = opened(found)
    assert [(each.protocol, each.address, each.port) for each in told] == [
        ("tcp" if kind == "SOCK_STREAM" else "udp", "127.0.0.1", port)
    ]
    assert "another device on it" in told[0].problem
    assert "--listen" in told[0].problem


def test_a_family_that_the_device_has_no_address_of_is_told(stage: Stage, sandbox: Sandbox) -> None:
    port = reserved_port()
    code = TAKEN.replace("KIND", "SOCK_STREAM").replace("AF,", "socket.AF_INET,").replace("HOST", '""')
    addresses = DeviceAddresses(ipv6=parse_device_addresses(["::1"]).ipv6)
    found = stage.run(sandbox, code.replace("PORT", str(port)), tcp_server_ports={port}, addresses=addresses)
    assert found.lines == ["EADDRNOTAVAIL"] * 3, found.errors
    assert [each.problem.partition(":")[0] for each in opened(found)] == ["the device listens at no IPv4 address"]


DATAGRAMS = """
import socket
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.bind(("", PORT))
print("ready", flush=True)
while True:
    data, source = peer.recvfrom(1500)
    peer.sendto(data.upper(), source)
"""


@pytest.mark.anyio
async def test_each_who_wrote_gets_their_own_answer(stage: Stage, enclosed: Sandbox) -> None:
    port = reserved_port()
    given: dict[str, Any] = {"udp_server_ports": {port}}
    async with serving(stage, enclosed, DATAGRAMS.replace("PORT", str(port)), **given) as found:
        with contextlib.ExitStack() as held:
            peers = [held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(20)]
            for each in peers:
                each.setblocking(False)
            for again in range(2):
                asked = [
                    ask_datagram(each, ("127.0.0.1", port), b"peer %d %d" % (number, again))
                    for number, each in enumerate(peers)
                ]
                assert await asyncio.gather(*asked) == [b"PEER %d %d" % (number, again) for number in range(20)]
    assert opened(found) == [ServerPort("udp", "127.0.0.1", port, "")]
    assert not found.attempts


@pytest.mark.anyio
@needs_ipv6
async def test_datagrams_come_in_over_ipv6_to_a_program_that_knows_ipv4(stage: Stage, enclosed: Sandbox) -> None:
    port = reserved_port()
    given: dict[str, Any] = {"udp_server_ports": {port}, "addresses": parse_device_addresses(["::1", "127.0.0.2"])}
    async with serving(stage, enclosed, DATAGRAMS.replace("PORT", str(port)), **given):
        for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.2")):
            with socket.socket(family, socket.SOCK_DGRAM) as peer:
                peer.setblocking(False)
                assert await ask_datagram(peer, (host, port), b"hello") == b"HELLO"


ITSELF = """
import socket
server = socket.create_server(("", PORT))
for host in ("127.0.0.1", "127.0.0.5"):
    peer = socket.create_connection((host, PORT), 5)
    peer.sendall(b"to itself"); print(server.accept()[0].recv(9))
server.close()
try:
    socket.create_connection(("127.0.0.1", PORT), 5); print("connected")
except OSError as error:
    print(error.errno)
"""


def test_a_server_reaches_itself_while_it_listens(stage: Stage, enclosed: Sandbox) -> None:
    """And when it does not any more, nothing of the host that has the port by then."""
    port = reserved_port()
    found = stage.run(enclosed, ITSELF.replace("PORT", str(port)), tcp_server_ports={port})
    assert found.lines == ["b'to itself'", "b'to itself'", "13"], found.errors


def test_the_hosts_tables_are_read_beside_the_loop(
    stage: Stage, namespaces: LinuxSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    plain = server_ports._listens

    def listens(inode: int) -> bool:
        threads.append(threading.current_thread())
        return plain(inode)

    monkeypatch.setattr(server_ports, "_listens", listens)
    port = reserved_port()
    found = stage.run(namespaces, ITSELF.replace("PORT", str(port)), tcp_server_ports={port})
    assert found.lines[-1:] == ["13"], found.errors
    assert threads
    assert threading.main_thread() not in threads


def test_an_address_of_who_still_writes_is_given_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagram_server, "PEER_LIMIT", 4)
    monkeypatch.setattr(datagram_server, "PEER_NETWORK", ip_network("10.0.0.0/28"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        server = datagram_server.DatagramServer(outside, DeviceAddresses())
        first = server._stand_in(outside, 7, ("192.0.2.1", 1))
        for number in range(100):
            other = server._stand_in(outside, 7, ("192.0.2.2", number))
            assert other != first
            assert server._stand_in(outside, 7, ("192.0.2.1", 1)) == first
            assert server._peers[first].address == ("192.0.2.1", 1)
            assert server._peers[other].address == ("192.0.2.2", number)


def test_the_port_is_the_hosts_where_nothing_is_enforced(stage: Stage) -> None:
    code = shout(IPV4, 0).replace("while True:", "while False:")
    assert stage.run(open_sandbox("process"), code).lines == ["ready"]
