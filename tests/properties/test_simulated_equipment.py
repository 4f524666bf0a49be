# SPDX-License-Identifier: Apache-2.0
"""Whatever comes over the wire, a simulated machine answers in its protocol or not at all, and goes on."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, strategies as st

from armillary.sim.equipment.faults import Fault, rtu_reply, tcp_reply
from armillary.sim.equipment.firmware import firmware_file, version_in
from armillary.sim.equipment.layout import field_bytes, field_value, value_of, words_of
from armillary.sim.equipment.machines import Play, begin
from armillary.sim.equipment.registers import Registers
from armillary.wire.equipment.modbus import MAX_PDU_BYTES, answer, read_request
from armillary.wire.equipment.modbus_framing import UnitPdu, crc16
from armillary.wire.equipment.profile import RAW_KINDS, Table

FIRST = {name: Registers(life.profile, life.machine) for name in ("coffee", "cable") if (life := begin(name, Play()))}
NUMBERS = sorted(set(RAW_KINDS) - {"bool"})


@given(st.sampled_from(sorted(FIRST)), st.binary(min_size=1, max_size=MAX_PDU_BYTES))
def test_any_request_is_answered_or_refused(name: str, pdu: bytes) -> None:
    reply = answer(pdu, FIRST[name])
    assert reply[0] & 0x7F == pdu[0] & 0x7F
    assert 2 <= len(reply) <= MAX_PDU_BYTES
    assert answer(read_request(Table.INPUT, 0, 2), FIRST[name])[:2] == bytes([4, 4])  # it goes on


@given(st.sampled_from(list(Fault)), st.binary(min_size=2, max_size=MAX_PDU_BYTES), st.integers(0, 65535))
def test_a_spoiled_frame_is_not_taken_for_the_good_one(fault: Fault, reply: bytes, transaction: int) -> None:
    request = UnitPdu(transaction, 7, b"\x04\0\0\0\2")
    good = tcp_reply(request, reply, None)
    spoiled = {Fault.DAMAGED, Fault.FOREIGN, Fault.LENGTH, Fault.HALF}
    assert (tcp_reply(request, reply, fault) != good) or fault not in spoiled
    if fault is not Fault.HALF:  # which may have any end
        assert (crc16(rtu_reply(request, reply, fault)) != 0) is (fault is Fault.DAMAGED)


@given(st.sampled_from(NUMBERS), st.data())
def test_values_lie_in_registers_and_frames_as_they_are_read_back(raw: str, data: st.DataObject) -> None:
    kind = RAW_KINDS[raw]
    if kind.code in ("f", "d"):
        value: float = data.draw(st.floats(kind.minimum, kind.maximum, width=64 if kind.size == 8 else 32))
    else:
        value = data.draw(st.integers(int(kind.minimum), int(kind.maximum)))
    assert value_of(raw, words_of(raw, value, 1.0), 1.0) == value
    assert field_value(raw, field_bytes(raw, value, 1.0), 1.0) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300, 1e300])
@pytest.mark.parametrize("raw", ["u16", "i32be", "u32le"])
def test_a_value_that_no_register_holds_is_the_end_of_the_range(raw: str, value: float) -> None:
    assert RAW_KINDS[raw].minimum <= value_of(raw, words_of(raw, value, 1.0), 1.0) <= RAW_KINDS[raw].maximum


@given(st.integers(0, 65535), st.binary(max_size=300), st.data())
def test_firmware_is_whole_or_none(version: int, content: bytes, data: st.DataObject) -> None:
    image = bytearray(firmware_file(version, content))
    assert version_in(bytes(image)) == version
    at = data.draw(st.integers(0, len(image) - 1))
    image[at] ^= 1 << data.draw(st.integers(0, 7))
    assert version_in(bytes(image)) is None or struct.unpack_from(">H", image, 8)[0] == version
