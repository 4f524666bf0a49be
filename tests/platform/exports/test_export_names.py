# SPDX-License-Identifier: Apache-2.0
"""What data exports add where names are asked for: display names, units, and why a rule fired."""

from __future__ import annotations

from tests.hub.running_hub import DEVICE, RunningHub, wait_until
from tests.platform.exports.test_exports import got, put, quick, settled
from tests.platform.rules.test_rule_actions import Hook, hook
from tests.platform.templates.test_templates import published

from armillary.identity.operator import Operator

__all__ = ["hook", "quick"]


def test_records_have_display_names_and_units_where_it_is_asked_for(running: RunningHub, hook: Hook) -> None:
    platform = running.platform
    published(platform)
    platform.device_templates.assign(DEVICE, "controller", by="ann")
    client = running.client(DEVICE).ready()
    inside = {"thermostat1.temperature": {"display_name": "Inside", "symbol": "\u00b0C"}}
    named, plain, properties = (
        put(running, {"kind": "webhook", "url": hook.url}, name=each, **more)
        for each, more in (("named", {"names": True}), ("plain", {}), ("p", {"names": True, "source": "properties"}))
    )
    client.telemetry({"temperature": 30.5, "more_celsius": 1}, "%24.sub=thermostat1")
    client.telemetry({"unknown": 1})
    settled(running, named, exported=2)
    settled(running, plain, exported=2)
    told = [each for each in got(hook) if each["source"] == "telemetry"]
    first = [each for each in told if any(name.endswith("temperature") for name in each["values"])]
    assert sorted("names" in each for each in first) == [False, True]
    assert next(each["names"] for each in first if "names" in each) == inside
    assert [each["names"] for each in told if "names" in each and each not in first] == [{}]
    running.hub.twins.change(DEVICE, tags={"floor": 3})
    running.hub.twins.change(DEVICE, desired={"Limit": 41, "thermostat1": {"target": 20}})
    settled(running, properties, exported=2)
    told = [each for each in got(hook) if each["source"] == "properties"]
    assert [(each["section"], each["names"]) for each in told if each["section"] == "tags"] == [("tags", {})]


def test_an_alert_says_in_words_why_it_fired(running: RunningHub, hook: Hook) -> None:
    platform = running.platform
    published(platform)
    platform.device_templates.assign(DEVICE, "controller", by="ann")
    conditions = [{"telemetry": "thermostat1.temperature", "op": ">", "value": 30}]
    rule = {"name": "Hot", "severity": "high", "catalog": None, "conditions": conditions}
    platform.rule_operations.put(Operator("ann", "Contributor", None, None), "hot", rule, None, None)
    name = put(running, {"kind": "webhook", "url": hook.url}, source="alerts", names=True)
    client = running.client(DEVICE).ready()
    wait_until(lambda: platform.rules.loaded.get("hot"), "the rule is taken up")
    client.telemetry({"temperature": 30.5}, "%24.sub=thermostat1")
    settled(running, name, exported=1)
    assert [each["summary"] for each in got(hook)] == ["Inside 30.5 \u00b0C was above 30 \u00b0C"]
