# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.equipment.message import MAX_SEQUENCE, Place
from armillary.wire.equipment.seen import MAX_SPANS, Seen, read_seen

BOOT = "0" * 16


def test_what_came_is_known_and_what_did_not_is_not() -> None:
    seen = Seen().with_place(Place(BOOT, 7, 3, 2))  # 4, 5, 6 are of other identities
    assert [number for number in range(1, 10) if number in seen] == [1, 4, 5, 6, 7]
    assert str(seen) == "2:4-7"
    seen = seen.with_place(Place(BOOT, 3, 1, 2))
    assert str(seen) == "8:"


def test_the_floor_rises_with_what_is_settled() -> None:
    seen = (
        Seen().with_place(Place(BOOT, 10, 9, 1)).with_place(Place(BOOT, 20, 19, 1)).with_place(Place(BOOT, 30, 29, 20))
    )
    assert str(seen) == "21:30-30"


def test_a_forged_sequence_costs_its_own_boot_alone_and_no_memory() -> None:
    seen = Seen()
    for number in range(1000):
        seen = seen.with_place(Place(BOOT, MAX_SEQUENCE - 2 * number, MAX_SEQUENCE - 2 * number - 1, 0))
    assert len(seen.spans) == MAX_SPANS
    assert len(str(seen)) < 5200
    assert 5 not in seen
    assert 5 in Seen().with_place(Place(BOOT, MAX_SEQUENCE, 0, MAX_SEQUENCE))


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)), max_size=20), st.integers(0, 10**6))
def test_what_was_written_is_read_again(places: list[tuple[int, int]], floor: int) -> None:
    seen = Seen()
    for sequence, before in places:
        seen = seen.with_place(Place(BOOT, sequence, max(0, sequence - 1 - before), min(floor, sequence)))
        assert read_seen(str(seen)) == seen
        assert sequence in seen


@pytest.mark.parametrize(
    "text", ["", "1", "1:2", "1:2-", "x:", "1:2-3;4-5", "1:2-3\n", "1:3-2", "5:3-4", "1:2-3,4-5", "1:2-3,"]
)
def test_what_is_something_else_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="guardian-seen"):
        read_seen(text)


@given(st.data())
def test_whatever_the_order_and_however_often_each_message_is_new_once(data: st.DataObject) -> None:
    """A queue's side and the hub's: messages are put, taken, lost on the way, sent again, acknowledged, dropped."""
    mine = [number + 1 for number, own in enumerate(data.draw(st.lists(st.booleans(), max_size=60))) if own]
    held, seen, kept = list(mine), Seen(), []
    flying: list[Place] = []
    dropped: set[int] = set()
    for act in data.draw(st.lists(st.sampled_from("taaaudx"), max_size=200)):
        if act == "t" and held:  # one of the first few is sent: live messages overtake
            index = data.draw(st.integers(0, min(len(held), 5) - 1))
            flying.append(Place(BOOT, held[index], held[index - 1] if index else 0, held[0]))
        elif act in "au" and flying:  # one arrives, in any order; it may arrive again, and its PUBACK be lost
            place = flying[data.draw(st.integers(0, len(flying) - 1))]
            if place.sequence not in seen:
                seen = seen.with_place(place)
                kept.append(place.sequence)
            if act == "a" and place.sequence in held:
                held.remove(place.sequence)
        elif act == "d" and held:
            dropped.add(held[0])
            del held[0]
        elif act == "x" and flying:
            flying.pop(data.draw(st.integers(0, len(flying) - 1)))
    while held:  # the end of the outage: all that is left is sent in order
        place = Place(BOOT, held[0], 0, held[0])
        if place.sequence not in seen:
            seen = seen.with_place(place)
            kept.append(place.sequence)
        del held[0]
    assert len(kept) == len(set(kept))
    assert set(mine) - dropped <= set(kept)


def test_a_guardian_that_sends_in_two_lanes_needs_few_spans() -> None:
    rng = random.Random(5)  # noqa: S311 - the same order each time
    held = list(range(1, 5001))
    seen, most = Seen(), 0
    live = 3000
    while held:
        index = 0 if rng.random() < 0.3 or held[-1] < live else next(i for i, each in enumerate(held) if each >= live)
        sequence = held[index]
        seen = seen.with_place(Place(BOOT, sequence, held[index - 1] if index else 0, held[0]))
        del held[index]
        most = max(most, len(seen.spans))
    assert most == 1
    assert str(seen) == "5001:"
