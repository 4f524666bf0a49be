# SPDX-License-Identifier: Apache-2.0
"""Replies become readings: exact values, honest qualities, no magic value; and values become wire forms and back."""

from __future__ import annotations

import math
import struct

import pytest
from tests.wire.equipment.profile_documents import framed, machine, nodes

from armillary.guard.compiling import CompiledProfile, compile_profile
from armillary.guard.decoding import bad, decode, decode_written, encode_value
from armillary.guard.slots import PollBlock
from armillary.wire.equipment.faults import GuardRefusedError, LinkError
from armillary.wire.equipment.profile_reader import read_profile
from armillary.wire.equipment.reading import Quality, Reading
from armillary.wire.equipment.request import Frame, ModbusReply, ModbusRequest, ValuesReply


@pytest.fixture(scope="module")
def compiled() -> CompiledProfile:
    return compile_profile(read_profile(machine()))


def block_at(compiled: CompiledProfile, function: int, first: int) -> PollBlock:
    return next(
        each
        for each in compiled.blocks
        if isinstance(each.request, ModbusRequest) and each.request.pdu[0] == function and each.span[0] == first
    )


def reply(function: int, *words: int) -> ModbusReply:
    return ModbusReply(bytes([function, 2 * len(words)]) + b"".join(word.to_bytes(2) for word in words))


def test_registers_become_values_without_noise(compiled: CompiledProfile) -> None:
    readings = decode(block_at(compiled, 4, 0), reply(4, 925, 1, 0b1001), 5.0)
    assert readings == [
        Reading("level", 92.5, Quality.GOOD, 5.0),
        Reading("state", "busy", Quality.GOOD, 5.0),
        Reading("faults", "hot cold", Quality.GOOD, 5.0),
    ]


def test_what_cannot_be_or_is_not_plausible_says_so(compiled: CompiledProfile) -> None:
    readings = decode(block_at(compiled, 4, 0), reply(4, 1001, 7, 0b10), 5.0)
    assert [(each.value, each.quality) for each in readings] == [
        (100.1, Quality.RANGE),
        (None, Quality.BAD),
        ("bit1", Quality.RANGE),
    ]


def test_long_numbers_have_the_order_of_their_kind(compiled: CompiledProfile) -> None:
    values = {each.point: each.value for each in decode(block_at(compiled, 4, 4), reply(4, 1, 2, 1, 2, 9), 0.0)}
    assert values == {"total": 0x0001_0002, "other": 0x0002_0001, "release": 9}
    high, low = struct.unpack(">HH", struct.pack(">f", -2.5))
    (gain,) = decode(block_at(compiled, 3, 20), reply(3, low, high), 0.0)
    assert gain == Reading("gain", -2.5, Quality.GOOD, 0.0)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_no_number_is_bad(compiled: CompiledProfile, number: float) -> None:
    high, low = struct.unpack(">HH", struct.pack(">f", number))
    (gain,) = decode(block_at(compiled, 3, 20), reply(3, low, high), 0.0)
    assert gain == Reading("gain", None, Quality.BAD, 0.0)


def test_bits_are_truth_values(compiled: CompiledProfile) -> None:
    assert decode(block_at(compiled, 2, 3), ModbusReply(b"\x02\x01\x01"), 1.0) == [
        Reading("door", True, Quality.GOOD, 1.0)
    ]
    assert decode(block_at(compiled, 2, 3), ModbusReply(b"\x02\x01\xfe"), 1.0)[0].value is False


@pytest.mark.parametrize("pdu", [b"\x04", b"\x04\x06\0\0", b"\x04\x05\0\0\0\0\0\0", b"\x04\x08" + b"\0" * 8])
def test_a_reply_of_another_length_is_damaged(compiled: CompiledProfile, pdu: bytes) -> None:
    with pytest.raises(LinkError) as refused:
        decode(block_at(compiled, 4, 0), ModbusReply(pdu), 0.0)
    assert refused.value.reason == "damaged"


def test_frames_bring_their_fields() -> None:
    frames = compile_profile(read_profile(framed())).frames
    payload = (7).to_bytes(4, "little") + (110).to_bytes(2) + b"\x01"
    assert [(each.point, each.value) for each in decode(frames[1], Frame(1, 0, payload), 0.0)] == [
        ("uses", 7),
        ("dose", 1.1),
        ("open", True),
    ]
    payload = (-215).to_bytes(2, "little", signed=True) + b"\xff\xff\x07"
    assert [(each.point, each.value, each.quality) for each in decode(frames[2], Frame(2, 0, payload), 0.0)] == [
        ("warmth", -21.5, Quality.RANGE),
        ("code", "worn", Quality.GOOD),
    ]
    (*_, door) = decode(frames[1], Frame(1, 0, payload[:4] + b"\0\0\x02"), 0.0)
    assert (door.value, door.quality) == (None, Quality.BAD)
    with pytest.raises(LinkError, match="bytes"):
        decode(frames[1], Frame(1, 0, payload), 0.0)


def test_typed_values_are_of_the_profiles_kind_or_bad() -> None:
    (block,) = compile_profile(read_profile(nodes())).blocks
    names = [each.point.name for each in block.slots]

    def read(**values: float | str | bool | None) -> dict[str, tuple[object, Quality]]:
        given = {name: 1.5 if name.startswith("zone") else values.get(name) for name in names}
        readings = decode(block, ValuesReply(tuple(given[name] for name in names)), 0.0)
        return {each.point: (each.value, each.quality) for each in readings}

    assert read(speed=12.5, count=3, on=True) == {
        "speed": (12.5, Quality.GOOD),
        "count": (3, Quality.GOOD),
        "on": (True, Quality.GOOD),
        **{f"zone{index}_heat": (1.5, Quality.GOOD) for index in range(3)},
    }
    wrong = read(speed=51.0, count=2.5, on="yes")
    assert wrong["speed"] == (51.0, Quality.RANGE)
    assert wrong["count"] == wrong["on"] == (None, Quality.BAD)
    wrong = read(speed=math.nan, count=-1, on=2)
    assert {wrong[name] for name in ("speed", "count", "on")} == {(None, Quality.BAD)}
    with pytest.raises(LinkError):
        decode(block, ValuesReply((1,)), 0.0)


