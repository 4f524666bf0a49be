# SPDX-License-Identifier: Apache-2.0
"""What an unmodified program sees of the network: declared hosts work as ever, nothing else does, all is observed."""

from __future__ import annotations

import os
import socket

import pytest
from tests.engines.sandbox.sandbox_stage import Stage

from armillary.engines.sandbox.port import Sandbox

DECLARED = ["localhost"]


def test_blocking_connects_by_name(stage: Stage, sandbox: Sandbox) -> None:
    code = """
import socket
with socket.create_connection(("localhost", {port}), 5) as peer:
    print(peer.recv(5), peer.getpeername()[1] == {port}, peer.getblocking())
    peer.sendall(b"again"); print(peer.recv(5))
"""
    outcome = stage.run(sandbox, code, hosts=DECLARED, with_listeners=True)
    assert outcome.lines == ["b'hello' True True", "b'AGAIN'"], outcome.errors
    assert outcome.allowed()
    assert not outcome.refused()


def test_connects_by_declared_address(stage: Stage, sandbox: Sandbox) -> None:
    code = 'import socket\nprint(socket.create_connection(("127.0.0.1", {port}), 5).recv(5))'
    outcome = stage.run(sandbox, code, hosts=["127.0.0.1"], with_listeners=True)
    assert outcome.lines == ["b'hello'"], outcome.errors
    assert {(host, protocol) for host, _, protocol in outcome.allowed()} == {("127.0.0.1", "tcp")}


def test_non_blocking_connects_of_an_event_loop(stage: Stage, sandbox: Sandbox) -> None:
    code = """
import asyncio
async def main():
    reader, writer = await asyncio.open_connection("localhost", {port})
    print(await reader.readexactly(5))
    writer.writelines([b"one ", b"two"])
    print(await reader.readexactly(7), writer.get_extra_info("socket").gettimeout())
    writer.close()
asyncio.run(main())
"""
    outcome = stage.run(sandbox, code, hosts=DECLARED, with_listeners=True)
    assert outcome.lines == ["b'hello'", "b'ONE TWO' 0"], outcome.errors


@pytest.mark.parametrize("inherited", [True, False])
def test_descriptor_flags_and_options_survive(stage: Stage, sandbox: Sandbox, inherited: bool) -> None:
    code = f"""
import os, socket
peer = socket.socket()
number = peer.fileno()
os.set_inheritable(number, {inherited})
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
peer.connect(("localhost", {{port}}))
print(peer.fileno() == number, os.get_inheritable(number), peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
      peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
"""
    outcome = stage.run(sandbox, code, hosts=DECLARED, with_listeners=True)
    assert outcome.lines == [f"True {inherited} 1 1"], outcome.errors


def test_connected_datagrams_and_addressed_datagrams(stage: Stage, sandbox: Sandbox) -> None:
    code = """
import socket
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); peer.settimeout(5)
peer.connect(("localhost", {port})); peer.send(b"connected"); print(peer.recv(99))
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); other.settimeout(5)
print(other.sendto(b"addressed", ("localhost", {port}))); print(other.recv(99))
third = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); third.settimeout(5)
print(third.sendmsg([b"in ", b"parts"], [], 0, ("localhost", {port}))); print(third.recv(99))
"""
    outcome = stage.run(sandbox, code, hosts=DECLARED, with_listeners=True)
    assert outcome.lines == ["b'CONNECTED'", "9", "b'ADDRESSED'", "8", "b'IN PARTS'"], outcome.errors


def test_datagrams_of_a_socket_for_ipv6_alone(stage: Stage, sandbox: Sandbox) -> None:
    """Go's udp6 and many others make one; the declared host has an IPv4 address, as every stand-in has."""
    code = """
import socket
def fresh():
    peer = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); peer.settimeout(5)
    peer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1); return peer
peer = fresh(); peer.connect(("::ffff:127.0.0.1", {port})); peer.send(b"connected"); print(peer.recv(99))
other = fresh(); print(other.sendto(b"addressed", ("::ffff:127.0.0.1", {port}))); print(other.recv(99))
"""
    outcome = stage.run(sandbox, code, hosts=["127.0.0.1"], with_listeners=True)
    assert outcome.lines == ["b'CONNECTED'", "9", "b'ADDRESSED'"], outcome.errors


