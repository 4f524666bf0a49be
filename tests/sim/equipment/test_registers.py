# SPDX-License-Identifier: Apache-2.0
"""A simulated machine's Modbus tables: laid out by its profile, written without any guard."""

from __future__ import annotations

import struct

import pytest
from tests.sim.equipment.laid_out import COFFEE

from armillary.sim.equipment.coffee import CoffeeMachine
from armillary.sim.equipment.firmware import firmware_file, version_in
from armillary.sim.equipment.machine import advance
from armillary.sim.equipment.registers import Registers
from armillary.wire.equipment.modbus import (
    answer,
    identification_request,
    read_identification,
    read_request,
    write_coil_request,
    write_register_request,
    write_registers_request,
)
from armillary.wire.equipment.profile import Table


@pytest.fixture
def machine() -> CoffeeMachine:
    return CoffeeMachine(1)


@pytest.fixture
def bank(machine: CoffeeMachine) -> Registers:
    return Registers(COFFEE, machine)


def words(bank: Registers, table: Table, address: int, count: int) -> tuple[int, ...]:
    reply = answer(read_request(table, address, count), bank)
    assert reply[0] < 0x80, f"exception {reply[1]}"
    return struct.unpack(f">{count}H", reply[2:])


def test_values_stand_where_the_profile_says(bank: Registers, machine: CoffeeMachine) -> None:
    temperature, state = words(bank, Table.INPUT, 0, 2)
    assert (state, temperature) == (0, pytest.approx(925, abs=4))
    shots = machine.values()["shotsTotal"]
    assert words(bank, Table.INPUT, 10, 2) == (0, shots)
    assert answer(read_request(Table.DISCRETE, 3, 1), bank) == bytes([2, 1, 1])


def test_small_gaps_answer_and_large_ones_do_not(bank: Registers) -> None:
    assert words(bank, Table.INPUT, 5, 2) == (0, 0)
    assert answer(read_request(Table.INPUT, 100, 1), bank) == bytes([0x84, 2])
    assert answer(read_request(Table.INPUT, 199, 2), bank) == bytes([0x84, 2])


def test_what_is_written_is_done_and_reads_back(bank: Registers, machine: CoffeeMachine) -> None:
    request = write_register_request(100, 940)
    assert answer(request, bank) == request
    assert machine.settings()["setBrewTemp"] == pytest.approx(94.0)
    assert words(bank, Table.HOLDING, 100, 1) == (940,)
    answer(write_coil_request(10, True), bank)
    assert machine.settings()["startClean"] is True


def test_without_a_guard_a_write_can_hurt_the_machine(bank: Registers, machine: CoffeeMachine) -> None:
    answer(write_register_request(100, 1400), bank)
    advance(machine, 60)
    assert "boiled dry" in machine.harmed
    assert words(bank, Table.INPUT, 1, 1) == (5,)


def test_a_committed_recipe_is_used(bank: Registers, machine: CoffeeMachine) -> None:
    answer(write_registers_request(208, struct.pack(">2H", 905, 420)), bank)
    assert machine.settings()["setBrewTemp"] == pytest.approx(92.5)  # written, not committed
    answer(write_coil_request(20, True), bank)
    assert machine.settings()["setBrewTemp"] == pytest.approx(90.5)
    assert words(bank, Table.HOLDING, 208, 2) == (905, 420)


def write_firmware(bank: Registers, image: bytes) -> None:
    for offset in range(0, len(image), 40):
        answer(write_registers_request(390, struct.pack(">I", offset)), bank)
        answer(write_registers_request(400, image[offset : offset + 40].ljust(40, b"\0")), bank)
        answer(write_coil_request(30, True), bank)
    answer(write_coil_request(31, True), bank)


def test_firmware_is_written_started_and_taken_back(bank: Registers) -> None:
    assert words(bank, Table.INPUT, 14, 1) == (102,)
    write_firmware(bank, firmware_file(103, bytes(range(200))))
    assert words(bank, Table.INPUT, 14, 1) == (103,)
    answer(write_coil_request(32, True), bank)
    assert words(bank, Table.INPUT, 14, 1) == (102,)


def test_firmware_that_is_not_whole_is_not_started(bank: Registers) -> None:
    image = bytearray(firmware_file(103, bytes(range(200))))
    image[60] ^= 1
    assert version_in(bytes(image)) is None
    write_firmware(bank, bytes(image))
    assert words(bank, Table.INPUT, 14, 1) == (102,)


def test_a_machine_says_that_it_is_simulated_with_and_without_a_name(machine: CoffeeMachine) -> None:
    named, _ = read_identification(answer(identification_request(2), Registers(COFFEE, machine)))
    assert (named[0], named[1], named[5]) == (b"Nobody (SIMULATED)", b"SIMULATED", b"T-1")
    nameless, _ = read_identification(answer(identification_request(2), Registers(COFFEE, machine, nameless=True)))
    assert nameless == {0: b"SIMULATED", 1: b"SIMULATED", 2: b"1.0"}
