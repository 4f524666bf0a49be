# SPDX-License-Identifier: Apache-2.0
"""Alerts of rules, told by the channels that are named or chose alerts, and whom they do not reach."""

from __future__ import annotations

import json
from typing import Any

from tests.service.notifications.receivers import Receiver
from tests.service.notifications.test_sender import BOSS, hook_to, status, wait_for

from armillary.engines.records.schema.security.notification_rows import Channel
from armillary.service.notifications.alerts import AlertNotices
from armillary.service.notifications.channels import ChannelForm
from armillary.service.notifications.notifications import Notifications
from armillary.sim.device.service_host import ServiceHost


def said(**more: Any) -> dict[str, Any]:
    return {
        "alert": 7, "rule": "Hot", "rule_id": "hot", "severity": "high", "device_id": "a1", "device_name": "Freezer 2",
        "fired_at": 1_700_000_000, "why": "Temperature 30 was above 25", **more,
    }  # fmt: skip


def notices(host: ServiceHost) -> Notifications:
    return host.service.notifications


def test_the_named_channel_of_the_alerts_owner_tells_whatever_it_hears_of_otherwise(
    host: ServiceHost, hook: Receiver
) -> None:
    channel = hook_to(host, hook.url, "desk", "Contoso", topics=("action",), min_severity="critical")
    assert notices(host).tell("DESK", "Contoso", False, "delivery-1", said()) == 1
    wait_for(host, channel, delivered=1)
    event = json.loads(hook.got[-1][2])["data"]
    assert (event["kind"], event["title"], event["text"]) == (
        "alert.fired", "Hot: Freezer 2", "Temperature 30 was above 25",
    )  # fmt: skip
    assert event["data"]["alert"] == 7


def test_channels_of_others_and_of_the_service_are_not_told_by_a_rule_of_one_catalog(
    host: ServiceHost, hook: Receiver
) -> None:
    host.catalog("Fabrikam")
    theirs, whole = hook_to(host, hook.url, "desk", "Fabrikam"), hook_to(host, hook.url, "desk")
    found = notices(host)
    assert found.tell("desk", "Contoso", False, "d", said()) == 0
    assert found.tell("desk", "nowhere", False, "d", said()) == 0
    assert found.tell("other", "Fabrikam", False, "d", said()) == 0
    assert (status(host, theirs).waiting, status(host, whole).waiting) == (0, 0)
    assert [found.is_there("desk", each) for each in ("Contoso", "Fabrikam", "nowhere", None)] == [
        False, True, False, True,
    ]  # fmt: skip
    assert found.tell("desk", "Contoso", True, "d", said()) == 1  # a rule of all catalogs: the service's own
    wait_for(host, whole, delivered=1)
    assert status(host, theirs).delivered == 0


def test_what_is_told_is_sent_without_waiting_for_the_next_look(host: ServiceHost) -> None:
    woken: list[int] = []
    alerts = AlertNotices(host.service.context, lambda: woken.append(1))
    alerts.tell("desk", "Contoso", False, "d", said())
    assert woken == [1]


def test_channels_that_chose_alerts_tell_those_of_their_catalog_and_the_services_all(
    host: ServiceHost, hook: Receiver
) -> None:
    host.catalog("Fabrikam")
    mine, whole = hook_to(host, hook.url, "mine", "Contoso", topics=("alert",)), hook_to(host, hook.url, "whole")
    host.service.notifications.channels.choose(
        whole.channel_id, None, topics=["finding", "alert"], finding_kinds=None, min_severity="high", operator=BOSS
    )
    others = [
        hook_to(host, hook.url, "theirs", "Fabrikam", topics=("alert",)),
        hook_to(host, hook.url, "usual", "Contoso"),
        hook_to(host, hook.url, "findings", "Contoso", topics=("finding",)),
        hook_to(host, hook.url, "graver", "Contoso", topics=("alert",), min_severity="critical"),
    ]
    found = notices(host)
    assert found.tell_choosers([], "Contoso", False, "delivery-1", said()) == 2
    assert found.tell_choosers([], "contoso", True, "delivery-2", said(severity="low")) == 1
    wait_for(host, mine, delivered=2)
    wait_for(host, whole, delivered=1)
    assert [events_of(host, each) for each in others] == [0] * 4
    told = [json.loads(body)["data"] for _, _, body in hook.got]
    assert {(each["kind"], each["data"]["rule"]) for each in told} == {("alert.fired", "Hot")}
    assert len({each["event_id"] for each in told}) == 2, "one firing is one event, whoever is told"


def test_an_alert_of_no_catalog_and_of_one_that_is_gone_is_for_the_service_alone(host: ServiceHost) -> None:
    for name, catalog in (("mine", "Contoso"), ("whole", None)):
        channel_of(host, name, catalog)
    assert notices(host).tell_choosers([], "", True, "d", said()) == 1
    assert notices(host).tell_choosers([], "nowhere", False, "d", said()) == 1


def test_a_channel_that_the_rule_names_is_not_told_twice(host: ServiceHost) -> None:
    mine, whole = channel_of(host, "desk", "Contoso"), channel_of(host, "desk", None)
    found = notices(host)
    assert found.tell("desk", "Contoso", False, "d.0", said()) == 1
    assert found.tell_choosers(["DESK"], "Contoso", False, "d.1", said()) == 1  # the service's, which it cannot name
    assert (events_of(host, mine), events_of(host, whole)) == (1, 1)
    assert found.tell("desk", "Contoso", True, "e.0", said()) == 2  # a rule of all catalogs names both
    assert found.tell_choosers(["desk"], "Contoso", True, "e.1", said()) == 0


def test_who_hears_of_alerts_is_known_at_once_and_after_a_start(host: ServiceHost) -> None:
    host.catalog("Fabrikam")
    found = notices(host)

    def heard(severity: str = "high") -> list[bool]:
        return [found.is_heard(each, severity) for each in ("contoso", "Fabrikam", None)]

    assert heard() == [False, False, False]
    channel_of(host, "usual", "Contoso", topics=("finding", "action"))
    mine = channel_of(host, "desk", "Contoso", min_severity="high")
    assert (heard(), heard("medium")) == ([True, False, False], [False] * 3)
    whole = channel_of(host, "all", None)
    assert heard("info") == [True, True, True]
    channels = found.channels
    channels.choose(whole.channel_id, None, topics=["action"], finding_kinds=None, min_severity=None, operator=BOSS)
    assert heard() == [True, False, False]
    again = Notifications(host.service.context, lambda: b"")
    assert (again.is_heard("Contoso", "high"), again.is_heard("Fabrikam", "high")) == (True, False)
    channels.delete(mine.channel_id, None, operator=BOSS)
    assert heard("critical") == [False, False, False]
    channel_of(host, "theirs", "Fabrikam")
    assert found.is_heard("Fabrikam", "info")
    host.service.registry.catalogs.delete("Fabrikam", actor="boss")
    host.catalog("Fabrikam")
    assert not found.is_heard("Fabrikam", "critical"), "nobody of the new catalog chose anything"


def events_of(host: ServiceHost, channel: Channel) -> int:
    """How many events were kept for a channel, whatever has become of them."""
    found = status(host, channel)
    return found.waiting + found.delivered + found.given_up


def channel_of(host: ServiceHost, name: str, catalog: str | None, **values: Any) -> Channel:
    """A channel by e-mail; the host has no mail server."""
    given = {"kind": "e-mail", "options": {"to": ["a@example.com"]}, "topics": ("alert",), **values}
    return host.service.notifications.channels.create(ChannelForm(name=name, **given), catalog, operator=BOSS)
