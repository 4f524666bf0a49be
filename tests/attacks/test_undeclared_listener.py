# SPDX-License-Identifier: Apache-2.0
"""Attack: an application opens a port that its manifest does not name, as a back door waits for its master.

Control: the same program listens where nothing contains it, and at the declared port in the sandbox.
"""

from __future__ import annotations

import pytest
from tests.engines.sandbox.conftest import sandbox, stage
from tests.engines.sandbox.sandbox_stage import Outcome, Stage, own_network
from tests.fixtures.ports import reserved_port

from armillary.engines.sandbox.port import Sandbox
from armillary.engines.sandbox.selection import open_sandbox

__all__ = ["sandbox", "stage"]

BACK_DOOR = """
import socket
def listens(make):
    try:
        peer = make()
        peer.listen(1)
        print("listens")
        peer.close()
    except OSError as error:
        print(error.errno)
def bound(family, host, port):
    peer = socket.socket(family)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    peer.bind((host, port))
    return peer
for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    listens(lambda: bound(family, host, PORT))
listens(socket.socket)
"""


def at(port: int) -> str:
    return BACK_DOOR.replace("PORT", str(port))


def listeners(found: Outcome, port: int = 4444) -> list[tuple[str, bool]]:
    """What was refused: the address, and whether the port was the wanted one."""
    return [(each.host, each.port == port) for each in found.attempts if each.protocol == "listen"]


def test_no_port_is_opened_that_is_not_declared_and_each_try_is_told(stage: Stage, sandbox: Sandbox) -> None:
    found = stage.run(sandbox, at(4444))
    assert found.lines == ["13", "13", "13"], found.errors
    assert listeners(found) == [("0.0.0.0", True), ("::", True), ("0.0.0.0", False)]
    assert all(not each.allowed for each in found.attempts)


def test_a_declared_port_is_opened_and_told_to_nobody(stage: Stage, sandbox: Sandbox) -> None:
    port = reserved_port()
    found = stage.run(sandbox, at(port), tcp_server_ports=frozenset({port}))
    assert found.lines == ["listens", "listens", "13"], found.errors
    assert listeners(found, port) == [("0.0.0.0", False)]


@pytest.mark.parametrize("step", [-1, 1])
def test_the_port_below_and_above_stay_closed(stage: Stage, sandbox: Sandbox, step: int) -> None:
    port = reserved_port()
    found = stage.run(sandbox, at(port + step), tcp_server_ports=frozenset({port}))
    assert found.lines == ["13", "13", "13"], found.errors
    assert listeners(found, port + step) == [("0.0.0.0", True), ("::", True), ("0.0.0.0", False)]


WAITS = """
import socket
def waits(host, port):
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind((host, port))
        print("waits")
    except OSError as error:
        print(error.errno)
waits("0.0.0.0", 5353)
waits("::", 5353)
waits("0.0.0.0", 0)
waits("127.0.0.1", 5353)
"""


def test_no_datagram_socket_waits_at_a_port_that_is_not_declared(stage: Stage, sandbox: Sandbox) -> None:
    """A client that takes any free port does not wait for strangers, nor does a program for itself (``linux``)."""
    found = stage.run(sandbox, WAITS)
    own = own_network(sandbox)
    assert found.lines == ["13", "13", "waits", "waits" if own else "13"], found.errors
    told = [(each.host, each.port) for each in found.attempts if each.protocol == "listen-udp"]
    assert told[:2] == [("0.0.0.0", 5353), ("::", 5353)]
    port = reserved_port()
    found = stage.run(sandbox, WAITS.replace("5353", str(port)), udp_server_ports=frozenset({port}))
    assert found.lines == ["waits"] * 4, found.errors
    assert not found.attempts


def test_control_without_a_sandbox_every_port_is_opened(stage: Stage) -> None:
    found = stage.run(open_sandbox("process"), at(4444))
    assert found.lines == ["listens"] * 3
    assert stage.run(open_sandbox("process"), WAITS).lines == ["waits"] * 4
    assert not found.attempts


def test_a_program_talks_to_itself_over_loopback(stage: Stage, sandbox: Sandbox) -> None:
    code = """
import socket
try:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), 5) as peer:
            peer.sendall(b"hello")
            print(server.accept()[0].recv(5))
except OSError as error:
    print(error.errno)
"""
    found = stage.run(sandbox, code)
    assert found.lines == (["b'hello'"] if own_network(sandbox) else ["13"]), found.errors
