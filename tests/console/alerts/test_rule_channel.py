# SPDX-License-Identifier: Apache-2.0
"""A rule that tells a notification channel, over a real service; and a page that says what its actions cannot do."""

from __future__ import annotations

from typing import Any

from tests.api.running_service import fresh, wait_until
from tests.console.water_scene import WaterScene

from armillary.identity.operator import Operator
from armillary.service.notifications.channels import ChannelForm

ANN = Operator("ann", "Contributor", None, None)
RULE = {"name": "Much flow", "catalog": "northwind", "conditions": [{"telemetry": "noise_db", "op": ">", "value": 900}]}


def put(scene: WaterScene, rule_id: str, **more: Any) -> dict[str, Any]:
    return scene.running.platform.rule_operations.put(ANN, rule_id, {**RULE, **more}, None, None)


def test_a_firing_is_told_by_the_named_channel_of_the_rules_catalog(scene: WaterScene) -> None:
    channels = scene.running.service.notifications.channels
    form = ChannelForm(name="pump desk", kind="e-mail", options={"to": ["desk@example.com"]}, topics=("action",))
    mine = channels.create(form, "northwind", operator=ANN)
    made = put(scene, "told", actions=[{"kind": "channel", "channel": "Pump Desk", "name": "desk"}])
    try:
        assert made["unreachable"] == []
        scene.send(0, {"noise_db": 901.0})  # which no tile of the scene shows
        wait_until(lambda: channels.get(mine.channel_id, None).status.waiting == 1, "the channel has the alert")
        number = scene.running.platform.alerts.listed(
            scene.running.platform.alerts.filter_of("northwind", rule_id="told"), limit=1
        )["items"][0]["number"]
        browser = scene.browser("Reader")
        wait_until(lambda: "delivered" in browser.get(f"/alerts/{number}").text, "the page says that it was told")
        assert "Notification channel" in browser.get(f"/alerts/{number}").text
        channels.delete(mine.channel_id, None, operator=ANN)
        page = browser.get("/rules/told").text
        assert "the notification channel Pump Desk does not exist, so nobody is told" in page
        assert scene.browser("Contributor").post(f"/alerts/{number}/acknowledge", note="").status == 303
    finally:
        scene.running.platform.rule_operations.delete(ANN, "told", None, None)


def test_a_rules_page_says_what_its_actions_can_no_longer_do(scene: WaterScene) -> None:
    rules, store = scene.running.platform.rule_operations, scene.running.platform.documents
    job = {"name": "Flush", "catalog": "northwind", "group": "pumps", "kind": "command", "method": "flush"}
    store.put("job", "flush-all", job, by="test")
    actions = [
        {"kind": "job", "job": "flush-all", "name": "flush"},
        {"kind": "webhook", "url": "https://hooks.example.com/x", "name": "hook"},
    ]
    quiet = {"times": ["Sat,Sun 00:00-24:00"], "zone": "Europe/Berlin"}
    assert put(scene, "gone", actions=actions, quiet=quiet)["unreachable"] == []
    hosts = scene.running.platform.rules.actions.settings.hosts
    try:
        store.delete("job", "flush-all", by="test")
        scene.running.platform.rules.actions.settings.hosts = type(hosts)(public=False, named=frozenset())
        page = scene.browser("Reader").get("/rules/gone").text
        assert "Action flush: the job flush-all does not exist any more, so nothing is run." in page
        assert "Action hook: the outbound rules of this service refuse hooks.example.com:443" in page
        assert "Sat,Sun 00:00-24:00, Europe/Berlin" in page
    finally:
        scene.running.platform.rules.actions.settings.hosts = hosts
        rules.delete(ANN, "gone", None, None)


def test_a_channel_that_chose_alerts_is_told_of_a_rule_without_actions(scene: WaterScene) -> None:
    channels = scene.running.service.notifications.channels
    made = put(scene, "unheard", severity="critical")
    assert made["unreachable"] == ["The rule has no actions: it creates an alert, and nobody is told"]
    form = ChannelForm(
        name="chose alerts", kind="e-mail", options={"to": ["desk@example.com"]}, topics=("alert",),
        min_severity="critical",
    )  # fmt: skip
    mine = channels.create(form, "northwind", operator=ANN)
    other = scene.running.make_catalog(fresh("other"))
    theirs = channels.create(form, other, operator=ANN)
    try:
        assert put(scene, "unheard", severity="critical")["unreachable"] == []
        scene.send(0, {"noise_db": 902.0})  # which no tile of the scene shows
        told = lambda channel_id: channels.get(channel_id, None).status  # noqa: E731
        wait_until(lambda: told(mine.channel_id).waiting + told(mine.channel_id).given_up, "the channel has the alert")
        assert (told(theirs.channel_id).waiting, told(theirs.channel_id).given_up) == (0, 0)
        alerts = scene.running.platform.alerts
        number = alerts.listed(alerts.filter_of("northwind", rule_id="unheard"), limit=1)["items"][0]["number"]
        browser = scene.browser("Reader")
        words = "Notification channels that chose alerts"
        wait_until(lambda: words in browser.get(f"/alerts/{number}").text, "the page says that it was told")
        assert scene.browser("Contributor").post(f"/alerts/{number}/acknowledge", note="").status == 303
    finally:
        scene.running.platform.rule_operations.delete(ANN, "unheard", None, None)
        for each in (mine, theirs):
            channels.delete(each.channel_id, None, operator=ANN)
        scene.running.service.registry.catalogs.delete(other, actor="test")


def test_a_filter_of_alerts_that_is_none_is_said_and_shows_no_alert(scene: WaterScene) -> None:
    browser = scene.browser("Reader")
    answer = browser.get("/alerts?severity=5")
    assert (answer.status, "Severity: expected info, low" in answer.text) == (400, True)
    assert browser.get("/alerts?status=open&range=9y").status == 400
