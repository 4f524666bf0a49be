# SPDX-License-Identifier: Apache-2.0
"""What people do with rules and alerts: whose they are, what is audited, and secrets that go with their rule."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from tests.fixtures.directories import Owners
from tests.hub.running_hub import DEVICE, OTHER, Client, RunningHub, wait_until
from tests.platform.rules.test_rules import HOT
from tests.twin.template.test_template import BODY

from armillary.engines.rules.alerts import AlertFilter
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from armillary.identity.operator import Operator

ANN = Operator("ann", "Contributor", None, None)
NORTH = Operator("nora", "Contributor", uuid4(), None)
SIGNED = {"kind": "webhook", "url": "https://example.com/", "secret": "sixteen characters"}


def test_each_change_of_a_rule_is_audited_with_who_made_it(running: RunningHub) -> None:
    rules = running.platform.rule_operations
    made = rules.put(ANN, "hot", HOT, None, None)
    assert rules.switch(ANN, "hot", None, enabled=False)["body"]["enabled"] is False
    with pytest.raises(ConflictError):
        rules.delete(ANN, "hot", None, made["etag"])
    assert rules.delete(ANN, "hot", None, None) == {"deleted": "hot"}
    assert running.audited == [
        ("ann", "rule.put", "hot", {"version": 1}),
        ("ann", "rule.put", "hot", {"version": 2}),
        ("ann", "rule.delete", "hot", {}),
    ]


def test_who_speaks_for_a_catalog_changes_its_rules_and_no_others(running: RunningHub) -> None:
    rules = running.platform.rule_operations
    rules.put(ANN, "all", HOT, None, None)
    rules.put(ANN, "south", {**HOT, "catalog": "South"}, None, None)
    assert rules.put(NORTH, "mine", HOT, "North", None)["body"]["catalog"] == "North"
    running.audited.clear()
    for attempt in (
        lambda: rules.put(NORTH, "all", HOT, "North", None),
        lambda: rules.switch(NORTH, "all", "North", enabled=False),
        lambda: rules.delete(NORTH, "all", "North", None),
    ):
        with pytest.raises(PermissionDeniedError):
            attempt()
    with pytest.raises(ConflictError, match="is taken"):
        rules.put(NORTH, "south", HOT, "North", None)
    with pytest.raises(NotFoundError):
        rules.switch(NORTH, "south", "North", enabled=False)
    with pytest.raises(NotFoundError):
        rules.delete(NORTH, "south", "North", None)
    assert [each["id"] for each in rules.listed("North", 10, None)["items"]] == ["all", "mine"]
    assert running.audited == []


def test_secrets_stay_as_they_are_where_the_rule_does(running: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = running.platform
    rules, secret = platform.rule_operations, lambda: platform.rules.store().secret("hot", "1")
    unsigned = {"kind": "webhook", "url": "https://example.com/", "signed": True}
    with pytest.raises(InvalidArgumentError, match="has no secret"):
        rules.put(ANN, "hot", {**HOT, "actions": [unsigned]}, None, None)
    rules.put(ANN, "hot", {**HOT, "actions": [SIGNED]}, None, None)
    assert secret() == "sixteen characters"

    def full(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    changed = {**HOT, "actions": [{**SIGNED, "secret": "another one, as long"}]}
    with monkeypatch.context() as broken:
        broken.setattr(platform.documents, "put", full)
        with pytest.raises(OSError, match="full"):
            rules.put(ANN, "hot", changed, None, None)
    assert secret() == "sixteen characters"
    rules.put(ANN, "hot", changed, None, None)
    assert secret() == "another one, as long"
    rules.delete(ANN, "hot", None, None)
    assert secret() is None


def test_a_catalog_reads_a_rule_in_the_names_of_its_own_template_only(running: RunningHub) -> None:
    platform = running.platform
    platform.templates.put("controller", {**BODY, "catalog": "North"}, by="ann")
    inside = [{"telemetry": "thermostat1.temperature", "op": ">", "value": 30}]
    rule = {**HOT, "conditions": inside, "target": {"template": "controller"}}
    platform.rule_operations.put(ANN, "all", rule, None, None)
    assert platform.rule_operations.show("all", "North")["conditions"] == ["Inside above 30 °C"]
    assert platform.rule_operations.show("all", "South")["conditions"] == ["thermostat1.temperature above 30"]


def test_an_alert_is_seen_and_acknowledged_by_its_catalog(running: RunningHub, client: Client) -> None:
    running.directory.now = Owners({DEVICE: "North", OTHER: "South"})
    platform = running.platform
    platform.rule_operations.put(ANN, "hot", HOT, None, None)
    wait_until(lambda: platform.rules.loaded.get("hot"), "the rule is taken up")

    def firings() -> list[dict[str, Any]]:
        client.telemetry({"t": 31})
        page = platform.alerts.listed(AlertFilter(catalog="North", rule_id="hot", state="open"), limit=10)
        return list(page["items"])

    (alert,) = wait_until(firings, "an alert")
    number = alert["number"]
    # What a live page is told is of its catalog alone (``alert_changes`` of the console asks it).
    assert platform.alerts.state_of_alerts("North") == {"newest": number, "severities": {"medium": 1}, "active": 1}
    assert platform.alerts.state_of_alerts("South") == {"newest": 0, "severities": {}, "active": 0}
    assert platform.alerts.overview("South") == {"open": 0, "severities": {}, "gravest": None}
    with pytest.raises(NotFoundError):
        platform.alert_operations.acknowledge(ANN, number, "South")
    running.audited.clear()
    assert platform.alert_operations.acknowledge(NORTH, number, "North")["acknowledged_by"] == "nora"
    assert running.audited == [("nora", "alert.acknowledge", DEVICE, {"alert": number})]
    shown = platform.alerts.show(number, "North")
    assert (shown["rule_is_deleted"], shown["deliveries"]) == (False, [])
    platform.rule_operations.delete(ANN, "hot", None, None)
    assert platform.alerts.show(number, "North")["rule_is_deleted"] is True
