# SPDX-License-Identifier: Apache-2.0
"""Rules through the operator API: make, change, try, trace, alerts, dead letters, scope of catalogs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh, wait_until
from tests.twin.template.test_template import BODY

from armillary.engines.series.log.blocks import PacketRun
from armillary.engines.series.restoring import Restored
from armillary.platform.rules.rules import Rules
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Publish

RULES = "/api/v1/rules"
SECRET = "correct horse battery"
DAY_MS = 86_400_000


def hot(catalog: str | None, **fields: Any) -> dict[str, Any]:
    conditions = [{"telemetry": "t", "op": ">", "value": 30}]
    return {"name": "Hot", "catalog": catalog, "conditions": conditions, **fields}


def number_of(service: RunningService, device_id: str) -> int:
    series = service.hub.series
    return int(series.commits.submit(series.restoring.devices([device_id])).result()[device_id])


def say(service: RunningService, device_id: str, values: dict[str, Any]) -> None:
    """A message of a device, committed and decoded as any other."""
    hub, platform, number = service.hub, service.platform, number_of(service, device_id)
    topic = f"devices/{device_id}/messages/events/"
    packet = encode_packet(Publish(topic=topic, payload=json.dumps(values).encode(), qos=1, packet_id=1))
    block = hub.series.commits.submit(PacketRun(4, number, platform.rules.now_ms(), packet, 1)).result()

    def decode() -> None:
        hub.front.names[number] = device_id
        hub.series.decoder.add(block)
        hub.front._decoding.soon()

    service.loop.call_soon_threadsafe(decode)


def put(service: RunningService, rule: str, body: Any, query: str = "", **options: Any) -> Any:
    reply = service.call("PUT", f"{RULES}/{rule}{query}", body, **options)
    if reply.status == 200:
        version = reply.body["version"]
        rules: Rules = service.platform.rules

        def is_taken_up() -> bool:
            loaded = rules.loaded.get(rule)
            return loaded is not None and loaded.version == version and rules._survey is None

        wait_until(is_taken_up, "taken up")
    return reply


def alerts(service: RunningService, query: str, **options: Any) -> list[dict[str, Any]]:
    reply = service.call("GET", f"/api/v1/alerts?{query}", **options)
    assert reply.status == 200, reply.raw
    items: list[dict[str, Any]] = reply.body["items"]
    return items


@pytest.fixture
def device(service: RunningService, catalog: str) -> str:
    return service.claimed(catalog).device_id


def test_a_rule_is_made_shown_switched_fired_acknowledged_and_deleted(
    service: RunningService, catalog: str, device: str
) -> None:
    rule = fresh("hot")
    made = put(service, rule, hot(catalog, severity="high"))
    assert (made.status, made.body["version"], made.body["body"]["severity"]) == (200, 1, "high")
    assert service.call("GET", f"{RULES}/{rule}").body["body"]["conditions"][0]["value"] == 30
    assert rule in {each["id"] for each in service.call("GET", f"{RULES}?catalog={catalog}").body["items"]}
    say(service, device, {"t": 31})
    (alert,) = wait_until(lambda: alerts(service, f"catalog={catalog}"), "an alert")
    assert (alert["rule_id"], alert["device_id"], alert["severity"]) == (rule, device, "high")
    assert alert["trace"]["conditions"] == ["t is 31, > 30: met"]
    trace = service.call("GET", f"{RULES}/{rule}/trace/{device}").body
    assert (trace["state"], trace["unconcerned"], trace["items"][0]["outcome"]) == ("active", None, "fired")
    done = service.call("POST", f"/api/v1/alerts/{alert['number']}/acknowledge").body
    assert (done["acknowledged_by"], done["rule_is_deleted"]) == ("first-start", False)
    assert alerts(service, f"catalog={catalog}&status=open") == []
    assert service.call("POST", f"{RULES}/{rule}/disable").body["body"]["enabled"] is False
    assert service.call("GET", f"{RULES}/{rule}/trace/{device}").body["unconcerned"] == "the rule is disabled"
    assert service.call("POST", f"{RULES}/{rule}/enable").body["body"]["enabled"] is True
    assert service.call("DELETE", f"{RULES}/{rule}").status == 200
    assert service.call("GET", f"{RULES}/{rule}").status == 404
    assert [each["rule_is_deleted"] for each in alerts(service, f"rule={rule}")] == [True]
    said = [line.operation for line in service.service.audit.list(limit=20).items]
    assert {"rule.put", "alert.acknowledge", "rule.delete"} <= set(said)


def test_what_makes_no_sense_is_refused_with_the_field_and_nothing_is_kept(
    service: RunningService, catalog: str
) -> None:
    rule = fresh("bad")
    for body, said in (
        ({"name": "x"}, "conditions: expected a list"),
        (hot(catalog, colour=1), "rule: expected only"),
        (hot(catalog, conditions=[{"telemetry": "t", "op": ">", "value": "30"}]), "expected a number with >"),
        (hot(catalog, actions=[{"kind": "webhook", "url": "https://127.0.0.1/x"}]), "is not allowed"),
        (hot(catalog, actions=[{"kind": "webhook", "url": "http://example.com/x"}]), "is not allowed"),
        (hot(catalog, actions=[{"kind": "webhook", "url": "https://example.com/", "signed": True}]), "has no secret"),
        (hot(7), "catalog: expected text"),
    ):
        reply = service.call("PUT", f"{RULES}/{rule}", body)
        assert reply.status == 400, reply.raw
        assert said in reply.body["detail"]
    assert service.call("GET", f"{RULES}/{rule}").status == 404
    assert service.call("PUT", f"{RULES}/{rule}", b'{"name": "x", "hold_s": NaN}').status == 400


def test_an_unknown_name_is_a_warning_and_the_rule_is_kept(service: RunningService, catalog: str, device: str) -> None:
    say(service, device, {"known": 1})
    wait_until(lambda: "known" in service.hub.series.tail.index.names().values(), "the value is known")
    name = fresh("unknown")
    conditions = [{"telemetry": each, "op": ">", "value": 1} for each in ("known", name)]
    made = put(service, fresh("names"), hot(catalog, conditions=conditions, match="any"))
    assert made.status == 200
    assert [name in each for each in made.body["warnings"]] == [True]


def test_a_name_that_the_device_template_does_not_have_is_a_warning(service: RunningService, catalog: str) -> None:
    template = fresh("controller")
    assert service.call("PUT", f"/api/v1/templates/{template}", BODY).status == 200
    assert service.call("POST", f"/api/v1/templates/{template}/publish").status == 200
    shown = service.call("GET", f"/api/v1/templates/{template}").body["capabilities"]
    known = next(each["name"] for each in shown if each["kind"] == "telemetry")
    conditions: list[dict[str, Any]] = [
        {"telemetry": known, "op": ">", "value": 1},
        {"telemetry": "temprature", "op": ">", "value": {"cloud_property": "nowhere"}},
        {"property": "reported.nothing", "op": "==", "value": 1},
    ]
    made = put(service, fresh("names"), hot(catalog, conditions=conditions, target={"template": template}))
    assert [each.split(":")[0] for each in made.body["warnings"]] == [
        "telemetry temprature", "cloud.nowhere", "reported.nothing",
    ]  # fmt: skip
    (none,) = put(service, fresh("names"), hot(catalog, target={"template": fresh("no")})).body["warnings"]
    assert "there is no device template" in none


def test_a_secret_is_never_given_back_and_stays_until_it_is_replaced(service: RunningService, catalog: str) -> None:
    rule = fresh("signed")
    action = {"name": "hook", "kind": "webhook", "url": "https://example.com/hook"}
    made = put(service, rule, hot(catalog, actions=[{**action, "secret": SECRET}]))
    assert made.status == 200
    store = service.platform.rules.store()
    assert store.secret(rule, "hook") == SECRET
    for path in (f"{RULES}/{rule}", RULES, f"{RULES}?catalog={catalog}"):
        assert SECRET.encode() not in service.call("GET", path).raw
    assert SECRET.encode() not in made.raw
    shown = service.call("GET", f"{RULES}/{rule}").body["body"]
    assert shown["actions"][0]["signed"] is True
    assert put(service, rule, {**shown, "name": "Hotter"}).status == 200
    assert store.secret(rule, "hook") == SECRET
    refused = service.call(
        "PUT", f"{RULES}/{rule}", hot(catalog, actions=[{**action, "secret": "another secret here"}]),
        headers={"If-Match": '"d-0"'},
    )  # fmt: skip
    assert refused.status == 412
    assert store.secret(rule, "hook") == SECRET
    assert put(service, rule, hot(catalog)).status == 200
    assert store.secret(rule, "hook") is None


def test_a_rule_that_an_import_deletes_leaves_no_secret_to_the_next_of_its_id(
    service: RunningService, catalog: str
) -> None:
    rule, store = fresh("gone"), service.platform.rules.store()
    action = {"name": "hook", "kind": "webhook", "url": "https://example.com/hook", "secret": SECRET}
    assert put(service, rule, hot(catalog, actions=[action])).status == 200
    assert store.secret(rule, "hook") == SECRET
    exported = service.call("GET", "/api/v1/application").body
    exported["files"].pop(f"rule/{rule}.json")
    import_body = {**exported, "replace": ["rule"]}
    planned = service.call("POST", "/api/v1/application/import", {**import_body, "dry_run": True})
    assert planned.status == 200, planned.raw
    assert store.secret(rule, "hook") == SECRET
    assert service.call("POST", "/api/v1/application/import", import_body).body["counts"]["deleted"] == 1
    assert store.secret(rule, "hook") is None
    signed = {key: value for key, value in action.items() if key != "secret"} | {"signed": True}
    assert "has no secret" in put(service, rule, hot(catalog, actions=[signed])).body["detail"]


def test_a_rule_is_tried_on_past_values_before_it_is_kept(service: RunningService, catalog: str, device: str) -> None:
    series, now = service.hub.series, service.platform.rules.now_ms()
    number = number_of(service, device)
    temperatures = [20.0, 31.0, 32.0, 10.0, 40.0]
    points = [Restored(number, "t", now - DAY_MS + 60_000 * i, each) for i, each in enumerate(temperatures)]
    series.commits.submit(series.restoring.points(points, now)).result()
    body = {"rule": hot(catalog), "devices": [device], "start_ms": now - 2 * DAY_MS, "end_ms": now}
    found = service.call("POST", "/api/v1/rule-test", body)
    assert found.status == 200, found.raw
    (tried,) = found.body["devices"]
    assert (found.body["firings"], tried["messages"], tried["evaluations"]) == (2, 5, 5)
    assert [each["at_ms"] for each in tried["fired"]] == [points[1].at_ms, points[4].at_ms]
    assert tried["last"][1]["outcome"] == "cleared"
    silent = hot(catalog, conditions=[{"silent_s": 3600}])
    found = service.call("POST", f"/api/v1/rule-test?catalog={catalog}", {**body, "rule": silent, "devices": []}).body
    assert [each["device_id"] for each in found["devices"]] == [device]
    assert found["firings"] == 2  # before the first value, and after the last
    rule = fresh("kept")
    put(service, rule, hot(catalog, enabled=False))
    del body["rule"]
    assert service.call("POST", f"{RULES}/{rule}/test", body).body["firings"] == 2
    assert alerts(service, f"catalog={catalog}") == []
    for change in ({"end_ms": 0}, {"devices": ["z z"]}, {"start_ms": "x"}):
        assert service.call("POST", f"{RULES}/{rule}/test", {**body, **change}).status == 400


def test_a_trace_says_why_a_rule_does_not_look_at_a_device(service: RunningService, catalog: str, device: str) -> None:
    rule = fresh("other")
    put(service, rule, hot(catalog, target={"product": "Tea"}))
    say(service, device, {"t": 99})
    found = service.call("GET", f"{RULES}/{rule}/trace/{device}").body
    assert found["unconcerned"] == "the rule is for the product Tea, the device has Coffee"
    assert (found["state"], found["items"]) == (None, [])


def test_a_token_of_one_catalog_sees_and_changes_only_its_own(
    service: RunningService, catalog: str, device: str
) -> None:
    other = service.make_catalog(fresh("O"), product="Coffee")
    theirs = service.claimed(other).device_id
    mine, foreign, common = fresh("mine"), fresh("foreign"), fresh("common")
    put(service, mine, hot(catalog))
    put(service, foreign, hot(other))
    put(service, common, hot(None))
    own = {"token": service.token_for(catalog)}
    for each in (device, theirs):
        say(service, each, {"t": 50})
    wait_until(lambda: len(alerts(service, f"rule={common}")) == 2, "the rule of all fires for both")
    # Its own, and what is of all; nothing without naming its catalog.
    listed = service.call("GET", f"{RULES}?catalog={catalog}&limit=1000", **own).body["items"]
    assert {mine, common} <= {each["id"] for each in listed}
    assert foreign not in {each["id"] for each in listed}
    for path in (RULES, "/api/v1/alerts", "/api/v1/dead-letters", f"{RULES}/{mine}"):
        assert service.call("GET", path, **own).status == 403
        assert service.call("GET", f"{path}?catalog={other}", **own).status == 404
        assert service.call("GET", path).status == 200  # the honest one with a token of all
    assert {each["device_id"] for each in alerts(service, f"catalog={catalog}", **own)} == {device}
    (foreign_alert,) = alerts(service, f"rule={foreign}")
    path = f"/api/v1/alerts/{foreign_alert['number']}"
    assert service.call("GET", f"{path}?catalog={catalog}", **own).status == 404
    assert service.call("POST", f"{path}/acknowledge?catalog={catalog}", **own).status == 404
    assert service.call("POST", f"{path}/acknowledge").status == 200
    # Another catalog's rule: not there. That of all: seen, not changed.
    assert service.call("GET", f"{RULES}/{foreign}?catalog={catalog}", **own).status == 404
    assert service.call("PUT", f"{RULES}/{foreign}?catalog={catalog}", hot(catalog), **own).status == 409
    assert service.call("POST", f"{RULES}/{foreign}/disable?catalog={catalog}", **own).status == 404
    assert service.call("DELETE", f"{RULES}/{common}?catalog={catalog}", **own).status == 403
    assert service.call("POST", f"{RULES}/{common}/disable?catalog={catalog}", **own).status == 403
    assert service.call("PUT", f"{RULES}/{fresh('x')}?catalog={catalog}", hot(other), **own).status == 400
    # A trace through its own device shows no other catalog's rule; theirs is out of reach.
    assert service.call("GET", f"{RULES}/{foreign}/trace/{device}", **own).status == 404
    assert service.call("GET", f"{RULES}/{common}/trace/{theirs}", **own).status == 404
    assert service.call("GET", f"{RULES}/{common}/trace/{device}", **own).body["items"]
    # A trial reaches no device of another catalog.
    body = {"rule": hot(None), "devices": [theirs], "start_ms": 0, "end_ms": 2 * 10**12}
    absent = {**body, "devices": ["0" * 128]}
    for each, rule in ((body, None), (absent, None), (body, other), (body, "Absent")):
        reply = service.call("POST", f"/api/v1/rule-test?catalog={catalog}", {**each, "rule": hot(rule)}, **own)
        assert reply.status == (404 if rule is None else 400), reply.raw
    assert service.call("POST", f"/api/v1/rule-test?catalog={other}", body).body["devices"][0]["messages"] == 1


def test_a_quarantine_request_is_a_finding_and_a_failed_action_can_be_tried_again(
    service: RunningService, catalog: str, device: str
) -> None:
    rule = fresh("q")
    actions = [
        {"name": "hold", "kind": "quarantine", "reason": "Too hot to be true."},
        {"name": "hook", "kind": "webhook", "url": "https://nowhere.invalid/hook"},
    ]
    put(service, rule, hot(catalog, actions=actions, severity="critical"))
    say(service, device, {"t": 31})
    (alert,) = wait_until(lambda: alerts(service, f"rule={rule}"), "an alert")
    path = f"/api/v1/alerts/{alert['number']}"

    def deliveries() -> dict[str, dict[str, Any]]:
        return {each["action"]: each for each in service.call("GET", path).body["deliveries"]}

    wait_until(lambda: deliveries()["hold"]["state"] == "done", "the request is made")
    (finding,) = service.call("GET", f"/api/v1/findings?catalog={catalog}&kind=quarantine-requested").body["items"]
    assert (finding["severity"], finding["device_ids"]) == ("critical", [device])
    assert "Too hot to be true." in finding["cause"]
    waiting = wait_until(lambda: deliveries()["hook"]["attempts"] and deliveries()["hook"], "one attempt failed")
    assert waiting["state"] == "waiting"
    assert "no answer" in waiting["error"]
    store = service.platform.rules.store()
    store.commits.submit(lambda c: c.execute("UPDATE delivery SET state = 'dead' WHERE state = 'waiting'")).result()
    (letter,) = service.call("GET", f"/api/v1/dead-letters?catalog={catalog}").body["items"]
    body = {"numbers": [letter["number"]]}
    assert service.call("POST", "/api/v1/dead-letters/replay?catalog=rules-none", body).body["replayed"] == 0
    assert service.call("POST", f"/api/v1/dead-letters/replay?catalog={catalog}", body).body["replayed"] == 1
    assert deliveries()["hook"]["state"] == "waiting"


def test_what_rules_count_is_in_the_metrics(service: RunningService) -> None:
    text = service.call("GET", "/metrics").raw.decode()
    for name in ("rule_evaluations", "rule_firings", "rule_actions_dead", "rule_commits_failed"):
        assert f"armillary_hub_{name}_total" in text
    for name in ("rules_enabled", "rule_deadlines", "rule_actions_waiting"):
        assert f"armillary_hub_{name} " in text
