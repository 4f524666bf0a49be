# SPDX-License-Identifier: Apache-2.0
"""A set of numbers holds what a set holds."""

from __future__ import annotations

from hypothesis import given, strategies as st

from armillary.service.context.number_set import NumberSet


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 300))))
def test_it_holds_what_a_set_holds(steps: list[tuple[bool, int]]):
    mine, true = NumberSet(), set[int]()
    for adds, number in steps:
        (mine.add if adds else mine.discard)(number)
        (true.add if adds else true.discard)(number)
        assert {one for one in range(310) if one in mine} == true


def test_a_million_devices_are_small():
    mine = NumberSet()
    mine.add(1_000_000)
    assert len(mine._bits) == 125_001
    assert 999_999 not in mine
