# SPDX-License-Identifier: Apache-2.0
"""The allow-list of a profile: what may be sent, and profiles of which none can be made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from armillary.guard.allow_list import AllowList, ReadSpan, allow_list, recipe_pieces
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.profile import (
    Command,
    FirmwareArea,
    FramedSerial,
    FrameField,
    ModbusAddress,
    ModbusTcp,
    Profile,
    RecipeArea,
    RecipeField,
    Table,
)
from armillary.wire.equipment.request import FrameRequest, ModbusRequest

POLLED = ModbusRequest(1, bytes([4, 0, 0, 0, 12]))
PROFILE = Profile(
    name="guard/press",
    version=1,
    title="Press",
    manufacturer="Contoso",
    model="P1",
    link=ModbusTcp(host="10.9.0.2"),
    groups={"fast": 0.5},
)
SET = Command(
    name="setTemperature",
    address=ModbusAddress(Table.HOLDING, 100),
    raw="u16",
    scale=0.1,
    low=85.0,
    high=96.0,
    step=2.0,
    verify=True,
)
START = Command(name="start", address=ModbusAddress(Table.COIL, 10), fixed=True)
RECIPE = RecipeArea(
    address=200,
    words=4,
    slots=2,
    commit_coil=20,
    fields=(
        RecipeField(name="dose", offset=0, raw="u16", scale=0.1, low=5.0, high=20.0),
        RecipeField(name="volume", offset=1, raw="u32be", low=0, high=1000),
    ),
)
FIRMWARE = FirmwareArea(
    address=500,
    words=64,
    offset_address=600,
    write_coil=30,
    commit_coil=31,
    revert_coil=32,
    version="firmware",
    limit_bytes=65536,
)


def listed(**changes: object) -> AllowList:
    return allow_list(replace(PROFILE, **changes), [POLLED])  # type: ignore[arg-type]


def test_a_profile_without_commands_lists_reads_only():
    allow = listed()
    assert allow.reads == {ReadSpan(4, 0, 12)}
    assert not allow.writes
    assert not allow.frames
    assert not allow.node_writes


def test_a_command_lists_one_write_and_its_read_back():
    allow = listed(commands=(SET, START))
    assert allow.reads == {ReadSpan(4, 0, 12), ReadSpan(3, 100, 1)}  # Nothing of ``start`` is read back
    assert set(allow.writes) == {bytes([6, 0, 100]), bytes([5, 0, 10])}
    (number,) = allow.writes_of("setTemperature")[0].ranges
    assert (number.low, number.high) == (850, 960)
    assert allow.writes_of("start")[0].choices == {b"\xff\x00"}


def test_limits_that_lie_between_two_raw_numbers_are_rounded_inwards():
    allow = listed(commands=(replace(SET, low=85.01, high=95.99),))
    (number,) = allow.writes_of("setTemperature")[0].ranges
    assert (number.low, number.high) == (851, 959)
    allow = listed(commands=(replace(SET, scale=-0.1, offset=100.0, low=85.0, high=96.0),))
    (number,) = allow.writes_of("setTemperature")[0].ranges
    assert (number.low, number.high) == (40, 150)


def test_recipes_and_firmware_list_their_windows_and_coils_and_no_more():
    allow = listed(recipe=RECIPE, firmware=FIRMWARE)
    heads = {rule.head for rule in allow.writes_of("recipe")}
    assert heads == {
        bytes([16, 0, 200, 0, 3, 6]),
        bytes([16, 0, 204, 0, 3, 6]),
        bytes([5, 0, 20]),
    }
    assert len(allow.writes_of("firmware")) == 5
    assert ReadSpan(3, 500, 64) in allow.reads
    assert ReadSpan(3, 204, 3) in allow.reads


def test_a_long_recipe_is_written_in_pieces_that_divide_no_field():
    fields = tuple(RecipeField(name=f"f{i}", offset=2 * i, raw="u32be", low=0, high=9) for i in range(100))
    pieces = list(recipe_pieces(replace(RECIPE, words=200, fields=fields), 1))
    assert [(span.first, span.count, len(items)) for span, items in pieces] == [(400, 122, 61), (522, 78, 39)]


def test_frames_are_listed_by_kind_with_their_exact_length():
    dose = Command(name="setDose", address=FrameField(0x81, 0), raw="u16le", scale=0.01, low=0.4, high=1.5, frame=0x81)
    identify = Command(name="identify", address=None, frame=0x82)
    allow = allow_list(replace(PROFILE, link=FramedSerial(port="UART3"), commands=(dose, identify)), [])
    assert {kind: rule.length for kind, rule in allow.frames.items()} == {0x81: 3, 0x82: 1}
    assert allow.frames[0x81].ranges[0].raw(bytes([0x96, 0x00])) == 150
    assert allow.unit is None


REFUSED: dict[str, dict[str, object]] = {
    "expected 1 to 247, got 0": {"link": ModbusTcp(host="10.9.0.2", unit=0)},
    "expected a raw number": {"commands": (replace(SET, low=85.01, high=85.04),)},
    "expected finite numbers": {"commands": (replace(SET, high=float("inf")),)},
    "expected a lowest and a highest": {"commands": (replace(SET, high=None),)},
    "expected a table that can be written, got input": {
        "commands": (replace(SET, address=ModbusAddress(Table.INPUT, 100)),)
    },
    "expected raw kind bool": {"commands": (replace(SET, address=ModbusAddress(Table.COIL, 100)),)},
    "that can be written to registers.* got bool": {"commands": (replace(SET, raw="bool"),)},
    "that can be written to registers.* got i8": {"commands": (replace(SET, raw="i8"),)},
    "got the one of setTemperature": {"commands": (SET, replace(SET, name="again"))},
    "expected a Modbus address": {"commands": (replace(SET, address=None),)},
    "got the one of start": {"commands": (START,), "recipe": replace(RECIPE, commit_coil=10)},
    "got text": {"commands": (replace(SET, fixed="hot"),)},
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_profile_that_cannot_be_guarded_is_refused_by_name(words):
    with pytest.raises(ProfileError, match=words):
        listed(**REFUSED[words])


@pytest.mark.parametrize(
    "request_", [ModbusRequest(2, POLLED.pdu), ModbusRequest(1, bytes([6, 0, 0, 0, 1])), FrameRequest(1, b"")]
)
def test_a_poll_plan_that_does_more_than_read_is_refused(request_):
    with pytest.raises(ProfileError, match="expected reads from unit 1"):
        allow_list(PROFILE, [request_])
