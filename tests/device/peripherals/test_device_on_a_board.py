# SPDX-License-Identifier: Apache-2.0
"""A whole device on a simulated board: an application in its sandbox uses its peripherals; a foreign board is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.device.rig import FAST, Rig, provisioned
from tests.device.tiny_service import TinyService
from tests.fixtures.waiting import until

from armillary import content
from armillary.capability.board import Board, parse
from armillary.device.process import Device
from armillary.engines.sandbox.selection import open_sandbox
from armillary.errors import ManifestError

pytestmark = pytest.mark.anyio

APPLICATION = b"""#!/usr/bin/env python3
import json, os, socket, time
stream = socket.socket(socket.AF_UNIX)
stream.connect(os.environ["ARMILLARY_APPLICATION_SOCKET"])
def ask(method, **parameters):
    body = json.dumps({"id": 1, "method": method, "parameters": parameters}).encode()
    stream.sendall(len(body).to_bytes(4, "big") + body)
    found = json.loads(stream.recv(65536)[4:])
    print(method, json.dumps(found.get("result") or found["error"]["name"]))
ask("gpio.open-output", pin=8, level=1)
ask("gpio.get", pin=8)
ask("i2c.transfer", bus="ISU1", address=0x48, write="00", read=2)
ask("adc.read", controller="ADC-CONTROLLER-0", channel=0)
ask("i2s.open-output", bus="I2S0", rate_hz=8000)
ask("i2s.write", bus="I2S0", data="01000200" * 10)
ask("gpio.open-output", pin=9, level=1)
print("end")
time.sleep(600)
"""


def board(name: str) -> Board:
    return parse(content.board_file(name))


@pytest.fixture
async def linux_rig(tiny_service: TinyService, tmp_path: Path) -> AsyncIterator[Rig]:
    async with provisioned(tiny_service, open_sandbox("linux"), tmp_path / "d") as found:
        yield found


async def test_an_application_uses_its_peripherals_of_a_simulated_board(linux_rig: Rig) -> None:
    rig = linux_rig
    asked = {"Gpio": [8], "I2cMaster": ["ISU1"], "Adc": ["ADC-CONTROLLER-0"], "I2sSubordinate": ["I2S0"]}
    rig.service.deploy(rig.service.application(APPLICATION, **asked))
    await rig.start(replace(FAST, board=board("mt3620-simulated")))
    await until(lambda: rig.status().get("last_check_in"), "check-in")
    await until(lambda: any(each["text"] == "end" for each in rig.events("output")), "the application")
    lines = [each["text"] for each in rig.events("output")]
    assert lines[: lines.index("end")] == [
        'gpio.open-output {"simulated": true}',
        'gpio.get {"level": 1, "simulated": true}',
        'i2c.transfer {"data": "1900", "simulated": true}',
        'adc.read {"value": 0, "bits": 12, "simulated": true}',
        'i2s.open-output {"frame_bytes": 4, "frames_limit": 4096, "simulated": true}',
        'i2s.write {"frames": 10, "gaps": 0, "simulated": true}',
        'gpio.open-output "EACCES"',
    ]
    assert rig.status()["board"] == "mt3620-simulated"
    (refused,) = rig.events("capability-blocked")
    assert refused["host"] == "gpio.open-output of Gpio 9 without Gpio"


async def test_what_the_board_does_not_bring_out_is_not_installed(rig: Rig) -> None:
    """The version before stays: the set with the pin that is not there is refused as a whole, and says why."""
    small = replace(board("mt3620-simulated"), simulated=frozenset(), devices={})
    good = rig.service.application()
    rig.service.deploy(good)
    await rig.start(replace(FAST, board=small))
    await until(lambda: (good.image_id, "confirmed") in rig.outcomes(), "first set")
    bad = rig.service.application(b"#!/bin/sh\n:\n", Gpio=[8])
    rig.service.deploy(bad)
    rig.device.check_in_now()
    await until(lambda: (bad.image_id, "failed") in rig.outcomes(), "refusal")
    assert rig.sandbox.alive == ["app1"]
    (refused,) = rig.events("update-refused")
    assert "expected a peripheral of MediaTek MT3620 on board mt3620-simulated, got 8" in refused["reason"]


async def test_a_board_of_another_chip_refuses_the_start(rig: Rig) -> None:
    device = Device(rig.folder, settings=replace(FAST, board=board("imx8mp-simulated")), sandbox=rig.sandbox)
    with pytest.raises(ManifestError, match="expected mt3620, which this device has, got imx8mp"):
        await device.run()
