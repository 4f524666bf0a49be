# SPDX-License-Identifier: Apache-2.0
"""Shipped profiles and simulated machines fit: each point has a value, and is read back by the guard's own decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from armillary.content.equipment import load
from armillary.guard.compiling import compile_profile
from armillary.guard.decoding import decode
from armillary.sim.equipment.layout import payload
from armillary.sim.equipment.machine import Machine
from armillary.sim.equipment.machines import MACHINES, Play, begin
from armillary.sim.equipment.registers import Registers
from armillary.wire.equipment.modbus import answer
from armillary.wire.equipment.reading import Quality, Value
from armillary.wire.equipment.request import Frame, ModbusReply, ModbusRequest


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_has_a_value_for_every_point_and_command(name: str) -> None:
    life = begin(name, Play())
    assert {each.name for each in load(name).all_points} <= life.machine.values().keys()
    with_value = {each.name for each in load(name).commands if each.address is not None}
    assert with_value <= life.machine.settings().keys()


class Still:
    """A machine whose values do not waver between two looks."""

    def __init__(self, machine: Machine) -> None:
        self._values = dict(machine.values())

    def values(self) -> Mapping[str, Value]:
        return self._values

    def settings(self) -> Mapping[str, Value]:
        return {}


@pytest.mark.parametrize("name", ["coffee", "cable"])
def test_the_poll_plan_reads_every_point_good(name: str) -> None:
    life = begin(name, Play())
    machine: Any = Still(life.machine)
    bank = Registers(life.profile, machine)
    readings = {}
    for block in compile_profile(life.profile).blocks:
        assert isinstance(block.request, ModbusRequest)
        reply = ModbusReply(answer(block.request.pdu, bank))
        readings |= {each.point: each for each in decode(block, reply, 1.0)}
    assert readings.keys() == {each.name for each in life.profile.all_points}
    assert {each.point for each in readings.values() if each.quality is not Quality.GOOD} == set()
    assert readings["simulated"].value is True
    shown = machine.values()
    for point in life.profile.all_points:
        value = readings[point.name].value
        if isinstance(value, float) and not point.states:
            assert value == pytest.approx(float(shown[point.name]), abs=0.51 * point.scale), point.name


def test_the_frames_of_a_dispenser_are_read_good() -> None:
    life = begin("dispenser", Play())
    compiled = compile_profile(life.profile)
    values = life.machine.values()
    readings = {}
    for frame in life.profile.frames:
        kind, data = payload(life.profile, frame.name, values)
        assert len(data) == frame.length
        readings |= {each.point: each for each in decode(compiled.frames[kind], Frame(kind, 0, data), 1.0)}
    assert {each.point for each in readings.values() if each.quality is not Quality.GOOD} == set()
    assert readings["simulated"].value is True
