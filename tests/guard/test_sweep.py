# SPDX-License-Identifier: Apache-2.0
"""The sweep of every shipped profile, the mutants that it must find, and a differential test near all boundaries.

``make test-long`` sweeps all addresses with all functions, as ``armillary guardian sweep`` does; ``make test`` those near
what is listed, and every 16th of the others.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st
from tests.fixtures.effort import effort
from tests.fixtures.mutants import mutant_of

from armillary import content
from armillary.content import equipment
from armillary.guard import allow_list as listing, deciding
from armillary.guard.allow_list import AllowList
from armillary.guard.compiling import CompiledProfile, compile_profile
from armillary.guard.deciding import decide
from armillary.guard.sweep import sweeping
from armillary.guard.sweep.second_reading import SecondReading
from armillary.guard.sweep.sweeping import near_addresses, sweep
from armillary.wire.equipment.faults import GuardRefusedError, ProfileError
from armillary.wire.equipment.profile_reader import read_profile
from armillary.wire.equipment.request import ModbusRequest


def document_of(name: str) -> dict[str, Any]:
    document, _ = equipment.read_yaml((content.folder("equipment") / f"{name}.yaml").read_bytes(), name)
    assert isinstance(document, dict)
    return document


def both(name: str) -> tuple[CompiledProfile, SecondReading]:
    return compile_profile(equipment.load(name)), SecondReading(document_of(name))


# Frames that the second reading allows: reads, and writes with their values (``setBrewTemp`` alone has 111)
EXAMPLES = {"cable": 5, "cable-opcua": 135, "coffee": 326, "dispenser": 112}


def test_every_shipped_profile_is_swept():
    assert set(equipment.names()) == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_sweep_finds_no_false_decision_and_permits_what_is_listed(name):
    compiled, reading = both(name)
    found = sweep(compiled.allow, reading, addresses=near_addresses(compiled.allow))
    assert (found.false_allows, found.false_denials, found.wrong) == (0, 0, [])
    assert found.examples == EXAMPLES[name]
    assert found.allowed >= found.examples > 0
    assert found.tried > 400


@pytest.mark.long
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_whole_sweep_finds_no_false_decision(name):
    compiled, reading = both(name)
    every = effort(16, 1)
    addresses = sorted({*range(0, 65536, every), *near_addresses(compiled.allow)})
    found = sweep(compiled.allow, reading, addresses=addresses)
    assert (found.false_allows, found.false_denials, found.wrong) == (0, 0, [])
    assert found.tried > 256 * 65536 // every or not reading.is_modbus


# One check of ``decide`` or of the allow-list, and what it is without it
MUTANTS: dict[str, tuple[ModuleType, str, str]] = {
    "unit of a read": (deciding, "request.pdu in allow.read_pdus and request.unit == allow.unit", "request.pdu in allow.read_pdus"),
    "unit of a write": (deciding, "if request.unit != allow.unit:", "if False:"),
    "length": (deciding, "if len(message) != rule.length:", "if len(message) < rule.length:"),
    "choices": (deciding, "rule.choices is not None and data not in rule.choices", "False"),
    "value": (deciding, "if not item.holds(number):", "if False:"),
    "head": (deciding, "else LONG_HEAD]", "else 5]"),
    "span": (deciding, "if rule is None:\n        _refuse_unlisted(allow, pdu)", "if rule is None:\n        return ''"),
    "a function beside": (listing, "Table.HOLDING: 3, Table.INPUT: 4", "Table.HOLDING: 4, Table.INPUT: 3"),
    "one more register": (listing, "return ReadSpan(READ_FUNCTIONS[address.table], address.address, words)",
                          "return ReadSpan(READ_FUNCTIONS[address.table], address.address, words + 1)"),
    "false for true": (listing, "(bool(command.fixed),)", "(False,)"),
    "one coil further": (listing, 'coil.to_bytes(2, "big")', '(coil + 1).to_bytes(2, "big")'),
    "one slot more": (listing, "for slot in range(area.slots):\n        for span, fields", "for slot in range(area.slots + 1):\n        for span, fields"),
    "a firmware without its end": (listing, "area.limit_bytes - 1", "2**32 - 1"),
    "no firmware": (listing, "yield WriteRule(command=FIRMWARE, head=window", "WriteRule(command=FIRMWARE, head=window"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_guard_with_one_check_less_is_found(name, monkeypatch):
    module, old, new = MUTANTS[name]
    mutant = mutant_of(module, old, new)
    compiled, reading = both("coffee")
    allow = compiled.allow
    if module is deciding:
        monkeypatch.setattr(sweeping, "decide", mutant.decide)
    else:
        # The mutant's own classes are others; what ``decide`` looks at are their fields
        allow = mutant.allow_list(compiled.profile, [block.request for block in compiled.blocks])
    found = sweep(allow, reading, addresses=near_addresses(allow), enough=1)
    assert found.false_allows + found.false_denials > 0
    assert found.wrong


CHANGES: dict[str, Callable[[AllowList], AllowList]] = {
    "everything": lambda _allow: AllowList(),
    "another unit": lambda allow: replace(allow, unit=2),
    "no writes": lambda allow: replace(allow, writes={}),
    "no reads": lambda allow: replace(allow, reads=frozenset()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_list_without_a_part_is_found_by_its_false_denials(name):
    compiled, reading = both("coffee")
    allow = CHANGES[name](compiled.allow)
    assert sweep(allow, reading, functions=(3, 4), addresses=(0,), enough=1).false_denials > 0


KINDS = ["u16", "i16", "u32be", "u32le", "i32be", "i32le", "f32be", "f32le", "f64be"]


@st.composite
def one_command(draw: st.DrawFn) -> dict[str, Any]:
    """A profile with one command, whose range begins and ends on raw steps or, for floats, anywhere."""
    raw = draw(st.sampled_from(KINDS))
    scale = draw(st.sampled_from([1, 0.1, 0.01, 0.5, 0.25, 2, 10, -0.1, -1]))
    offset = draw(st.sampled_from([0, 0, -40, 273.15, 0.5]))
    steps = sorted(draw(st.tuples(st.integers(-120, 250), st.integers(-120, 250))))
    low, high = sorted(round(step * scale + offset, 6) for step in steps)
    place = {"table": "holding", "address": draw(st.sampled_from([0, 100, 65532]))}
    command = {**place, "raw": raw, "scale": scale, "offset": offset, "low": low, "high": high}
    point = {"table": "input", "address": 0, "raw": "u16", "group": "fast"}
    return {
        "profile": "guard/any",
        "version": 1,
        "title": "Any",
        "manufacturer": "Any",
        "model": "Any",
        "link": {"protocol": "modbus-tcp", "host": "10.9.0.2", "unit": draw(st.integers(1, 247))},
        "groups": {"fast": 1},
        "points": {"p": point},
        "commands": {"set": command},
    }


def numbers_near(kind: str, document: dict[str, Any]) -> list[bytes]:
    """Numbers on the wire at, and beside, both ends of the command's range, and those that are none."""
    command = document["commands"]["set"]
    letter = {"u16": "H", "i16": "h"}.get(kind) or {"u32": "I", "i32": "i", "f32": "f", "f64": "d"}[kind[:3]]
    low, high, scale, offset = (Fraction(str(command[key])) for key in ("low", "high", "scale", "offset"))
    raws = [float((end - offset) / scale) for end in (low, high)]
    found = []
    if letter in "fd":
        code = {"f": "I", "d": "Q"}[letter]
        for raw in raws:
            (bits,) = struct.unpack(f">{code}", struct.pack(f">{letter}", raw))
            found += [struct.pack(f">{code}", max(0, bits + by)) for by in (-2, -1, 0, 1, 2)]
        found += [struct.pack(f">{letter}", odd) for odd in (float("nan"), float("inf"), -float("inf"), 0.0, -0.0)]
    else:
        ends = (-(2**31), 2**31 - 1, 2**32 - 1, -(2**15), 2**15 - 1, 2**16 - 1, 255, 256, -1, 0)
        for number in {*(round(raw) + by for raw in raws for by in (-2, -1, 0, 1, 2)), *ends}:
            try:
                found.append(struct.pack(f">{letter}", number))
            except struct.error:
                continue
    return [data if not kind.endswith("le") else data[2:] + data[:2] for data in found]


