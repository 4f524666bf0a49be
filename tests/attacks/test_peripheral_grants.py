# SPDX-License-Identifier: Apache-2.0
"""An application in its sandbox reaches the lines that it was granted, and by them no other line, chip or bus.

The lines are pipes: this host has no GPIO drivers. What the kernel does with a line's descriptor is its interface's
promise (``engines/peripherals/gpio.py``); what is shown here is what an application can do with one.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.device.interface.peripheral_bench import Bench, Hardware
from tests.engines.sandbox.conftest import sandbox, stage
from tests.engines.sandbox.sandbox_stage import Outcome, Stage

from armillary.engines.sandbox.port import ConnectionAttempt, Sandbox

__all__ = ["sandbox", "stage"]

DEADLINE_S = 60.0

ASK = """
import errno, fcntl, json, os, socket
stream = socket.socket(socket.AF_UNIX)
stream.connect(os.environ["ARMILLARY_APPLICATION_SOCKET"])
def ask(method, **parameters):
    body = json.dumps({"id": 1, "method": method, "parameters": parameters}).encode()
    stream.sendall(len(body).to_bytes(4, "big") + body)
    data, descriptors, _, _ = socket.recv_fds(stream, 65536, 8)
    found = json.loads(data[4:])
    return found.get("error", {}).get("name", "ok"), descriptors
def attempt(name, act):
    try: act(); print(name, "done")
    except OSError as error: print(name, errno.errorcode[error.errno])
"""

LINE = """
said, lines = ask("gpio.open-output", pin=8, level=1)
print("own", said, len(lines))
line = lines[0]
os.write(line, b"level")
for name, request in (("get-values", 0xC010B40E), ("set-values", 0xC010B40F)):
    attempt(name, lambda: fcntl.ioctl(line, request, bytearray(16)))
for name, request in (("get-line", 0xC250B407), ("chip-info", 0x8044B401), ("set-config", 0xC110B40D),
                      ("line-handle", 0xC16CB403), ("high-bits", 0x1C250B407), ("i2c", 0x0707), ("spi", 0x40206B00)):
    attempt(name, lambda: fcntl.ioctl(line, request & 0xFFFFFFFF, bytearray(592)))
for node in ("/dev/gpiochip0", "/dev/i2c-1", "/dev/spidev0.0", "/sys/class/pwm/pwmchip0/export",
             "/sys/class/gpio/export"):
    attempt(node, lambda: os.open(node, os.O_RDWR))
for pin in (9, 10):
    print("pin", pin, *ask("gpio.open-output", pin=pin, level=1))
    print("get", pin, ask("gpio.get", pin=pin)[0])
print("bus", ask("i2c.transfer", bus="ISU3", address=72, read=1)[0])
print("wild", ask("gpio.open-output", pin="8 or 9", level=1)[0])
"""

NO_GRANT = """
attempt("get-values", lambda: fcntl.ioctl(0, 0xC010B40E, bytearray(16)))
print("pin", *ask("gpio.open-output", pin=8, level=1))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path that is short enough for socket addresses."""
    with tempfile.TemporaryDirectory(prefix="armillary-test-") as found:
        yield Path(found)


def play(stage: Stage, sandbox: Sandbox, folder: Path, code: str, *, granted: bool) -> tuple[Outcome, Hardware, list]:
    """Run a program whose interface is that of the bench's first application, or of one without peripherals."""

    async def run() -> tuple[Outcome, Hardware, list]:
        outcome, hardware = Outcome(), Hardware()
        bench = Bench(folder, hardware)
        app = bench.mine if granted else bench.nobody
        try:
            async with bench.host.open(app) as asked:
                launch = stage.launch(ASK + code, interface=asked.path, peripherals=app.grant.peripherals)
                running = await sandbox.start(launch, outcome.events.append)
                try:
                    async with asyncio.timeout(DEADLINE_S):
                        outcome.status = await running.wait()
                finally:
                    await running.stop(0)
        finally:
            hardware.go_on.set()
            bench.use.close()
        return outcome, hardware, asked.events

    return asyncio.run(run())


def test_a_line_is_no_way_to_another_line_to_the_chip_or_to_a_bus(stage: Stage, sandbox: Sandbox, folder: Path) -> None:
    found, hardware, reported = play(stage, sandbox, folder, LINE, granted=True)
    assert found.lines[:3] == ["own ok 1", "get-values ENOTTY", "set-values ENOTTY"], found.errors  # a pipe is asked
    refused = ("get-line", "chip-info", "set-config", "line-handle", "high-bits", "i2c", "spi")
    assert found.lines[3:10] == [f"{name} EPERM" for name in refused]  # the filter: nothing is asked
    assert {line.split()[1] for line in found.lines[10:15]} <= {"EACCES", "ENOENT"}
    assert found.lines[15:] == [
        *(f"{word}" for pin in (9, 10) for word in (f"pin {pin} EACCES []", f"get {pin} EACCES")),
        "bus EACCES",
        "wild EINVAL",
    ]
    assert len(hardware.lines) == 1
    whats = [each.host for each in reported if isinstance(each, ConnectionAttempt)]
    assert len(whats) == 5
    assert whats[0] == "gpio.open-output of Gpio 9 without Gpio"


def test_without_a_pin_no_line_is_given_and_none_could_be_used(stage: Stage, sandbox: Sandbox, folder: Path) -> None:
    found, hardware, reported = play(stage, sandbox, folder, NO_GRANT, granted=False)
    assert found.lines == ["get-values EPERM", "pin EACCES []"], found.errors
    assert hardware.lines == []
    assert [each.host for each in reported] == ["gpio.open-output without Gpio"]
