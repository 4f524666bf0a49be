# SPDX-License-Identifier: Apache-2.0
"""The modem over the device's own API: state and settings, no secret comes back, a changed PIN is tried once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.device.rest.asking import Tool, tool_of
from tests.device.rig import FAST, Rig
from tests.fixtures.waiting import DEADLINE_S

from armillary.device.cellular.configuration import CellularConfiguration
from armillary.device.cellular.uplink import CellularUplink
from armillary.engines.flash.port import Flash
from armillary.identity.manufacturing import ManufacturingState
from armillary.sim.modem.modem import SimulatedModem
from armillary.sim.modem.radio import PIN_TRIES, Radio
from armillary.sim.modem.serving import ServedModem, TerminalLine
from armillary.wire.device.azure_error import INVALID_INTERFACE, INVALID_PARAMETER, PERMISSION_DENIED

PIN = "7391"
PASSWORD = "pass-of-the-access-point"


@pytest.fixture
def modem() -> Iterator[tuple[ServedModem, Path]]:
    line = TerminalLine()
    with ServedModem(SimulatedModem(Radio(pin=PIN, registration="roaming")), line) as served:
        yield served, line.path


def with_modem(node: Path) -> Any:
    def make(flash: Flash) -> CellularUplink:
        return CellularUplink(lambda: node, CellularConfiguration(flash), None, scale=0.02)

    return replace(FAST, uplink=make)


async def reached(tool: Tool, state: str) -> dict[str, Any]:
    """What the device says as soon as its modem is in this state."""
    async with asyncio.timeout(DEADLINE_S):
        while (found := (await tool.ask("GET", "/cellular/interface")).body)["state"] != state:
            await asyncio.sleep(0.02)
    return dict(found)


@pytest.mark.anyio
async def test_a_tool_sets_what_the_modem_needs_and_sees_it_come_up(modem: tuple[ServedModem, Path], rig: Rig) -> None:
    served, node = modem
    async with tool_of(rig, times=with_modem(node)) as tool:
        assert (await reached(tool, "pin-needed"))["sim"] == "pin"
        wrong = await tool.ask("PATCH", "/cellular/config", {"pin": "1111", "roaming": False})
        assert (wrong.status, wrong.body["hasPin"]) == (200, True)
        await reached(tool, "pin-refused")
        assert served.modem.pin_tries == PIN_TRIES - 1
        assert (await tool.ask("GET", "/cellular/config")).body["pinRefused"] is True
        given = {"pin": PIN, "accessPoint": "iot.example", "authenticationType": "pap", "username": "me"}
        told = (await tool.ask("PATCH", "/cellular/config", {**given, "password": PASSWORD})).body
        assert (told["accessPoint"], told["hasPassword"], told["pinRefused"]) == ("iot.example", True, False)
        await reached(tool, "roaming-refused")
        await tool.ask("PATCH", "/cellular/config", {"roaming": True})
        up = await reached(tool, "connected")
        assert (up["registration"], up["technology"], up["signalDbm"]) == ("roaming", "lte", -85)
        assert (up["bytesReceived"], up["bytesSent"]) == (0, 0)
        await tool.ask("PATCH", "/cellular/config", {"enabled": False})
        await reached(tool, "off")
        texts = repr([await tool.ask("GET", path) for path in ("/cellular/config", "/cellular/interface", "/log")])
    kept = (rig.folder / "log" / "device.jsonl").read_text()
    assert "/cellular/config" in kept
    for text in (texts, kept, repr(rig.status())):
        assert PIN not in text
        assert PASSWORD not in text


@pytest.mark.anyio
async def test_what_is_wrong_is_refused_and_changes_nothing(modem: tuple[ServedModem, Path], rig: Rig) -> None:
    async with tool_of(rig, times=with_modem(modem[1])) as tool:
        before = (await tool.ask("GET", "/cellular/config")).body
        for body in ({}, [], {"apn": "x"}, {"accessPoint": 'a"b', "roaming": False}, {"pin": "12", "roaming": False}):
            found = await tool.ask("PATCH", "/cellular/config", body)
            assert found.error == (400, INVALID_PARAMETER), body
        assert (await tool.ask("GET", "/cellular/config")).body == before


@pytest.mark.anyio
async def test_a_device_without_a_modem_says_so(rig: Rig) -> None:
    async with tool_of(rig) as tool:
        for method, path, body in (
            ("GET", "/cellular/interface", None),
            ("GET", "/cellular/config", None),
            ("PATCH", "/cellular/config", {"roaming": False}),
        ):
            found = await tool.ask(method, path, body)
            assert found.error == (404, INVALID_INTERFACE)
            assert "no%20modem" in found.headers["Armillary-Message"]


@pytest.mark.anyio
async def test_a_finished_device_tells_and_takes_nothing(modem: tuple[ServedModem, Path], rig: Rig) -> None:
    async with tool_of(rig, ManufacturingState.DEVICE_COMPLETE, times=with_modem(modem[1])) as tool:
        for method, path, body in (
            ("GET", "/cellular/interface", None),
            ("GET", "/cellular/config", None),
            ("PATCH", "/cellular/config", {"pin": "0000"}),
        ):
            assert (await tool.ask(method, path, body)).error == (403, PERMISSION_DENIED)
