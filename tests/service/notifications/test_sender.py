# SPDX-License-Identifier: Apache-2.0
"""From a finding to whoever is to know of it: in order, at least once, each channel for itself."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of
from tests.fixtures.waiting import wait_until
from tests.service.notifications.receivers import Receiver, hanging

from armillary.engines.outbound import attempts, webhook
from armillary.engines.records.notifications import deliveries as delivery_rows, outbox
from armillary.engines.records.schema.security.notification_rows import Channel, ChannelStatus
from armillary.errors import DataFolderError
from armillary.identity.operator import Operator
from armillary.service.notifications import sender as sender_module
from armillary.service.notifications.channels import ChannelForm
from armillary.service.notifications.sender import MAX_AT_ONCE, MAX_FAILING, MAX_OF_OWNER, chosen_of
from armillary.service.watch.detections import Observation
from armillary.sim.device.service_host import ServiceHost

BOSS = Operator("boss", "Administrator", None, None)
SECRET = "correct horse battery staple"
SEEN = Observation(
    kind="hub-anomaly", key=("a",), severity="high", title="Odd", cause="c", proposed_action="look", device_ids=("d",)
)


def hook_to(host: ServiceHost, url: str, name: str = "desk", catalog: str | None = None, **values: Any) -> Channel:
    form = ChannelForm(name=name, kind="webhook", options={"url": url}, **values)
    return host.service.notifications.channels.create(form, catalog, operator=BOSS)


def see(host: ServiceHost, *keys: str, **values: Any) -> None:
    for key in keys:
        host.service.watch.observe(replace(SEEN, key=(key,), title=f"Odd {key}", **values))
    host.service.notifications.wake()


def status(host: ServiceHost, channel: Channel) -> ChannelStatus:
    return host.service.notifications.channels.get(channel.channel_id, None).status


def titles(hook: Receiver) -> list[str]:
    return [json.loads(body)["data"]["title"] for _, _, body in hook.got]


def wait_for(host: ServiceHost, channel: Channel, **counts: int) -> ChannelStatus:
    def reached() -> ChannelStatus | None:
        found = status(host, channel)
        return found if all(getattr(found, name) == count for name, count in counts.items()) else None

    return wait_until(reached, f"the channel to have {counts}: {status(host, channel)}")


def test_findings_reach_a_webhook_in_order_signed_and_once(host: ServiceHost, hook: Receiver) -> None:
    channel = hook_to(host, hook.url, secret=SECRET)
    see(host, "1", "2", "3")
    see(host, "2")  # the same again is no news
    see(host, "2", severity="critical")
    found = wait_for(host, channel, delivered=4, waiting=0)
    assert (found.given_up, found.dropped, found.failures, found.error) == (0, 0, 0, "")
    assert titles(hook) == ["Odd 1", "Odd 2", "Odd 3", "Odd 2"]
    path, headers, body = hook.got[3]
    assert path == "/hook?token=hidden-in-the-address"
    assert headers["Content-Type"] == webhook.CONTENT_TYPE
    webhook.verify(SECRET, body, headers["Armillary-Signature"], int(host.service.context.clock()))
    event = json.loads(body)
    assert {name: event[name] for name in ("specversion", "type", "source", "sequence")} == {
        "specversion": "1.0", "type": "armillary.finding.graver", "source": "/service/findings", "sequence": "4",
    }  # fmt: skip
    assert (event["subject"], event["data"]["severity"]) == (event["data"]["data"]["finding_id"], "critical")
    assert len({json.loads(each)["id"] for _, _, each in hook.got}) == 4
    kept = host.service.context.records.read(lambda c: delivery_rows.oldest(c, channel.number, 10))
    assert kept == ()


def test_a_target_that_is_down_loses_nothing_and_keeps_the_order(host: ServiceHost, hook: Receiver) -> None:
    hook.answers = [503, 500, 429]
    channel = hook_to(host, hook.url)
    see(host, "1", "2")
    wait_for(host, channel, delivered=2)
    assert titles(hook) == ["Odd 1"] * 4 + ["Odd 2"]
    ids = [json.loads(body)["id"] for _, _, body in hook.got]
    assert len(set(ids)) == 2  # what is sent again has its id
    assert [headers["Armillary-Attempt"] for _, headers, _ in hook.got] == ["1", "2", "3", "4", "1"]


def test_what_is_never_taken_is_given_up_shown_and_sent_again_on_request(
    host: ServiceHost, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "MAX_ATTEMPTS", 3)
    hook.answers = [503, 503, 503, 400]
    channels = host.service.notifications.channels
    channel = hook_to(host, hook.url)
    see(host, "1", "2", "3")
    found = wait_for(host, channel, delivered=1, given_up=2, waiting=0)
    assert titles(hook) == ["Odd 1"] * 3 + ["Odd 2", "Odd 3"]  # 400 says never: once
    page = channels.given_up(channel.channel_id, None, limit=10, after=None)
    assert [(each.event.title, each.error, each.attempts) for each in page.items] == [
        ("Odd 2", "answered 400", 1), ("Odd 1", "answered 503", 3),
    ]  # fmt: skip
    assert (found.error, found.failed_at is None) == ("answered 400", False)
    hook.got.clear()
    assert channels.retry(channel.channel_id, None, operator=BOSS) == 2
    wait_for(host, channel, delivered=3, given_up=0)
    assert titles(hook) == ["Odd 1", "Odd 2"]


def test_only_so_many_events_that_were_given_up_are_kept(
    host: ServiceHost, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_rows, "MAX_GIVEN_UP", 2)
    hook.answer = 404
    channel = hook_to(host, hook.url)
    see(host, "1", "2", "3", "4")
    wait_for(host, channel, given_up=4)
    page = host.service.notifications.channels.given_up(channel.channel_id, None, limit=10, after=None)
    assert [each.event.title for each in page.items] == ["Odd 4", "Odd 3"]


def test_each_catalog_hears_its_own_and_the_service_everything(host: ServiceHost, hook: Receiver) -> None:
    host.catalog("Fabrikam")
    mine = host.service.registry.catalogs.get("Contoso").catalog_id
    channels = [hook_to(host, hook.url, name, name) for name in ("Contoso", "Fabrikam")]
    every = hook_to(host, hook.url, "all")
    see(host, "1", catalog_id=mine)
    see(host, "2")
    wait_for(host, every, delivered=2)
    wait_for(host, channels[0], delivered=1)
    assert status(host, channels[1]) == ChannelStatus()
    sources = sorted(
        (each["source"], each["data"]["catalog"]) for each in (json.loads(body) for _, _, body in hook.got)
    )
    assert sources == [("/catalogs/Contoso/findings", "Contoso")] * 2 + [("/service/findings", None)]


def test_a_target_that_hangs_holds_up_its_own_channel_only(
    host: ServiceHost, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_S", 300.0)  # they hang longer than the test waits
    with hanging() as port:
        host.catalog("Fabrikam")
        mine = host.service.registry.catalogs.get("Contoso").catalog_id
        stuck = [hook_to(host, f"http://127.0.0.1:{port}/", f"stuck {number}", "Contoso") for number in range(6)]
        theirs = hook_to(host, hook.url, "theirs", "Fabrikam")
        every = hook_to(host, hook.url, "all")
        see(host, "1", catalog_id=mine)
        wait_for(host, every, delivered=1)
        see(host, "2", catalog_id=host.service.registry.catalogs.get("Fabrikam").catalog_id)
        wait_for(host, theirs, delivered=1)
        assert {status(host, each).delivered for each in stuck} == {0}
        assert host.service.watch.observe(SEEN).status == "open"  # nor is the watch held up


def test_without_places_for_each_owner_a_hanging_target_holds_up_everybody(
    host: ServiceHost, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(webhook, "TIMEOUT_S", 300.0)
    monkeypatch.setattr(sender_module, "MAX_OF_OWNER", MAX_AT_ONCE)
    with hanging() as port:
        mine = host.service.registry.catalogs.get("Contoso").catalog_id
        for number in range(MAX_AT_ONCE):
            hook_to(host, f"http://127.0.0.1:{port}/", f"stuck {number}", "Contoso")
        see(host, "1", catalog_id=mine)
        sender = host.service.notifications._sender
        assert sender is not None
        wait_until(lambda: len(sender._under_way) == MAX_AT_ONCE, "all places to be taken")
        every = hook_to(host, hook.url, "all")
        see(host, "2")
        assert len(sender._under_way) == MAX_AT_ONCE
        assert status(host, every).delivered == 0


def channel_of(number: int, owner: int | None, failures: int = 0) -> Channel:
    return Channel(
        number=number, channel_id=uuid4(), catalog_id=None if owner is None else UUID(int=owner), name="x",
        kind="webhook", options={}, topics=(), finding_kinds=(), min_severity="info", created_at=0, created_by="t",
        status=ChannelStatus(waiting=1, failures=failures),
    )  # fmt: skip


def test_places_are_shared_by_owner_and_most_are_kept_for_who_does_not_fail() -> None:
    one_owner = [channel_of(number, 1) for number in range(10)]
    assert len(chosen_of(one_owner, [])) == MAX_OF_OWNER
    many = [channel_of(number, number) for number in range(20)]
    assert len(chosen_of(many, [])) == MAX_AT_ONCE
    assert chosen_of(many, many[:MAX_AT_ONCE]) == []
    failing = [channel_of(number, number, failures=1) for number in range(20)]
    assert len(chosen_of(failing, [])) == MAX_FAILING
    healthy = channel_of(99, 99)
    assert chosen_of([*failing, healthy], failing[:MAX_FAILING]) == [healthy]


@pytest.mark.parametrize(
    ("trouble", "times"),
    [
        (RuntimeError("cut"), 2),  # the attempt ends here, as when the process dies: it is told again
        (DataFolderError("the disk is full", remedy=""), 1),  # the disk refuses: the outcome is noted later
    ],
)
def test_what_was_told_and_not_noted_is_not_lost(
    host: ServiceHost, hook: Receiver, monkeypatch: pytest.MonkeyPatch, trouble: Exception, times: int
) -> None:
    told, cuts = delivery_rows.told, [trouble]

    def cut(*args: Any, **named: Any) -> None:
        if cuts:
            raise cuts.pop()
        told(*args, **named)

    monkeypatch.setattr(sender_module.delivery_rows, "told", cut)
    monkeypatch.setattr(sender_module, "TROUBLE_S", 0.01)
    channel = hook_to(host, hook.url)
    see(host, "1")
    wait_for(host, channel, delivered=1, waiting=0)
    assert titles(hook) == ["Odd 1"] * times
    assert len({json.loads(body)["id"] for _, _, body in hook.got}) == 1


def test_what_waits_is_told_after_a_restart(made_folder: Path, tmp_path: Path, clock: Clock, hook: Receiver) -> None:
    data, changes = copy_of(made_folder, tmp_path / "data"), {"planner_interval_s": 3600.0}
    with ServiceHost(data, clock=clock, webhook_hosts="127.0.0.1", **changes) as first:
        hook.answer = 503
        channel = hook_to(first, hook.url)
        see(first, "1")
        wait_until(lambda: status(first, channel).failures, "a failed attempt")
    hook.answer = 204
    with ServiceHost(data, clock=clock, webhook_hosts="127.0.0.1", **changes) as second:
        wait_for(second, channel, delivered=1)


def test_an_outbox_that_is_full_counts_what_it_does_not_keep(
    host: ServiceHost, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_WAITING", 2)
    monkeypatch.setattr(attempts, "FIRST_RETRY_S", 3600.0)
    hook.answers = [503]
    channel = hook_to(host, hook.url)
    see(host, "1")
    wait_until(lambda: status(host, channel).failures, "a failed attempt")
    see(host, "2", "3", "4")
    assert (status(host, channel).waiting, status(host, channel).dropped) == (2, 2)
    assert host.service.notifications.totals() == (1, 1, 2, 0, 0, 2)


def test_no_thread_runs_and_nothing_is_loaded_without_a_channel(host: ServiceHost) -> None:
    see(host, "1")
    assert host.service.notifications._sender is None
    code = "import sys, armillary.roles.whole; print(*[each for each in sys.modules if 'notif' in each])"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert {each.rpartition(".")[2] for each in loaded if each.startswith("armillary.service.notifications.")} == {
        "notifications"
    }
    assert [each for each in loaded if each.endswith((".ocsf", ".syslog", ".otlp_logs"))] == []


@pytest.fixture(autouse=True)
def no_waiting_for_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "END_S", 0.2)
