# SPDX-License-Identifier: Apache-2.0
"""The fork server: nothing of it is in an application, no application reaches it, and it ends with its device."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import DEADLINE_S, Outcome, Stage, linux, reduced
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import until, wait_until

from armillary.capability.confine import WAITING_USER
from armillary.capability.waiting import Waiting
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.port import Launch, RunningApplication, Sandbox
from armillary.engines.sandbox.selection import open_sandbox
from armillary.engines.sandbox.serving.fork_server import ForkServer, fork_server
from armillary.engines.sandbox.start import host, starting
from armillary.errors import InstallError, SandboxUnavailableError

ROOT = Path(__file__).parents[4]
ENGINES = ("as-root", "as-user", "reduced", "process")
WAITS = "import time\nprint('ready', flush=True)\nwhile True: time.sleep(60)"


@pytest.fixture(params=ENGINES)
def served(request: pytest.FixtureRequest) -> Sandbox:
    """Each engine whose applications the fork server starts."""
    if request.param == "process":
        return open_sandbox("process")
    return reduced() if request.param == "reduced" else linux(own_user=request.param == "as-root")


@pytest.fixture(params=["as-root", "as-user"])
def wrapped(request: pytest.FixtureRequest) -> Sandbox:
    """The engine in whose sandbox something waits for the application."""
    return linux(own_user=request.param == "as-root")


def server() -> ForkServer:
    """Of this process."""
    return fork_server(host.runtime().interpreter)


def fields(pid: int) -> dict[str, str]:
    """What the kernel says of a process, by the names of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def below(pid: int) -> Iterator[int]:
    """All processes that descend from one."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {pid}
    while fresh := {child for child, parent in parents.items() if parent in found} - found:
        found |= fresh
    yield from found - {pid}


def alive(pid: int) -> bool:
    """A process that is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descriptors(pid: int) -> dict[int, str]:
    return {int(each.name): str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}


