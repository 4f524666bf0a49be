# SPDX-License-Identifier: Apache-2.0
"""Every rule of every application template fires within two simulated hours: nothing named is out of reach."""

from __future__ import annotations

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


def rules() -> Iterator[tuple[str, str]]:
    for name in shipped.names():
        for kind, document_id in sorted(shipped.load(name).documents):
            if kind == "rule":
                yield name, document_id


def simulation(template: shipped.ApplicationTemplate, origin_ms: int) -> dict[str, Any]:
    devices = [
        {"id": f"{role}-{number}", "role": role, "number": number, "name": name}
        for role, number, name in wanted_devices(template, None)
    ]
    return {"seed": "5eed", "began_ms": origin_ms, "devices": devices}


def first_firing_s(rule: Rule, plan: DevicePlan, cloud: Mapping[str, Any], within_s: int) -> float | None:
    """Seconds after the origin at which a rule fires for a device, as the hub would evaluate it; None: not in time."""
    program, origin_ms = Program(rule), int(plan.origin_s * 1000)
    state = start(program, origin_ms)
    table = list(plan.shape.telemetry)
    since_s = 0.0
    while since_s < within_s:
        now_ms = origin_ms + int(since_s * 1000)
        observed = plan.observe(now_ms / 1000, {})
        event = None
        if not observed.silent:
            body = encode({name: observed.values[name] for name in table})
            event = Event(now_ms, decode(body, {}, now_ms).values)
        reported = {name: observed.values[name] for name in plan.shape.properties}
        facts = Facts(
            plan.device_id,
            {"reported": reported, "cloud": cloud},
            template=rule.target.template,
            version=1,
            listening_since_ms=origin_ms,
        )
        state, entries = step(program, state, event, now_ms, facts)
        if any(entry.outcome is RuleOutcome.FIRED for entry in entries):
            return since_s
        since_s += plan.every_s
    return None


@pytest.mark.parametrize("origin_ms", ORIGINS_MS)
@pytest.mark.parametrize(("name", "rule_id"), list(rules()))
def test_rule_fires_within_two_hours(name: str, rule_id: str, origin_ms: int):
    template = shipped.load(name)
    rule = from_json(template.documents["rule", rule_id])
    tables = {table["role"]: table for table in template.devices}
    plans = [
        plan
        for plan in plans_of(template, simulation(template, origin_ms))
        if tables[plan.role]["template"] == rule.target.template
    ]
    found = (first_firing_s(rule, plan, cloud_of(tables[plan.role], plan.number), TWO_HOURS_S) for plan in plans)
    assert any(each is not None for each in found), f"{rule.name}: of no device of {len(plans)}"


@pytest.mark.parametrize(("name", "rule_id"), list(rules()))
def test_rule_does_not_fire_where_nothing_happens(name: str, rule_id: str):
    """The control: without incidents no device sets the rule off in its first ten minutes, so it means something."""
    template = shipped.load(name)
    rule = from_json(template.documents["rule", rule_id])
    quiet = [{**table, "incidents": ()} for table in template.devices]
    calm = shipped.ApplicationTemplate(
        name=name,
        head=template.head,
        models=template.models,
        devices=tuple(quiet),
        documents=template.documents,
        images={},
        readme="",
    )
    tables = {table["role"]: table for table in quiet}
    for plan in plans_of(calm, simulation(calm, ORIGINS_MS[0])):
        if tables[plan.role]["template"] == rule.target.template:
            cloud = cloud_of(tables[plan.role], plan.number)
            assert first_firing_s(rule, plan, cloud, 600) is None, f"{plan.device_id} without any incident"
