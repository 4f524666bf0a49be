# SPDX-License-Identifier: Apache-2.0
"""A native application in a real sandbox is debugged by a stock gdb, through ports that nobody else gets in at."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.conformance.attached_device import Attached, attached, served
from tests.fixtures.native_program import NO_COMPILER
from tests.fixtures.other_user import run_as_other
from tests.fixtures.waiting import wait_until

from armillary.cli.main import needed
from armillary.engines.sandbox.network.own_ports import check_not_own
from armillary.identity.manufacturing import ManufacturingState

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("gdb") is None, reason="needs gdb: sudo apt-get install gdb gdbserver"),
    pytest.mark.skipif(shutil.which("gdbserver") is None, reason="needs gdbserver: sudo apt-get install gdbserver"),
]

COMPONENT = str(uuid.UUID(int=1))
LIMIT_S = 60.0
SOURCE = """
#include <stdio.h>
#include <unistd.h>
volatile int number;
__attribute__((noinline)) void tick(void) { number++; }
int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    for (;;) { tick(); printf("tick %d\\n", number); usleep(50000); }
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip(NO_COMPILER)
    folder = tmp_path_factory.mktemp("program")
    (folder / "app.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-O1", "-o", folder / "app", folder / "app.c"], check=True)
    return folder / "app"


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory, program: Path) -> Iterator[Attached]:
    with served() as service:
        service.deploy(service.application(program.read_bytes()))
        folder = tmp_path_factory.mktemp("debugged") / "device"
        with attached(folder, service, ManufacturingState.BLANK, sandbox="linux") as found:
            found.wait_until_updated()
            yield found


def asked(device: Attached, *words: str) -> dict[str, Any]:
    command = ["app", *words, "--component-id", COMPONENT, "--data", str(device.folder), "--json"]
    found = CliRunner().invoke(needed("device", ["app"]), command, prog_name="armillary device")
    assert found.exit_code == 0, (found.output, found.exception)
    return dict(json.loads(found.stdout))


def lines_from(port: int) -> Iterator[str]:
    with socket.create_connection(("127.0.0.1", port), LIMIT_S) as stream, stream.makefile() as lines:
        yield from lines


def test_a_stock_debugger_stops_it_changes_it_and_lets_it_go(device: Attached, program: Path) -> None:
    ports = asked(device, "start", "--debug-mode")
    assert ports["state"] == "debugging"
    commands = [
        f"target remote 127.0.0.1:{ports['gdbPort']}",
        "break tick",
        "continue",
        "set var number = 100000",
        "detach",
    ]
    shown = subprocess.run(
        ["gdb", "-nx", "-batch", *(part for each in commands for part in ("-ex", each)), program],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={"PATH": "/usr/bin:/bin", "DEBUGINFOD_URLS": ""},
    )
    assert "Breakpoint 1, tick" in shown.stdout, shown.stdout + shown.stderr
    for line in lines_from(ports["outPort"]):
        if int(line.removeprefix("tick ")) > 100_000:
            break
    else:
        pytest.fail("the output ended")
    assert asked(device, "show-status") == {"state": "debugging"}
    for port in (ports["gdbPort"], ports["outPort"]):
        with pytest.raises(PermissionError, match="belongs to a device"):
            check_not_own(ip_address("127.0.0.1"), port)
    assert asked(device, "start") == {"state": "running"}
    for port in (ports["gdbPort"], ports["outPort"]):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), LIMIT_S)


def test_another_user_of_this_host_gets_nothing(device: Attached) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root is another user than it runs as; to enable: run as root")
    ports = asked(device, "start", "--debug-mode")
    program = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); print(s.recv(64))"
    for port in (ports["gdbPort"], ports["outPort"]):
        assert run_as_other(["-c", program, str(port)]).stdout == "b''\n"
    assert next(lines_from(ports["outPort"])).startswith("tick "), "it is there for who may"
    assert asked(device, "start") == {"state": "running"}


def test_one_client_is_inside_at_a_time_and_the_device_ends_with_one(device: Attached) -> None:
    ports = asked(device, "start", "--debug-mode")
    first = lines_from(ports["outPort"])
    assert next(first).startswith("tick ")
    with socket.create_connection(("127.0.0.1", ports["outPort"]), LIMIT_S) as second:
        assert second.recv(1) == b"", "another one is inside"
    first.close()
    again = wait_until(lambda: next(lines_from(ports["outPort"]), ""), "there is room again")
    assert again.startswith("tick ")
    held = socket.create_connection(("127.0.0.1", ports["gdbPort"]), LIMIT_S)
    with contextlib.closing(held), held.makefile("rb") as replies:
        held.sendall(b"+$?#3f")
        assert replies.read(3) == b"+$T", "gdbserver holds the application"
        assert asked(device, "stop") == {"state": "stopped"}, "whoever holds it"
    assert asked(device, "start") == {"state": "running"}


def test_nothing_is_left_of_a_device_that_is_killed_while_somebody_debugs(tmp_path: Path, device: Attached) -> None:
    with attached(tmp_path / "device", device.service, ManufacturingState.BLANK, sandbox="linux") as killed:
        killed.wait_until_updated()
        ports = asked(killed, "start", "--debug-mode")
        own = json.loads((killed.folder / "status.json").read_bytes())["pid"]
        with socket.create_connection(("127.0.0.1", ports["gdbPort"]), LIMIT_S) as held, held.makefile("rb") as replies:
            held.sendall(b"+$?#3f")
            assert replies.read(3) == b"+$T"
            (server,) = (pid for pid, parent, name in processes() if parent == own and name == "gdbserver")
            (traced,) = (pid for pid, _, _ in processes() if f"TracerPid:\t{server}" in status_of(pid))
            os.kill(own, signal.SIGKILL)
            wait_until(lambda: not {server, traced} & {pid for pid, _, _ in processes()}, "both are gone")


def processes() -> list[tuple[int, int, str]]:
    """(process, parent, name) of all that are no zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = {line.partition(":")[0]: line.partition(":")[2].strip() for line in status_of(int(entry.name))}
            if fields and not fields["State"].startswith("Z"):
                found.append((int(entry.name), int(fields["PPid"]), fields["Name"]))
    return found


def status_of(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return []
