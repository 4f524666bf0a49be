# SPDX-License-Identifier: Apache-2.0
"""Start, output, limits, stop: and that nothing is left behind, however it ends."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop
from tests.engines.sandbox.sandbox_stage import (
    DEADLINE_S,
    ENGINES,
    Listeners,
    Outcome,
    Stage,
    engine,
    linux,
    publish_credentials,
)
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import until, wait_until

from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.port import LINE_LIMIT_BYTES, OutputLine, RunningApplication, Sandbox
from armillary.engines.sandbox.selection import open_sandbox
from armillary.engines.sandbox.start.supervise import exit_status
from armillary.errors import InstallError, SandboxUnavailableError

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=[*ENGINES, "process"])
def any_sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return open_sandbox("process") if request.param == "process" else engine(request.param)


def alive(pid: int) -> bool:
    """A process that is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("code", "exit_code", "number"),
    [
        ("", 0, None),
        ("exit(3)", 3, None),
        ("import os; os.abort()", None, 6),
        ("import os; os.kill(os.getpid(), 11)", None, 11),
    ],
)
def test_how_it_ended(stage: Stage, any_sandbox: Sandbox, code: str, exit_code: int | None, number: int | None) -> None:
    outcome = stage.run(any_sandbox, code)
    assert outcome.status is not None
    assert (outcome.status.exit_code, outcome.status.signal) == (exit_code, number)


def test_exit_codes_of_the_wrapper() -> None:
    assert exit_status(139, wraps=True).signal == 11
    assert exit_status(139, wraps=False).exit_code == 139
    assert exit_status(255, wraps=True).exit_code == 255
    assert exit_status(-9, wraps=True).signal == 9


def test_what_an_application_finds(stage: Stage, any_sandbox: Sandbox, tmp_path: Path) -> None:
    data, daa = tmp_path / "data", tmp_path / "daa"
    for folder in (data, daa):
        folder.mkdir(mode=0o700)
    (daa / "key.pem").write_bytes(b"secret")
    (daa / "key.pem").chmod(0o600)
    code = """
import os, sys
print(sys.argv[1:], sys.stdin.read() == "")
print(os.environ["ARMILLARY_DEVICE_ID"], os.environ["PATH"] != "wrong", "SHELL" in os.environ)
with open(os.environ["ARMILLARY_DATA"] + "/kept", "w") as file: file.write("kept")
print(open(os.environ["ARMILLARY_DEVICE_AUTHENTICATION"] + "/key.pem").read())
"""
    environment = {"ARMILLARY_DEVICE_ID": "d1", "PATH": "wrong"}
    outcome = stage.run(
        any_sandbox, code, data=data, device_authentication=daa, environment=environment, arguments=("one", "two words")
    )
    assert outcome.lines == ["['one', 'two words'] True", "d1 True False", "secret"], outcome.errors
    assert (data / "kept").read_text() == "kept"


def test_the_credentials_cannot_be_changed(stage: Stage, sandbox: Sandbox, tmp_path: Path) -> None:
    daa = tmp_path / "daa"
    daa.mkdir()
    code = """
import errno, os
for name in ("new", "key.pem"):
    try: open(os.environ["ARMILLARY_DEVICE_AUTHENTICATION"] + "/" + name, "w"); print("written")
    except OSError as error: print("refused")
"""
    (daa / "key.pem").write_bytes(b"k")
    outcome = stage.run(sandbox, code, device_authentication=daa)
    assert outcome.lines == ["refused", "refused"], outcome.errors


def test_replaced_credentials_are_seen(stage: Stage, sandbox: Sandbox, tmp_path: Path) -> None:
    daa = tmp_path / "daa"
    publish_credentials(daa, {"certificate.pem": b"first"})
    code = """
import os, time
path = os.environ["ARMILLARY_DEVICE_AUTHENTICATION"] + "/certificate.pem"
print(open(path).read(), flush=True)
while open(path).read() != "second": time.sleep(0.01)
print("second")
"""

    async def play() -> list[str]:
        outcome = Outcome()
        running = await sandbox.start(stage.launch(code, device_authentication=daa), outcome.events.append)
        await until(lambda: outcome.lines, "the first certificate")
        publish_credentials(daa, {"certificate.pem": b"second"})
        async with asyncio.timeout(DEADLINE_S):
            await running.wait()
        return outcome.lines

    assert asyncio.run(play()) == ["first", "second"]