FOUND = """
import os, signal
def opened(number):
    try: os.fstat(number)
    except OSError: return False
    return True
print([number for number in range(4096) if opened(number)])
print(sorted(set(os.environ) - {"LC_CTYPE"}))
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL)
print(os.getppid(), oct(os.umask(0)), os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())
"""
OWN = ["HOME", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER", "PYTHONUNBUFFERED", "TEST_FOLDER"]


def test_an_application_finds_nothing_of_the_server(stage: Stage, served: Sandbox) -> None:
    outcome = stage.run(served, FOUND)
    assert len(outcome.lines) == 4, outcome.errors
    opened, environment, signals, process = outcome.lines
    assert opened == "[0, 1, 2]"
    assert environment == str(sorted([*OWN, "TMPDIR"]))
    assert signals == "set() True"
    parent = 0 if served.name == "linux" else server().pid
    assert process == f"{parent} 0o77 True True"


async def waiting(stage: Stage, sandbox: Sandbox) -> RunningApplication:
    """An application that waits."""
    outcome = Outcome()
    running = await sandbox.start(stage.launch(WAITS), outcome.events.append)
    await until(lambda: outcome.lines, "the application")
    return running


def test_an_application_is_its_own_program_alone(stage: Stage, served: Sandbox) -> None:
    """As the kernel shows it: no memory, thread or descriptor came over from the server."""

    async def play() -> None:
        outcome = Outcome()
        launch = stage.launch("echo ready\nread line\nwhile :; do sleep 60; done", interpreter="#!/usr/bin/env sh\n")
        running = await served.start(launch, outcome.events.append)
        await until(lambda: outcome.lines, "the application")
        try:
            memory = Path(f"/proc/{running.pid}/maps").read_text()
            assert "/dash" in memory or "/sh" in memory or "/busybox" in memory
            assert "python" not in memory
            about = fields(running.pid)
            assert (about["Threads"], about["NoNewPrivs"]) == ("1", "1")
            kinds = [kind.partition(":")[0] for number, kind in sorted(descriptors(running.pid).items()) if number < 3]
            assert kinds == ["/dev/null", "pipe", "pipe"]
        finally:
            await running.stop(0)

    asyncio.run(play())
    assert "python" in Path(f"/proc/{server().pid}/maps").read_text()  # the control


async def beside(application: int) -> dict[str, int]:
    """What there is beside an application, by name, once what waits has become what it stays."""
    found: dict[str, int] = {}

    def settled() -> bool:
        found.clear()
        found.update({fields(pid)["Name"]: pid for pid in below(server().pid) if pid != application})
        return "cat" in found

    await until(settled, "what waits in the sandbox")
    return found


def test_what_waits_in_the_sandbox_holds_nothing(stage: Stage, wrapped: Sandbox) -> None:
    async def play() -> None:
        running = await waiting(stage, wrapped)
        try:
            found = await beside(running.pid)
            assert sorted(found) == ["bwrap", "cat"]
            for name, pid in found.items():
                kinds = {number: kind.partition(":")[0] for number, kind in descriptors(pid).items()}
                assert {number: kinds.pop(number) for number in (0, 1, 2)} == {0: "pipe", 1: "/dev/null", 2: "pipe"}
                assert set(kinds.values()) <= ({"anon_inode"} if name == "bwrap" else set())
            about = fields(found["cat"])
            assert about["NSpid"].split()[1:] == ["1"]
            assert all(int(about[kind], 16) == 0 for kind in ("CapEff", "CapPrm", "CapAmb"))
            assert (about["NoNewPrivs"], about["Seccomp"], about["Seccomp_filters"]) == ("1", "2", "1")
            own = fields(running.pid)["Uid"].split()[0]
            assert own != "0" or os.geteuid() == 0
            if isinstance(wrapped, LinuxSandbox) and wrapped.own_user:
                assert set(about["Uid"].split()) == set(about["Gid"].split()) == {str(WAITING_USER)}
                assert about["Groups"].split() == []
                assert own not in ("0", str(WAITING_USER))
        finally:
            await running.stop(0)
        assert not list(below(server().pid))

    asyncio.run(play())


def test_who_loses_its_parent_inside_leaves_nothing(stage: Stage, wrapped: Sandbox) -> None:
    """The kernel forgets it: what waits there waits for nobody."""
    code = """
import os, sys
for _ in range(100):
    if os.fork() == 0:
        if os.fork() == 0: os.execv("/usr/bin/true", ["true"])
        os._exit(0)
    os.wait()
while True:
    left = [pid for pid in range(3, 400) if os.path.exists(f"/proc/{pid}")]
    if not left: break
print("none left")
"""
    plain = dataclasses.replace(wrapped, _report=None)  # type: ignore[type-var]
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr(kernel, "landlock_abi", lambda: 0)  # which lets nobody look at other processes
        outcome = stage.run(plain, code)
    assert outcome.lines == ["none left"], outcome.errors


def test_a_sandbox_ends_with_its_wrapper(stage: Stage, wrapped: Sandbox) -> None:
    async def play() -> int | None:
        running = await waiting(stage, wrapped)
        os.kill((await beside(running.pid))["bwrap"], signal.SIGKILL)
        async with asyncio.timeout(DEADLINE_S):
            return (await running.wait()).signal

    assert asyncio.run(play()) == signal.SIGKILL
    assert not list(below(server().pid))


TRAP = b"#!/usr/bin/env python3\nraise SystemExit(0)\n"
TRAPS = [f"{folder}/{name}" for folder in ("bin", "lib") for name in ("cat", "env", "chroot", "sh", "ld.so.preload")]


def test_what_waits_is_no_program_of_the_image(stage: Stage, wrapped: Sandbox) -> None:
    """Nothing confines it but its namespaces and a filter of its own."""
    files = dict.fromkeys(TRAPS, TRAP) | {"lib/libc.so.6": b"", "lib/ld-linux-x86-64.so.2": b""}
    launch = stage.launch(WAITS, files=files)
    for name in TRAPS:
        (launch.image_root / name).chmod(0o555)

    async def play(launch: Launch) -> tuple[str, int]:
        outcome = Outcome()
        running = await wrapped.start(launch, outcome.events.append)
        try:
            await until(lambda: outcome.lines, "the application")
            waits = (await beside(running.pid))["cat"]
            program = str(Path(f"/proc/{waits}/exe").readlink())
            return program, Path(f"/proc/{waits}/root{program}").stat().st_ino
        finally:
            await running.stop(0)

    real = Path("/usr/bin/cat").resolve()
    assert asyncio.run(play(launch)) == (str(real), real.stat().st_ino)


def test_a_program_of_the_image_that_waited_would_show(
    stage: Stage, wrapped: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: named as it was, the image's own cat is what bwrap executes, and the sandbox ends with it."""
    launch = stage.launch(WAITS, files={"bin/cat": TRAP})
    (launch.image_root / "bin" / "cat").chmod(0o555)
    monkeypatch.setattr(host, "waiting_programs", lambda _: Waiting("/usr/sbin/chroot", "/usr/bin/env", "/bin/cat"))

    async def play() -> None:
        running = await wrapped.start(launch, lambda _: None)
        async with asyncio.timeout(DEADLINE_S):
            assert (await running.wait()).signal == signal.SIGKILL

    with contextlib.suppress(SandboxUnavailableError):  # where it ended before the application began
        asyncio.run(play())


@pytest.mark.parametrize("name", ["usr/bin/cat", "etc/ld.so.preload", "lib64/ld-linux-x86-64.so.2", "sbin/chroot"])
def test_an_image_that_covers_what_waits_is_refused(stage: Stage, wrapped: Sandbox, name: str) -> None:
    with pytest.raises(InstallError, match=f"expected no {name.split('/', maxsplit=1)[0]} at the top"):
        stage.run(wrapped, "", files={name: TRAP})


@pytest.mark.parametrize("missing", ["chroot", "env", "cat"])
def test_a_host_without_what_waits_is_refused(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it has one outside of what is inside a sandbox, as a /bin of its own."""
    real = host.runtime()
    assert host.waiting_programs(real).cat == "/usr/bin/cat"
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != missing and access(path, mode))
    host.waiting_programs.cache_clear()
    try:
        with pytest.raises(SandboxUnavailableError, match=f"the host's {missing} below /usr/bin or /usr/sbin"):
            host.waiting_programs(real)
    finally:
        host.waiting_programs.cache_clear()


def test_what_ends_a_service_is_for_the_device(stage: Stage, served: Sandbox) -> None:
    """Applications are asked to end by the device, which a server that ended first would leave it no time for."""

    async def play() -> int | None:
        running = await waiting(stage, served)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(server().pid, number)
        again = await served.start(stage.launch("pass"), lambda _: None)
        assert (await again.wait()).exit_code == 0
        return (await running.stop(DEADLINE_S)).signal  # and to the application they mean what they always do

    assert asyncio.run(play()) == signal.SIGTERM


def test_an_exit_code_is_no_signal(stage: Stage, served: Sandbox) -> None:
    status = stage.run(served, "import os; os._exit(139)").status
    assert status is not None
    assert (status.exit_code, status.signal) == (139, None)


def test_twenty_start_at_once(stage: Stage, served: Sandbox) -> None:
    async def one(number: int) -> tuple[list[str], int | None]:
        outcome = Outcome()
        launch = stage.launch("import sys; print(sys.argv[1]); exit(int(sys.argv[1]))", arguments=(str(number),))
        async with asyncio.timeout(DEADLINE_S * 2):
            running = await served.start(launch, outcome.events.append)
            ended = await running.wait()
        return outcome.lines, ended.exit_code

    async def play() -> list[tuple[list[str], int | None]]:
        return await asyncio.gather(*(one(number) for number in range(20)))

    assert asyncio.run(play()) == [([str(number)], number) for number in range(20)]
    assert not list(below(server().pid))


def test_a_server_that_is_killed_before_a_start_is_replaced(stage: Stage, served: Sandbox) -> None:
    assert stage.run(served, "print(1)").lines == ["1"]
    first = server().pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not alive(first), "the end of the server")
    assert stage.run(served, "print(2)").lines == ["2"]
    assert server().pid != first


def test_a_server_that_is_killed_in_a_start_gives_one_error(stage: Stage, served: Sandbox) -> None:
    assert stage.run(served, "print(1)").lines == ["1"]
    first = server().pid
    os.kill(first, signal.SIGSTOP)  # it takes the request no more

    async def play() -> None:
        starting_ = asyncio.ensure_future(served.start(stage.launch("print(2)"), lambda _: None))
        while not starting_.done():
            await asyncio.sleep(0.01)
            os.kill(first, signal.SIGKILL)
        with pytest.raises(SandboxUnavailableError, match="the fork server failed at process: it ended"):
            await starting_

    asyncio.run(play())
    assert stage.run(served, "print(3)").lines == ["3"]


@pytest.mark.parametrize("kind", ["as-root", "as-user", "reduced"])
def test_a_server_that_is_killed_beside_a_launcher_leaves_nothing(
    stage: Stage, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher has made everything and waits for the device's word."""
    served = reduced() if kind == "reduced" else linux(own_user=kind == "as-root")
    take, known = starting._taken, server()
    assert stage.run(served, "print(1)").lines == ["1"]
    begun: list[int] = []

    def killing(pid: int, answer: dict[str, Any]) -> object:
        found = take(pid, answer)
        begun.extend(below(known.pid))
        os.kill(known.pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), "the end of the launcher")
        return found

    monkeypatch.setattr(starting, "_taken", killing)
    with pytest.raises(SandboxUnavailableError):
        stage.run(served, "print(2)")
    assert begun
    wait_until(lambda: not any(alive(pid) for pid in begun), "the end of all that had begun")
    monkeypatch.undo()
    assert stage.run(served, "print(3)").lines == ["3"]


@pytest.mark.parametrize("kind", ["as-root", "reduced"])
def test_an_application_that_nobody_can_answer_is_ended(
    stage: Stage, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is executed already: a connect of its would wait for ever."""
    served = reduced() if kind == "reduced" else linux(own_user=True)
    assert stage.run(served, "print(1)").lines == ["1"]
    begun: list[int] = []

    def failing(*_: object) -> object:
        begun.extend(below(server().pid))
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(starting, "_broker", failing)
    before = sorted(Path("/proc/self/fd").iterdir())
    with pytest.raises(SandboxUnavailableError, match="too many open files"):
        stage.run(served, "import time; time.sleep(300)")
    assert begun
    wait_until(lambda: not any(alive(pid) for pid in begun), "the end of all that had begun")
    assert sorted(Path("/proc/self/fd").iterdir()) == before
    monkeypatch.undo()
    assert stage.run(served, "print(3)").lines == ["3"]


def test_applications_end_with_a_server_that_is_killed(stage: Stage, served: Sandbox) -> None:
    async def play() -> int | None:
        running = await waiting(stage, served)
        begun = list(below(server().pid))
        assert running.pid in begun
        os.kill(server().pid, signal.SIGKILL)
        async with asyncio.timeout(DEADLINE_S):
            status = await running.wait()
        await until(lambda: not any(alive(pid) for pid in begun), "the end of everything")
        return status.signal

    assert asyncio.run(play()) == signal.SIGKILL
    assert stage.run(served, "print(2)").lines == ["2"]


@pytest.mark.parametrize("kind", ["as-root", "as-user", "reduced"])
def test_server_and_applications_end_with_a_device_that_is_killed(kind: str, stage: Stage) -> None:
    assert reduced() if kind == "reduced" else linux(own_user=kind == "as-root")  # skips where this host has none
    code = "for _ in range(4): print('pid', flush=True)\nimport time\nwhile True: time.sleep(60)"
    command = [sys.executable, "-m", "tests.engines.sandbox.supervisor_runner", str(stage.folder), kind, code]
    with killed_process(command, stdout=subprocess.PIPE, cwd=ROOT) as device:
        application = int(device.readline())
        begun = list(below(device.pid))
        server = int(fields(application)["PPid"])
        assert application in begun
        assert "serving/program.py" in Path(f"/proc/{server}/cmdline").read_text()
        device.kill()  # it alone, not its group
        device.wait(DEADLINE_S)
        wait_until(lambda: not any(alive(pid) for pid in begun), "the end of everything")


SLOW_WRAPPER = """#!/usr/bin/env python3
import json, os, sys, time
folder = sys.argv[-1]
child = os.fork()
if child == 0:
    os.closerange(3, 4096)
    while True: time.sleep(60)
open(folder + "/made", "w").write(str(child))
while not os.path.exists(folder + "/tell"): time.sleep(0.01)
information = int(sys.argv[sys.argv.index("--info-fd") + 1])
os.write(information, json.dumps({"child-pid": child}).encode())
os.close(information)
while True: time.sleep(60)
"""


def test_a_device_that_ends_while_a_sandbox_is_made_leaves_nothing(stage: Stage) -> None:
    """bubblewrap's first process does not end with it from the very beginning: the server waits to learn its number."""
    wrapper = stage.folder / "wrapper"
    wrapper.write_text(SLOW_WRAPPER)
    wrapper.chmod(0o755)
    own = ForkServer(host.runtime().interpreter)
    asked = {"command": [str(wrapper), str(stage.folder)], "inherited": [], "group": "", "groups": []}

    async def play() -> int:
        with Path(os.devnull).open() as nothing:
            status = await own.request(asked, [nothing.fileno()] * 3)
        made = stage.folder / "made"
        await until(lambda: made.exists() and made.read_text(), "a process that belongs to a sandbox")
        assert own._control is not None
        own._control.close()
        assert alive(int(made.read_text()))
        (stage.folder / "tell").touch()
        status.close()
        return int(made.read_text())

    first = asyncio.run(play())
    assert own._process is not None
    wait_until(lambda: own._process is not None and own._process.poll() == 0, "the end of the server")
    wait_until(lambda: not alive(first), "the end of what was made")


ATTACK = """
import ctypes, errno, os, signal
server, libc = int(os.environ.get("SERVER", os.getppid())), ctypes.CDLL(None, use_errno=True)
def tried(name, act):
    try: print(name, "done" if act() >= 0 else errno.errorcode[ctypes.get_errno()])
    except OSError as error: print(name, errno.errorcode[error.errno])
def read(path): return len(open(path, "rb").read(1))
tried("signal", lambda: os.kill(server, signal.SIGCONT) or 0)
tried("ptrace", lambda: libc.ptrace(0x4206, server, 0, 0))
tried("memory", lambda: os.close(os.open(f"/proc/{server}/mem", os.O_RDWR)) or 0)
tried("environment", lambda: read(f"/proc/{server}/environ"))
tried("descriptors", lambda: len(os.listdir(f"/proc/{server}/fd")))
tried("a copy", lambda: libc.syscall(438, os.pidfd_open(server), 0, 0))
"""


def test_a_hostile_application_does_not_reach_the_server(stage: Stage) -> None:
    """In ``reduced`` it knows the server's number; where it has a process namespace it does not even know that."""
    refused = {line.split(" ")[-1] for line in stage.run(reduced(), ATTACK).lines}
    assert refused <= {"EPERM", "EACCES"}
    environment = {**os.environ, "SERVER": str(server().pid)}
    control = subprocess.run(
        [sys.executable, "-c", ATTACK], env=environment, capture_output=True, text=True, check=True
    )
    done = {line.removesuffix(" done") for line in control.stdout.splitlines() if line.endswith(" done")}
    assert done == {"signal", "ptrace", "memory", "environment", "descriptors", "a copy"}, control.stdout
    assert stage.run(reduced(), "print('still there')").lines == ["still there"]
