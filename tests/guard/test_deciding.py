# SPDX-License-Identifier: Apache-2.0
"""The decision about one frame, check by check; the sweep walks all of them (``test_sweep.py``)."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from tests.fixtures.guarded_machine import COFFEE

from armillary.content.equipment import load
from armillary.guard.allow_list import AllowList
from armillary.guard.compiling import compile_profile
from armillary.guard.deciding import OBJECTS_MAX, decide
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.request import FrameRequest, ModbusRequest, NodesRead, NodeWrite, ObjectsRead, Request

DISPENSER = compile_profile(load("dispenser")).allow
READ = bytes([4, 0, 0, 0, 22])
SET = bytes([6, 0, 100, 930 >> 8, 930 & 255])


def rule_of(request: Request, allow: AllowList = COFFEE.allow) -> str:
    with pytest.raises(GuardRefusedError) as refused:
        decide(allow, request)
    return refused.value.rule


def test_what_the_poll_plan_reads_is_permitted():
    assert COFFEE.blocks
    for block in COFFEE.blocks:
        permit = decide(COFFEE.allow, block.request)
        assert permit.request == block.request
        assert permit.command is None


def test_a_write_in_its_range_is_permitted_and_names_its_command():
    assert decide(COFFEE.allow, ModbusRequest(1, SET)).command == "setBrewTemp"
    assert decide(COFFEE.allow, ModbusRequest(1, bytes([5, 0, 10, 0xFF, 0]))).command == "startClean"
    assert decide(COFFEE.allow, ModbusRequest(1, bytes([5, 0, 20, 0xFF, 0]))).command == "recipe"
    assert decide(DISPENSER, FrameRequest(0x82, b"")).command == "identify"


@pytest.mark.parametrize("unit", [0, 2, 247, 248, 255, -1])
@pytest.mark.parametrize("pdu", [COFFEE.blocks[0].request.pdu, SET])
def test_another_unit_and_a_broadcast_are_refused(unit, pdu):
    assert rule_of(ModbusRequest(unit, pdu)) == "unit"


@pytest.mark.parametrize(
    ("pdu", "rule"),
    [
        (b"", "function"),
        (b"\x04", "length"),
        (READ + b"\0", "length"),
        (READ[:-1], "length"),
        (bytes([4, 0, 0, 0, 0]), "count"),
        (bytes([4, 0, 0, 0, 126]), "count"),
        (bytes([4, 0xFF, 0xFF, 0, 1]), "span"),
        (bytes([3, 0, 10, 0, 1]), "span"),
        (bytes([6, 0, 101, 0, 1]), "span"),
        (bytes([6, 0, 100, 0, 1]), "value"),
        (bytes([6, 0, 100, 961 >> 8, 961 & 255]), "value"),
        (SET + b"\0", "length"),
        (SET[:-1], "length"),
        (bytes([5, 0, 10, 0, 0]), "value"),  # ``startClean`` is true and nothing else
        (bytes([5, 0, 10, 0xFF, 1]), "value"),
        (bytes([5, 0, 10, 1, 0]), "value"),
        (bytes([16, 0, 100, 0, 1, 2]) + SET[3:], "span"),  # The same write by another function
        (bytes([16, 0, 200, 0, 12, 24]) + bytes(24), "value"),
        (bytes([16, 0, 200, 0, 12, 24]) + bytes(22), "length"),
        (bytes([16, 0, 200, 0, 12, 22]) + bytes(22), "count"),
        (bytes([16, 0, 200, 0, 13, 26]) + bytes(26), "count"),
    ],
)
def test_each_check_has_its_rule(pdu, rule):
    assert rule_of(ModbusRequest(1, pdu)) == rule


@pytest.mark.parametrize("function", [0, 7, 8, 11, 12, 15, 17, 20, 21, 22, 23, 24, 43, 100, 129, 255])
def test_functions_that_nothing_needs_are_refused(function):
    for data in (b"", bytes(4), bytes([0, 100, 3, 0xA2]), SET[1:] * 3):
        assert rule_of(ModbusRequest(1, bytes([function]) + data)) == "function"


def test_frames_are_refused_by_kind_length_and_value():
    assert rule_of(FrameRequest(0x83, b""), DISPENSER) == "not-listed"
    assert rule_of(FrameRequest(1, bytes(9)), DISPENSER) == "not-listed"
    assert rule_of(FrameRequest(0x82, b"\0"), DISPENSER) == "length"
    assert rule_of(FrameRequest(0x81, b"\x78"), DISPENSER) == "length"
    assert rule_of(FrameRequest(0x81, (151).to_bytes(2, "little")), DISPENSER) == "value"
    assert rule_of(FrameRequest(0x81, (120).to_bytes(2, "big")), DISPENSER) == "value"


def test_an_empty_list_permits_nothing_of_any_link():
    for request in (
        ModbusRequest(1, READ),
        NodesRead(("ns=2;s=a",)),
        NodeWrite("ns=2;s=a", 1.0, "Double"),
        ObjectsRead((("analog-input", 3, "present-value"),)),
        FrameRequest(1, b""),
    ):
        with pytest.raises(GuardRefusedError):
            decide(AllowList(), request)
    assert rule_of("a request", AllowList()) == "not-listed"  # type: ignore[arg-type]


def test_objects_are_read_as_listed_and_in_bounds():
    place = ("analog-input", 3, "present-value")
    allow = AllowList(objects=frozenset({place}))
    assert decide(allow, ObjectsRead((place,))).request.objects == (place,)
    assert rule_of(ObjectsRead((place, ("analog-input", 3, "object-name"))), allow) == "not-listed"
    assert rule_of(ObjectsRead((place,) * (OBJECTS_MAX + 1)), allow) == "count"


@given(unit=st.integers(0, 255), pdu=st.binary(max_size=253))
def test_whatever_bytes_come_there_is_a_permit_for_what_is_listed_or_one_refusal(unit, pdu):
    try:
        permit = decide(COFFEE.allow, ModbusRequest(unit, pdu))
    except GuardRefusedError:
        return
    assert unit == 1
    assert pdu in COFFEE.allow.read_pdus or permit.command is not None
