# SPDX-License-Identifier: Apache-2.0
"""Every rule of every application template fires within two simulated hours: nothing named is out of reach."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from armillary.content import application_templates as shipped
from armillary.sim.templates.plans import DevicePlan, cloud_of, plans_of, wanted_devices
from armillary.twin.rule.evaluate import Program, start, step
from armillary.twin.rule.json_form import from_json
from armillary.twin.rule.rule import Facts, Rule
from armillary.twin.rule.table import Event, RuleOutcome
from armillary.wire.hub.telemetry import decode, encode

# Twelve hours apart: what is named is within reach by day and by night.
ORIGINS_MS = (1_795_000_000_000, 1_795_043_200_000)
TWO_HOURS_S = 7200


Moment = tuple[int, Event | None, Mapping[str, Any]]


class Told:
    """What one device tells from its origin on, message by message; it is asked once for all rules."""

    def __init__(self, plan: DevicePlan) -> None:
        self.plan, self._moments = plan, list[Moment]()

    def until(self, end_s: float) -> Iterator[Moment]:
        """Each moment in milliseconds, with the message (None where it is silent) and the reported properties."""
        place, origin_ms = 0, int(self.plan.origin_s * 1000)
        while place * self.plan.every_s < end_s:
            if place == len(self._moments):
                self._moments.append(self._look(origin_ms + int(place * self.plan.every_s * 1000)))
            yield self._moments[place]
            place += 1

    def _look(self, now_ms: int) -> Moment:
        shape, observed = self.plan.shape, self.plan.observe(now_ms / 1000, {})
        event = None
        if not observed.silent:
            body = encode({name: observed.values[name] for name in shape.telemetry})
            event = Event(now_ms, decode(body, {}, now_ms).values)
        return now_ms, event, {name: observed.values[name] for name in shape.properties}


def rules_of(template: shipped.ApplicationTemplate) -> list[Rule]:
    return [from_json(body) for (kind, _), body in sorted(template.documents.items()) if kind == "rule"]


def told_by(template: shipped.ApplicationTemplate, origin_ms: int) -> dict[str, list[Told]]:
    """The devices of a template by their device template."""
    devices = [
        {"id": f"{role}-{number}", "role": role, "number": number, "name": name}
        for role, number, name in wanted_devices(template, None)
    ]
    found: dict[str, list[Told]] = {}
    tables = {table["role"]: table for table in template.devices}
    for plan in plans_of(template, {"seed": "5eed", "began_ms": origin_ms, "devices": devices}):
        found.setdefault(tables[plan.role]["template"], []).append(Told(plan))
    return found


def fires(rule: Rule, told: Told, cloud: Mapping[str, Any], within_s: int) -> bool:
    """Whether a rule fires for a device in so many seconds after the origin, as the hub would evaluate it."""
    program, origin_ms = Program(rule), int(told.plan.origin_s * 1000)
    state = start(program, origin_ms)
    for now_ms, event, reported in told.until(within_s):
        facts = Facts(
            told.plan.device_id,
            {"reported": reported, "cloud": cloud},
            template=rule.target.template,
            version=1,
            listening_since_ms=origin_ms,
        )
        state, entries = step(program, state, event, now_ms, facts)
        if any(entry.outcome is RuleOutcome.FIRED for entry in entries):
            return True
    return False


def fired(template: shipped.ApplicationTemplate, rule: Rule, devices: list[Told], within_s: int) -> Iterator[bool]:
    """Device by device, whether a rule fires."""
    tables = {table["role"]: table for table in template.devices}
    return (fires(rule, each, cloud_of(tables[each.plan.role], each.plan.number), within_s) for each in devices)


@pytest.mark.parametrize("origin_ms", ORIGINS_MS)
@pytest.mark.parametrize("name", shipped.names())
def test_every_rule_fires_within_two_hours(name: str, origin_ms: int):
    template = shipped.load(name)
    told = told_by(template, origin_ms)
    for rule in rules_of(template):
        devices = told[rule.target.template]
        assert any(fired(template, rule, devices, TWO_HOURS_S)), f"{rule.name}: of no device of {len(devices)}"


@pytest.mark.parametrize("name", shipped.names())
def test_no_rule_fires_where_nothing_happens(name: str):
    """The control: without incidents no device sets a rule off in its first ten minutes, so it means something."""
    template = shipped.load(name)
    calm = dataclasses.replace(template, devices=tuple({**table, "incidents": ()} for table in template.devices))
    told = told_by(calm, ORIGINS_MS[0])
    for rule in rules_of(calm):
        devices = told[rule.target.template]
        assert not any(fired(calm, rule, devices, 600)), f"{rule.name} without any incident"
