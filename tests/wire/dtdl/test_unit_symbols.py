# SPDX-License-Identifier: Apache-2.0
"""Every unit of DTDL has a symbol, and symbols that two units share are meant to."""

from __future__ import annotations

from collections import Counter

from armillary.wire.dtdl.unit_symbols import SYMBOLS, unit_symbol
from armillary.wire.dtdl.units import UNITS

# A gram and the acceleration of the Earth, a byte and a bel: their values never stand on one axis by mistake.
SHARED = {"g", "B"}


def test_every_unit_of_both_versions_has_a_symbol_and_nothing_else_has():
    names = {unit for version in UNITS.values() for units in version.values() for unit in units}
    assert len(names) == 240
    assert names == set(SYMBOLS)
    assert {symbol for symbol, count in Counter(SYMBOLS.values()).items() if count > 1} == SHARED
    assert [unit for unit, symbol in SYMBOLS.items() if not symbol] == ["unity"]


def test_units_are_read_as_people_write_them():
    for unit, symbol in (
        ("degreeCelsius", "\u00b0C"),
        ("litrePerSecond", "l/s"),
        ("microgramPerCubicMetre", "\u00b5g/m\u00b3"),
        ("percent", "%"),
        ("bottles an hour", "bottles an hour"),
        (None, ""),
    ):
        assert unit_symbol(unit) == symbol
