# SPDX-License-Identifier: Apache-2.0
"""What an application may ask: rows with capabilities, refusals that are reported, errors that say what to do."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.device.interface.asking import DEVICE_ID, Host, application, events

from armillary.capability.grant import Grant, Peripheral
from armillary.capability.network import allowed_hosts
from armillary.device.interface.log import Log
from armillary.device.interface.method import Answer, Call, Method, error_id, is_granted
from armillary.device.interface.table import MethodTable
from armillary.engines.sandbox.port import METHOD, ConnectionAttempt
from armillary.errors import InstallError

pytestmark = pytest.mark.anyio


async def echo(call: Call) -> Mapping[str, Any]:
    number = call.parameters.integer("number", 0, 9)
    call.parameters.finish()
    return {"number": number}


async def fails(call: Call) -> None:
    raise [OSError(errno.EBUSY, "in use"), InstallError("no such thing", remedy="Ask again."), ValueError("a defect")][
        call.parameters.integer("which", 0, 2)
    ]


async def pin(call: Call) -> None:
    raise call.not_granted("Gpio", "Gpio 9")


ROWS = (
    Method("echo", None, echo),
    Method("time.set", "SystemTime", echo),
    Method("fails", None, fails),
    Method("pin", None, pin),
)


async def test_what_it_may_ask_for_is_told(tmp_path: Path) -> None:
    host = Host(tmp_path, lambda _: ROWS)
    async with host.open(application(SystemTime=True)) as asked:
        assert await asked.client().ask("interface.describe") == {
            "version": 1,
            "device_id": DEVICE_ID,
            "component_id": str(asked.application.component_id),
            "image_id": str(asked.application.image_id),
            "methods": ["echo", "fails", "interface.describe", "pin", "time.set"],
        }
    async with host.open(application(2)) as asked:
        assert "time.set" not in (await asked.client().ask("interface.describe"))["methods"]


async def test_undeclared_use_is_refused_and_reported(tmp_path: Path) -> None:
    host = Host(tmp_path, lambda _: ROWS)
    async with host.open(application()) as asked:
        client = asked.client()
        refused = await client.ask("time.set", number=3)
        assert (refused["errno"], refused["name"]) == (errno.EACCES, "EACCES")
        assert refused["error_id"] == 2 << 20 | 30
        assert "SystemTime in the manifest" in refused["message"]
        await client.ask("time.set", number=4)
        again = await client.ask("pin", number=5)
        assert again["errno"] == errno.EACCES
    seen = [
        (each.host, each.allowed, each.protocol, each.count)
        for each in asked.events
        if isinstance(each, ConnectionAttempt)
    ]
    assert seen == [
        ("time.set without SystemTime", False, METHOD, 1),
        ("pin of Gpio 9 without Gpio", False, METHOD, 1),
        ("time.set without SystemTime", False, METHOD, 1),
    ]
    async with host.open(application(SystemTime=True)) as asked:
        assert await asked.client().ask("time.set", number=2) == {"number": 2}
        assert asked.events == []


async def test_errors_say_whose_they_are(tmp_path: Path) -> None:
    host = Host(tmp_path, lambda _: ROWS)
    async with host.open(application()) as asked:
        client = asked.client()
        assert await client.ask("echo") == {
            "errno": 22, "name": "EINVAL", "code": "request.invalid",
            "message": "parameters.number: expected a value, got None",
            "remedy": "See docs/reference/application-interface.md for the methods and their parameters.",
        }  # fmt: skip
        assert (await client.ask("fails", which=0))["name"] == "EBUSY"
        install = await client.ask("fails", which=1)
        assert (install["name"], install["remedy"], install["code"]) == ("EINVAL", "Ask again.", InstallError.code)
        assert (await client.ask("fails", which=2))["name"] == "EIO"
        assert (await client.ask("nothing.here"))["name"] == "ENOSYS"
        await client.send({"id": 9, "method": "NO"})
        assert (await client.take() or {})["error"]["name"] == "EINVAL"
        await client.send({"id": "x", "method": "echo"})
        assert (await client.take() or {})["id"] is None
        assert await client.ask("echo", number=7) == {"number": 7}


async def test_descriptors_reach_the_application_and_are_closed_here(tmp_path: Path) -> None:
    given: list[int] = []

    async def open_one(_: Call) -> Answer:
        given.append(os.memfd_create("line"))
        os.write(given[-1], b"line 7")
        return Answer(result={}, descriptors=(given[-1],))

    host = Host(tmp_path, lambda _: (Method("open", None, open_one),))
    async with host.open(application()) as asked:
        client = asked.client()
        await client.send({"id": 1, "method": "open"})
        client.stream.setblocking(True)
        data, rights, _, _ = await asyncio.to_thread(socket.recv_fds, client.stream, 65536, 4)
        assert b'"descriptors":1' in data
        assert len(rights) == 1
        assert os.pread(rights[0], 20, 0) == b"line 7"
        os.close(rights[0])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(given[0])


async def test_what_it_writes_is_in_the_devices_log(tmp_path: Path) -> None:
    host = Host(tmp_path, lambda journal: Log(journal).methods)
    async with host.open(application()) as asked:
        client = asked.client()
        assert await client.ask("log.write", text="pump on\nagain", level="warning") == {}
        assert await client.ask("log.write", text="\n\tone\r\n") == {}
        assert await client.ask("log.write", text="20\xa0°C") == {}
        for control in ("\0", "\x1b[31m", "\x7f", "\x80", "\x85", "\x9b31m", "\x9f"):
            assert (await client.ask("log.write", text=f"x{control}"))["name"] == "EINVAL", repr(control)
        assert (await client.ask("log.write", text="x", level="loud"))["name"] == "EINVAL"
        assert (await client.ask("log.write", text="x" * 8193))["name"] == "EINVAL"
        assert (await client.ask("log.write", text="x", more=1))["name"] == "EINVAL"
    assert events(host, "output") == [
        {"at": 0, "event": "output", "name": "app1", "stream": "log", "level": "warning", "text": "pump on\nagain"},
        {"at": 0, "event": "output", "name": "app1", "stream": "log", "level": "info", "text": "\n\tone\r\n"},
        {"at": 0, "event": "output", "name": "app1", "stream": "log", "level": "info", "text": "20\xa0°C"},
    ]


def test_two_rows_of_one_name_are_a_defect() -> None:
    with pytest.raises(ValueError, match="echo"):
        MethodTable((*ROWS, ROWS[0]))


def test_any_value_of_a_capability_is_the_capability() -> None:
    nothing = Grant(component_id=application().component_id, hosts=allowed_hosts(()))
    some = Grant(
        component_id=nothing.component_id,
        hosts=allowed_hosts(["a.example"]),
        peripherals=frozenset({Peripheral(kind="Gpio", name="8")}),
        partners=frozenset({nothing.component_id}),
        mutable_storage_kb=8,
        device_authentication=nothing.component_id,
        privileges=frozenset({"SystemTime", "PowerControls.ForceReboot"}),
        tcp_server_ports=frozenset({1}),
        udp_server_ports=frozenset({1}),
    )
    for name in (
        *("AllowedConnections", "AllowedTcpServerPorts", "AllowedUdpServerPorts", "AllowedApplicationConnections"),
        *("Gpio", "MutableStorage", "DeviceAuthentication", "SystemTime"),
        *("PowerControls", "PowerControls.ForceReboot"),
    ):
        assert is_granted(some, name), name
        assert not is_granted(nothing, name), name
    for name in ("Uart", "WifiConfig", "PowerControls.ForcePowerDown"):
        assert not is_granted(some, name), name
    assert is_granted(nothing, None)
    assert error_id("PowerControls.ForceReboot") == 2 << 20 | 48
