# SPDX-License-Identifier: Apache-2.0
"""Attack: an application floods its device, sends what is no frame, half of one, descriptors, and says it is another.

Control: another application beside it, in a sandbox of the same kind, is answered every time; the device keeps nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

from tests.device.interface.asking import Asked, Host, application, parts
from tests.engines.sandbox.conftest import sandbox, stage
from tests.engines.sandbox.sandbox_stage import Stage
from tests.fixtures.application_samples import APPLIBS
from tests.fixtures.waiting import until

from armillary.device.interface.methods import method_table
from armillary.engines.sandbox.port import AppEvent, OutputLine, Sandbox

__all__ = ["sandbox", "stage"]

Beside = Callable[[], Awaitable[list[str]]]
LIBRARY = (APPLIBS / "python/armillary_application.py").read_bytes()
HOSTILE = """
import json, os, socket, struct, threading, time
where = os.environ["ARMILLARY_APPLICATION_SOCKET"]
def connect():
    stream = socket.socket(socket.AF_UNIX); stream.connect(where); return stream
def frame(message):
    body = json.dumps(message).encode(); return struct.pack(">I", len(body)) + body
def flood():
    stream = connect()
    while True: stream.sendall(frame({"id": 1, "method": "time.get"}) * 100)
def connects():
    while True:
        try: connect()
        except OSError: pass
def half():
    stream = connect(); stream.sendall(frame({"id": 1, "method": "time.get"})[:9]); time.sleep(3600)
def huge():
    while True:
        stream = connect(); stream.sendall(b"\\xff\\xff\\xff\\xff" + bytes(100_000)); stream.recv(1000); stream.close()
def descriptors():
    stream = connect(); held = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
    while True:
        try: socket.send_fds(stream, [frame({"id": 1, "method": "time.get"})], held)
        except PermissionError: time.sleep(3600)  # reduced: nothing but bytes leaves an application
        stream.recv(1000)
def forever(what):
    while True:
        try: what()
        except (OSError, struct.error): time.sleep(0.01)
for what in (flood, connects, half, huge, descriptors):
    threading.Thread(target=forever, args=(what,), daemon=True).start()
print("hostile", flush=True)
time.sleep(3600)
"""
HONEST = """
from armillary_application import Device
with Device() as device:
    for number in range(100):
        assert device.ask("time.get")["unix_s"] == 1_800_000_000
    print(device.ask("interface.describe")["component_id"])
print("done")
"""
PRETENDS = """
import json, os
from armillary_application import Device, DeviceError
with Device() as device:
    try: device.ask("interface.describe", component_id="00000000-0000-0000-0000-000000000002"); print("answered")
    except DeviceError as error: print(error.errno)
    print(device.ask("interface.describe")["component_id"])
"""


async def run(
    stage: Stage,
    sandbox: Sandbox,
    asked: Asked,
    code: str,
    enough: Callable[[list[str]], bool],
    then: Beside | None = None,
) -> list[str]:
    """Run an application until it has printed enough, then what is done beside it; what it has printed."""
    lines: list[str] = []

    def hear(event: AppEvent) -> None:
        if isinstance(event, OutputLine):
            lines.append(event.text)

    launch = stage.launch(code, interface=asked.path, files={"bin/armillary_application.py": LIBRARY})
    running = await sandbox.start(launch, hear)
    try:
        async with asyncio.timeout(60):
            while not enough(lines):
                await asyncio.sleep(0.01)
        return lines if then is None else await then()
    finally:
        await running.stop(0.1)


def device(stage: Stage) -> Host:
    """The interface of a whole device."""
    folder = stage.folder / "device"
    rows = [each for each in method_table(parts(folder)).rows if each.name != "interface.describe"]
    return Host(folder, lambda _: rows)


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_another_application_is_answered_every_time(stage: Stage, sandbox: Sandbox) -> None:
    async def play() -> list[str]:
        host = device(stage)
        async with host.open(application(1)) as hostile, host.open(application(2)) as other:
            before = descriptors()

            async def honest() -> list[str]:
                await asyncio.sleep(0.5)  # as much of a flood as half a second has
                return await run(stage, sandbox, other, HONEST, lambda found: "done" in found)

            found = await run(stage, sandbox, hostile, HOSTILE, lambda found: found == ["hostile"], honest)
        # The loop closes a connection that has ended at its next turn.
        await until(lambda: descriptors() <= before, "the device keeps nothing of it")
        return found

    assert asyncio.run(play()) == [str(UUID(int=2)), "done"]


def test_it_is_who_it_is_whatever_it_says(stage: Stage, sandbox: Sandbox) -> None:
    async def play() -> list[str]:
        async with device(stage).open(application(1)) as asked:
            return await run(stage, sandbox, asked, PRETENDS, lambda found: len(found) == 2)

    assert asyncio.run(play()) == ["22", str(UUID(int=1))]
