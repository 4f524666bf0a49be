# SPDX-License-Identifier: Apache-2.0
"""Simulated peripherals do what the port says, and what happens outside the chip is set by name."""

from __future__ import annotations

import asyncio
import errno

import pytest

from armillary import content
from armillary.capability import board as boards
from armillary.capability.grant import Peripheral
from armillary.engines.peripherals.port import EDGE_LIMIT, LineRequest, PwmState, SpiTransfer
from armillary.engines.peripherals.selection import BoardPeripherals


def of(kind: str, name: str) -> Peripheral:
    return Peripheral(kind=kind, name=name)


@pytest.fixture
def board() -> BoardPeripherals:
    return BoardPeripherals(boards.parse(content.board_file("mt3620-simulated")))


def test_a_simulator_says_that_it_is_one(board: BoardPeripherals) -> None:
    assert board.is_simulated(of("Gpio", "8"))
    with pytest.raises(OSError, match="has no Gpio 99"):
        board.line(of("Gpio", "99"), LineRequest(output=False))


def test_levels_go_out_and_come_in(board: BoardPeripherals) -> None:
    lamp = board.line(of("Gpio", "8"), LineRequest(output=True, level=1))
    assert (lamp.get(), board.world.levels["8"], lamp.descriptor) == (1, 1, None)
    lamp.set(0)
    assert board.world.levels["8"] == 0
    with pytest.raises(OSError, match="is an output"):
        board.world.drive("8", 1)
    button = board.line(of("Gpio", "12"), LineRequest(output=False, bias="pull-up"))
    assert button.get() == 1
    board.world.drive("12", 0)
    assert button.get() == 0
    with pytest.raises(OSError, match="is an input") as caught:
        button.set(1)
    assert caught.value.errno == errno.EPERM
    with pytest.raises(OSError, match="is in use"):
        board.line(of("Gpio", "12"), LineRequest(output=True))
    button.close()
    board.line(of("Gpio", "12"), LineRequest(output=True)).close()


def test_edges_are_those_that_were_asked_for_in_their_order(board: BoardPeripherals) -> None:
    async def play() -> list[str | None]:
        line = board.line(of("Gpio", "12"), LineRequest(output=False, edges="both"))
        waiting = asyncio.create_task(line.edge(60))
        await asyncio.sleep(0)
        for level in (1, 1, 0, 1):
            board.world.drive("12", level)
        found = [await waiting, await line.edge(0), await line.edge(0), await line.edge(0)]
        line.configure(LineRequest(output=False, edges="falling"))
        board.world.drive("12", 0)
        board.world.drive("12", 1)
        found += [await line.edge(0), await line.edge(0)]
        for _ in range(EDGE_LIMIT + 5):
            board.world.drive("12", 0)
            board.world.drive("12", 1)
        kept = 0
        while await line.edge(0) is not None:
            kept += 1
        assert kept == EDGE_LIMIT
        return found

    assert asyncio.run(play()) == ["rising", "falling", "rising", None, "falling", None]


def test_i2c_registers_are_written_and_read(board: BoardPeripherals) -> None:
    bus = board.i2c(of("I2cMaster", "ISU1"))
    assert bus.transfer(0x48, b"\0", 2) == b"\x19\x00"
    bus.transfer(0x48, b"\x10\x01\x02", 0)
    assert bus.transfer(0x48, b"\x10", 3) == b"\x01\x02\x00"
    assert bus.transfer(0x48, b"\xff", 2)[1] == 0x19  # the last register is followed by the first
    with pytest.raises(OSError, match="nothing answers at address 0x50"):
        bus.transfer(0x50, b"\0", 1)
    device = board.world.attach("ISU1", 0x50, b"\x07")
    assert bus.transfer(0x50, b"\0", 1) == b"\x07"
    assert device.registers[0] == 7
    with pytest.raises(OSError, match="nothing answers"):
        board.i2c(of("I2cMaster", "ISU2")).transfer(0x48, b"\0", 1)


def test_spi_is_a_loop(board: BoardPeripherals) -> None:
    bus = board.spi(of("SpiMaster", "ISU2"))
    assert bus.transfer(SpiTransfer(write=b"abc", read=3, duplex=True)) == b"abc"
    assert bus.transfer(SpiTransfer(write=b"abc", read=2)) == b"\0\0"
    with pytest.raises(OSError, match="no chip select 2"):
        bus.transfer(SpiTransfer(write=b"a", chip_select=2))


def test_pwm_and_adc_keep_what_was_set(board: BoardPeripherals) -> None:
    state = PwmState(period_ns=1000, duty_ns=250)
    board.pwm(of("Pwm", "PWM-CONTROLLER-1")).apply(3, state)
    assert board.world.outputs == {"PWM-CONTROLLER-1": {3: state}}
    controller = board.adc(of("Adc", "ADC-CONTROLLER-0"))
    assert controller.read(2) == 0
    board.world.sample("ADC-CONTROLLER-0", 2, 4095)
    assert controller.read(2) == 4095
    with pytest.raises(OSError, match="12 bits"):
        board.world.sample("ADC-CONTROLLER-0", 2, 4096)
