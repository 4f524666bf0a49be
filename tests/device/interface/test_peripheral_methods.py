# SPDX-License-Identifier: Apache-2.0
"""What an application does with its peripherals over its interface, and that it does nothing with those of others."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.device.interface.asking import Asked
from tests.device.interface.peripheral_bench import Bench, Hardware, with_peripherals

from armillary.capability.grant import Peripheral
from armillary.engines.peripherals.port import LineRequest, PwmState
from armillary.engines.sandbox.port import ConnectionAttempt

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def blocked(asked: Asked) -> list[str]:
    return [each.host for each in asked.events if isinstance(each, ConnectionAttempt) and not each.allowed]


async def test_pins_are_set_and_read_and_say_that_they_are_simulated(bench: Bench) -> None:
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        assert await client.ask("gpio.open-output", pin=8, level=1) == {"simulated": True}
        assert bench.world.levels["8"] == 1
        await client.ask("gpio.set", pin=8, level=0)
        assert await client.ask("gpio.get", pin=8) == {"level": 0, "simulated": True}
        await client.ask("gpio.open-input", pin=12, edges="both", bias="pull-up")
        assert (await client.ask("gpio.get", pin=12))["level"] == 1
        assert (await client.ask("gpio.wait", pin=12, timeout_ms=0))["edge"] is None
        bench.world.drive("12", 0)
        assert (await client.ask("gpio.wait", pin=12, timeout_ms=60_000))["edge"] == "falling"
        assert (await client.ask("gpio.set", pin=12, level=1))["name"] == "EPERM"
        assert (await client.ask("gpio.open-output", pin=12, level=1)) == {"simulated": True}  # in another way now
        assert bench.world.levels["12"] == 1
        assert blocked(asked) == []


async def test_a_wait_ends_when_the_edge_comes_and_others_are_answered_meanwhile(bench: Bench) -> None:
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        await client.ask("gpio.open-input", pin=12, edges="rising")
        await client.send({"id": 7, "method": "gpio.wait", "parameters": {"pin": 12, "timeout_ms": 60_000}})
        assert (await client.ask("gpio.get", 8, pin=12))["level"] == 0
        bench.world.drive("12", 1)
        assert await client.take() == {"id": 7, "result": {"edge": "rising", "simulated": True}}


async def test_what_was_opened_ends_with_the_run(bench: Bench) -> None:
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        await client.ask("gpio.open-output", pin=8, level=1)
        assert set(bench.world.lines) == {"8"}
        await client.ask("gpio.close", pin=8)
        assert bench.world.lines == {}
        assert (await client.ask("gpio.get", pin=8))["name"] == "EBADF"
        await client.ask("gpio.open-output", pin=8, level=1)
    assert bench.world.lines == {}
    async with bench.host.open(bench.mine) as asked:  # positive control: the pin is free again
        assert (await asked.client().ask("gpio.get", pin=8))["name"] == "EBADF"
        assert await asked.client().ask("gpio.open-output", pin=8, level=0) == {"simulated": True}


async def test_buses_transfer(bench: Bench) -> None:
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        read = await client.ask("i2c.transfer", bus="ISU1", address=0x48, write="00", read=2)
        assert read == {"data": "1900", "simulated": True}
        nobody = await client.ask("i2c.transfer", bus="ISU1", address=0x50, write="00")
        assert (nobody["name"], nobody["message"]) == ("ENXIO", "nothing answers at address 0x50")
        both = await client.ask("spi.transfer", bus="ISU2", write="0a0b", duplex=True)
        assert both == {"data": "0a0b", "simulated": True}
        assert (await client.ask("spi.transfer", bus="ISU2", write="0a", read=3, mode=3))["data"] == "000000"


async def test_controllers_put_out_and_sample(bench: Bench) -> None:
    bench.world.sample("ADC-CONTROLLER-0", 3, 1234)
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        given = await client.ask("adc.read", controller="ADC-CONTROLLER-0", channel=3)
        assert given == {"value": 1234, "bits": 12, "simulated": True}
        await client.ask("pwm.apply", controller="PWM-CONTROLLER-1", channel=2, period_ns=1000, duty_ns=250)
    expected = {"PWM-CONTROLLER-1": {2: PwmState(period_ns=1000, duty_ns=250)}}
    assert bench.world.outputs == expected  # it goes on after the application


@pytest.mark.parametrize(
    ("method", "parameters", "what"),
    [
        ("gpio.open-output", {"pin": 9, "level": 1}, "Gpio 9"),  # another application's
        ("gpio.open-input", {"pin": 10}, "Gpio 10"),  # nobody's
        ("gpio.get", {"pin": 9}, "Gpio 9"),
        ("gpio.set", {"pin": 9, "level": 1}, "Gpio 9"),
        ("gpio.wait", {"pin": 9, "timeout_ms": 1}, "Gpio 9"),
        ("gpio.close", {"pin": 9}, "Gpio 9"),
        ("i2c.transfer", {"bus": "ISU3", "address": 0x48, "read": 1}, "I2cMaster ISU3"),
        ("i2c.transfer", {"bus": "ISU2", "address": 0x48, "read": 1}, "I2cMaster ISU2"),  # mine, as an SPI bus
        ("spi.transfer", {"bus": "ISU1", "write": "00"}, "SpiMaster ISU1"),
        ("pwm.apply", {"controller": "PWM-CONTROLLER-0", "channel": 0, "period_ns": 9, "duty_ns": 1}, "Pwm PWM-CON"),
        ("adc.read", {"controller": "ADC-CONTROLLER-1", "channel": 0}, "Adc ADC-CONTROLLER-1"),
    ],
)
async def test_what_was_not_granted_is_refused_and_reported(
    bench: Bench, method: str, parameters: dict[str, Any], what: str
) -> None:
    async with bench.host.open(bench.theirs) as theirs, bench.host.open(bench.mine) as mine:
        await theirs.client().ask("gpio.open-output", pin=9, level=0)
        refused = await mine.client().ask(method, **parameters)
        assert (refused["name"], refused["errno"]) == ("EACCES", errno.EACCES)
        assert refused["error_id"] in (2097162, 2097165)
        assert blocked(mine)[0].startswith(f"{method} of {what}")
        assert bench.world.levels["9"] == 0
        assert blocked(theirs) == []


async def test_who_asks_for_another_is_told_which_are_its_own(bench: Bench) -> None:
    pins = with_peripherals(4, frozenset(Peripheral(kind="Gpio", name=name) for name in ("12", "8", "9")))
    async with bench.host.open(pins) as asked:
        client = asked.client()
        refused = await client.ask("gpio.open-output", pin=10, level=1)
        expected = "gpio.open-output of Gpio 10 needs Gpio in the manifest to name it: it names 8, 9, 12"
        assert refused["message"] == expected
        none = await client.ask("i2c.transfer", bus="ISU1", address=0x48, read=1)
        assert none["message"] == "i2c.transfer needs I2cMaster in the manifest"


async def test_an_application_without_any_peripheral_is_told_of_no_method(bench: Bench) -> None:
    async with bench.host.open(with_peripherals(3, frozenset())) as asked:
        client = asked.client()
        methods = (await client.ask("interface.describe"))["methods"]
        assert [each for each in methods if not each.startswith("interface.")] == []
        assert (await client.ask("gpio.open-output", pin=8, level=1))["name"] == "EACCES"


@pytest.mark.parametrize(
    ("method", "parameters", "said"),
    [
        ("gpio.open-output", {"pin": "8", "level": 1}, "parameters.pin: expected an integer"),
        ("gpio.open-output", {"pin": True, "level": 1}, "parameters.pin: expected an integer"),
        ("gpio.open-output", {"pin": -1, "level": 1}, "parameters.pin: expected an integer"),
        ("gpio.open-output", {"pin": 8}, "parameters.level: expected a value"),
        ("gpio.open-output", {"pin": 8, "level": 2}, "parameters.level: expected an integer of 0 to 1"),
        ("gpio.open-output", {"pin": 8, "level": 1, "drive": "hard"}, "parameters.drive: expected one of push-pull"),
        ("gpio.open-output", {"pin": 8, "level": 1, "edges": "both"}, "parameters: expected no other fields"),
        ("gpio.open-input", {"pin": 8, "edges": "all"}, "parameters.edges: expected one of none"),
        ("gpio.wait", {"pin": 8, "timeout_ms": 60_001}, "parameters.timeout_ms: expected an integer of 0 to 60000"),
        ("i2c.transfer", {"bus": "ISU1", "address": 0}, "parameters.address: expected an integer of 8 to 119"),
        ("i2c.transfer", {"bus": "ISU1", "address": 0x78}, "parameters.address: expected an integer of 8 to 119"),
        ("i2c.transfer", {"bus": "ISU1", "address": 72, "write": "0"}, "parameters.write: expected bytes in lower"),
        ("i2c.transfer", {"bus": "ISU1", "address": 72, "write": "00" * 4097}, "parameters.write: expected text"),
        ("i2c.transfer", {"bus": "ISU1", "address": 72, "read": 4097}, "parameters.read: expected an integer"),
        ("spi.transfer", {"bus": "ISU2"}, "parameters.write: expected bytes to write"),
        (
            "spi.transfer",
            {"bus": "ISU2", "write": "00", "read": 2, "duplex": True},
            "parameters.read: expected as many",
        ),
        ("spi.transfer", {"bus": "ISU2", "write": "00", "mode": 4}, "parameters.mode: expected an integer of 0 to 3"),
        (
            "pwm.apply",
            {"controller": "PWM-CONTROLLER-1", "channel": 0, "period_ns": 100, "duty_ns": 101},
            "parameters.duty_ns: expected an integer of 0 to 100",
        ),
        (
            "pwm.apply",
            {"controller": "PWM-CONTROLLER-1", "channel": 0, "period_ns": 0, "duty_ns": 0},
            "parameters.period_ns: expected an integer of 1",
        ),
    ],
)
async def test_bad_parameters_are_named_and_do_nothing(
    bench: Bench, method: str, parameters: dict[str, Any], said: str
) -> None:
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        refused = await client.ask(method, **parameters)
        assert refused["name"] == "EINVAL"
        assert refused["message"].startswith(said)
        assert (bench.world.lines, bench.world.outputs) == ({}, {})
        assert (await client.ask("gpio.open-output", pin=8, level=1)) == {"simulated": True}  # the next one works


async def test_channels_and_chip_selects_that_are_not_there(bench: Bench) -> None:
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        for method, parameters in (
            ("adc.read", {"controller": "ADC-CONTROLLER-0", "channel": 8}),
            ("pwm.apply", {"controller": "PWM-CONTROLLER-1", "channel": 8, "period_ns": 2, "duty_ns": 1}),
            ("spi.transfer", {"bus": "ISU2", "write": "00", "chip_select": 2}),
        ):
            assert (await client.ask(method, **parameters))["name"] == "EINVAL", method


async def test_a_wrong_number_ends_no_output(bench: Bench) -> None:
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        put_out = {"controller": "PWM-CONTROLLER-1", "period_ns": 1000, "duty_ns": 250}
        await client.ask("pwm.apply", channel=2, **put_out)
        assert (await client.ask("pwm.apply", channel=8, **put_out))["name"] == "EINVAL"
        assert bench.world.outputs == {"PWM-CONTROLLER-1": {2: PwmState(period_ns=1000, duty_ns=250)}}


async def test_a_peripheral_whose_map_is_locked_is_refused_until_the_restart(bench: Bench) -> None:
    """An application that was granted what another one has had since the boot does not get it."""
    bench.owners.assign([])
    async with bench.host.open(bench.mine) as asked:
        refused = await asked.client().ask("gpio.open-output", pin=8, level=1)
        assert refused["name"] == "EBUSY"
        assert "until the device starts again" in refused["message"]
    bench.owners.assign([bench.mine.grant])
    async with bench.host.open(bench.mine) as asked:  # positive control
        assert await asked.client().ask("gpio.open-output", pin=8, level=1) == {"simulated": True}


async def test_a_device_without_a_board_says_what_to_do(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.use._peripherals = None
    async with bench.host.open(bench.mine) as asked:
        for method, parameters in (("gpio.open-output", {"pin": 8, "level": 1}), ("i2c.transfer", {"bus": "ISU1"})):
            refused = await asked.client().ask(method, **({"address": 72} if "bus" in parameters else {}), **parameters)
            assert refused["name"] == "ENODEV"
            assert "armillary device boot --data DIR --board NAME" in refused["message"]


@pytest.fixture
def hardware() -> Iterator[Hardware]:
    made = Hardware()
    yield made
    made.go_on.set()


async def test_the_application_gets_the_descriptor_of_its_line_and_no_other(tmp_path: Path, hardware: Hardware) -> None:
    bench = Bench(tmp_path, hardware)
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        await client.send({"id": 1, "method": "gpio.open-output", "parameters": {"pin": 8, "level": 1}})
        client.stream.setblocking(True)
        data, rights, _, _ = await asyncio.to_thread(socket.recv_fds, client.stream, 65536, 4)
        client.stream.setblocking(False)
        assert b'"result":{},' in data or b'"result":{}' in data  # nothing is simulated
        (descriptor,) = rights
        (line,) = hardware.lines
        assert os.fstat(descriptor).st_ino == os.fstat(line.descriptor).st_ino
        os.write(descriptor, b"level")
        assert os.read(line.read_end, 9) == b"level"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(line.descriptor)  # the device has let it go with the run
    os.close(descriptor)
    os.close(line.read_end)
    assert line.requests == [LineRequest(output=True, level=1)]
    bench.use.close()


async def test_a_slow_bus_delays_its_owner_alone(tmp_path: Path, hardware: Hardware) -> None:
    bench = Bench(tmp_path, hardware)
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        for number in (1, 2):
            await client.send(
                {"id": number, "method": "i2c.transfer", "parameters": {"bus": "ISU1", "address": 72, "read": 1}}
            )
        assert (await client.ask("spi.transfer", 3, bus="ISU2", write="07", duplex=True))["data"] == "07"
        hardware.go_on.set()
        assert {(await client.take() or {})["id"] for _ in range(2)} == {1, 2}
        assert hardware.opened == ["ISU1"]  # once
    bench.use.close()
    assert hardware.opened == ["ISU1", "closed"]


async def test_an_adapter_that_was_pulled_out_is_looked_for_again(tmp_path: Path, hardware: Hardware) -> None:
    bench = Bench(tmp_path, hardware)
    hardware.go_on.set()
    hardware.gone = True
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        assert (await client.ask("i2c.transfer", bus="ISU1", address=72, read=1))["name"] == "ENODEV"
        hardware.gone = False
        assert (await client.ask("i2c.transfer", bus="ISU1", address=72, read=1))["data"] == "48"
    assert hardware.opened == ["ISU1", "closed", "ISU1"]
    with contextlib.suppress(OSError):
        bench.use.close()
