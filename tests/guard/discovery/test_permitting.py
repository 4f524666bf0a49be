# SPDX-License-Identifier: Apache-2.0
"""What discovery may send: it reads, and nothing else goes out, whatever is asked."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.guard.discovery.permitting import permit_look
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.modbus import READ_FUNCTIONS, identification_request, read_request
from armillary.wire.equipment.request import ModbusRequest


def rule_of(pdu: bytes, unit: int = 1) -> str:
    with pytest.raises(GuardRefusedError) as caught:
        permit_look(ModbusRequest(unit, pdu))
    return caught.value.rule


def test_reads_and_the_identification_are_permitted():
    allowed = [read_request(table, 65535, 1) for table in READ_FUNCTIONS] + [identification_request(3, 255)]
    for pdu in allowed:
        request = ModbusRequest(247, pdu)
        assert permit_look(request).request is request
    assert len(allowed) == 5


def test_of_all_functions_only_the_four_reads_go_out():
    bodies = (bytes.fromhex("0000 0001"), bytes.fromhex("0000 0001 02 0000"), b"", bytes.fromhex("0E 03 00"))
    sent = set()
    for function in range(256):
        for body in bodies:
            try:
                permit_look(ModbusRequest(1, bytes([function]) + body))
            except GuardRefusedError:
                continue
            sent.add((function, body))
    assert {function for function, _ in sent} == {1, 2, 3, 4, 43}
    assert len(sent) == 5  # Four reads, one identification: each by one form alone


@pytest.mark.parametrize(
    ("pdu", "unit", "rule"),
    [
        ("03 0000 0001", 0, "unit"),
        ("03 0000 0001", 248, "unit"),
        ("06 0000 0001", 1, "function"),
        ("10 0000 0001 02 0000", 1, "function"),
        ("16 0000 0000 0000", 1, "function"),
        ("17 0000 0001 0000 0001 02 0000", 1, "function"),
        ("", 1, "function"),
        ("03 0000 0001 00", 1, "length"),
        ("03 0000", 1, "length"),
        ("03 0000 0000", 1, "count"),
        ("03 0000 007E", 1, "count"),
        ("01 0000 07D1", 1, "count"),
        ("03 FFFF 0002", 1, "span"),
        ("2B 0E 03", 1, "length"),
        ("2B 0E 05 00", 1, "length"),
        ("2B 0D 03 00", 1, "function"),
    ],
)
def test_what_is_no_look_is_refused_by_its_rule(pdu: str, unit: int, rule: str):
    assert rule_of(bytes.fromhex(pdu), unit) == rule


@given(st.binary(max_size=20), st.integers(-1, 300))
def test_whatever_is_permitted_has_the_form_of_a_read(pdu: bytes, unit: int):
    try:
        permit_look(ModbusRequest(unit, pdu))
    except GuardRefusedError:
        return
    assert 1 <= unit <= 247
    assert (pdu[0] in (1, 2, 3, 4) and len(pdu) == 5) or (pdu[:2] == b"\x2b\x0e" and len(pdu) == 4)
