# SPDX-License-Identifier: Apache-2.0
"""The search through a table: exactly what a machine has is found, in a bounded number of reads."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.guard.discovery.searching import BLOCK, Span, TableSearch
from armillary.wire.equipment.modbus import pack_bits
from armillary.wire.equipment.profile import Table


def search(table: Table, last: int, there: set[int], *, codes: int = 2) -> tuple[TableSearch, int]:
    """Played against a machine that has these addresses; address ``n`` holds ``n`` (bits: whether n is odd)."""
    found, asked = TableSearch(table, 0, last), 0
    while (wanted := found.wanted) is not None:
        first, count = wanted
        asked += 1
        assert 0 <= first <= first + count - 1 <= last
        places = range(first, first + count)
        if not set(places) <= there:
            found.refused(codes)
        elif table in (Table.COIL, Table.DISCRETE):
            found.answered(pack_bits([bool(place % 2) for place in places]))
        else:
            found.answered(b"".join(place.to_bytes(2) for place in places))
    return found, asked


@given(st.sampled_from(list(Table)), st.sets(st.integers(0, 99)), st.integers(0, 99))
def test_what_a_machine_has_is_found_exactly(table: Table, there: set[int], last: int):
    done, asked = search(table, last, there)
    found = done.found()
    shown = {place: value for span in found.answers for place, value in enumerate(span.values, span.first)}
    bits = table in (Table.COIL, Table.DISCRETE)
    assert shown == {place: place % 2 if bits else place for place in there if place <= last}
    assert found.refused == last + 1 - len(shown)
    assert (found.silent, found.not_asked, found.known) == (0, 0, True)
    assert all(one.end < other.first for one, other in zip(found.answers, found.answers[1:], strict=False))
    assert asked <= (last // BLOCK + 1) * (BLOCK + 1)


def test_a_table_that_answers_whole_takes_few_reads():
    done, asked = search(Table.INPUT, 1023, set(range(1024)))
    assert asked == 1024 // BLOCK
    assert done.found().answers == (Span(0, tuple(range(1024))),)


def test_a_function_that_is_not_known_ends_the_search():
    done, asked = search(Table.COIL, 1023, set(), codes=1)
    found = done.found()
    assert asked == 1
    assert (found.known, found.not_asked, found.reasons) == (False, 1024, {1: 1})


def test_silence_and_other_refusals_are_not_searched_address_by_address():
    found = TableSearch(Table.INPUT, 0, 2 * BLOCK - 1)
    found.unanswered()
    found.refused(6)
    assert found.wanted is None
    assert (found.found().silent, found.found().refused, found.found().reasons) == (BLOCK, BLOCK, {6: 1})


@pytest.mark.parametrize("asked", [0, 1])
def test_what_was_not_asked_is_said(asked: int):
    found = TableSearch(Table.INPUT, 0, 99)
    for _ in range(asked):
        found.answered(bytes(2 * BLOCK))
    assert found.found().not_asked == 100 - asked * BLOCK
