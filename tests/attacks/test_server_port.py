# SPDX-License-Identifier: Apache-2.0
"""Attack: an application makes more of a server port that it was granted than a place where others are waited for.

Its listener is a socket of the host's network. Each attempt has its control: the declared use works, and without what
stops the attempt it succeeds.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest
from tests.engines.sandbox.conftest import enclosed, namespaces, sandbox, stage
from tests.engines.sandbox.sandbox_stage import Outcome, Stage
from tests.engines.sandbox.server_stage import ask_datagram, reset, serving
from tests.fixtures.ports import reserved_port
from tests.fixtures.waiting import until

from armillary.capability import confine, seccomp
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.network.server_ports import ServerPorts
from armillary.engines.sandbox.port import Sandbox
from armillary.engines.sandbox.selection import open_sandbox

__all__ = ["enclosed", "namespaces", "sandbox", "stage"]

MISUSE = """
import ctypes, errno, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def name(result): return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]
def packed(family, host="0.0.0.0", port=0):
    return struct.pack("=H", family) + struct.pack("!H4s8x", port, socket.inet_aton(host))
server = socket.create_server(("", OWN))
number = server.fileno()
print("connect", name(libc.connect(number, packed(2, "127.0.0.2", {port}), 16)))
print("allowed", name(libc.connect(number, packed(2, "127.0.0.1", {port}), 16)))
print("unspec", name(libc.connect(number, packed(0), 16)))
print("fastopen", name(libc.sendto(number, b"x", 1, 0x20000000, packed(2, "127.0.0.2", {port}), 16)))
print("send", name(libc.sendto(number, b"x", 1, 0x4000, packed(2, "127.0.0.2", {port}), 16)))
print("bind", name(libc.bind(number, packed(2, "0.0.0.0", OTHER), 16)))
server.shutdown(socket.SHUT_RDWR)
print("bind after", name(libc.bind(number, packed(2, "0.0.0.0", OTHER), 16)))
print("listen after", name(libc.listen(number, 1)))
print("connect after", name(libc.connect(number, packed(2, "127.0.0.2", {port}), 16)))
"""


def test_a_listener_does_nothing_but_accept(stage: Stage, sandbox: Sandbox) -> None:
    own, other = reserved_port(), reserved_port()
    code = MISUSE.replace("OWN", str(own)).replace("OTHER", str(other))
    found = stage.run(sandbox, code, hosts=["127.0.0.1"], tcp_server_ports={own}, with_listeners=True)
    lines = dict(line.rsplit(" ", 1) for line in found.lines)
    assert lines.pop("listen after") in ("EINVAL", "ok"), found.errors  # reduced: it is its own port again
    assert lines == {
        "connect": "EACCES",
        "allowed": "EISCONN",
        "unspec": "EPERM",
        "fastopen": "EPERM",
        "send": "EACCES",
        "bind": lines["bind"],
        "bind after": lines["bind after"],
        "connect after": "EACCES",
    }
    assert {lines["bind"], lines["bind after"]} <= {"EINVAL", "EACCES"}
    assert found.reached == []


ACCEPTED = """
import errno, socket
server = socket.create_server(("", OWN))
print("ready", flush=True)
peer = server.accept()[0]
try: peer.recv(1)
except ConnectionResetError: print("reset")
def attempt(action):
    try: action(); return "ok"
    except OSError as error: return errno.errorcode[error.errno]
print(attempt(lambda: peer.bind(("127.0.0.1", OTHER))), attempt(lambda: peer.listen(1)), flush=True)
"""


@pytest.mark.anyio
async def test_what_was_accepted_and_reset_is_no_port_of_the_host(
    stage: Stage, namespaces: LinuxSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel takes its port back then, and lets it be bound anew: to any port of the host."""

    async def played() -> list[str]:
        own, other = reserved_port(), reserved_port()
        code = ACCEPTED.replace("OWN", str(own)).replace("OTHER", str(other))
        async with serving(stage, namespaces, code, tcp_server_ports={own, other}) as found:
            reset(socket.create_connection(("127.0.0.1", own)))
            await until(lambda: len(found.lines) == 3, "its end", 20)
            return found.lines[1:]

    assert await played() == ["reset", "EINVAL EINVAL"]
    monkeypatch.setattr(ServerPorts, "is_of_outside", lambda *_: False)
    assert await played() == ["reset", "ok EINVAL"]  # the control: the supervisor would have bound it


