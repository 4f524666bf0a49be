# SPDX-License-Identifier: Apache-2.0
"""Units of profiles are units of DTDL, or our own few."""

from __future__ import annotations

from armillary.wire.dtdl.units import SEMANTIC_TYPES, UNITS as DTDL_UNITS
from armillary.wire.equipment.units import OWN_UNITS, QUANTITY_UNITS, UNITS


def test_quantities_and_their_units_are_those_of_dtdl() -> None:
    for quantity, units in QUANTITY_UNITS.items():
        assert units <= DTDL_UNITS[2][SEMANTIC_TYPES[2][quantity]], quantity


def test_our_own_units_are_none_of_dtdl_version_2() -> None:
    known = frozenset[str]().union(*DTDL_UNITS[2].values())
    assert not OWN_UNITS.keys() & known
    assert known | OWN_UNITS.keys() >= UNITS
