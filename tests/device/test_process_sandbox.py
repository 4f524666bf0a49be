# SPDX-License-Identifier: Apache-2.0
"""The device process with a sandbox that runs applications: what they do decides, and nobody says it for them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.device.rig import Rig, provisioned
from tests.fixtures.native_program import NO_TRACER, SECRET, native_program
from tests.fixtures.ports import reserved_port
from tests.fixtures.waiting import until

from armillary.capability.device_addresses import parse_device_addresses
from armillary.device.settings import DeviceSettings
from armillary.engines.sandbox.crash.ptrace import can_trace
from armillary.engines.sandbox.network.kernel import machine
from armillary.engines.sandbox.port import Sandbox
from armillary.engines.sandbox.selection import open_sandbox
from armillary.errors import SandboxUnavailableError
from armillary.update.install.trial import TrialRules
from armillary.wire.device.checkin import FULL_DUMPS, NO_DUMPS, SCRUBBED_DUMPS
from armillary.wire.device.crash_dump import parse_dump
from armillary.wire.image.elf_symbols import read_elf

# A trial long enough for a program to start and end by itself on a busy machine.
SETTINGS = DeviceSettings(
    trial=TrialRules(healthy_s=3.0, exits_allowed=2, deadline_s=60.0), retry_first_s=0.05, retry_limit_s=0.2
)
WAIT_S = 60.0


@pytest.fixture(params=["linux", "crun"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """The one a device would use on this host, and the one of containers."""
    try:
        return open_sandbox(request.param)
    except SandboxUnavailableError as error:
        pytest.skip(
            f"this host contains no application: {error.message}; to enable: "
            "sudo apt-get install bubblewrap crun && sudo sysctl kernel.unprivileged_userns_clone=1"
        )


def check_status(rig: Rig, sandbox: Sandbox) -> None:
    """It says of the application that runs what holds it to what it was granted, and what it uses."""
    (shown,) = rig.status()["applications"]
    by_mechanism = {each["mechanism"]: each for each in shown["held_by"]}
    report = sandbox.self_test()
    held = {each.name for each in report.mechanisms if each.enforced}
    assert {name for name, each in by_mechanism.items() if each["held"]} == by_mechanism.keys() & held
    assert by_mechanism["seccomp"] == {
        "application": shown["name"], "granted": "system-calls", "value": "", "mechanism": "seccomp", "held": True, "why": "",
    }  # fmt: skip
    for each in report.absent:
        assert each.name not in by_mechanism or by_mechanism[each.name]["why"].startswith(each.detail[:40])
    if "memory-limit" in held:
        assert shown["usage"]["memory_bytes"] > 0
        assert shown["usage"]["processes"] >= 1


@pytest.mark.anyio
async def test_an_update_that_ends_by_itself_is_taken_back(tiny_service: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    async with provisioned(tiny_service, sandbox, tmp_path / "d") as rig:
        good = rig.service.application(b"#!/usr/bin/env sh\nexec sleep 600\n")
        rig.service.deploy(good)
        await rig.start(SETTINGS)
        await until(lambda: rig.outcomes() == [(good.image_id, "confirmed")], "first version", WAIT_S)
        check_status(rig, sandbox)
        bad = rig.service.application(b"#!/usr/bin/env sh\nexit 11\n")
        rig.service.deploy(bad)
        rig.device.check_in_now()
        await until(lambda: (bad.image_id, "reverted") in rig.outcomes(), "revert", WAIT_S)
        reports = {each.event_type: each for each in rig.service.reports_seen.values()}
        said = f"AppExit (exit_code=11; component_id={good.component_id}; image_id={bad.image_id})"
        assert reports["AppExit"].description == said
        await until(lambda: running(rig) == [str(good.image_id)], "old version", WAIT_S)


FAULT = b"""#!/usr/bin/env python3
import ctypes
def pump():
    ctypes.string_at(1)
pump()
"""
RAISE = b"""#!/usr/bin/env python3
def pump():
    raise KeyError("what belongs to a person")