REFUSED_ACTIONS = {
    "tcp": ('socket.create_connection(("127.0.0.2", {port}), 5)', "tcp"),
    "tcp by mapped address": ('socket.socket(socket.AF_INET6).connect(("::ffff:127.0.0.2", {port}))', "tcp"),
    "udp connect": ('socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.2", {port}))', "udp"),
    "udp sendto": ('socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.2", {port}))', "udp"),
    "udp sendmsg": (
        'socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, ("127.0.0.2", {port}))',
        "udp",
    ),
    "udp sendmmsg": ("send_many()", "udp"),
}
SEND_MANY = """
import ctypes, socket, struct
def send_many():
    libc = ctypes.CDLL(None, use_errno=True)
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    address = ctypes.create_string_buffer(struct.pack("=H", 2) + struct.pack("!H4s8x", {port}, socket.inet_aton("127.0.0.2")))
    data = ctypes.create_string_buffer(b"x")
    vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(data), 1))
    message = ctypes.create_string_buffer(
        struct.pack("=QI4xQQQQi4xI4x", ctypes.addressof(address), 16, ctypes.addressof(vector), 1, 0, 0, 0, 0))
    if libc.sendmmsg(peer.fileno(), message, 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "refused")
"""


@pytest.mark.parametrize("way", sorted(REFUSED_ACTIONS))
def test_undeclared_addresses_are_refused_and_observed(stage: Stage, sandbox: Sandbox, way: str) -> None:
    action, protocol = REFUSED_ACTIONS[way]
    code = f"""
import errno, socket
{SEND_MANY}
try:
    {action}
    print("reached")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    outcome = stage.run(sandbox, code, hosts=["127.0.0.1"], with_listeners=True)
    assert outcome.lines == ["EACCES"], outcome.errors
    assert [(host, kind) for host, _, kind in outcome.refused()] == [("127.0.0.2", protocol)]


def test_undeclared_names_do_not_resolve_and_are_observed(stage: Stage, sandbox: Sandbox) -> None:
    code = """
import socket
for name in ("evil.example", "data-0123456789.localhost.example", "LOCALHOST.evil.example"):
    try:
        print(socket.getaddrinfo(name, 443))
    except socket.gaierror as error:
        print(error.errno == socket.EAI_NONAME)
"""
    outcome = stage.run(sandbox, code, hosts=DECLARED)
    assert outcome.lines == ["True", "True", "True"], outcome.errors
    names = {host for host, _, protocol in outcome.refused() if protocol == "lookup"}
    assert names == {"evil.example", "data-0123456789.localhost.example", "localhost.evil.example"}


def test_asking_another_resolver_directly_is_refused(stage: Stage, enclosed: Sandbox) -> None:
    """A query to a resolver of its own choice is a connection like any other: no tunnel through port 53."""
    code = """
import errno, socket
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for action in (lambda: peer.sendto(b"query", ("192.0.2.53", 53)), lambda: peer.connect(("192.0.2.53", 53))):
    try:
        action(); print("sent")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
    outcome = stage.run(enclosed, code, hosts=DECLARED)
    assert outcome.lines == ["EACCES", "EACCES"], outcome.errors
    assert outcome.refused() == {("192.0.2.53", 53, "udp")}


def test_without_namespaces_any_resolver_is_answered_here(stage: Stage) -> None:
    from tests.engines.sandbox.sandbox_stage import reduced  # noqa: PLC0415

    code = """
import socket, struct
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); peer.settimeout(5)
name = b"".join(bytes([len(part)]) + part for part in (b"secret-data", b"evil", b"example")) + b"\\0"
peer.sendto(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1), ("192.0.2.53", 53))
print(struct.unpack("!H", peer.recv(512)[2:4])[0] & 15)
"""
    outcome = stage.run(reduced(), code, hosts=DECLARED)
    assert outcome.lines == ["3"], outcome.errors
    assert outcome.refused() == {("secret-data.evil.example", 0, "lookup")}


def test_a_refused_connection_looks_refused(stage: Stage, sandbox: Sandbox) -> None:
    """A declared host where nobody listens: the error is the outside's, not the sandbox's."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        code = f"""
import errno, socket
try:
    socket.create_connection(("127.0.0.1", {port}), 5)
except OSError as error:
    print(errno.errorcode[error.errno])
