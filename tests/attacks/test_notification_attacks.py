# SPDX-License-Identifier: Apache-2.0
"""Attacks on notifications: to have the service call the inside, to write files, to flood or to silence a channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.services import copy_of
from tests.fixtures.waiting import wait_until
from tests.service.conftest import clock, made_folder, package  # noqa: F401 - fixtures
from tests.service.notifications.receivers import Receiver, hanging, receiver
from tests.service.notifications.test_sender import BOSS, SEEN, hook_to, see, status, wait_for

from armillary.engines.outbound import attempts, syslog, webhook
from armillary.errors import InvalidArgumentError, PermissionDeniedError
from armillary.identity.operator import Operator
from armillary.service.notifications.channels import ChannelForm
from armillary.service.watch import watch as watch_module
from armillary.sim.device.service_host import ServiceHost

INSIDE = [(2, 1, 6, "", ("127.0.0.1", 0))]


@pytest.fixture
def host(made_folder: Path, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceHost]:  # noqa: F811
    monkeypatch.setattr(attempts, "FIRST_RETRY_S", 0.0)
    data = copy_of(made_folder, tmp_path / "data")
    with ServiceHost(data, clock=clock, planner_interval_s=3600.0, webhook_hosts="public") as running:
        yield running


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def rebound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A public name that leads inside once it is looked up."""
    monkeypatch.setattr(webhook.socket, "getaddrinfo", lambda *_, **__: INSIDE)


def test_a_name_that_leads_inside_is_given_up_and_not_called(
    host: ServiceHost, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = hook_to(host, f"https://rebound.example.com:{hook.port}/", "w", "Contoso")
    form = ChannelForm(name="s", kind="syslog", options={"host": "rebound.example.com", "port": hook.port})
    logs = host.service.notifications.channels.create(form, "Contoso", operator=BOSS)
    rebound(monkeypatch)
    see(host, "1", catalog_id=host.service.registry.catalogs.get("Contoso").catalog_id)
    for each in (made, logs):
        assert "an address inside a network" in wait_for(host, each, given_up=1).error
    assert hook.got == []


def test_without_the_look_at_the_address_the_inside_is_reached(
    host: ServiceHost, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(webhook, "resolve", lambda *_: ("127.0.0.1", hook.port))
    made = hook_to(host, f"https://rebound.example.com:{hook.port}/", "w", "Contoso")
    monkeypatch.setattr(webhook, "place_of", lambda _: ("http", "rebound.example.com", hook.port, "/"))
    see(host, "1", catalog_id=host.service.registry.catalogs.get("Contoso").catalog_id)
    wait_for(host, made, delivered=1)
    assert len(hook.got) == 1


@pytest.mark.parametrize(
    "url", ["https://127.1/", "https://[::ffff:10.0.0.1]/", "https://0x7f000001/", "https://x.localhost/"]
)
def test_the_inside_is_refused_however_it_is_spelt(host: ServiceHost, url: str) -> None:
    with pytest.raises(InvalidArgumentError):
        hook_to(host, url)
    name = syslog.address_of("127.1", 6514, "tls")
    with pytest.raises(InvalidArgumentError):
        webhook.check_url(name, webhook.AllowedHosts.parse("public"))


def test_an_administrator_of_one_catalog_writes_no_files_on_the_service(host: ServiceHost) -> None:
    mine = host.service.registry.catalogs.get("Contoso").catalog_id
    form = ChannelForm(name="f", kind="ocsf-file", options={})
    channels = host.service.notifications.channels
    with pytest.raises(PermissionDeniedError):
        channels.create(form, "Contoso", operator=Operator("m", "Administrator", mine, None))
    assert channels.create(form, "Contoso", operator=BOSS).kind == "ocsf-file"  # who runs the service may


def test_one_device_floods_no_channel_by_what_it_says(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "MAX_FINDINGS_OF_DEVICE", 4)
    form = ChannelForm(name="f", kind="ocsf-file", options={})
    made = host.service.notifications.channels.create(form, None, operator=BOSS)
    for number in range(12):
        host.service.watch.observe(replace(SEEN, key=(str(number),), reported_by="d", device_ids=("d",)))
    host.service.notifications.wake()
    assert wait_for(host, made, waiting=0).delivered == 5  # one says that the rest is only counted


def test_without_the_share_of_a_device_each_word_of_it_is_told(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(watch_module, "MAX_FINDINGS_OF_DEVICE", 1000)
    form = ChannelForm(name="f", kind="ocsf-file", options={})
    made = host.service.notifications.channels.create(form, None, operator=BOSS)
    for number in range(12):
        host.service.watch.observe(replace(SEEN, key=(str(number),), reported_by="d", device_ids=("d",)))
    host.service.notifications.wake()
    wait_for(host, made, delivered=12)


def test_targets_that_hang_hold_up_neither_watch_nor_planner_nor_changes(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What halts a roll-out is a change of the records: none of them waits for a target."""
    monkeypatch.setattr(webhook, "TIMEOUT_S", 300.0)
    targets = host.service.notifications.channels.targets
    host.service.notifications.channels.targets = replace(targets, hosts=webhook.AllowedHosts.parse("127.0.0.1"))
    with hanging() as port:
        for number in range(10):
            hook_to(host, f"http://127.0.0.1:{port}/", f"stuck {number}")
        see(host, "1", "2", "3")
        sender = host.service.notifications._sender
        assert sender is not None
        wait_until(lambda: sender._under_way, "an attempt to hang")
        host.service.watch.run_once()
        host.service.updates.planner.run_once()
        made = host.service.registry.catalogs.create("Fabrikam", actor="t")
        assert host.service.registry.catalogs.get("Fabrikam").catalog_id == made.catalog_id
        assert sender._under_way
        assert all(status(host, each).waiting == 3 for each in host.service.notifications.channels.list(None))


def test_another_catalogs_channel_hears_no_alert_by_its_choice_or_by_its_name(host: ServiceHost) -> None:
    host.catalog("Fabrikam")
    channels, found = host.service.notifications.channels, host.service.notifications
    form = ChannelForm(name="desk", kind="e-mail", options={"to": ["a@example.com"]}, topics=("alert",))
    mine, theirs = (channels.create(form, each, operator=BOSS) for each in ("Contoso", "Fabrikam"))
    said = {
        "alert": 1, "rule": "Hot", "rule_id": "hot", "severity": "critical", "device_id": "a1", "device_name": None,
        "fired_at": 1_700_000_000, "why": "Temperature 30 was above 25",
    }  # fmt: skip
    for whole in (False, True):  # a rule of the catalog, and one of all catalogs that fires for its device
        assert found.tell_choosers([], "Contoso", whole, f"{whole}.1", said) == 1
        assert found.tell("desk", "Contoso", whole, f"{whole}.0", said) == 1
    assert status(host, theirs).waiting + status(host, theirs).given_up == 0
    assert status(host, mine).waiting + status(host, mine).given_up == 4  # the control
    assert found.is_heard("Fabrikam", "info")
    assert not found.is_heard("Somebody else", "critical")
