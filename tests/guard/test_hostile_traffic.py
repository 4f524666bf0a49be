# SPDX-License-Identifier: Apache-2.0
"""Traffic of known attacks on Modbus, in the forms that were published, put to the guard of the coffee machine.

Recordings of others are replayed by ``tests/conformance/test_modbus_captures.py``, where they are at hand.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from tests.fixtures.guarded_machine import COFFEE

from armillary.guard.deciding import decide
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.request import ModbusRequest

Frames = Iterator[tuple[int, bytes]]


def scan_of_units() -> Frames:
    """nmap 7.95's modbus-discover, as recorded on 28 November 2026: server id and device identification, all units."""
    for unit in range(1, 247):
        yield unit, b"\x11"
        yield unit, b"\x2b\x0e\x01\x00"


def scan_of_functions() -> Frames:
    """All functions with four bytes, as Digital Bond's test data for signatures has them."""
    for function in range(1, 128):
        yield 1, bytes([function, 0, 0, 0, 0])


def silencing() -> Frames:
    """Force listen only, restart communications, clear counters; Digital Bond's signatures 1111002, 1111003, 1111007."""
    for subfunction in (4, 1, 10):
        yield 1, struct.pack(">BHH", 8, subfunction, 0)


def frosty_goop() -> Frames:
    """FrostyGoop (Dragos, 2024): holding registers read, then written one by one and many at once, as a file says."""
    for first in range(0, 1200, 100):
        yield 1, struct.pack(">BHH", 3, first, 100)
    for address in range(1200):
        for value in (0, 1, 65535):
            yield 1, struct.pack(">BHH", 6, address, value)
        yield 1, struct.pack(">BHHBHH", 16, address, 2, 4, 0, 0)


def brute_force() -> Frames:
    """CIC Modbus 2023, brute force write: each coil and register with random values."""
    for address in range(0, 65536, 7):
        yield 1, struct.pack(">BHH", 5, address, 0xFF00 if address % 2 else 0)
        yield 1, struct.pack(">BHH", 6, address, address * 31 % 65536)


def false_lengths() -> Frames:
    """CIC Modbus 2023, length manipulation and stacked frames: two requests in one, and half of one."""
    good = struct.pack(">BHH", 6, 100, 930)
    yield 1, good + good
    yield 1, good[:4]
    yield 1, good + struct.pack(">HHHB", 2, 0, 6, 1) + good
    yield 1, struct.pack(">BHHB", 16, 100, 1, 255) + bytes(2)


ATTACKS = (scan_of_units, scan_of_functions, silencing, frosty_goop, brute_force, false_lengths)
# What of them the profile lists: where in a firmware the window is, 0, which moves nothing
PERMITTED = {"frosty_goop": [struct.pack(">BHHBI", 16, 1100, 2, 4, 0)]}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_nothing_of_a_known_attack_reaches_the_machine(attack):
    tried, permitted = 0, []
    for unit, pdu in attack():
        tried += 1
        try:
            permitted.append(decide(COFFEE.allow, ModbusRequest(unit, pdu)).request.pdu)
        except GuardRefusedError:
            continue
    assert tried > 2
    assert permitted == PERMITTED.get(attack.__name__, [])


def test_the_same_forms_with_listed_values_are_permitted():
    """The positive control: a guard that refuses everything would pass the tests above."""
    for pdu in (
        struct.pack(">BHH", 6, 100, 930),
        struct.pack(">BHH", 5, 10, 0xFF00),
        struct.pack(">BHHBI", 16, 1100, 2, 4, 128),
        *(block.request.pdu for block in COFFEE.blocks if isinstance(block.request, ModbusRequest)),
    ):
        assert decide(COFFEE.allow, ModbusRequest(1, pdu)).request.pdu == pdu
