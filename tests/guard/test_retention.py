# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.guard.pacing import full
from armillary.guard.retention import LOW_WATER, Drop, Moment, Stamp, age_s, drops, is_too_old
from armillary.wire.equipment.message import ClockQuality, MessageKind

SYNCED, UNSYNCED = ClockQuality.SYNCED, ClockQuality.UNSYNCED
NOW = Moment(1_780_000_000.0, 5000.0, SYNCED, "this start")


def test_nothing_goes_while_there_is_room() -> None:
    assert drops({MessageKind.TELEMETRY: 100}, 100, 100) == ()


def test_the_lowest_kind_goes_first_and_a_higher_one_only_when_it_is_all_gone() -> None:
    held = {MessageKind.TELEMETRY: 20, MessageKind.ALARM: 60, MessageKind.AUDIT: 40}
    assert drops(held, 120, 100) == (Drop(MessageKind.TELEMETRY, 20), Drop(MessageKind.ALARM, 5))
    assert drops({MessageKind.AUDIT: 120}, 120, 100) == (Drop(MessageKind.AUDIT, 25),)


@given(st.dictionaries(st.sampled_from(MessageKind), st.integers(0, 10**9)), st.integers(1, 10**9))
def test_what_goes_is_enough_and_of_the_lowest_kinds(held: dict[MessageKind, int], limit: int) -> None:
    used = sum(held.values())
    found = drops(held, used, limit)
    freed = sum(each.bytes for each in found)
    assert used - freed <= max(limit * LOW_WATER, 0) + 1 or used <= limit
    kinds = [each.kind for each in found]
    assert kinds == sorted(kinds)
    for kind in kinds[:-1]:  # all but the last go wholly
        assert Drop(kind, held[kind]) in found


@pytest.mark.parametrize(
    ("stamp", "age"),
    [
        (Stamp(1_780_000_000.0, 4000.0, SYNCED, "this start"), 1000.0),
        (Stamp(1_999_000_000.0, 4000.0, SYNCED, "this start"), 1000.0),  # the wall clock was set back since
        (Stamp(0.0, 4000.0, UNSYNCED, "this start"), 1000.0),
        (Stamp(1_779_999_000.0, 9e9, SYNCED, "an earlier one"), 1000.0),
        (Stamp(1_779_999_000.0, 9e9, UNSYNCED, "an earlier one"), None),
        (Stamp(1_779_999_000.0, 4000.0, UNSYNCED, ""), None),
    ],
)
def test_an_age_is_by_the_clock_that_can_be_relied_on(stamp: Stamp, age: float | None) -> None:
    assert age_s(stamp, NOW) == age


def test_alarms_audit_and_what_has_no_age_do_not_go_for_their_age() -> None:
    old = Stamp(1_770_000_000.0, 0.0, SYNCED, "an earlier one")
    unknown = Stamp(0.0, 0.0, UNSYNCED, "an earlier one")
    assert [kind for kind in MessageKind if is_too_old(kind, old, NOW, 3600.0)] == [
        MessageKind.TELEMETRY,
        MessageKind.EVENT,
    ]
    assert not any(is_too_old(kind, unknown, NOW, 3600.0) for kind in MessageKind)


def test_old_messages_follow_at_the_rate_that_they_may_have() -> None:
    bucket, now, sent = full(1000.0, 0.0), 0.0, 0
    while now < 60.0:
        now += bucket.wait_s(now)
        bucket = bucket.spent(now, 300)
        sent += 300
    assert 60_000 <= sent <= 60_000 + 1000 + 600  # the rate, one burst, two messages
    assert bucket.wait_s(1e9) == 0.0
    assert bucket.wait_s(0.0) > 0.0  # a clock that is set back gives nothing
