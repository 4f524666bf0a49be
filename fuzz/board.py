# SPDX-License-Identifier: Apache-2.0
"""Boards, and what is set outside of simulated peripherals: any JSON is one or is refused, and never half done."""

from __future__ import annotations

import json

from armillary import content
from armillary.capability import board
from armillary.device.interface.peripherals.outside import Outside
from armillary.engines.peripherals.simulated import SimulatedBoard
from armillary.errors import InvalidArgumentError, ManifestError

BOARD = board.parse(content.board_file("mt3620-simulated"))


def seeds() -> list[bytes]:
    asked = [
        {"kind": "Gpio", "name": "12", "value": 1},
        {"kind": "Adc", "name": "ADC-CONTROLLER-0", "channel": 3, "value": 1234},
        {"kind": "I2cMaster", "name": "ISU1", "address": 72, "registers": "1900"},
    ]
    return [
        *(content.board_file(name) for name in content.board_folders()),
        json.dumps({"set": asked}).encode(),
        json.dumps({"show": True, "set": asked[:1]}).encode(),
    ]


def fuzz(data: bytes) -> None:
    try:
        found = board.parse(data)
        assert found.peripherals == {*found.simulated, *found.wired}
        assert all(found.describe(each) for each in found.peripherals)
    except ManifestError:
        pass
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    world = SimulatedBoard(BOARD.devices)
    before = json.dumps(world.show())
    try:
        json.dumps(Outside(BOARD, world).answer(document))
    except InvalidArgumentError:
        assert json.dumps(world.show()) == before
