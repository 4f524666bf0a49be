# SPDX-License-Identifier: Apache-2.0
"""A board that names hardware which is not there costs applications their peripherals, never the device its start."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from armillary import content
from armillary.capability.board import parse
from armillary.device.machine.wired_board import serial_ports_of, wired_board

CHIP = "gateway-x86-64"
NODES = {
    "Gpio": {"0": {"Node": "/dev/gpiochip0", "Line": 0}},
    "I2cMaster": {"I2C1": {"Node": "/dev/i2c-7"}},
    "SpiMaster": {"SPI1": {"Nodes": ["/dev/spidev3.0", "/dev/spidev3.1"]}},
}


def board(**changed: Any) -> bytes:
    whole = {"SchemaVersion": 1, "Name": "cellar", "About": "The cellar's.", "Chip": CHIP, "Wired": NODES}
    return json.dumps({**whole, **changed}).encode()


def told(folder: Path, data: bytes, *there: str) -> tuple[bool, str]:
    """Whether it is used, and what is said; these nodes are there."""
    (folder / "board.json").write_bytes(data)
    for node in there:
        (folder / node.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (folder / node.lstrip("/")).touch()
    found = wired_board(CHIP, [folder / "nowhere", folder / "board.json"], root=folder)
    return found.board is not None, found.fault


def test_a_machine_that_is_told_no_board_has_none(tmp_path: Path) -> None:
    assert wired_board(CHIP, [tmp_path / "nowhere"]) == (None, "")


def test_a_board_whose_hardware_is_there_is_used(tmp_path: Path) -> None:
    nodes = ("/dev/gpiochip0", "/dev/i2c-7", "/dev/spidev3.0", "/dev/spidev3.1")
    assert told(tmp_path, board(), *nodes) == (True, "")
    assert told(tmp_path, content.board_file(f"{CHIP}-simulated")) == (True, "")


def test_controllers_that_the_kernel_does_not_have_are_named_and_the_board_is_used(tmp_path: Path) -> None:
    used, said = told(tmp_path, board())
    assert used
    assert said == (
        "the board cellar names what this kernel does not have: Gpio 0 (/dev/gpiochip0), I2cMaster I2C1 (/dev/i2c-7), "
        "SpiMaster SPI1 (/dev/spidev3.0) and 1 more; applications that use it get ENODEV"
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (board(Chip="mt3621"), "Chip: expected gateway-x86-64, which this device has, got mt3621"),
        (board(Wired={"I2cMaster": {"I2C99": {"Node": "/dev/i2c-7"}}}), "I2C99"),
        (board(Wired={"Laser": {}}), "Laser"),
        (b"no board", "board"),
        (b'{"SchemaVersion": 1}' + b" " * (65 << 10), "board"),
    ],
)
def test_a_board_that_cannot_be_this_machines_is_said_and_not_used(tmp_path: Path, data: bytes, said: str) -> None:
    used, sentence = told(tmp_path, data)
    assert not used
    assert f"the board of {tmp_path / 'board.json'} is not used, no application gets a peripheral: " in sentence
    assert said in sentence
    assert "\n" not in sentence


def test_a_serial_port_that_is_none_is_left_out_and_one_that_may_come_is_kept(tmp_path: Path) -> None:
    main, other = os.openpty()
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/ttyS1").symlink_to(os.ttyname(other))
    (tmp_path / "dev/null").touch()
    ports = {name: {"Node": f"/dev/{node}"} for name, node in (("A", "ttyS1"), ("B", "ttyUSB0"), ("C", "null"))}
    found = parse(board(Wired={"Uart": ports}))
    assert serial_ports_of(found, tmp_path).keys() == {"A", "B"}
    os.close(main)
    os.close(other)
