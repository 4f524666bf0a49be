# SPDX-License-Identifier: Apache-2.0
"""Whatever a document is: it becomes the profile that it says, or one ProfileError; and what is compiled is whole."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, example, given, strategies as some
from tests.wire.equipment.profile_documents import changed, framed, machine, nodes, objects
from tests.wire.equipment.profile_strategies import anything, broken_documents, documents
from tests.wire.equipment.test_profile_reader import DOCUMENTS

from armillary import content
from armillary.guard.compiling import BRIDGED_BITS, CompiledProfile, compile_profile
from armillary.guard.decoding import decode
from armillary.guard.interface import dtdl_interface
from armillary.guard.slots import FrameBlock, PollBlock
from armillary.wire.dtdl.model import parse_model
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.modbus import MAX_READ_BITS
from armillary.wire.equipment.profile import RAW_KINDS, ModbusTcp, Point
from armillary.wire.equipment.profile_reader import canonical, profile_document, read_json, read_profile
from armillary.wire.equipment.raw_value import FLOAT_CODES, encode_value, size_of, words_of
from armillary.wire.equipment.reading import Quality, Reading
from armillary.wire.equipment.request import Frame, ModbusReply, ModbusRequest

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((content.folder("equipment") / "profile.schema.json").read_text("utf-8"))
)


@given(document=documents)
def test_a_document_is_read_written_and_read_again(document: dict[str, Any]) -> None:
    profile = read_profile(document)
    written = profile_document(profile)
    stored = canonical(written)
    assert read_profile(read_json(stored)) == profile
    assert profile_document(read_profile(read_json(stored))) == written
    assert json.loads(stored) == written


@given(document=broken_documents() | anything)
@example({"points": {}})
def test_nothing_but_a_profile_error_comes_of_a_broken_document(document: Any) -> None:
    found: list[ProfileError] = []
    try:
        profile = read_profile(document)
    except ProfileError as error:
        found.append(error)
    if found:
        assert found[0].rule
        assert found[0].message.isprintable()
        return
    with contextlib.suppress(ProfileError):
        compile_profile(profile)
    parse_model([("interface", json.dumps(dtdl_interface(profile)).encode())])


@given(document=documents)
def test_what_is_read_follows_the_schema(document: dict[str, Any]) -> None:
    SCHEMA.validate(document)
    SCHEMA.validate(profile_document(read_profile(document)))


@given(document=broken_documents())
def test_what_is_against_the_schema_is_refused(document: Any) -> None:
    try:
        is_valid = SCHEMA.is_valid(document)
    except (RecursionError, OverflowError):
        return
    assume(not is_valid)
    with pytest.raises(ProfileError):
        read_profile(document)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_schema_takes_a_profile_of_each_link(name: str) -> None:
    SCHEMA.validate(DOCUMENTS[name]())
    assert not SCHEMA.is_valid(changed(DOCUMENTS[name](), "vendor", "x"))
    for document in (machine(), framed(), nodes(), objects()):
        assert not SCHEMA.is_valid(changed(document, "points/level", {"scale": "1"}))


@given(document=documents)
def test_each_point_is_in_one_slot_of_a_block_within_its_limits(document: dict[str, Any]) -> None:
    profile = read_profile(document)
    compiled = compile_profile(profile)
    slots = [each.point.name for block in blocks(compiled) for each in block.slots]
    assert Counter(slots) == Counter(each.name for each in profile.all_points)
    for block in compiled.blocks:
        check_block(profile.link, block)
    polled = {each.request.pdu for each in compiled.blocks if isinstance(each.request, ModbusRequest)}
    assert polled <= compiled.allow.read_pdus


def blocks(compiled: CompiledProfile) -> list[PollBlock | FrameBlock]:
    return [*compiled.blocks, *compiled.frames.values()]


def check_block(link: object, block: PollBlock) -> None:
    """Within the limits, no gap wider than allowed, first and last are of points."""
    assert isinstance(link, ModbusTcp)
    assert isinstance(block.request, ModbusRequest)
    first, count = block.span
    bits = block.request.pdu[0] in (1, 2)
    covered = set[int]()
    for slot in block.slots:
        at = slot.index if bits else slot.index // 2
        covered |= set(range(at, at + words_of(slot.point.raw)))
    widest = max(words_of(slot.point.raw) for slot in block.slots)
    assert count <= (MAX_READ_BITS if bits else max(link.words_per_read, widest))
    assert {0, count - 1} <= covered
    assert first + count <= 65536
    gaps = sorted(covered)
    allowed = BRIDGED_BITS if bits else link.bridged_words
    assert all(after - before - 1 <= allowed for before, after in pairwise(gaps))


@given(document=documents, data=some.data())
def test_what_is_encoded_is_decoded_within_half_a_step(document: dict[str, Any], data: some.DataObject) -> None:
    compiled = compile_profile(read_profile(document))
    for block in blocks(compiled):
        raw_values: dict[str, Any] = {}
        image = bytearray(block.length if isinstance(block, FrameBlock) else image_bytes(block))
        for slot in block.slots:
            value = data.draw(values_of(slot.point), label=slot.point.name)
            put(block, image, slot.index, slot.point, value)
            raw_values[slot.point.name] = value
        for reading in decode(block, reply_of(block, image), 3.0):
            point = next(slot.point for slot in block.slots if slot.point.name == reading.point)
            check_reading(point, raw_values[reading.point], reading)


def image_bytes(block: PollBlock) -> int:
    _, count = block.span
    return count * 2 if block.layout is not None else -(-count // 8)


def values_of(point: Point) -> some.SearchStrategy[Any]:
    kind = RAW_KINDS[point.raw]
    if point.raw == "bool":
        return some.booleans()
    if point.states:
        return some.sampled_from(sorted(point.states))
    if kind.code in FLOAT_CODES:
        return some.floats(-1e6, 1e6, width=32)
    numbers = some.integers(int(kind.minimum), int(kind.maximum))
    plain = point.counter or point.bits
    return numbers if plain else numbers.map(lambda raw: raw * point.scale + point.offset)


def put(block: PollBlock | FrameBlock, image: bytearray, index: int, point: Point, value: Any) -> None:
    framed = isinstance(block, FrameBlock)
    if point.raw == "bool" and not framed:
        image[index >> 3] |= value << (index & 7)
        return
    coded = bool(point.states or point.bits)
    scale, offset = (1.0, 0.0) if coded else (point.scale, point.offset)
    image[index : index + size_of(point.raw, framed=framed)] = encode_value(
        point.raw, value, scale=scale, offset=offset, framed=framed
    )


def reply_of(block: PollBlock | FrameBlock, image: bytearray) -> ModbusReply | Frame:
    if isinstance(block, FrameBlock):
        return Frame(block.kind, 0, bytes(image))
    assert isinstance(block.request, ModbusRequest)
    return ModbusReply(bytes([block.request.pdu[0], len(image)]) + bytes(image))


def check_reading(point: Point, value: Any, reading: Reading) -> None:
    assert reading.at == 3.0
    if point.raw == "bool":
        assert reading.value is value
    elif point.states:
        assert (reading.value, reading.quality) == (point.states[value], Quality.GOOD)
    elif point.bits:
        unknown = any(value >> bit & 1 and bit not in point.bits for bit in range(RAW_KINDS[point.raw].size * 8))
        assert reading.quality is (Quality.RANGE if unknown else Quality.GOOD)
    else:
        assert isinstance(reading.value, (int, float))
        size = abs(value) * (1e-6 if RAW_KINDS[point.raw].code in FLOAT_CODES else 1e-12)
        assert math.isclose(
            reading.value, value, rel_tol=0, abs_tol=abs(point.scale) / 2 + size + abs(point.offset) * 1e-6
        )
