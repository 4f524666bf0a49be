# SPDX-License-Identifier: Apache-2.0
"""Methods of I2C and SPI: one transfer each, at a bus that is the application's alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.capability.board import CHIP_SELECT_LIMIT, I2C_FIRST, I2C_LAST
from armillary.device.interface.method import Call, Method
from armillary.device.interface.peripherals.owned import OwnedPeripherals, answered, data_of
from armillary.engines.peripherals.port import TRANSFER_LIMIT_BYTES, I2cBus, SpiBus, SpiTransfer

# What spidev's drivers take; slower and faster ones say so themselves.
SPEED_LEAST_HZ, SPEED_MOST_HZ = 1_000, 100_000_000


class Buses:
    """Answers what applications ask of their buses."""

    def __init__(self, owned: OwnedPeripherals) -> None:
        self._owned = owned

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("i2c.transfer", "I2cMaster", self._i2c),
            Method("spi.transfer", "SpiMaster", self._spi),
        )

    async def _i2c(self, call: Call) -> Mapping[str, Any]:
        """Write, then read, without letting the bus go in between."""
        bus = self._owned.named(call, "I2cMaster", "bus")
        address = call.parameters.integer("address", I2C_FIRST, I2C_LAST)
        write = data_of(call, "write")
        read = call.parameters.integer("read", 0, TRANSFER_LIMIT_BYTES, default=0)
        call.parameters.finish()

        def transfer(opened: I2cBus) -> bytes:
            return opened.transfer(address, write, read)

        data = await self._owned.use.controller(bus, transfer)
        return answered(self._owned.use, bus, data=data.hex())

    async def _spi(self, call: Call) -> Mapping[str, Any]:
        """Write, then read, or both at once, while one chip is selected."""
        bus = self._owned.named(call, "SpiMaster", "bus")
        wanted = _spi_transfer(call)

        def transfer(opened: SpiBus) -> bytes:
            return opened.transfer(wanted)

        data = await self._owned.use.controller(bus, transfer)
        return answered(self._owned.use, bus, data=data.hex())


def _spi_transfer(call: Call) -> SpiTransfer:
    parameters = call.parameters
    write, duplex = data_of(call, "write"), parameters.boolean("duplex", default=False)
    read = parameters.integer("read", 0, TRANSFER_LIMIT_BYTES, default=len(write) if duplex else 0)
    if duplex and read != len(write):
        raise parameters.refused("read", "as many bytes as are written, where both go at once", read)
    if not write and not read:
        raise parameters.refused("write", "bytes to write, or a number of bytes to read", "")
    found = SpiTransfer(
        write=write,
        read=read,
        duplex=duplex,
        chip_select=parameters.integer("chip_select", 0, CHIP_SELECT_LIMIT - 1, default=0),
        mode=parameters.integer("mode", 0, 3, default=0),
        lsb_first=parameters.boolean("lsb_first", default=False),
        speed_hz=parameters.integer("speed_hz", SPEED_LEAST_HZ, SPEED_MOST_HZ, default=1_000_000),
    )
    parameters.finish()
    return found
