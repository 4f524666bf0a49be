# SPDX-License-Identifier: Apache-2.0
"""Rules in a running hub: real devices, real time, restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.hub.running_hub import DEVICE, OTHER, Client, RunningHub, wait_until

from armillary.engines.rules.alerts import AlertFilter
from armillary.engines.rules.database import FILE_NAME
from armillary.errors import DataFolderError
from armillary.platform.rules import keeping as rule_keeping, rules, traces as rule_traces
from armillary.wire.hub.telemetry import Telemetry

HOT: dict[str, Any] = {"name": "Hot", "conditions": [{"telemetry": "t", "op": ">", "value": 30}]}


def put(running: RunningHub, rule_id: str, **fields: Any) -> None:
    version = running.platform.documents.put("rule", rule_id, {**HOT, **fields}, by="test").version
    worker = running.platform.rules

    def is_taken_up() -> bool:
        loaded = worker.loaded.get(rule_id)
        return loaded is not None and loaded.version == version and worker._survey is None

    wait_until(is_taken_up, "the rule is taken up")


def alerts(running: RunningHub, **wanted: Any) -> list[Any]:
    return running.platform.rules.store().alerts.found(AlertFilter(catalog="", **wanted), 100)


def outcomes(running: RunningHub, rule_id: str = "hot", device: str = DEVICE) -> list[str]:
    return [entry["outcome"] for entry in reversed(running.platform.rules.trace(rule_id, device))]


def test_a_rule_fires_and_is_over_when_the_value_is(running: RunningHub, client: Client) -> None:
    put(running, "hot")
    client.telemetry({"t": 20})
    client.telemetry({"t": 31})
    (alert,) = wait_until(lambda: alerts(running), "an alert")
    assert (alert.rule_id, alert.rule_name, alert.device_id, alert.over_ms) == ("hot", "Hot", DEVICE, None)
    assert alert.trace["conditions"] == ["t is 31, > 30: met"]
    client.telemetry({"t": 5})
    wait_until(lambda: alerts(running)[0].over_ms, "the alert is over")
    assert outcomes(running) == ["not met", "fired", "cleared"]


def test_without_a_rule_nothing_is_opened_and_no_message_is_looked_at(
    running: RunningHub, client: Client, tmp_path: Path
) -> None:
    client.telemetry({"t": 31})
    assert not running.platform.rules.is_active
    assert not (tmp_path / "hub" / FILE_NAME).exists()
    put(running, "hot", enabled=False)
    client.telemetry({"t": 31})
    assert not running.platform.rules.is_active
    assert running.platform.rules.count()["rule_evaluations"] == 0


def test_the_last_rule_ends_the_look_at_all_devices_too(running: RunningHub) -> None:
    """Else whoever waits for that look waits until there is another rule."""
    put(running, "hot")

    async def ended() -> bool:
        found = running.platform.rules
        found._make_again()
        is_looking = found._survey is not None
        found._end()
        return is_looking and found._survey is None

    assert running.start(ended()).result(20)


def test_a_message_from_before_the_rule_is_not_its_business(running: RunningHub, client: Client) -> None:
    client.telemetry({"t": 99})
    put(running, "hot")
    client.telemetry({"other": 1})
    client.telemetry({"t": 1})
    wait_until(lambda: outcomes(running), "an evaluation")
    assert outcomes(running) == ["not met"]


def test_a_rule_looks_only_at_its_own_devices_and_names(running: RunningHub, client: Client) -> None:
    put(running, "hot", target={"devices": [OTHER]})
    put(running, "cold", conditions=[{"telemetry": "c", "op": "<", "value": 0}])
    client.telemetry({"t": 31})
    client.telemetry({"c": -1})
    wait_until(lambda: alerts(running), "an alert")
    assert [each.rule_id for each in alerts(running)] == ["cold"]
    assert outcomes(running) == []
    assert running.platform.rules.state_of("hot", DEVICE) is None


def test_no_data_is_noticed_by_the_clock_and_over_with_the_next_message(running: RunningHub, client: Client) -> None:
    client.telemetry({"t": 1})
    put(running, "silent", conditions=[{"silent_s": 1}])
    (alert,) = wait_until(lambda: alerts(running), "an alert")
    assert "nothing of any message for 1 s" in alert.trace["conditions"][0]
    client.telemetry({"t": 1})
    wait_until(lambda: alerts(running)[0].over_ms, "the alert is over")


def test_a_device_that_connects_and_never_sends_falls_silent_too(running: RunningHub) -> None:
    put(running, "silent", conditions=[{"silent_s": 1}])
    running.client(OTHER).ready()
    wait_until(lambda: [each.device_id for each in alerts(running)] == [OTHER], "an alert")


def test_reported_desired_and_cloud_properties_are_looked_at_when_they_change(
    running: RunningHub, client: Client
) -> None:
    put(running, "mode", conditions=[{"property": "reported.mode", "op": "==", "value": "fault"}])
    put(running, "want", conditions=[{"property": "desired.level", "op": ">", "value": 3}])
    put(running, "limit", conditions=[{"telemetry": "t", "op": ">", "value": {"cloud_property": "max"}}])
    client.subscribe("$iothub/twin/res/#")
    client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", b'{"mode":"fault"}')
    wait_until(lambda: "mode" in {each.rule_id for each in alerts(running)}, "the reported property fires")
    running.hub.twins.change(DEVICE, desired={"level": 4})
    wait_until(lambda: "want" in {each.rule_id for each in alerts(running)}, "the desired property fires")
    client.telemetry({"t": 31})
    wait_until(lambda: "unknown" in outcomes(running, "limit"), "no threshold yet")
    running.platform.documents.put("device", DEVICE, {"cloud": {"max": 30}}, by="test")
    wait_until(lambda: "limit" in {each.rule_id for each in alerts(running)}, "the new threshold fires")


def test_a_changed_rule_begins_anew_and_a_disabled_one_is_silent(running: RunningHub, client: Client) -> None:
    put(running, "hot")
    client.telemetry({"t": 31})
    wait_until(lambda: len(alerts(running)) == 1, "the first alert")
    put(running, "hot", conditions=[{"telemetry": "t", "op": ">", "value": 40}])
    assert outcomes(running) == []
    client.telemetry({"t": 41})
    wait_until(lambda: len(alerts(running)) == 2, "the second alert")
    assert [each.over_ms is None for each in alerts(running)] == [True, False], "the first one is nobody's any more"
    running.platform.documents.delete("rule", "hot", by="test")
    wait_until(lambda: not running.platform.rules.is_active, "no rule is left")
    client.telemetry({"t": 99})
    assert len(alerts(running)) == 2


def test_bad_values_are_counted_and_said_and_hurt_no_other_message(running: RunningHub, client: Client) -> None:
    put(running, "hot")
    client.telemetry(b'{"t":NaN}')
    client.telemetry(b'{"t":"31"}')
    client.telemetry(b'{"t":{"deep":[1,2,3]}}')
    client.telemetry(b"not json")
    client.telemetry(b'{"t":31}', bag="iothub-creation-time-utc=2999-01-01T00:00:00Z")
    client.telemetry({"t": 31})
    wait_until(lambda: alerts(running), "an alert")
    assert outcomes(running) == ["unknown", "fired"]
    assert "a text cannot be compared so with a number" in running.platform.rules.trace("hot", DEVICE)[1]["why"]
    assert running.hub.counters()["messages_undecodable"] == 3


def test_traces_are_bounded_and_what_is_dropped_is_counted(running: RunningHub, client: Client) -> None:
    put(running, "hot")
    for number in range(rule_traces.MAX_ENTRIES + 5):
        client.telemetry({"t": number / 10})
    wait_until(lambda: running.platform.rules.count()["rule_evaluations"] == rule_traces.MAX_ENTRIES + 5, "evaluations")
    assert len(running.platform.rules.trace("hot", DEVICE)) == rule_traces.MAX_ENTRIES


def test_a_fault_in_one_rule_is_counted_and_the_others_go_on(
    running: RunningHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rules.step

    def broken(program: Any, *rest: Any) -> Any:
        if program.rule.name == "Broken":
            raise ZeroDivisionError
        return real(program, *rest)

    monkeypatch.setattr(rules, "step", broken)
    put(running, "a", name="Broken")
    put(running, "hot")
    client.telemetry({"t": 31})
    wait_until(lambda: alerts(running), "an alert")
    assert [each.rule_id for each in alerts(running)] == ["hot"]
    assert running.platform.rules.count()["rule_faults"] == 1


def test_a_rule_document_that_says_no_rule_is_counted_and_hurts_nothing(running: RunningHub, client: Client) -> None:
    running.platform.documents.put("rule", "junk", {"name": 3}, by="import")
    put(running, "hot")
    client.telemetry({"t": 31})
    wait_until(lambda: alerts(running), "an alert")
    assert running.platform.rules.count()["rules_unreadable"] == 1


def test_a_restart_loses_no_window_and_fires_nothing_twice(running: RunningHub) -> None:
    window = {"kind": "sliding", "length_s": 600}
    put(running, "sum", window=window, conditions=[{"telemetry": "t", "aggregate": "sum", "op": ">=", "value": 30}])
    put(running, "hot")
    device = running.client().ready()
    device.telemetry({"t": 31.0, "x": 1})
    wait_until(lambda: len(alerts(running)) == 2, "both fire")
    device.telemetry({"t": -21.0})
    wait_until(lambda: all(each.over_ms for each in alerts(running)), "both are over")
    running.restart()
    assert running.platform.rules.state_of("sum", DEVICE) in (None, "clear")
    device = running.client().ready()
    device.telemetry({"t": 20.0})
    wait_until(lambda: len(alerts(running)) == 3, "31 - 21 + 20 is 30, over both lives")
    assert outcomes(running, "sum") == ["fired"]
    assert outcomes(running) == ["not met"]


def test_silence_is_not_counted_while_the_hub_is_away(running: RunningHub, client: Client) -> None:
    put(running, "silent", conditions=[{"silent_s": 600}])
    client.telemetry({"t": 1})
    running.close()
    running.clock_ahead_s = 1200.0  # as long as it is away
    running.open()
    worker = running.platform.rules
    [rule] = wait_until(lambda: [one for plan in worker._plans.values() for one in plan.running], "the rule's state")
    for ahead_s in (1200.0, 1700.0):
        running.clock_ahead_s = ahead_s
        running.call(worker._look_at_deadlines)
        assert (rule.state.phase, alerts(running)) == ("clear", [])
    running.clock_ahead_s = 1801.0
    wait_until(lambda: alerts(running), "it falls silent for the hub that is there")


def test_a_deadline_waits_until_every_message_that_came_before_it_was_evaluated(
    running: RunningHub, client: Client
) -> None:
    client.telemetry({"t": 1})
    put(running, "silent", conditions=[{"silent_s": 1}])
    worker = running.platform.rules
    plan = wait_until(lambda: worker._plans.get(DEVICE), "the rule's plan for the device")
    now_ms = worker.now_ms()

    def busy() -> None:
        running.hub.front.intake.runs_under_way += 1
        worker._time.reached_ms = now_ms

    running.call(busy)
    running.clock_ahead_s = 30.0
    running.call(worker._look_at_deadlines)
    assert plan.running[0].state.phase == "clear", "a message under way may be from the device"

    def idle() -> None:
        running.hub.front.intake.runs_under_way -= 1
        worker._look_at_deadlines()

    running.call(idle)
    assert plan.running[0].state.phase == "active"


def test_a_message_that_was_evaluated_in_an_earlier_life_is_passed_over(running: RunningHub, client: Client) -> None:
    put(running, "hot", repeat=True)
    client.telemetry({"t": 31})
    wait_until(lambda: alerts(running), "an alert")
    worker = running.platform.rules
    plan = worker._plans[DEVICE]
    number = running.hub.series.device(DEVICE).number
    evaluated = worker.count()["rule_evaluations"]
    message = Telemetry(worker.now_ms(), {"t": 50.0})
    running.call(worker.measured, number, message, plan.done_seq, worker.now_ms())
    assert worker.count()["rule_evaluations"] == evaluated
    running.call(worker.measured, number, message, plan.open_seq + 1, worker.now_ms())
    assert worker.count()["rule_evaluations"] == evaluated + 1


def test_firings_that_the_disk_refuses_are_kept_when_it_takes_them_again(
    running: RunningHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rule_keeping.keep
    refused: list[int] = []

    def full(states: Any, news: Any, evaluated: Any) -> Any:
        def refuse(_: Any) -> None:
            refused.append(len(news))
            raise DataFolderError("the disk is full")

        # Without news it may be the checkpoint of another hub that runs in this process.
        return refuse if news and len(refused) < 2 else real(states, news, evaluated)

    monkeypatch.setattr(rule_keeping, "RETRY_S", 0.05)
    monkeypatch.setattr(rule_keeping, "keep", full)
    put(running, "hot", repeat=True)
    for _ in range(3):
        client.telemetry({"t": 31})
    wait_until(lambda: len(alerts(running)) == 3, "every firing, once")
    assert len(refused) == 2
    assert running.platform.counters()["rule_commits_failed"] == 2
    wait_until(
        lambda: running.platform.counters()["rule_firings_uncommitted_now"] == 0, "the loop to know of the commit"
    )


def test_what_changed_is_kept_now_and_then_without_a_firing(
    running: RunningHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(running, "hot")
    monkeypatch.setattr(rule_keeping, "CHECKPOINT_S", 0.0)
    client.telemetry({"t": 1})
    wait_until(lambda: running.platform.rules.store().states(), "the state is kept")
    wait_until(
        lambda: running.platform.rules.store().evaluated() == running.hub.series.decoder.decoded_seq,
        "and how far it went",
    )
    (row,) = running.platform.rules.store().states()
    assert [(rule, version) for rule, version, _ in row.states] == [("hot", 1)]


def test_a_rule_for_a_device_group_follows_who_is_in_it(
    running: RunningHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = {"name": "North", "filters": [{"field": "tag:site", "operator": "eq", "value": "north"}]}
    running.platform.documents.put("group", "north", group, by="test")
    put(running, "hot", target={"group": "north"}, repeat=True)
    client.telemetry({"t": 31})
    put(running, "other")  # behind the message
    assert running.platform.rules.state_of("hot", DEVICE) is None
    running.hub.twins.change(DEVICE, tags={"site": "north"})
    wait_until(lambda: running.platform.rules.state_of("hot", DEVICE) == "clear", "it is in the group")
    client.telemetry({"t": 31})
    wait_until(lambda: "hot" in {each.rule_id for each in alerts(running)}, "it fires")
    south = {"name": "South", "filters": [{"field": "tag:site", "operator": "eq", "value": "south"}]}
    running.platform.documents.put("group", "north", south, by="test")
    wait_until(lambda: running.platform.rules.state_of("hot", DEVICE) is None, "the group changed")
    # What nobody tells of: a group over last values, found by looking again.
    warm = {"name": "Warm", "filters": [{"field": "telemetry:level", "operator": "gt", "value": 5}]}
    running.platform.documents.put("group", "north", warm, by="test")
    monkeypatch.setattr(rules, "GROUP_AGE_S", 0.1)
    client.telemetry({"level": 6})
    wait_until(lambda: running.platform.rules.state_of("hot", DEVICE) is not None, "it is in the group by its value")
