# SPDX-License-Identifier: Apache-2.0
"""Alerts of rules, told by the channels that are named: those of the alert's owner, and whom they do not reach."""

from __future__ import annotations

import json
from typing import Any

from tests.service.notifications.receivers import Receiver
from tests.service.notifications.test_sender import hook_to, status, wait_for

from armillary.service.notifications.alerts import AlertNotices
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
