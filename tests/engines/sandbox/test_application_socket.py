# SPDX-License-Identifier: Apache-2.0
"""The application interface reaches into every sandbox; the socket of another application does not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.sandbox.sandbox_stage import Outcome, Stage

from armillary.engines.sandbox.port import Sandbox
from armillary.engines.sandbox.selection import open_sandbox

DEADLINE_S = 30.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path that is short enough for socket addresses."""
    with tempfile.TemporaryDirectory(prefix="armillary-test-") as found:
        yield Path(found)


class Sockets:
    """Two sockets of the device; says who came to which and sends a descriptor along."""

    def __init__(self, folder: Path) -> None:
        self.own, self.other = folder / "1.sock", folder / "2.sock"
        self.came: list[tuple[str, int]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        for path in (self.own, self.other):
            listener = socket.socket(socket.AF_UNIX)
            listener.setblocking(False)
            listener.bind(str(path))
            listener.listen(4)
            self._tasks.append(asyncio.create_task(self._accept(listener)))

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                stream, _ = await loop.sock_accept(listener)
                with stream, contextlib.suppress(ConnectionError):
                    user = stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[4:8]
                    self.came.append((listener.getsockname(), int.from_bytes(user, "little")))
                    read, write = os.pipe()
                    try:
                        os.write(write, b"by descriptor")
                        socket.send_fds(stream, [b"hello"], [read])
                    finally:  # who floods is gone before it is greeted
                        os.close(read)
                        os.close(write)
                    while data := await loop.sock_recv(stream, 100):
                        await loop.sock_sendall(stream, data.upper())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def play(stage: Stage, sandbox: Sandbox, code: str, folder: Path) -> tuple[Outcome, Sockets]:
    """Run a program with an interface; ``{other}`` in it is the path of another application's."""

    async def run() -> tuple[Outcome, Sockets]:
        outcome, sockets = Outcome(), Sockets(folder)
        sockets.open()
        launch = stage.launch(code.replace("{other}", str(sockets.other)), interface=sockets.own)
        try:
            running = await sandbox.start(launch, outcome.events.append)
            try:
                async with asyncio.timeout(DEADLINE_S):
                    outcome.status = await running.wait()
            finally:
                await running.stop(0)
        finally:
            await sockets.close()
        return outcome, sockets

    return asyncio.run(run())


TALK = """
import os, socket
stream = socket.socket(socket.AF_UNIX)
stream.connect(os.environ["ARMILLARY_APPLICATION_SOCKET"])
data, descriptors, _, _ = socket.recv_fds(stream, 100, 4)
print(data, [os.read(each, 100) for each in descriptors])
stream.sendall(b"shout"); print(stream.recv(100))
stream.send(b"again"); print(stream.recv(100))
"""


def test_an_application_talks_to_its_device(stage: Stage, sandbox: Sandbox, folder: Path) -> None:
    found, sockets = play(stage, sandbox, TALK, folder)
    assert found.lines == ["b'hello' [b'by descriptor']", "b'SHOUT'", "b'AGAIN'"], found.errors
    assert sockets.came == [(str(sockets.own), os.geteuid())]  # the device itself connects for it


OTHERS = """
import errno, os, socket
for path in ("{other}", os.path.dirname("{other}") + "/./2.sock", "/proc/self/root{other}", "\\0armillary"):
    try: socket.socket(socket.AF_UNIX).connect(path); print("connected")
    except OSError as error: print("refused")
link = os.path.join(os.environ["TMPDIR"], "link")
os.symlink("{other}", link)
try: socket.socket(socket.AF_UNIX).connect(link); print("connected")
except OSError as error: print("refused")
own = os.environ["ARMILLARY_APPLICATION_SOCKET"]
for change in (os.unlink, lambda path: os.rename(path, path + "x")):
    try: change(own); print("changed")
    except OSError: print("refused")
"""


def test_another_applications_socket_is_out_of_reach(stage: Stage, sandbox: Sandbox, folder: Path) -> None:
    found, sockets = play(stage, sandbox, OTHERS, folder)
    assert found.lines == ["refused"] * 7, found.errors
    assert sockets.came == []


def test_control_without_a_sandbox_it_is_reached(stage: Stage, folder: Path) -> None:
    found, sockets = play(stage, open_sandbox("process"), OTHERS, folder)
    assert found.lines[:3] == ["connected"] * 3, found.errors
    assert {path for path, _ in sockets.came} == {str(sockets.other)}


def test_without_an_interface_there_is_no_variable(stage: Stage, sandbox: Sandbox) -> None:
    found = stage.run(
        sandbox,
        'import os; print(os.environ.get("ARMILLARY_APPLICATION_SOCKET"), os.path.exists("/run/armillary/application.sock"))',
    )
    assert found.lines == ["None False"]


FLOOD = """
import os, socket, threading
def connect():
    for _ in range(20):
        stream = socket.socket(socket.AF_UNIX); stream.settimeout(0.2)
        try: stream.connect(os.environ["ARMILLARY_APPLICATION_SOCKET"])
        except OSError: pass
threads = [threading.Thread(target=connect) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("done")
"""


def test_a_flood_of_connects_ends(stage: Stage, sandbox: Sandbox, folder: Path) -> None:
    found, sockets = play(stage, sandbox, FLOOD, folder)
    assert found.lines == ["done"], found.errors
    assert {path for path, _ in sockets.came} == {str(sockets.own)}
