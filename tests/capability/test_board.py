# SPDX-License-Identifier: Apache-2.0
"""Boards: what they bring out and on which node; each fault is named by its place."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures import images

from armillary import content
from armillary.boot import profile
from armillary.capability.board import Board, board_platform, parse
from armillary.capability.grant import Peripheral, grant, platform_limits
from armillary.errors import ManifestError
from armillary.wire.image import app_manifest

CHIP = platform_limits(profile.parse(content.chip_document("mt3620")))
WIRED = {
    "Gpio": {"8": {"Node": "/dev/gpiochip0", "Line": 17}},
    "Uart": {"ISU0": {"Node": "/dev/ttyS1"}},
    "I2cMaster": {"ISU1": {"Node": "/dev/i2c-1"}},
    "SpiMaster": {"ISU2": {"Nodes": ["/dev/spidev0.0", "/dev/spidev0.1"]}},
    "Pwm": {"PWM-CONTROLLER-0": {"Node": "/sys/class/pwm/pwmchip0", "Channels": 4}},
    "Adc": {"ADC-CONTROLLER-0": {"Node": "/sys/bus/iio/devices/iio:device0", "Channels": 8, "Bits": 10}},
    "I2sSubordinate": {"I2S0": {"Nodes": ["/dev/snd/pcmC0D0c", "/dev/snd/pcmC0D0p"]}},
}


def document(**changes: Any) -> bytes:
    found = {"SchemaVersion": 1, "Name": "test", "About": "A test.", "Chip": "mt3620", **changes}
    return json.dumps({key: value for key, value in found.items() if value is not None}).encode()


def of(kind: str, name: str) -> Peripheral:
    return Peripheral(kind=kind, name=name)


def test_a_board_says_what_each_peripheral_is() -> None:
    board = parse(document(Wired=WIRED, Simulated={"Gpio": [[20, 22]]}, Keeps="lan-enc28j60-isu0-int5"))
    assert board.describe(of("Gpio", "8")) == "line 17 of /dev/gpiochip0"
    assert board.describe(of("SpiMaster", "ISU2")) == "/dev/spidev0.0, /dev/spidev0.1"
    assert board.describe(of("Gpio", "21")) == "simulated"
    assert board.serial_ports == {"ISU0": "/dev/ttyS1"}
    assert (board.wired[of("Adc", "ADC-CONTROLLER-0")].channels, board.keeps) == (8, "lan-enc28j60-isu0-int5")
    assert board.describe(of("I2sSubordinate", "I2S0")) == "/dev/snd/pcmC0D0c, /dev/snd/pcmC0D0p"
    assert len(board.peripherals) == 10


def test_a_manifest_gets_what_the_board_brings_out_and_nothing_else_of_the_chip() -> None:
    platform = board_platform(CHIP, parse(document(Wired=WIRED)))

    def asked(pin: int) -> app_manifest.AppManifest:
        return app_manifest.parse(images.manifest("test", UUID(int=1), Capabilities={"Gpio": [pin]}))

    assert grant(asked(8), platform).peripherals == {of("Gpio", "8")}
    assert grant(asked(9), CHIP)  # positive control: the chip has it
    with pytest.raises(ManifestError) as caught:
        grant(asked(9), platform)
    assert caught.value.error_id == 2097165
    assert "expected a peripheral of MediaTek MT3620 on board test, got 9" in caught.value.message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Name": None}, "Name: expected a value"),
        ({"Colour": "red"}, "board: expected known keys only, got the unknown key 'Colour'"),
        ({"SchemaVersion": 2}, "SchemaVersion: expected 1"),
        ({"Chip": "../mt3620"}, "Chip: expected lower-case words"),
        ({"Wired": {"Gpio": {"8": "/dev/gpiochip0"}}}, "Wired.Gpio.8: expected an object"),
        ({"Wired": {"Gpio": {"8": {"Node": "/dev/gpiochip0"}}}}, "Line: expected a value"),
        ({"Wired": {"Gpio": {"8": {"Node": "/dev/mem", "Line": 1}}}}, "Wired.Gpio.8.Node: expected a node such as"),
        ({"Wired": {"Gpio": {"08": {"Node": "/dev/gpiochip0", "Line": 1}}}}, "Wired.Gpio.08: expected a pin number"),
        ({"Wired": {"Uart": {"ISU0": {"Node": "/dev/../etc/passwd"}}}}, "Wired.Uart.ISU0.Node: expected a node"),
        ({"Wired": {"SpiMaster": {"ISU2": {"Nodes": []}}}}, "Wired.SpiMaster.ISU2.Nodes: expected one node"),
        (
            {"Wired": {"I2sSubordinate": {"I2S0": {"Nodes": ["/dev/snd/pcmC0D0c", "/dev/snd/pcmC1D0c"]}}}},
            "Wired.I2sSubordinate.I2S0.Nodes: expected at most one node that ends in c",
        ),
        (
            {"Wired": {"I2sSubordinate": {"I2S0": {"Nodes": ["/dev/snd/controlC0"]}}}},
            "Nodes[0]: expected a node such as",
        ),
        ({"Wired": {"Camera": {}}}, "Wired: expected known keys only"),
        ({"Wired": {"Pwm": {"$LED": {"Node": "/sys/class/pwm/pwmchip0", "Channels": 1}}}}, "Wired.Pwm.$LED"),
        ({"Simulated": {"Uart": ["ISU0"]}}, "Simulated: expected known keys only, got the unknown key 'Uart'"),
        ({"Simulated": {"Gpio": [3]}}, "Simulated.Gpio[0]: expected an array of 2 to 2 entries"),
        ({"Wired": WIRED, "Simulated": {"Gpio": [[8, 8]]}}, "Simulated.Gpio: expected peripherals that are not wired"),
        ({"Devices": {"ISU1": {"0x48": "00"}}}, "Devices: expected names of simulated I2cMaster peripherals, got ISU1"),
        ({"Devices": {"ISU1": {"0x03": "00"}}}, "Devices.ISU1.0x03: expected an address from 0x08 to 0x77"),
        ({"Devices": {"ISU1": {"0x48": "0"}}}, "Devices.ISU1.0x48: expected at most 256 bytes in lower-case hex"),
    ],
)
def test_what_is_no_board_is_said_with_its_place(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(document(**changes))
    assert said in caught.value.message


def test_two_names_for_one_line_are_refused() -> None:
    line = {"Node": "/dev/gpiochip0", "Line": 17}
    with pytest.raises(ManifestError, match="which is Gpio 8"):
        parse(document(Wired={"Gpio": {"8": line, "9": line}}))
    other = {"Node": "/dev/gpiochip0", "Line": 18}
    assert parse(document(Wired={"Gpio": {"8": line, "9": other}}))  # positive control


def test_a_board_of_another_chip_or_with_what_the_chip_has_not() -> None:
    with pytest.raises(ManifestError, match="expected mt3620, which this device has"):
        board_platform(CHIP, parse(document(Chip="imx8mp")))
    with pytest.raises(ManifestError, match="expected a peripheral of MediaTek MT3620, got UART1"):
        board_platform(CHIP, parse(document(Wired={"Uart": {"UART1": {"Node": "/dev/ttyS1"}}})))


@pytest.mark.parametrize("name", content.board_folders())
def test_shipped_boards_fit_their_chips(name: str) -> None:
    board: Board = parse(content.board_file(name))
    platform = platform_limits(profile.parse(content.chip_document(board.chip)))
    assert board_platform(platform, board).peripherals == board.peripherals
    assert board.name == name
