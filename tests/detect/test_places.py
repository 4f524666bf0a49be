# SPDX-License-Identifier: Apache-2.0
"""Two machines with one key are told from a device that moves, whatever the clock does; memory is bounded."""

from __future__ import annotations

import pytest

from armillary.detect import places
from armillary.detect.places import AGAIN, MAX_CLIENTS, WITHIN_S, Places, SharedCertificate

HERE, THERE = "192.0.2.1", "198.51.100.7"


def turns(seen: Places, count: int, *, every_s: int = 2, begun: int = 1000) -> list[SharedCertificate | None]:
    """Two machines that put each other out so many times."""
    ways = ((HERE, THERE), (THERE, HERE))
    return [seen.put_out("d", *ways[turn % 2], begun + every_s * turn) for turn in range(count)]


def test_two_machines_are_found_and_every_turn_is_counted_once() -> None:
    found = turns(Places(), AGAIN + 3)
    assert found[: AGAIN - 1] == [None] * (AGAIN - 1)
    assert [one and one.count for one in found[AGAIN - 1 :]] == [AGAIN, 1, 1, 1]
    assert found[-1] == SharedCertificate("d", 1, (HERE, THERE))


def test_a_device_that_moves_now_and_then_is_not() -> None:
    assert not any(turns(Places(), 50, every_s=WITHIN_S // (AGAIN - 1) + 1))


def test_control_with_more_patience_the_device_that_moves_is_taken_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "WITHIN_S", 100 * WITHIN_S)
    assert any(turns(Places(), 50, every_s=WITHIN_S // (AGAIN - 1) + 1))


def test_one_that_comes_again_from_the_same_address_is_not() -> None:
    """A device in a loop of restarts, whose earlier connection the hub still holds."""
    seen = Places()
    assert not any(seen.put_out("d", HERE, HERE, 1000 + second) for second in range(50))


def test_a_clock_that_jumps_begins_anew() -> None:
    seen = Places()
    turns(seen, AGAIN - 1)
    assert seen.put_out("d", HERE, THERE, 10) is None
    assert seen.put_out("d", HERE, THERE, 10**10) is None


def test_no_more_than_some_clients_and_addresses_are_remembered() -> None:
    seen = Places()
    for number in range(MAX_CLIENTS + 50):
        seen.put_out(f"d{number}", HERE, THERE, 1000)
    assert len(seen._clients) == MAX_CLIENTS
    found = [seen.put_out("d", f"192.0.2.{turn}", f"192.0.2.{turn + 1}", 1000) for turn in range(40)]
    assert found[-1] is not None
    assert len(found[-1].addresses) == places.MAX_ADDRESSES