"""
        outcome = stage.run(sandbox, code, hosts=["127.0.0.1"])
    assert outcome.lines == ["ECONNREFUSED"], outcome.errors
    assert outcome.allowed() == {("127.0.0.1", port, "tcp")}


def test_bad_arguments_get_the_kernels_errors(stage: Stage, sandbox: Sandbox) -> None:
    code = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
peer = socket.socket()
def connect(number, address, size):
    ctypes.set_errno(0)
    libc.connect(number, address, size)
    return errno.errorcode.get(ctypes.get_errno(), "none")
address = ctypes.create_string_buffer(bytes([2, 0, 0, 80, 192, 0, 2, 1]) + bytes(8))
print(connect(99, address, 16), connect(0, address, 16), connect(peer.fileno(), ctypes.c_void_p(8), 16),
      connect(peer.fileno(), address, 1), connect(peer.fileno(), address, 4096), connect(peer.fileno(), address, 8))
"""
    outcome = stage.run(sandbox, code)
    assert outcome.lines == ["EBADF ENOTSOCK EFAULT EINVAL EINVAL EINVAL"], outcome.errors


def test_many_threads_at_once(stage: Stage, sandbox: Sandbox) -> None:
    code = """
import socket, threading
done = []
def one():
    with socket.create_connection(("localhost", {port}), 20) as peer:
        done.append(peer.recv(5))
threads = [threading.Thread(target=one) for _ in range(40)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(done), set(done))
"""
    outcome = stage.run(sandbox, code, hosts=DECLARED, with_listeners=True)
    assert outcome.lines == ["40 {b'hello'}"], outcome.errors
    assert sum(each.count for each in outcome.attempts if each.allowed and each.protocol == "tcp") == 40


def test_a_program_talks_to_itself_over_loopback_and_unix_sockets(stage: Stage, enclosed: Sandbox) -> None:
    code = """
import socket, threading
listening = socket.socket(); listening.bind(("127.0.0.1", 0)); listening.listen()
fast = socket.socket(); fast.setblocking(False)
try: fast.connect(listening.getsockname())
except BlockingIOError: pass
listening.accept()[0].sendall(b"x"); fast.setblocking(True); print(fast.recv(1))
slow = socket.create_connection(listening.getsockname(), 5); print("blocking")
path = socket.socket(socket.AF_UNIX); path.bind("/tmp/socket"); path.listen()
socket.socket(socket.AF_UNIX).connect("/tmp/socket"); print("path")
name = socket.socket(socket.AF_UNIX); name.bind("\\0name"); name.listen()
socket.socket(socket.AF_UNIX).connect("\\0name"); print("name")
a, b = socket.socketpair(); socket.send_fds(a, [b"x"], [0]); print(len(socket.recv_fds(b, 1, 1)[1]))
"""
    outcome = stage.run(enclosed, code)
    assert outcome.lines == ["b'x'", "blocking", "path", "name", "1"], outcome.errors
    assert not outcome.attempts


def test_a_path_cannot_lead_to_a_socket_of_the_host(
    stage: Stage, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither directly nor through a symbolic link that only the supervisor could follow."""
    path = tmp_path_factory.mktemp("host") / "socket"
    with socket.socket(socket.AF_UNIX) as host, socket.socket(socket.AF_UNIX) as abstract:
        host.bind(str(path))
        host.listen()
        path.chmod(0o777)
        abstract.bind(f"\0armillary-test-{os.getpid()}")
        abstract.listen()
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(path))  # positive control: without a sandbox it is reached
        code = f"""
import os, socket
target = {str(path)!r}
os.symlink(target, os.environ["TMPDIR"] + "/link")
os.symlink("/proc/self/root" + target, os.environ["TMPDIR"] + "/magic")
for where in (target, os.environ["TMPDIR"] + "/link", os.environ["TMPDIR"] + "/magic", "../../../.." + target, "\\0armillary-test-{os.getpid()}"):
    try:
        socket.socket(socket.AF_UNIX).connect(where); print("reached", repr(where))
    except OSError as error:
        print("refused")
"""
        outcome = stage.run(sandbox, code)
    assert outcome.lines == ["refused"] * 5, outcome.errors


def test_repeated_attempts_are_counted_not_dropped(stage: Stage, sandbox: Sandbox) -> None:
    code = """
import socket
for _ in range(500):
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try: peer.sendto(b"x", ("192.0.2.9", 9))
    except OSError: pass
    peer.close()
for last in range(400):
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try: peer.sendto(b"x", ("192.0.2.9", 1000 + last))
    except OSError: pass
    peer.close()
"""
    outcome = stage.run(sandbox, code)
    assert sum(each.count for each in outcome.attempts) == 900, outcome.errors
    assert len(outcome.attempts) < 300
