# SPDX-License-Identifier: Apache-2.0
"""The program of the self-test: it tries, in the sandbox, what an application must not be able to do.

Run as an application's entry point, standard library only. The question (``ARMILLARY_PROBE``, JSON) names a secret
file, the supervisor's process id and two listening addresses; the answer is one line of JSON per probe: ``{"probe":
NAME, "saw": TEXT, ...}``. ``self_test`` judges the answers.
"""

# ruff: noqa: PTH101, PTH108, PTH115, PTH118, PTH120, PTH123 - its subject is system calls and the errno of each
from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import sys
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
# TIOCSTI with a bit above the 32 that the kernel reads.
TIOCSTI_HIGH = 0x1_0000_5412
KEYCTL = {"x86_64": 250, "aarch64": 219, "armv7l": 311}
# Numbers that whatever is beside an application in its process namespace has, and it never.
NEIGHBOURS = [pid for pid in range(1, 8) if pid != os.getpid()]
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


def attempt(action: Any) -> str:
    """``ok``, or the name of the errno."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "ok"


def system_call(function: Any, *arguments: Any) -> str:
    """``ok``, or the name of the errno a C call left."""
    ctypes.set_errno(0)
    if function(*arguments) >= 0:
        return "ok"
    return errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))


def status() -> dict[str, str]:
    """Own lines of /proc/self/status; empty where /proc cannot be read."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return {}


def capability_sets() -> str:
    """Effective, permitted and inheritable bits by capget(2): no /proc needed."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    if LIBC.capget(header, data) != 0:
        return "unreadable"
    return " ".join(hex(word) for word in data) if any(data) else "none"


def bounding_set() -> str:
    """Capabilities that a program started from here could still gain, were new privileges allowed."""
    held = [str(number) for number in range(64) if LIBC.prctl(23, number, 0, 0, 0) == 1]  # PR_CAPBSET_READ
    return " ".join(held) or "none"


def namespaces() -> dict[str, str]:
    """Identity of each namespace."""
    found = {}
    for name in NAMESPACES:
        try:
            found[name] = os.readlink(f"/proc/self/ns/{name}")
        except OSError:
            found[name] = "unreadable"
    return found


def interfaces() -> str:
    """Names of network interfaces."""
    try:
        with open("/proc/self/net/dev", encoding="ascii") as file:
            return " ".join(line.split(":")[0].strip() for line in file if ":" in line)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "unreadable")


def write_file(path: str) -> Any:
    """An action that creates a file."""

    def action() -> None:
        with open(path, "wb") as file:
            file.write(b"x")

    return action


def map_own_file() -> str:
    """Map a file of temporary storage to be run, as a loader and dlopen(3) do."""
    path = os.path.join(os.environ["TMPDIR"], "library")
    with open(path, "wb") as file:
        file.write(bytes(mmap.PAGESIZE))

    def action() -> None:
        with open(path, "rb") as file:
            mmap.mmap(file.fileno(), mmap.PAGESIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC).close()

    saw = attempt(action)
    os.unlink(path)
    return saw


def run_own_file() -> str:
    """Write a program to temporary storage and start it."""
    path = os.path.join(os.environ["TMPDIR"], "program")
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700)
    with open("/usr/bin/env", "rb") as source, os.fdopen(made, "wb") as target:
        target.write(source.read())

    def action() -> None:
        os.execve(path, [path, "false"], {"PATH": "/usr/bin"})  # noqa: S606 - the attempt

    # The program, env(1), would run false(1) and exit with 1: only a refused start exits with 0.
    child = os.fork()
    if child == 0:
        os._exit(0 if attempt(action) == "EACCES" else 1)
    return "EACCES" if os.waitpid(child, 0)[1] == 0 else "ok"


def fill(folder: str) -> str:
    """Write more than the limit into a folder, in files below the file size limit."""

    def action() -> None:
        for number in range(4):
            with open(os.path.join(folder, f"fill-{number}"), "wb") as file:
                file.write(bytes(900_000))

    saw = attempt(action)
    for number in range(4):
        attempt(lambda number=number: os.unlink(os.path.join(folder, f"fill-{number}")))
    return saw


def fill_shared_memory(size: int) -> str:
    """Let a child fill memory that belongs to no process alone: ``ok``, or the signal that ended it."""
    child = os.fork()
    if child == 0:
        memory = mmap.mmap(-1, size)
        for place in range(0, size, mmap.PAGESIZE):
            memory[place] = 1
        os._exit(0)
    ended = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(ended)).name if os.WIFSIGNALED(ended) else "ok"


def multiply(most: int) -> str:
    """Start processes that do nothing until one is refused: the errno, and how many there were."""
    children: list[int] = []
    saw = "ok"
    try:
        while len(children) < most:
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
    except OSError as error:
        saw = errno.errorcode.get(error.errno or 0, str(error))
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return f"{saw} {len(children)}"


def open_memory_of_neighbours() -> str:
    """Open the memory of the first processes of its namespace, in order to change it: ``ok`` where one lets it."""
    saw = [attempt(lambda pid=pid: os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))) for pid in NEIGHBOURS]
    return "ok" if "ok" in saw else saw[0]


def connect(host: str, port: int, kind: int = socket.SOCK_STREAM) -> str:
    """Connect and read the listener's greeting: what a program sees."""

    def action() -> None:
        with socket.socket(socket.AF_INET, kind) as peer:
            peer.settimeout(5)
            peer.connect((host, port))
            if kind == socket.SOCK_STREAM and peer.recv(5) != b"hello":
                raise OSError(errno.EPROTO, "no greeting")

    return attempt(action)


