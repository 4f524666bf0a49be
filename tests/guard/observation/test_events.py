# SPDX-License-Identifier: Apache-2.0
"""Events: what is captured at the end of a span, and spans of which a part was not heard."""

from __future__ import annotations

import pytest

from armillary.guard.observation.events import TRANSITIONS, Event, Events, EventState, Mark
from armillary.wire.equipment.profile import Condition, EventRule
from armillary.wire.equipment.reading import Quality, Reading, Value

SHOT = EventRule(
    name="shot",
    start=Condition("state", ("brewing",)),
    end=Condition("state", ("idle", "cleaning")),
    capture=("brewTemp", "shotVolume", "waterHardness"),
)


def moment(state: str | None, *, quality: Quality = Quality.GOOD, **values: Value) -> list[Reading]:
    readings = [Reading(point, value, Quality.GOOD, 1000.0) for point, value in values.items()]
    return [Reading("state", state, quality, 1000.0), *readings]


def test_what_leads_from_one_state_to_another_is_what_is_drawn():
    assert {(state.value, mark.value): after.value for (state, mark), after in TRANSITIONS.items()} == {
        ("idle", "start"): "open",
        ("open", "end"): "idle",
        ("open", "unknown"): "torn",
        ("torn", "start"): "open",
        ("torn", "end"): "idle",
    }
    assert {state for state, _ in TRANSITIONS} == set(EventState)
    assert Mark.OTHER not in {mark for _, mark in TRANSITIONS}


def test_a_shot_is_one_event_with_its_values_and_its_duration():
    events = Events([SHOT])
    events.take([Reading("waterHardness", 38, Quality.GOOD, 0.0)], 0)
    assert events.take(moment("idle", brewTemp=92.0), 1) == []
    assert events.take(moment("brewing", brewTemp=92.5, shotVolume=0.0), 10.0) == []
    assert events.take(moment("brewing", brewTemp=92.7, shotVolume=20.0), 20.0) == []
    (event,) = events.take(moment("idle", brewTemp=92.6, shotVolume=36.1), 37.1)
    assert event == Event(
        name="shot",
        captured={"brewTemp": 92.6, "shotVolume": 36.1, "waterHardness": 38},
        seconds=27.1,
        at=1000.0,
    )
    assert event.body() == {"shot": {"brewTemp": 92.6, "shotVolume": 36.1, "waterHardness": 38, "seconds": 27.1}}
    assert events.take(moment("idle"), 38) == []


def test_what_is_not_good_is_not_captured():
    events = Events([SHOT])
    events.take(moment("brewing"), 0)
    readings = [*moment("idle", shotVolume=36.0), Reading("brewTemp", 6553.5, Quality.RANGE, 0.0)]
    (event,) = events.take(readings, 27)
    assert event.captured == {"shotVolume": 36.0}


def test_a_state_between_leaves_the_event_open():
    events = Events([SHOT])
    events.take(moment("brewing"), 0)
    assert events.take(moment("heating"), 5) == []
    assert len(events.take(moment("cleaning"), 9)) == 1


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.BAD, Quality.RANGE])
def test_a_span_that_was_not_heard_throughout_has_no_duration(quality):
    events = Events([SHOT])
    events.take(moment("brewing"), 0)
    events.take(moment("brewing", quality=quality), 5)
    (event,) = events.take(moment("idle", shotVolume=36.0), 27)
    assert event.seconds is None
    assert event.body() == {"shot": {"shotVolume": 36.0}}


def test_a_start_after_silence_is_another_span():
    events = Events([SHOT])
    events.take(moment("brewing"), 0)
    events.take(moment("brewing", quality=Quality.STALE), 5)
    events.take(moment("brewing"), 100)
    (event,) = events.take(moment("idle"), 110)
    assert event.seconds == 10.0


def test_readings_of_other_points_say_nothing_of_the_span():
    events = Events([SHOT])
    events.take(moment("brewing"), 0)
    assert events.take([Reading("brewTemp", None, Quality.BAD, 0.0)], 1) == []
    (event,) = events.take(moment("idle"), 9)
    assert event.seconds == 9


def test_true_is_not_one():
    events = Events([EventRule(name="e", start=Condition("on", (1,)), end=Condition("on", (0,)), capture=())])
    assert events.take([Reading("on", True, Quality.GOOD, 0.0)], 0) == []
    assert events.take([Reading("on", 0, Quality.GOOD, 0.0)], 1) == []
