# SPDX-License-Identifier: Apache-2.0
"""``armillary sim peripheral``: levels, samples and devices of a device that runs, and what cannot be set."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import exits
from tests.device.fake_sandbox import FakeSandbox
from tests.device.rig import FAST, provisioned
from tests.device.tiny_service import TinyService
from tests.fixtures.waiting import until

from armillary import content
from armillary.capability.board import parse
from armillary.capability.grant import Peripheral
from armillary.cli.device.simulated.peripheral import parse_value
from armillary.engines.peripherals.port import LineRequest, PwmState
from armillary.errors import InvalidArgumentError

pytestmark = pytest.mark.anyio
Said = tuple[str, str]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def of(kind: str, name: str) -> Peripheral:
    return Peripheral(kind=kind, name=name)


async def test_a_running_device_is_shown_and_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with provisioned(TinyService(), FakeSandbox(), tmp_path / "d") as rig:
        board = parse(content.board_file("mt3620-simulated"))
        device = await rig.start(replace(FAST, board=board))
        await until(lambda: rig.status().get("last_check_in"), "check-in")
        use = device._peripherals
        lamp = use.line(of("Gpio", "8"), LineRequest(output=True, level=1))
        button = use.line(of("Gpio", "12"), LineRequest(output=False, edges="both"))
        await use.controller(of("Pwm", "PWM-CONTROLLER-1"), lambda pwm: pwm.apply(2, PwmState(period_ns=9, duty_ns=4)))

        async def sim(code: int, *arguments: str) -> Said:
            await asyncio.to_thread(exits, code, "sim", "peripheral", *arguments, "--data", str(rig.folder))
            printed = capsys.readouterr()
            return printed.out, printed.err

        await _set_and_show(sim, lamp, button, use)
        await _refused(sim)
    await asyncio.to_thread(exits, 1, "sim", "peripheral", "show", "--data", str(tmp_path / "d"))
    assert "expected a device that runs on a board with simulated peripherals" in capsys.readouterr().err


async def _set_and_show(sim: Callable[..., Any], lamp: Any, button: Any, use: Any) -> None:
    out, _ = await sim(0, "set", "I2sSubordinate:I2S1=1000", "--json")
    assert json.loads(out)["I2sSubordinate"] == {"I2S1": {"tone_hz": 1000, "frames_out": 0}}
    out, _ = await sim(0, "set", "Gpio:12=1", "Adc:ADC-CONTROLLER-0:3=1234", "I2cMaster:ISU2:0x50=0aff", "--json")
    found = json.loads(out)
    assert found["Gpio"] == {"8": {"level": 1, "used": "output"}, "12": {"level": 1, "used": "input"}}
    assert found["Adc"] == {"ADC-CONTROLLER-0": {"3": 1234}}
    assert found["I2cMaster"] == {"ISU1": {"0x48": "19"}, "ISU2": {"0x50": "0aff"}}
    assert found["Pwm"]["PWM-CONTROLLER-1"]["2"]["duty_ns"] == 4
    assert (button.get(), await button.edge(0), lamp.get()) == (1, "rising", 1)
    assert await use.controller(of("Adc", "ADC-CONTROLLER-0"), lambda adc: adc.read(3)) == 1234
    assert await use.controller(of("I2cMaster", "ISU2"), lambda bus: bus.transfer(0x50, b"\0", 2)) == b"\x0a\xff"
    out, _ = await sim(0, "show")
    assert "Gpio:8                  1 output\n" in out
    assert "Pwm:PWM-CONTROLLER-1:2  4 of 9 ns\n" in out
    assert "I2sSubordinate:I2S1     1000 Hz in, 0 frames out\n" in out


async def _refused(sim: Callable[..., Any]) -> None:
    for value, said in (
        ("Gpio:8=0", "an input: what an output puts out is the application's"),
        ("Gpio:99=0", "a simulated Gpio of board mt3620-simulated"),
        ("Adc:ADC-CONTROLLER-0:3=4096", "an integer of 0 to 4095"),
        ("Adc:ADC-CONTROLLER-0:8=1", "an integer of 0 to 7"),
        ("I2cMaster:ISU1:0x03=00", "an integer of 8 to 119"),
        ("I2sSubordinate:I2S0=150", "a tone in steps of 100 Hz"),
        ("I2sSubordinate:I2S0=4000", "an integer of 0 to 3900"),
        ("I2sSubordinate:I2S9=100", "a simulated I2sSubordinate of board mt3620-simulated"),
    ):
        _, error = await sim(1, "set", "Gpio:20=1", value)
        assert said in error, value
    out, _ = await sim(0, "show", "--json")
    assert "20" not in json.loads(out)["Gpio"]  # what stood beside a refused one was not done


@pytest.mark.parametrize(
    "text",
    ["Gpio:12", "Gpio:12=2", "Gpio:x=1", "Adc:ADC=1", "I2cMaster:ISU1:0x48=0", "I2sSubordinate:I2S0=x", "Uart:A=1", ""],
)
async def test_what_is_no_value_is_refused_before_anybody_is_asked(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="PERIPHERAL=VALUE: expected Gpio:12=1"):
        parse_value(text)