pump()
"""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("program", "end"), [(FAULT, (11, None, "")), (RAISE, (None, 1, "KeyError"))], ids=["fault", "raise"]
)
async def test_where_an_application_crashed_is_captured(
    tiny_service: Any, sandbox: Sandbox, tmp_path: Path, program: bytes, end: tuple[int | None, int | None, str]
) -> None:
    async with provisioned(tiny_service, sandbox, tmp_path / "d") as rig:
        rig.service.deploy(rig.service.application(program))
        await rig.start(SETTINGS)
        await until(lambda: rig.service.reports_seen, "a report", WAIT_S)
        crash = next(each.crash for each in rig.service.reports_seen.values() if each.event_type.startswith("App"))
        assert (crash.signal, crash.exit_code, crash.cause) == end
        own = [one.function for one in crash.frames if one.module.endswith("app")]
        assert own == ["pump", "<module>"]
        assert "person" not in repr(crash)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("consent", "has_data"),
    [(NO_DUMPS, False), (SCRUBBED_DUMPS, False), (FULL_DUMPS, True)],
    ids=["no", "scrubbed", "full"],
)
async def test_a_native_crash_is_told_and_dumped_as_far_as_the_group_wants(
    tiny_service: Any, sandbox: Sandbox, tmp_path: Path, consent: int, has_data: bool
) -> None:
    if not can_trace(machine()):
        pytest.skip(NO_TRACER)
    async with provisioned(tiny_service, sandbox, tmp_path / "d") as rig:
        rig.service.dumps = consent
        application = rig.service.application(native_program())
        rig.service.deploy(application)
        await rig.start(SETTINGS)
        await until(lambda: rig.service.reports_seen, "a report", WAIT_S)
        crash = next(each.crash for each in rig.service.reports_seen.values() if each.event_type == "AppCrash")
        symbols = read_elf(native_program())
        names = [symbols.name_at(one.offset).partition(".")[0] for one in crash.frames if one.module == "app"]
        assert names[:3] == ["pump", "valve", "main"]
        assert [name for name, _ in crash.registers] == ["pc", "lr"]
        if consent != NO_DUMPS:
            await until(lambda: rig.service.dumps_taken, "a dump", WAIT_S)
            found = parse_dump(rig.service.dumps_taken[0])
            assert found.image_id == application.image_id
            assert found.state.frames == crash.frames
            assert (SECRET in rig.service.dumps_taken[0]) == has_data
        assert bool(rig.service.dumps_taken) == (consent != NO_DUMPS)
        region = tmp_path / "d" / "flash" / "device" / "crash-dumps"
        assert consent != NO_DUMPS or not region.exists()


def running(rig: Rig) -> list[str]:
    """Images of the applications that run, as the device says."""
    return [each["image_id"] for each in rig.status().get("applications", []) if each["state"] == "running"]


SERIAL = b"""#!/usr/bin/env python3
import os
line = os.open(os.environ["ARMILLARY_UART_ISU0"], os.O_RDWR | os.O_NOCTTY)
os.write(line, b"ready")
print("ISU1" in " ".join(os.environ), flush=True)
os.read(line, 1)
"""


@pytest.mark.anyio
async def test_an_application_speaks_on_the_serial_port_that_its_device_was_told(
    tiny_service: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    """And is told of no port that its device has no node for, which the log and the status say."""
    outer, inner = os.openpty()
    try:
        async with provisioned(tiny_service, sandbox, tmp_path / "d") as rig:
            rig.service.deploy(rig.service.application(SERIAL, Uart=["ISU0", "ISU1"]))
            await rig.start(replace(SETTINGS, serial_ports={"ISU0": Path(os.ttyname(inner))}))
            loop = asyncio.get_running_loop()
            assert await asyncio.wait_for(loop.run_in_executor(None, os.read, outer, 5), WAIT_S) == b"ready"
            await until(lambda: rig.events("output"), "its output", WAIT_S)
            assert [line["text"] for line in rig.events("output")] == ["False"]
            assert [(entry["name"]) for entry in rig.events("serial-port-missing")] == ["ISU1"]
            missing = {port["name"]: port["missing"] is not None for port in rig.status()["serial_ports"]}
            assert missing == {"ISU0": False, "ISU1": True}
    finally:
        os.close(outer)
        os.close(inner)


CHANNEL = """#!/usr/bin/env python3
import json, os, socket, time
def connect(partner):
    device = socket.socket(socket.AF_UNIX)
    device.connect(os.environ["ARMILLARY_APPLICATION_SOCKET"])
    body = json.dumps({"id": 1, "method": "application.connect", "parameters": {"component_id": partner}}).encode()
    while True:
        device.sendall(len(body).to_bytes(4, "big") + body)
        answer, descriptors, _, _ = socket.recv_fds(device, 65536, 1)
        if descriptors:
            return socket.socket(fileno=descriptors[0])
        print(json.loads(answer[4:])["error"]["name"], flush=True)
        time.sleep(0.1)
