# SPDX-License-Identifier: Apache-2.0
"""Recipes and firmware: exact fields in their ranges, through their window alone, in the state for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fixtures.guarded_machine import GuardedMachine

from armillary.content.equipment import load
from armillary.guard.compiling import compile_profile
from armillary.guard.installing import (
    FirmwareStep,
    Recipe,
    judge_commit,
    judge_firmware,
    judge_piece,
    judge_recipe,
    judge_step,
    recipe_spans,
)
from armillary.guard.reading_back import check_read_back, read_back
from armillary.wire.equipment.faults import GuardRefusedError, ReadBackError
from armillary.wire.equipment.request import (
    Frame,
    ModbusReply,
    ModbusRequest,
    NodesRead,
    NodeWrite,
    ValuesReply,
)

VALUES: dict[str, object] = {
    "recipeNumber": 12,
    "brewTemp": 93.0,
    "preInfusionTime": 3.5,
    "preInfusionPressure": 2.5,
    "brewPressure": 9.0,
    "doseWeight": 18.0,
    "grindTime": 4.2,
    "shotVolume": 36.0,
    "shotTime": 27.0,
    "flowLimit": 4.0,
    "milkTemp": 60.0,
    "beanHopper": 1,
}
WORDS = [12, 930, 35, 250, 900, 180, 420, 360, 270, 400, 600, 1]


@pytest.fixture
def machine() -> GuardedMachine:
    return GuardedMachine()


def judged(machine: GuardedMachine, slot: object = 2, **changes: object):
    recipe = Recipe(slot, {**VALUES, **changes})  # type: ignore[arg-type]
    return judge_recipe(machine.profile, machine.allow, recipe, machine.situation, machine.now)


def test_a_recipe_is_one_write_of_its_slot_and_a_coil(machine):
    (permit,) = judged(machine)
    data = b"".join(word.to_bytes(2, "big") for word in WORDS)
    assert permit.request == ModbusRequest(1, bytes([16, 0, 224, 0, 12, 24]) + data)
    assert permit.command == "recipe"
    commit = judge_commit(machine.profile, machine.allow, machine.situation, machine.now)
    assert commit.request == ModbusRequest(1, bytes([5, 0, 20, 0xFF, 0]))
    assert machine.profile.recipe is not None
    assert [(span.function, span.first, span.count) for span in recipe_spans(machine.profile.recipe, 2)] == [
        (3, 224, 12)
    ]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"slot": 8}, "span"),
        ({"slot": -1}, "span"),
        ({"slot": True}, "span"),
        ({"slot": "0"}, "span"),
        ({"brewTemp": 96.1}, "value"),
        ({"brewTemp": None}, "value"),
        ({"brewTemp": float("nan")}, "value"),
        ({"recipeNumber": True}, "value"),
        ({"recipeNumber": "12"}, "value"),
        ({"beanHopper": 4}, "value"),
        ({"vendorSecret": 1}, "not-listed"),
    ],
)
def test_a_recipe_of_other_fields_values_or_slots_is_refused(machine, changes, rule):
    with pytest.raises(GuardRefusedError) as refused:
        judged(machine, **changes)
    assert refused.value.rule == rule
    assert not machine.history.last


def test_a_recipe_without_one_of_its_fields_is_refused(machine):
    recipe = Recipe(0, {name: value for name, value in VALUES.items() if name != "milkTemp"})
    with pytest.raises(GuardRefusedError, match="exactly the fields"):
        judge_recipe(machine.profile, machine.allow, recipe, machine.situation, machine.now)


def test_a_recipe_is_written_and_committed_in_its_state_only(machine):
    machine.read(state="brewing")
    with pytest.raises(GuardRefusedError, match="state is brewing"):
        judged(machine)
    machine.read(state="idle")
    judged(machine)
    machine.read(state="grinding")
    with pytest.raises(GuardRefusedError, match="state is grinding"):
        judge_commit(machine.profile, machine.allow, machine.situation, machine.now)


def test_recipes_keep_their_distance(machine):
    judged(machine)
    machine.wait(59)
    with pytest.raises(GuardRefusedError, match="every 60 s"):
        judged(machine)
    machine.wait(1)
    assert judged(machine)


def test_equipment_without_recipes_or_firmware_takes_none():
    cable = GuardedMachine(compiled=compile_profile(load("cable")))
    for ask in (
        lambda: judged(cable),
        lambda: judge_commit(cable.profile, cable.allow, cable.situation, cable.now),
        lambda: judge_firmware(cable.profile, 10, cable.situation, cable.now),
        lambda: judge_piece(cable.profile, cable.allow, 0, b"x", cable.situation, cable.now),
        lambda: judge_step(cable.profile, cable.allow, FirmwareStep.COMMIT, cable.situation, cable.now),
    ):
        with pytest.raises(GuardRefusedError) as refused:
            ask()
        assert refused.value.rule == "read-only"


def test_a_firmware_begins_with_a_consent_and_goes_through_its_window(machine):
    with pytest.raises(GuardRefusedError, match="nobody at the equipment"):
        judge_firmware(machine.profile, 300, machine.situation, machine.now)
    machine.agree("firmware")
    judge_firmware(machine.profile, 300, machine.situation, machine.now)
    assert "firmware" not in machine.history.consents
    window, place, coil = judge_piece(machine.profile, machine.allow, 256, b"\x01" * 44, machine.situation, machine.now)
    assert window.request.pdu == bytes([16, 1000 >> 8, 1000 & 255, 0, 64, 128]) + b"\x01" * 44 + bytes(84)
    assert place.request.pdu == bytes([16, 1100 >> 8, 1100 & 255, 0, 2, 4, 0, 0, 1, 0])
    assert coil.request.pdu == bytes([5, 0, 30, 0xFF, 0])
    for step, at in ((FirmwareStep.COMMIT, 31), (FirmwareStep.REVERT, 32)):
        permit = judge_step(machine.profile, machine.allow, step, machine.situation, machine.now)
        assert permit.request.pdu == bytes([5, 0, at, 0xFF, 0])


@pytest.mark.parametrize(
    ("offset", "size", "rule"),
    [(0, 0, "length"), (0, 129, "length"), (64, 10, "span"), (-128, 10, "span"), (262144, 1, "span")],
)
def test_a_piece_beside_its_window_is_refused(machine, offset, size, rule):
    with pytest.raises(GuardRefusedError) as refused:
        judge_piece(machine.profile, machine.allow, offset, bytes(size), machine.situation, machine.now)
    assert refused.value.rule == rule


def test_the_firmware_before_returns_whatever_the_state_but_soon(machine):
    def step(which: FirmwareStep) -> object:
        return judge_step(machine.profile, machine.allow, which, machine.situation, machine.now)

    machine.read(state="fault")
    for which in FirmwareStep:
        with pytest.raises(GuardRefusedError, match="state is fault"):
            step(which)
    machine.read(state="idle")
    step(FirmwareStep.COMMIT)
    machine.wait(600)
    machine.read(state="fault")
    assert step(FirmwareStep.REVERT)
    with pytest.raises(GuardRefusedError, match="state is fault"):
        step(FirmwareStep.COMMIT)
    machine.wait(1)
    with pytest.raises(GuardRefusedError, match="state is fault"):
        step(FirmwareStep.REVERT)


@pytest.mark.parametrize("size", [0, -1, 262145])
def test_a_firmware_of_no_size_or_too_much_is_refused(machine, size):
    machine.agree("firmware")
    with pytest.raises(GuardRefusedError) as refused:
        judge_firmware(machine.profile, size, machine.situation, machine.now)
    assert refused.value.rule == "length"


def test_no_piece_goes_to_a_machine_that_is_at_work(machine):
    machine.read(state="brewing")
    for ask in (
        lambda: judge_piece(machine.profile, machine.allow, 0, b"x", machine.situation, machine.now),
        lambda: judge_step(machine.profile, machine.allow, FirmwareStep.COMMIT, machine.situation, machine.now),
        lambda: judge_firmware(machine.profile, 10, machine.situation, machine.now),
    ):
        with pytest.raises(GuardRefusedError, match="state is brewing"):
            ask()


def test_what_was_written_is_read_at_the_same_place(machine):
    written = machine.ask("setBrewTemp", 93.0)
    read = read_back(machine.allow, written)
    assert read is not None
    assert read.request == ModbusRequest(1, bytes([3, 0, 100, 0, 1]))
    check_read_back(written, ModbusReply(bytes([3, 2, 930 >> 8, 930 & 255])))
    for reply in (ModbusReply(bytes([3, 2, 0, 0])), ModbusReply(b"\x03"), Frame(1, 0, b""), ValuesReply((93.0,))):
        with pytest.raises(ReadBackError):
            check_read_back(written, reply)
    (recipe,) = judged(machine)
    slot = read_back(machine.allow, recipe)
    assert slot is not None
    assert slot.request.pdu == bytes([3, 0, 224, 0, 12])
    check_read_back(recipe, ModbusReply(bytes([3, 24]) + recipe.request.pdu[6:]))


def test_a_coil_is_read_back_where_the_profile_lists_it(machine):
    machine.agree("startClean")
    assert read_back(machine.allow, machine.ask("startClean")) is None  # It says no verify
    command = replace(machine.profile.commands[1], verify=True)
    profile = replace(machine.profile, commands=(command,))
    verified = GuardedMachine(compiled=replace(compile_profile(profile), profile=profile))
    verified.agree("startClean")
    written = verified.ask("startClean")
    read = read_back(verified.allow, written)
    assert read is not None
    assert read.request.pdu == bytes([1, 0, 10, 0, 1])
    check_read_back(written, ModbusReply(bytes([1, 1, 1])))
    with pytest.raises(ReadBackError):
        check_read_back(written, ModbusReply(bytes([1, 1, 0])))


def test_a_node_is_read_back_with_its_type(machine):
    allow = replace(machine.allow, nodes=frozenset({"ns=2;s=On"}))
    written = replace(machine.ask("setBrewTemp", 93.0), request=NodeWrite("ns=2;s=On", True, "Boolean"))
    read = read_back(allow, written)
    assert read is not None
    assert read.request == NodesRead(("ns=2;s=On",))
    check_read_back(written, ValuesReply((True,)))
    for values in ((False,), (None,), (1,), (), (True, True)):
        with pytest.raises(ReadBackError):
            check_read_back(written, ValuesReply(values))