def test_output_is_cut_decoded_and_complete(stage: Stage, any_sandbox: Sandbox) -> None:
    code = f"""
import sys
sys.stdout.buffer.write(b"\\xff\\xfe umlaut \\xc3\\xa4\\n" + b"x" * {LINE_LIMIT_BYTES + 10} + b"\\n")
sys.stderr.write("to stderr")
"""
    outcome = stage.run(any_sandbox, code)
    assert outcome.lines == ["\\xff\\xfe umlaut ä", "x" * LINE_LIMIT_BYTES, "x" * 10]
    assert outcome.errors == ["to stderr"]
    assert all(
        time.time() - DEADLINE_S < event.at <= time.time() for event in outcome.events if isinstance(event, OutputLine)
    )


def test_a_flood_of_output_slows_the_application_and_loses_nothing(stage: Stage, enclosed: Sandbox) -> None:
    outcome = stage.run(enclosed, "for number in range(700): print(number)")
    assert outcome.lines == [str(number) for number in range(700)]


def test_stop_asks_first(stage: Stage, any_sandbox: Sandbox) -> None:
    code = """
import signal, sys, time
def stop(*_): print("stopping", flush=True); sys.exit(7)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while True: time.sleep(1)
"""

    async def play() -> tuple[Outcome, Any]:
        outcome = Outcome()
        running = await any_sandbox.start(stage.launch(code), outcome.events.append)
        await until(lambda: outcome.lines, "ready")
        return outcome, await running.stop(DEADLINE_S)

    outcome, status = asyncio.run(play())
    assert outcome.lines == ["ready", "stopping"]
    assert status.exit_code == 7


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0: break
print("pid", flush=True)
while True: time.sleep(1)
"""


def test_stop_ends_what_does_not_listen_and_all_its_children(stage: Stage, any_sandbox: Sandbox) -> None:
    async def play() -> Any:
        outcome = Outcome()
        running = await any_sandbox.start(stage.launch(STUBBORN), outcome.events.append)
        await until(lambda: len(outcome.lines) == 4, "four processes")
        assert alive(running.pid)
        started = processes_of(stage)
        assert len(started) >= 4
        status = await running.stop(0.05)
        await until(lambda: not any(alive(pid) for pid in started), "all processes gone")
        return status

    assert asyncio.run(play()).signal == signal.SIGKILL


def processes_of(stage: Stage) -> set[int]:
    """Process ids of everything that this test started: its folder is in the command or the environment."""
    marker = str(stage.folder).encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                about = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if marker in about:
                found.add(int(entry.name))
    return found


def test_wait_may_be_called_again_and_by_several(stage: Stage, any_sandbox: Sandbox) -> None:
    async def play() -> list[Any]:
        running = await any_sandbox.start(stage.launch("exit(5)"), lambda _: None)
        found = await asyncio.gather(running.wait(), running.wait())
        return [*found, await running.wait(), await running.stop(1)]

    assert {status.exit_code for status in asyncio.run(play())} == {5}


def test_nothing_leaks(stage: Stage, any_sandbox: Sandbox) -> None:
    code = 'import socket\ntry: socket.create_connection(("192.0.2.1", 9), 2)\nexcept OSError: print("refused")'

    async def play() -> tuple[int, int]:
        await (await any_sandbox.start(stage.launch(code), lambda _: None)).wait()
        gc.collect()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            await (await any_sandbox.start(stage.launch("pass"), lambda _: None)).wait()
        running = await any_sandbox.start(stage.launch("import time\nwhile True: time.sleep(1)"), lambda _: None)
        await running.stop(0)
        for broken in ("/bin/missing-interpreter\n", ""):
            with pytest.raises(InstallError):
                await any_sandbox.start(stage.launch("", interpreter=f"#!{broken}"), lambda _: None)
        gc.collect()
        await asyncio.sleep(0)
        return before, len(list(Path("/proc/self/fd").iterdir()))

    before, after = asyncio.run(play())
    assert after <= before


def test_cancelling_a_start_leaves_no_process(stage: Stage, any_sandbox: Sandbox) -> None:
    async def play() -> None:
        for step in range(4):
            task = asyncio.ensure_future(any_sandbox.start(stage.launch("import time; time.sleep(60)"), lambda _: None))
            for _ in range(2 + 6 * step):
                await asyncio.sleep(0)
            task.cancel()
            try:
                running: RunningApplication = await task
            except asyncio.CancelledError:
                continue
            await running.stop(0)
        await until(lambda: not processes_of(stage), "no process left")

    asyncio.run(play())


@pytest.mark.parametrize("kind", ENGINES)
def test_it_ends_with_its_supervisor(kind: str, stage: Stage) -> None:
    """kill -9 of the device: no application survives."""
    name = engine(kind).name  # skips where this host has none
    command = [sys.executable, "-m", "tests.engines.sandbox.supervisor_runner", str(stage.folder), kind, STUBBORN]
    with killed_process(command, stdout=subprocess.PIPE, cwd=ROOT) as supervisor:
        pid = int(supervisor.readline())
        assert alive(pid)
        supervisor.kill()  # it alone, not its group
        supervisor.wait(DEADLINE_S)
        wait_until(lambda: not alive(pid), "the end of the application with its supervisor")
        if name == "reduced":  # children of a plain process are not told, as its report says
            for left in processes_of(stage):
                os.kill(left, signal.SIGKILL)
        wait_until(lambda: not processes_of(stage), "the end of everything else")


def test_under_uvloop(stage: Stage, sandbox: Sandbox) -> None:
    code = 'import socket\nprint(socket.create_connection(("localhost", {port}), 5).recv(5))'

    async def play() -> Outcome:
        outcome = Outcome()
        listeners = await Listeners.open()
        text = code.replace("{port}", str(listeners.port))
        running = await sandbox.start(stage.launch(text, hosts=["localhost"]), outcome.events.append)
        async with asyncio.timeout(DEADLINE_S):
            await running.wait()
        listeners.close()
        return outcome

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(play())
    assert outcome.lines == ["b'hello'"], outcome.errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entry_point": "/bin/other"}, "/bin/other"),
        ({"files": {"usr/lib/libc.so.6": b"x"}}, "usr"),
        ({"interpreter": "#!/no/such/interpreter\n"}, "entry point"),
        ({"real_time": True}, "real-time"),
    ],
)
def test_what_cannot_be_started(stage: Stage, enclosed: Sandbox, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InstallError, match=message):
        stage.run(enclosed, "print(1)", **changes)


def test_a_mechanism_that_is_refused_stops_the_launch(stage: Stage, namespaces: LinuxSandbox) -> None:
    """Fail closed: a launcher that cannot restrict itself does not execute the application."""

    class Broken(LinuxSandbox):
        def plan(self, *arguments: Any) -> Any:
            plan = super().plan(*arguments)

            def configure() -> dict[str, Any]:
                asked = plan.configure()
                asked["landlock"]["paths"].append(["/no/such/path", 1])
                return asked

            return dataclasses.replace(plan, configure=configure)

    broken = Broken(namespaces.bubblewrap, namespaces.own_user)
    with pytest.raises(SandboxUnavailableError, match="landlock"):
        stage.run(broken, "print(1)")


def test_limits_hold(stage: Stage) -> None:
    code = """
import errno, os
children = []
try:
    while len(children) < 500:
        child = os.fork()
        if child == 0:
            import time; time.sleep(60)
        children.append(child)
except OSError as error: print(errno.errorcode[error.errno], len(children) < 64)
files = []
try:
    while True: files.append(open("/dev/null"))
except OSError as error: print(errno.errorcode[error.errno], len(files) < 256)
for child in children: os.kill(child, 9)
try:
    data = bytearray(400 << 20); print("allocated")
except MemoryError: print("ENOMEM")
"""
    outcome = stage.run(linux(own_user=True), code)
    assert outcome.lines == ["EAGAIN True", "EMFILE True", "ENOMEM"], outcome.errors
