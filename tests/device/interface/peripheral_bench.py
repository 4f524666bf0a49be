# SPDX-License-Identifier: Apache-2.0
"""A device's peripherals and two applications that own some, for tests of the application interface."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

from tests.device.interface.asking import Host, application

from armillary import content
from armillary.capability import board as boards
from armillary.capability.grant import Grant, Peripheral
from armillary.capability.network import allowed_hosts
from armillary.device.applications.admission import Application
from armillary.device.interface.peripherals.buses import Buses
from armillary.device.interface.peripherals.controllers import Controllers
from armillary.device.interface.peripherals.owned import OwnedPeripherals
from armillary.device.interface.peripherals.pins import Pins
from armillary.device.interface.peripherals.sounds import Sounds
from armillary.device.peripherals.ownership import PeripheralMap
from armillary.device.peripherals.use import PeripheralUse
from armillary.engines.peripherals.port import LineRequest
from armillary.engines.peripherals.selection import BoardPeripherals


def of(kind: str, *names: str) -> frozenset[Peripheral]:
    return frozenset(Peripheral(kind=kind, name=name) for name in names)


MINE = (
    of("Gpio", "8", "12")
    | of("I2cMaster", "ISU1")
    | of("SpiMaster", "ISU2")
    | of("Pwm", "PWM-CONTROLLER-1")
    | of("Adc", "ADC-CONTROLLER-0")
    | of("I2sSubordinate", "I2S0")
)
THEIRS = of("Gpio", "9") | of("I2cMaster", "ISU3") | of("I2sSubordinate", "I2S1")


def with_peripherals(number: int, peripherals: frozenset[Peripheral]) -> Application:
    found = application(number)
    grant = Grant(component_id=found.component_id, hosts=allowed_hosts(()), peripherals=peripherals)
    return Application(
        component_id=found.component_id,
        image_id=found.image_id,
        name=found.name,
        manifest=found.manifest,
        grant=grant,
        filesystem=found.filesystem,
    )


class Bench:
    """A simulated MT3620 with two applications: ``mine`` and ``theirs``."""

    def __init__(self, folder: Path, peripherals: Any = None) -> None:
        self.board = BoardPeripherals(boards.parse(content.board_file("mt3620-simulated")))
        self.use = PeripheralUse(peripherals or self.board)
        self.mine, self.theirs = with_peripherals(1, MINE), with_peripherals(2, THEIRS)
        self.nobody = with_peripherals(3, frozenset())
        self.owners = PeripheralMap()
        self.owners.assign([self.mine.grant, self.theirs.grant])
        owned = OwnedPeripherals(self.use, self.owners)
        self.host = Host(
            folder,
            lambda _: (
                *Pins(owned).methods,
                *Buses(owned).methods,
                *Controllers(owned).methods,
                *Sounds(owned).methods,
            ),
        )

    @property
    def world(self) -> Any:
        return self.board.world


class PipeLine:
    """A line that the kernel gave, as a pipe: it has a descriptor."""

    def __init__(self) -> None:
        self.read_end, self.descriptor = os.pipe()
        self.requests: list[LineRequest] = []

    def configure(self, request: LineRequest) -> None:
        self.requests.append(request)

    def close(self) -> None:
        os.close(self.descriptor)


class Hardware:
    """A board of real descriptors, whose I2C bus waits until it is let go."""

    def __init__(self) -> None:
        self.lines: list[PipeLine] = []
        self.opened: list[str] = []
        self.go_on = threading.Event()
        self.gone = False

    def is_simulated(self, peripheral: Peripheral) -> bool:
        return peripheral.kind == "SpiMaster"

    def line(self, peripheral: Peripheral, request: LineRequest) -> PipeLine:  # noqa: ARG002 - the port
        self.lines.append(PipeLine())
        self.lines[-1].configure(request)
        return self.lines[-1]

    def spi(self, peripheral: Peripheral) -> Any:
        return BoardPeripherals(boards.parse(content.board_file("mt3620-simulated"))).spi(peripheral)

    def i2c(self, peripheral: Peripheral) -> Hardware:
        self.opened.append(peripheral.name)
        return self

    def pwm(self, peripheral: Peripheral) -> Hardware:
        return self.i2c(peripheral)

    adc = pwm

    def transfer(self, address: int, write: bytes, read: int) -> bytes:
        assert self.go_on.wait(60)
        if self.gone:
            raise OSError(errno.ENODEV, "it was pulled out")
        return bytes([address, *write][:read])

    def close(self) -> None:
        self.opened.append("closed")