def look_up(name: str) -> str:
    """``ok`` when the name resolves."""
    try:
        socket.getaddrinfo(name, 443)
    except socket.gaierror:
        return "no such name"
    return "ok"


def connect_to_host(folder: str) -> None:
    """Connect to a socket of the host in a folder, whose path may be longer than an address is."""
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect("socket")
    finally:
        os.chdir("/")


def listen() -> None:
    """Wait for connections from everywhere, at a port that was not declared."""
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))  # noqa: S104 - the attempt
        server.listen()


def disconnect_and_listen(host: str, port: int) -> str:
    """Try to turn a connection that was made outside into a listening socket of the host's network."""
    with socket.create_connection((host, port), 5) as peer:
        saw = system_call(LIBC.connect, peer.fileno(), ctypes.create_string_buffer(16), 16)
        return f"{saw} {attempt(peer.listen)}"


def answers(question: dict[str, Any]) -> Any:
    """(probe, what it saw) for each probe."""
    allowed, refused = question["allowed"], question["refused"]
    yield "user", f"{os.getuid()} {os.getgid()} {os.getgroups()}"
    yield "capabilities", capability_sets()
    yield "bounding-set", bounding_set()
    yield "no-new-privileges", str(LIBC.prctl(39, 0, 0, 0, 0))
    yield "seccomp-mode", status().get("Seccomp", "unreadable")
    yield "session", f"{os.getsid(0)} {os.getpid()}"
    yield "ioctl", system_call(LIBC.ioctl, 0, ctypes.c_ulong(TIOCSTI_HIGH), b"x")
    yield "user-namespace", system_call(LIBC.unshare, CLONE_NEWUSER)
    yield "keyctl", system_call(LIBC.syscall, KEYCTL[os.uname().machine], 0, -3, 0)
    yield "netlink", attempt(lambda: socket.socket(16, socket.SOCK_RAW, 0).close())
    yield "mount", system_call(LIBC.mount, b"none", b"/tmp", b"tmpfs", 0, None)
    yield "namespaces", json.dumps(namespaces())
    yield "interfaces", interfaces()
    yield "root", attempt(write_file("/probe"))
    yield "image", attempt(write_file(os.path.join(os.path.dirname(sys.argv[0]), "probe")))
    yield "secret", attempt(lambda: open(question["secret"], "rb").close())
    yield "secret-mode", attempt(lambda: os.chmod(question["secret"], 0o600))
    yield "landlock", attempt(lambda: open("/proc/version", "rb").close())
    yield "memory-of-neighbours", open_memory_of_neighbours()
    yield "own-file", run_own_file()
    yield "own-file-mapped", map_own_file()
    yield "temporary", fill(os.environ["TMPDIR"])
    if "ARMILLARY_DATA" in os.environ:
        yield "storage", fill(os.environ["ARMILLARY_DATA"])
    yield "signal", attempt(lambda: os.kill(question["supervisor"], 0))
    yield "limits", json.dumps({name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1] for name in LIMITS})
    yield "niceness", str(os.getpriority(os.PRIO_PROCESS, 0))
    yield "withheld-device", attempt(lambda: open("/dev/" + question["withheld"], "rb").close())
    yield "processes", multiply(question["processes"])
    yield "shared-memory", fill_shared_memory(question["shared_memory_bytes"])
    yield "declared", connect(allowed[0], allowed[1])
    yield "undeclared", connect(refused[0], refused[1])
    yield "undeclared-datagram", connect(refused[0], refused[1], socket.SOCK_DGRAM)
    yield "undeclared-name", look_up(question["name"])
    yield "undeclared-port", attempt(listen)
    yield "host-socket", attempt(lambda: connect_to_host(question["folder"]))
    yield "disconnect", disconnect_and_listen(allowed[0], allowed[1])


LIMITS = ("CORE", "DATA", "FSIZE", "NOFILE", "NPROC")


def main() -> None:
    """Answer the question."""
    for probe, saw in answers(json.loads(os.environ["ARMILLARY_PROBE"])):
        print(json.dumps({"probe": probe, "saw": saw}), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