def test_what_was_never_read_is_bad(compiled: CompiledProfile) -> None:
    assert {(each.value, each.quality) for each in bad(block_at(compiled, 4, 0), 1.0)} == {(None, Quality.BAD)}


def test_values_of_commands_have_a_wire_form() -> None:
    commands = {each.name: each for each in read_profile(machine()).commands}
    assert encode_value(commands["setSetting"], 21.5) == (43).to_bytes(2)
    assert encode_value(commands["setSetting"], -10) == (-20).to_bytes(2, signed=True)
    assert decode_written(commands["setSetting"], encode_value(commands["setSetting"], 21.6)) == 21.5
    assert encode_value(commands["lamp"], True) == b"\x01"
    dose = next(each for each in read_profile(framed()).commands if each.name == "setDose")
    assert encode_value(dose, 1.1) == (110).to_bytes(2)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "21", 1e300, 10**400, 40.2, -10.3, 17000])
def test_values_that_have_none_are_refused(value: float | str | bool) -> None:
    command = next(each for each in read_profile(machine()).commands if each.name == "setSetting")
    with pytest.raises(GuardRefusedError) as refused:
        encode_value(command, value)
    assert refused.value.rule == "value"


@pytest.mark.parametrize("value", [1, 0, "on", 1.0])
def test_a_truth_value_is_no_number(value: float | str) -> None:
    command = next(each for each in read_profile(machine()).commands if each.name == "lamp")
    with pytest.raises(GuardRefusedError):
        encode_value(command, value)


def small(points: dict[str, object], commands: dict[str, object] | None = None) -> dict[str, object]:
    """A machine with these points alone."""
    head = {key: machine()[key] for key in ("profile", "version", "title", "manufacturer", "model", "link", "groups")}
    return {**head, "points": points, "commands": commands or {}}


def input_word(address: int, **more: object) -> dict[str, object]:
    return {"table": "input", "address": address, "raw": "u16", "group": "fast", **more}


def test_points_that_share_a_place_each_have_their_reading() -> None:
    points = {"state": input_word(0, states={"idle": 7}), "number": input_word(0), "next": input_word(1)}
    (block,) = compile_profile(read_profile(small(points))).blocks
    values = {each.point: each.value for each in decode(block, reply(4, 7, 9), 0.0)}
    assert values == {"state": "idle", "number": 7, "next": 9}


@pytest.mark.parametrize(
    ("bounds", "number", "quality"),
    [
        ({"low": 5}, 4, Quality.RANGE),
        ({"low": 5}, 5, Quality.GOOD),
        ({"high": 5}, 5, Quality.GOOD),
        ({"high": 5}, 6, Quality.RANGE),
    ],
)
def test_a_range_includes_its_ends_and_may_have_one(bounds: dict[str, object], number: int, quality: Quality) -> None:
    (block,) = compile_profile(read_profile(small({"level": input_word(0, **bounds)}))).blocks
    assert decode(block, reply(4, number), 0.0) == [Reading("level", number, quality, 0.0)]


def test_a_float_without_range_is_bad_when_it_is_no_number() -> None:
    (block,) = compile_profile(read_profile(small({"gain": input_word(0, raw="f32be")}))).blocks
    assert decode(block, ModbusReply(b"\x04\x04" + struct.pack(">f", math.nan)), 0.0) == [
        Reading("gain", None, Quality.BAD, 0.0)
    ]


def test_long_values_of_commands_have_the_order_of_their_link() -> None:
    holding = {"table": "holding", "address": 0, "raw": "u32le", "low": 10, "high": 100000, "offset": 10}
    (command,) = read_profile(small({"level": input_word(0)}, {"set": holding})).commands
    assert encode_value(command, 65547) == b"\x00\x01\x00\x01"
    assert encode_value(command, 65548) == b"\x00\x02\x00\x01"
    assert decode_written(command, b"\x00\x02\x00\x01") == 65548
    document = framed()
    document["commands"] = {
        "set": {"frame": 0x81, "raw": "u32le", "low": 0, "high": 100000},
        "light": {"frame": 0x83, "raw": "bool"},
    }
    light, command = read_profile(document).commands
    assert encode_value(command, 65538) == b"\x02\x00\x01\x00"
    assert decode_written(command, b"\x02\x00\x01\x00") == 65538
    assert encode_value(light, True) == b"\x01"


@pytest.mark.parametrize("value", [-10, 40, 39.9, -9.9])
def test_the_ends_of_a_range_may_be_written(value: float) -> None:
    command = next(each for each in read_profile(machine()).commands if each.name == "setSetting")
    back = decode_written(command, encode_value(command, value))
    assert isinstance(back, float)
    assert abs(back - value) <= 0.25


def test_what_is_read_back_in_another_length_is_damaged() -> None:
    command = next(each for each in read_profile(machine()).commands if each.name == "setSetting")
    for data in (b"", b"\x00", b"\x00\x00\x00\x00"):
        with pytest.raises(LinkError) as refused:
            decode_written(command, data)
        assert refused.value.reason == "damaged"
