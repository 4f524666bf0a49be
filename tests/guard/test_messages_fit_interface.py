# SPDX-License-Identifier: Apache-2.0
"""What a guardian sends of a piece of equipment is what the DTDL interface says, as the hub judges it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.wire.equipment.profile_documents import framed, machine, nodes

from armillary.content import equipment
from armillary.guard.auditing import Attempt, Outcome
from armillary.guard.compiling import compile_profile
from armillary.guard.interface import dtdl_interface
from armillary.guard.observation.alarming import AlarmChange
from armillary.guard.observation.events import Event
from armillary.guard.observation.reporting import Reporter
from armillary.guardian.messages import telemetry
from armillary.twin.template.json_form import parse_template
from armillary.twin.template.payload import PayloadTable
from armillary.wire.equipment.profile import RAW_KINDS, Point, Profile
from armillary.wire.equipment.profile_reader import read_profile
from armillary.wire.equipment.raw_value import is_integer
from armillary.wire.equipment.reading import Quality, Reading, Value
from armillary.wire.hub.telemetry import decode

JSON = {"$.ct": "application/json", "$.ce": "utf-8"}
PROFILES = {
    **{name: equipment.load(name) for name in equipment.names()},
    **{each["profile"]: read_profile(each) for each in (machine(), framed(), nodes())},
}
EACH = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


def table_of(profile: Profile) -> PayloadTable:
    interface = dtdl_interface(profile)
    return PayloadTable(
        parse_template({"display_name": profile.title, "root": interface["@id"], "models": [interface]})
    )


def value_of(point: Point) -> Value:
    if point.states:
        return next(iter(point.states.values()))
    if point.bits:
        return " ".join(point.bits.values())
    if point.raw == "bool":
        return True
    high = RAW_KINDS[point.raw].maximum if is_integer(point.raw) else 1.5
    return high if point.scale == 1 and not point.offset else high * point.scale


@EACH
def test_every_message_is_modelled_and_fits(profile: Profile) -> None:
    compiled, table = compile_profile(profile), table_of(profile)
    points = {each.name: each for each in profile.all_points}
    good = [Reading(each.name, value_of(each), Quality.GOOD, 1.0) for each in points.values()]
    good += [Reading(each.name, 0.25, Quality.GOOD, 1.0) for each in profile.derived]
    others = [
        Reading(each, None, quality, 2.0) for each, quality in zip(points, (Quality.BAD, Quality.STALE), strict=False)
    ]
    reporter = Reporter(compiled.reports)
    bodies = [telemetry(reporter.take(good, 1.0)), telemetry(reporter.take(others, 500.0))]
    for rule in profile.events:
        captured = {name: value_of(points[name]) for name in rule.capture}
        bodies.append(encoded(Event(name=rule.name, captured=captured, seconds=1.5, at=1.0).body()))
    for alarm in profile.alarms:
        change = AlarmChange(
            name=alarm.name,
            raised=True,
            point=alarm.point,
            value=9.5,
            limit=alarm.limit,
            position=1.25,
            severity=alarm.severity,
            at=1.0,
        )
        bodies.append(encoded(change.body()))
    for outcome in Outcome:
        attempt = Attempt(command="setBrewTemp", value=140, outcome=outcome, rule="value", by="ann")
        bodies.append(encoded(attempt.body()))
    for body in bodies:
        judged = table.judge(decode(body, JSON, 0).values)
        assert not judged.unmodelled, body
        assert not judged.broken, body
        assert judged.modelled


def encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def test_what_is_not_of_the_profile_is_told_apart() -> None:
    table = table_of(PROFILES["coffee"])
    judged = table.judge(decode(b'{"brewTemp": "hot", "cupHolder": 3, "simulated": true}', JSON, 0).values)
    assert {each.name for each in judged.broken} == {"brewTemp"}
    assert set(judged.unmodelled) == {"cupHolder", "simulated"}