channel = connect("00000000-0000-0000-0000-00000000000PARTNER")
channel.sendmsg([b"from ", b"OWN"])
print("heard", channel.recv(2000).decode(), flush=True)
time.sleep(600)
"""


@pytest.mark.anyio
async def test_two_applications_speak_by_their_channel(tiny_service: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    """And a third, which names one of them, does not."""
    async with provisioned(tiny_service, sandbox, tmp_path / "d") as rig:
        described = []
        for own, partner, names in ((1, 2, [2]), (2, 1, [1]), (3, 1, [1])):
            program = CHANNEL.replace("PARTNER", str(partner)).replace("OWN", str(own)).encode()
            partners = [str(UUID(int=each)) for each in names]
            described.append(rig.service.application(program, component=own, AllowedApplicationConnections=partners))
        rig.service.deploy(*described)
        await rig.start(SETTINGS)

        def said() -> dict[str, set[str]]:
            found: dict[str, set[str]] = {}
            for entry in rig.events("output"):
                found.setdefault(entry["name"], set()).add(entry["text"])
            return found

        await until(lambda: running(rig), "the applications", WAIT_S)
        await until(lambda: set(said()) >= {"app1", "app2", "app3"}, "what they say", WAIT_S)
        await until(lambda: "heard from 2" in said()["app1"] and "heard from 1" in said()["app2"], "messages", WAIT_S)
        assert said()["app3"] == {"EACCES"}


FILLS = b"""#!/usr/bin/env python3
import errno, os, time
try:
    for number in range(64):
        with open(os.environ["ARMILLARY_DATA"] + f"/{number}", "wb") as file: file.write(bytes(4096))
except OSError as error: print(errno.errorcode[error.errno], flush=True)
time.sleep(600)
"""


@pytest.mark.anyio
async def test_many_small_files_meet_the_quota_of_a_device_that_root_runs(
    tiny_service: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    if not any(each.name == "mutable-storage-limit" and each.enforced for each in sandbox.self_test().mechanisms):
        pytest.skip("this host gives no file systems to applications: as root with loop devices, sudo make test")
    async with provisioned(tiny_service, sandbox, tmp_path / "d") as rig:
        rig.service.deploy(rig.service.application(FILLS, MutableStorage={"SizeKB": 16}))
        await rig.start(SETTINGS)
        await until(lambda: running(rig), "the application", WAIT_S)
        await until(lambda: rig.events("output"), "what it says", WAIT_S)
        assert rig.events("output")[0]["text"] == "ENOSPC"


SERVES = """#!/usr/bin/env python3
import socket
server = socket.create_server(("", PORT))
while True:
    peer, _ = server.accept()
    peer.sendall(b"served"); peer.close()
"""


@pytest.mark.anyio
async def test_an_applications_server_is_reached_where_the_owner_of_the_host_said(
    tiny_service: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    port = reserved_port()
    settings = replace(SETTINGS, addresses=parse_device_addresses(["127.0.0.2"]))
    async with provisioned(tiny_service, sandbox, tmp_path / "d") as rig:
        program = SERVES.replace("PORT", str(port)).encode()
        rig.service.deploy(rig.service.application(program, AllowedTcpServerPorts=[port]))
        await rig.start(settings)
        await until(lambda: running(rig) and rig.events("server-port-open"), "the port", WAIT_S)
        reader, writer = await asyncio.open_connection("127.0.0.2", port)
        assert await reader.read() == b"served"
        writer.close()