@given(one_command())
def test_two_readings_of_a_command_agree_at_its_boundaries(document):
    command = document["commands"]["set"]
    try:
        profile = read_profile(document)
    except ProfileError:  # A range that this kind cannot carry
        assume(False)
    allow, reading = compile_profile(profile).allow, SecondReading(document)
    unit, address = document["link"]["unit"], command["address"].to_bytes(2, "big")
    permitted = 0
    for data in numbers_near(command["raw"], document):
        words = len(data) // 2
        head = b"\x06" + address if words == 1 else b"\x10" + address + bytes([0, words, 2 * words])
        other = b"\x10" + address + b"\0\1\2" if words == 1 else b"\x06" + address
        for request in (ModbusRequest(unit, head + data), ModbusRequest(unit, other + data[:2])):
            is_permitted = True
            try:
                decide(allow, request)
            except GuardRefusedError:
                is_permitted = False
            assert is_permitted is reading.allows(request), request
            permitted += is_permitted
    assert permitted >= 1


def test_the_second_reading_shares_no_code_with_the_first():
    assert sweeping.__file__ is not None
    path = sweeping.__file__.replace("sweeping.py", "second_reading.py")
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - of a module
        imported = re.findall(r"^(?:from|import) (armillary\S*)", file.read(), re.MULTILINE)
    assert imported == ["armillary.wire.equipment.request"]
