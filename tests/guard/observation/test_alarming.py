# SPDX-License-Identifier: Apache-2.0
"""Alarms: the table, hysteresis, holding, arrays with positions, and what no alarm is ended by."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from armillary.guard.observation.alarming import TRANSITIONS, Alarms, AlarmState, Sight
from armillary.wire.equipment.profile import AlarmRule, Array, ModbusAddress, ModbusTcp, Point, Profile, Table
from armillary.wire.equipment.reading import Quality, Reading

HOT = AlarmRule(name="hot", point="zone.temperature", above=True, limit=90.0, clear=85.0, hold_s=3, severity="critical")
LOW = AlarmRule(name="low", point="level", above=False, limit=10.0, clear=15.0)
PROFILE = Profile(
    name="guard/cable",
    version=1,
    title="Cable",
    manufacturer="Contoso",
    model="C1",
    link=ModbusTcp(host="10.9.0.2"),
    groups={"fast": 1.0},
    points=(Point(name="level", address=ModbusAddress(Table.INPUT, 500), raw="u16", group="fast"),),
    arrays=(
        Array(
            name="zone",
            count=32,
            stride=4,
            members=(Point(name="temperature", address=ModbusAddress(Table.INPUT, 0), raw="i16", group="fast"),),
            position_pitch=2.5,
        ),
    ),
    alarms=(HOT, LOW),
)


def at(point: str, value: float | None, quality: Quality = Quality.GOOD) -> list[Reading]:
    return [Reading(point, value, quality, 1000.0)]


def zone(value: float | None, quality: Quality = Quality.GOOD) -> list[Reading]:
    return at("zone7_temperature", value, quality)


def test_every_cell_of_the_table_is_as_it_is_drawn():
    """What leads out of a state is listed; the machine itself is walked below."""
    assert set(TRANSITIONS) == {
        (AlarmState.QUIET, Sight.BEYOND),
        (AlarmState.QUIET, Sight.HELD),
        (AlarmState.PENDING, Sight.HELD),
        (AlarmState.PENDING, Sight.BETWEEN),
        (AlarmState.PENDING, Sight.BACK),
        (AlarmState.PENDING, Sight.UNKNOWN),
        (AlarmState.RAISED, Sight.BACK),
    }
    assert {state for (before, _), state in TRANSITIONS.items() if before is AlarmState.RAISED} == {AlarmState.QUIET}


def test_an_alarm_is_raised_when_it_held_and_says_where():
    alarms = Alarms(PROFILE)
    assert alarms.take(zone(91.2), 0) == []
    assert alarms.take(zone(91.2), 2.9) == []
    (change,) = alarms.take(zone(91.2), 3.0)
    assert change.body() == {
        "alarm": {
            "name": "hot",
            "state": "raised",
            "point": "zone7_temperature",
            "value": 91.2,
            "limit": 90.0,
            "severity": "critical",
            "position": 17.5,
        }
    }
    assert alarms.take(zone(99.0), 4.0) == []  # Once
    assert alarms.raised == {("hot", "zone7_temperature")}


def test_it_is_cleared_at_the_other_limit_only():
    alarms = Alarms(PROFILE, raised=[("hot", "zone7_temperature")])
    assert alarms.take(zone(89.0), 0) == []
    assert alarms.take(zone(85.1), 1) == []
    (change,) = alarms.take(zone(85.0), 2)
    assert (change.raised, change.value) == (False, 85.0)
    assert alarms.take(zone(84.0), 3) == []
    assert not alarms.raised


def test_a_dip_while_it_is_pending_starts_the_time_anew():
    alarms = Alarms(PROFILE)
    alarms.take(zone(91.0), 0)
    alarms.take(zone(89.9), 2)
    alarms.take(zone(91.0), 2.5)
    assert alarms.take(zone(91.0), 3.5) == []
    assert len(alarms.take(zone(91.0), 5.5)) == 1


def test_a_limit_is_not_beyond_itself():
    assert Alarms(PROFILE).take(at("level", 10.0), 0) == []
    assert len(Alarms(PROFILE).take(at("level", 9.9), 0)) == 1


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.BAD])
def test_silence_neither_raises_nor_ends_an_alarm(quality):
    alarms = Alarms(PROFILE)
    alarms.take(zone(91.0), 0)
    alarms.take(zone(91.0 if quality is Quality.STALE else None, quality), 2)
    assert alarms.take(zone(91.0), 4) == []  # The time counts anew
    stands = Alarms(PROFILE, raised=[("hot", "zone7_temperature")])
    assert stands.take(zone(20.0 if quality is Quality.STALE else None, quality), 0) == []
    assert stands.raised


def test_an_implausible_value_may_raise_an_alarm_and_not_end_it():
    alarms = Alarms(PROFILE)
    alarms.take(zone(400.0, Quality.RANGE), 0)
    assert len(alarms.take(zone(400.0, Quality.RANGE), 3)) == 1
    assert alarms.take(zone(-200.0, Quality.RANGE), 4) == []
    assert alarms.raised


def test_each_element_has_an_alarm_of_its_own():
    alarms = Alarms(replace(PROFILE, alarms=(replace(HOT, hold_s=0.0),)))
    readings = [Reading(f"zone{index}_temperature", 95.0, Quality.GOOD, 0.0) for index in (0, 31)]
    assert [(change.point, change.position) for change in alarms.take(readings, 0)] == [
        ("zone0_temperature", 0.0),
        ("zone31_temperature", 77.5),
    ]


@given(
    st.lists(
        st.tuples(st.floats(0.1, 4), st.sampled_from([80.0, 85.0, 87.0, 90.0, 91.0]), st.sampled_from(list(Quality)))
    )
)
def test_raised_and_cleared_alternate_and_each_has_its_reason(steps):
    alarms, now, stands, beyond_since = Alarms(PROFILE), 0.0, False, None
    for passed, value, quality in steps:
        now += passed
        beyond = value > HOT.limit and quality in (Quality.GOOD, Quality.RANGE)
        beyond_since = (now if beyond_since is None else beyond_since) if beyond else None
        changes = alarms.take(zone(value, quality), now)
        due = not stands and beyond_since is not None and now - beyond_since >= HOT.hold_s
        over = stands and quality is Quality.GOOD and value <= HOT.clear
        assert [change.raised for change in changes] == ([True] if due else [False] if over else [])
        stands = due or (stands and not over)