SHARE = """
import errno, socket
server = socket.create_server(("", OWN))
try: server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); print("shares", flush=True)
except OSError as error: print(errno.errorcode[error.errno], flush=True)
print("ready", flush=True)
server.accept()
"""


@pytest.mark.anyio
async def test_a_port_is_not_shared_with_a_service_of_the_host(
    stage: Stage, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that shares its port among its own processes would hand the application half of its clients."""

    async def service_starts(word: str) -> bool:
        own = reserved_port()
        async with serving(stage, sandbox, SHARE.replace("OWN", str(own)), tcp_server_ports={own}) as found:
            assert found.lines[0] == word, found.errors
            with socket.socket() as service:
                service.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                try:
                    service.bind(("127.0.0.1", own))
                except OSError:
                    return False
                return True

    assert not await service_starts("ENOPROTOOPT")
    monkeypatch.setattr(confine, "Policy", lambda **keys: seccomp.Policy(**(keys | {"server": False})))
    assert await service_starts("shares")  # the control


STRANGER = """
import errno, socket
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.bind(("", OWN))
print("ready", flush=True)
data, source = peer.recvfrom(1500)
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def attempt(action):
    try: action(); return "ok"
    except OSError as error: return errno.errorcode[error.errno]
host, port = source
print(attempt(lambda: peer.sendto(b"out", ("127.0.0.2", PORT))), flush=True)
print(attempt(lambda: peer.connect(("127.0.0.2", PORT))), flush=True)
print(attempt(lambda: peer.sendto(b"nobody", ("127.84.9.9", port))), flush=True)
print(attempt(lambda: peer.sendto(b"another port", (host, port + 1))), flush=True)
print(attempt(lambda: other.sendto(b"from elsewhere", source)), flush=True)
print(attempt(lambda: peer.sendto(b"answer", source)), flush=True)
"""


@pytest.mark.anyio
async def test_datagrams_answer_who_wrote_and_reach_nobody_else(stage: Stage, enclosed: Sandbox) -> None:
    own = reserved_port()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        victim.bind(("127.0.0.2", 0))
        for each in (victim, peer):
            each.setblocking(False)
        code = STRANGER.replace("OWN", str(own)).replace("PORT", str(victim.getsockname()[1]))
        async with serving(stage, enclosed, code, udp_server_ports={own}) as found:
            assert await ask_datagram(peer, ("127.0.0.1", own), b"hello") == b"answer"
            # "from elsewhere" went inside and was dropped; the answer that came is of the port that was written to.
            await until(lambda: len(found.lines) == 7, "its end", 20)
            assert found.lines[1:] == ["EACCES", "EACCES", "EACCES", "EACCES", "ok", "ok"], found.errors
            with pytest.raises(BlockingIOError):
                victim.recv(1)
            with pytest.raises(BlockingIOError):
                peer.recv(1)
        # The control: where nothing contains it, the victim is reached.
        process = open_sandbox("process")
        async with serving(stage, process, code, udp_server_ports={own}) as found:
            await ask_datagram(peer, ("127.0.0.1", own), b"hello")
            assert victim.recv(9) == b"out"


@pytest.mark.anyio
async def test_one_application_cannot_take_the_port_of_another(stage: Stage, enclosed: Sandbox) -> None:
    """The manifest decides: who was not granted the port does not even get "in use"."""
    port = reserved_port()
    code = f'import socket\nserver = socket.create_server(("", {port})); print("ready", flush=True)\nserver.accept()'
    given: dict[str, Any] = {"tcp_server_ports": {port}}
    async with serving(stage, enclosed, code, **given):
        found = Outcome()
        running = await enclosed.start(stage.launch(code.replace("server.accept()", "")), found.events.append)
        await running.wait()
        assert found.refused() == {("0.0.0.0", port, "listen")}
        assert any("Permission denied" in each for each in found.errors)
