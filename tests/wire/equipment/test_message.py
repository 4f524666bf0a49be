# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.equipment.message import ClockQuality, Lane, MessageKind, Place, Stored, read_place

PLACE = Place("00ff00ff00ff00ff", 7, 5, 3)
LIVE = Stored(
    sequence=7,
    equipment="espresso1",
    kind=MessageKind.TELEMETRY,
    body=b"{}",
    at=1_780_000_000.25,
    clock=ClockQuality.SYNCED,
    lane=Lane.LIVE,
    place=PLACE,
)


def test_a_live_message_says_who_it_is_and_when_it_was_measured() -> None:
    assert LIVE.properties == {
        "$.mid": "00ff00ff00ff00ff.7",
        "$.ct": "application/json",
        "$.ce": "utf-8",
        "guardian-sequence": "00ff00ff00ff00ff.7.5.3",
        "guardian-kind": "telemetry",
        "clock": "synced",
        "iothub-creation-time-utc": "2026-05-28T20:26:40.250Z",
    }


def test_a_message_that_waited_is_historical_and_says_what_was_corrected() -> None:
    found = replace(LIVE, lane=Lane.BACKFILL, clock_said=1000.0).properties
    assert found["historical"] == "true"
    assert found["guardian-clock-said"] == "1970-01-01T00:16:40.000Z"
    assert found["iothub-creation-time-utc"] == "2026-05-28T20:26:40.250Z"


@pytest.mark.parametrize(
    ("at", "lane", "named"),
    [
        (1_780_000_000.0, Lane.LIVE, False),  # by its arrival: better than a clock that may be wrong
        (1_780_000_000.0, Lane.BACKFILL, True),  # the best that is known
        (12.0, Lane.BACKFILL, False),  # a clock that was never set: the hub would refuse the message
        (1e18, Lane.BACKFILL, False),
    ],
)
def test_a_time_that_is_not_known_is_named_only_where_it_can_be_right(at: float, lane: Lane, *, named: bool) -> None:
    found = replace(LIVE, at=at, lane=lane, clock=ClockQuality.UNSYNCED).properties
    assert ("iothub-creation-time-utc" in found, found["clock"]) == (named, "unsynced")


@given(
    st.integers(0, 2**64 - 1), st.integers(1, 2**63 - 1), st.data()
)  # fmt: skip
def test_a_place_is_read_as_it_was_written(boot: int, sequence: int, data: st.DataObject) -> None:
    after, floor = data.draw(st.integers(0, sequence - 1)), data.draw(st.integers(0, sequence))
    place = Place(f"{boot:016x}", sequence, after, floor)
    text = replace(LIVE, place=place).properties["guardian-sequence"]
    assert read_place(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7.5.3",
        "00ff00ff00ff00ff.7.5",
        "00ff00ff00ff00ff.7.5.3.",
        "00FF00FF00FF00FF.7.5.3",
        "00ff00ff00ff00ff.7.7.3",  # after itself
        "00ff00ff00ff00ff.7.5.8",  # settled before it came
        "00ff00ff00ff00ff.0.0.0",
        "00ff00ff00ff00ff.-7.5.3",
        "00ff00ff00ff00ff.9223372036854775808.5.3",
        "00ff00ff00ff00ff." + "9" * 5000 + ".5.3",
        "00ff00ff00ff00ff.\u0667.5.3",
        "00ff00ff00ff00ff.7.5.3\n",
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="guardian-sequence"):
        read_place(text)
