# SPDX-License-Identifier: Apache-2.0
"""A capability file by the device's API: it opens a finished device, if the service signed it for this one."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.device.debugging.test_sessions import connected
from tests.device.fake_sandbox import FakeSandbox
from tests.device.rest.asking import LIMIT_S, Tool, tool_of
from tests.device.rig import Rig, provisioned
from tests.device.tiny_service import TinyService
from tests.fixtures.waiting import until

from armillary.identity.manufacturing import CAPABILITY_LIFETIME_S, ManufacturingState
from armillary.wire.device import azure_error
from armillary.wire.image import capability_file

pytestmark = pytest.mark.anyio
PLACE = "/device/capabilities"
PACKAGE = {"Content_Type": "application/octet-stream"}
DENIED = (403, azure_error.PERMISSION_DENIED)
NOT_TRUSTED = (403, azure_error.IMAGE_NOT_TRUSTED)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with provisioned(TinyService(), FakeSandbox(), tmp_path / "d") as found:
        yield found


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def capability(
    rig: Rig, *, device_id: str = "", age_s: int = 0, allows: int = capability_file.FIELD_SERVICING
) -> bytes:
    """A capability file of the rig's service."""
    assert rig.device is not None
    service = rig.service
    return capability_file.build(
        device_id or rig.device.device_id,
        (allows,),
        image_id=uuid.uuid4(),
        built=service.now - age_s,
        key=service.os_key,
        certificate=service.os_certificate,
    )


async def test_it_opens_a_finished_device_and_closes_it_again(rig: Rig) -> None:
    async with tool_of(rig, ManufacturingState.DEVICE_COMPLETE) as tool:
        assert (await tool.ask("GET", "/images")).error == DENIED
        assert (await tool.ask("DELETE", PLACE)).error == DENIED
        found = await tool.ask("PUT", PLACE, capability(rig), **PACKAGE)
        assert (found.status, found.body) == (200, {"device_capabilities": [capability_file.FIELD_SERVICING]})
        assert (await tool.ask("GET", "/images")).status == 200
        assert (await tool.ask("DELETE", PLACE)).body == {}
        assert (await tool.ask("GET", "/images")).error == DENIED
        assert (await tool.ask("GET", PLACE)).body == {"device_capabilities": []}
        assert [each["event"] for each in (*rig.events("capability-selected"), *rig.events("capability-removed"))] == [
            "capability-selected",
            "capability-removed",
        ]


async def test_one_of_another_device_an_old_and_a_changed_one_open_nothing(rig: Rig) -> None:
    async with tool_of(rig, ManufacturingState.DEVICE_COMPLETE) as tool:
        good = capability(rig)
        for bad in (
            capability(rig, device_id="ab" * 64),
            capability(rig, age_s=CAPABILITY_LIFETIME_S),
            good[:-1] + bytes((good[-1] ^ 1,)),
            good[:-1],
            good + b"x",
            b"",
        ):
            assert (await tool.ask("PUT", PLACE, bad, **PACKAGE)).error == NOT_TRUSTED
            assert (await tool.ask("GET", "/images")).error == DENIED
        wrong = await tool.ask("PUT", PLACE, good)
        assert wrong.error == (400, azure_error.INVALID_PARAMETER), "JSON is no file"


async def debugged(rig: Rig, tool: Tool) -> tuple[int, int]:
    """The ports for a debugger of the one application, of a finished device with a capability to develop."""
    component = str(rig.sandbox.runs[-1].launch.grant.component_id)
    await tool.ask("PUT", PLACE, capability(rig, allows=capability_file.APP_DEVELOPMENT), **PACKAGE)
    found = await tool.ask("PATCH", f"/app/status/{component}", {"trigger": "startDebug"})
    assert (found.status, found.body["state"]) == (200, "debugging")
    return found.body["gdbPort"], found.body["outPort"]


@pytest.fixture
async def developing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tool]:
    """A tool at a finished device with an application that runs, on a host with a debugging server."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    rig.service.deploy(rig.service.application())
    async with tool_of(rig, ManufacturingState.DEVICE_COMPLETE) as tool:
        await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "it runs")
        yield tool


async def test_a_port_for_a_debugger_is_closed_with_the_permission(rig: Rig, developing: Tool) -> None:
    for method, ends in (("DELETE", None), ("PUT", capability(rig))):
        ports = await debugged(rig, developing)
        await developing.ask("PUT", PLACE, capability(rig, allows=capability_file.APP_DEVELOPMENT), **PACKAGE)
        assert all(map(connected, ports)), "another one that allows it ends nothing"
        assert (await developing.ask(method, PLACE, ends, **({} if ends is None else PACKAGE))).status == 200
        assert not any(map(connected, ports))


async def test_a_port_for_a_debugger_lets_nobody_in_once_the_permission_is_over(
    rig: Rig, developing: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rig.device is not None
    ports, now = await debugged(rig, developing), rig.device.clock.now
    monkeypatch.setattr(rig.device.clock, "now", lambda: now() + CAPABILITY_LIFETIME_S)
    for port in ports:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), LIMIT_S) == b"", "it is closed at once"
        writer.close()
