# SPDX-License-Identifier: Apache-2.0
"""Alerts go to the channels that chose them, whatever actions their rules have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.hub.running_hub import DEVICE, Client, RunningHub, wait_until
from tests.platform.rules.test_rule_actions import deliveries, fire, use
from tests.platform.rules.test_rules import alerts

from armillary.engines.outbound import attempts
from armillary.errors import HostError
from armillary.platform.rules.actions import CHOSEN


@dataclass
class Channels:
    """Notification channels that chose alerts from ``high`` on, and remember what they were told."""

    told: list[tuple[Any, ...]] = field(default_factory=list)
    failures: int = 0

    def tell(self, channel: str, catalog: str, whole: bool, delivery: str, said: Mapping[str, Any]) -> int:
        self.told.append((channel, catalog, whole, delivery, said["severity"]))
        return 1

    def tell_choosers(
        self,
        named: Sequence[str],
        catalog: str,
        whole: bool,
        delivery: str,
        said: Mapping[str, Any],
    ) -> int:
        if self.failures:
            self.failures -= 1
            raise HostError("the disk is full", remedy="Make room.")
        self.told.append((tuple(named), catalog, whole, delivery, said["device_id"]))
        return 0

    def is_heard(self, _: str | None, severity: str) -> bool:
        return severity in ("high", "critical")

    def is_there(self, _channel: str, _catalog: str | None) -> bool:
        return True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_RETRY_S", 0.05)


def test_an_alert_is_told_without_any_action_and_again_while_the_disk_refuses(
    running: RunningHub, client: Client
) -> None:
    channels = Channels(failures=1)
    use(running, channels=channels)
    fire(running, client, severity="high")
    wait_until(lambda: channels.told, "the channels are told")
    (alert,) = alerts(running)
    assert channels.told == [((), "", True, f"{alert.id}.0", DEVICE)]
    wait_until(lambda: deliveries(running)[CHOSEN].state == "done", "it is noted, although nobody heard it any more")
    assert deliveries(running)[CHOSEN].attempts == 2


def test_what_the_rule_names_is_told_by_its_action_and_said_to_the_others(running: RunningHub, client: Client) -> None:
    channels = Channels()
    use(running, channels=channels)
    fire(running, client, {"kind": "channel", "channel": "desk", "name": "mine"}, severity="critical")
    wait_until(lambda: len(channels.told) == 2, "both")
    (alert,) = alerts(running)
    assert sorted(channels.told, key=lambda each: each[3]) == [
        ("desk", "", True, f"{alert.id}.0", "critical"),
        (("desk",), "", True, f"{alert.id}.1", DEVICE),
    ]


def test_an_alert_that_nobody_chose_makes_no_delivery(running: RunningHub, client: Client) -> None:
    use(running, channels=Channels())
    fire(running, client, severity="medium")
    wait_until(lambda: alerts(running), "the alert")
    assert deliveries(running) == {}
    use(running)
    assert not running.platform.rules.actions.is_heard(None, "critical"), "a hub without a security service"
