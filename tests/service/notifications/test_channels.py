# SPDX-License-Identifier: Apache-2.0
"""What people do with channels, what of them is shown, and what of them is kept in the clear."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.fixtures.waiting import wait_until
from tests.service.notifications.receivers import Receiver, hanging
from tests.service.notifications.test_sender import BOSS, hook_to, see, status, titles, wait_for

from armillary.engines.outbound import webhook
from armillary.errors import ConflictError, DataFolderError, InvalidArgumentError, NotFoundError
from armillary.service.notifications import channels as channels_module
from armillary.service.notifications.channels import ChannelForm
from armillary.service.notifications.options import KINDS, read_options
from armillary.sim.device.service_host import ServiceHost

SECRET = "correct horse battery staple"
HOSTS = webhook.AllowedHosts.parse("public, 10.0.0.5:514")


def form(**values: Any) -> ChannelForm:
    return ChannelForm(**{"name": "desk", "kind": "e-mail", "options": {"to": ["a@example.com"]}, **values})


def test_names_are_unique_within_an_owner_and_channels_are_bounded(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels = host.service.notifications.channels
    channels.create(form(), None, operator=BOSS)
    channels.create(form(), "Contoso", operator=BOSS)
    with pytest.raises(ConflictError, match="there is a channel"):
        channels.create(form(name="DESK"), "Contoso", operator=BOSS)
    monkeypatch.setattr(channels_module, "MAX_CHANNELS", 1)
    with pytest.raises(ConflictError, match="there are 1 channels"):
        channels.create(form(name="second"), "Contoso", operator=BOSS)
    with pytest.raises(NotFoundError):
        channels.create(form(), "Nobody", operator=BOSS)
    assert [each.name for each in channels.list("Contoso")] == ["desk"]
    assert len(channels.list(None)) == 2


def test_a_channel_of_another_catalog_is_as_good_as_none(host: ServiceHost) -> None:
    host.catalog("Fabrikam")
    channels = host.service.notifications.channels
    theirs = channels.create(form(), "Fabrikam", operator=BOSS).channel_id
    for channel_id in (theirs, uuid4()):
        for call in (
            lambda it: channels.get(it, "Contoso"),
            lambda it: channels.delete(it, "Contoso", operator=BOSS),
            lambda it: channels.test(it, "Contoso", operator=BOSS),
            lambda it: channels.retry(it, "Contoso", operator=BOSS),
            lambda it: channels.given_up(it, "Contoso", limit=1, after=None),
            lambda it: channels.choose(it, "Contoso", **choice(min_severity="high"), operator=BOSS),
        ):
            with pytest.raises(NotFoundError):
                call(channel_id)
    assert channels.get(theirs, None).name == "desk"
    assert channels.get(theirs, None).min_severity == "info"


def choice(**values: Any) -> dict[str, Any]:
    return {"topics": None, "finding_kinds": None, "min_severity": None, **values}


def test_what_a_channel_is_told_is_changed_and_the_rest_stays(host: ServiceHost, hook: Receiver) -> None:
    channels = host.service.notifications.channels
    mine = hook_to(host, hook.url, "mine", secret=SECRET).channel_id
    changed = channels.choose(mine, None, **choice(finding_kinds=["clock"], topics=["finding"]), operator=BOSS)
    assert (changed.topics, changed.finding_kinds, changed.min_severity) == (("finding",), ("clock",), "info")
    changed = channels.choose(mine, None, **choice(min_severity="high", finding_kinds=[]), operator=BOSS)
    assert (changed.topics, changed.finding_kinds, changed.min_severity) == (("finding",), (), "high")
    assert channels.hidden_of(changed) == {"url": hook.url, "secret": SECRET}
    see(host, "below", severity="medium")
    see(host, "above", severity="critical")
    wait_for(host, changed, delivered=1)
    assert titles(hook) == ["Odd above"]
    audit = host.service.audit.list(limit=10, after=None).items
    assert [each.operation for each in audit].count("notification-channel.change") == 2
    for wrong in (choice(), choice(topics=["weather"]), choice(finding_kinds=["x"]), choice(min_severity="worst")):
        with pytest.raises(InvalidArgumentError):
            channels.choose(mine, None, **wrong, operator=BOSS)
    assert channels.get(mine, None).choice == changed.choice


def test_a_deleted_channel_and_a_deleted_catalog_leave_nothing(host: ServiceHost, hook: Receiver) -> None:
    channels = host.service.notifications.channels
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    theirs = host.service.registry.catalogs.get("Fabrikam").catalog_id
    hook.answer = 404
    mine = hook_to(host, hook.url, "mine", "Fabrikam")
    every = hook_to(host, hook.url, "all")
    see(host, "1", catalog_id=theirs)
    wait_for(host, mine, given_up=1)
    wait_for(host, every, given_up=1)
    host.service.registry.catalogs.delete("Fabrikam", actor="t")
    assert [each.name for each in channels.list(None)] == ["all"]
    page = channels.given_up(every.channel_id, None, limit=10, after=None)
    assert [each.event.title for each in page.items] == ["Odd 1"]  # what the service is told of it stays
    channels.delete(every.channel_id, None, operator=BOSS)
    assert channels.list(None) == ()
    assert host.service.context.records.read(left) == (0, 0)


def left(connection: Any) -> tuple[int, ...]:
    from sqlalchemy import func, select  # noqa: PLC0415 - beside its only use

    from armillary.engines.records.schema.security import notification_tables as tables  # noqa: PLC0415

    counted = (tables.notification_event, tables.notification_delivery)
    return tuple(connection.execute(select(func.count()).select_from(each)).scalar_one() for each in counted)


def test_address_and_secret_are_sealed_and_shown_to_nobody(host: ServiceHost, hook: Receiver) -> None:
    made = hook_to(host, hook.url, secret=SECRET)
    channels = host.service.notifications.channels
    assert channels.hidden_of(made) == {"url": hook.url, "secret": SECRET}
    audit = host.service.audit.list(limit=10, after=None).items
    for text in (repr(made), str(asdict(made)), repr(audit), repr(form(secret=SECRET).options)):
        assert SECRET not in text
        assert "hidden-in-the-address" not in text
    host.service.context.records.write(lambda _: None)
    folder = host.service.context.folder.path
    kept = b"".join(each.read_bytes() for each in folder.glob("records.db*"))
    assert str(made.channel_id.hex).encode() in kept or made.name.encode() in kept  # the file is the right one
    assert SECRET.encode() not in kept
    assert b"hidden-in-the-address" not in kept


def test_what_is_sealed_for_one_channel_opens_for_no_other(host: ServiceHost, hook: Receiver) -> None:
    from sqlalchemy import select, update  # noqa: PLC0415 - beside its only use

    from armillary.engines.records.schema.security.notification_tables import notification_channel as table  # noqa: PLC0415

    first, second = hook_to(host, hook.url, "1", secret=SECRET), hook_to(host, hook.url, "2")

    def swap(connection: Any) -> None:
        sealed = connection.execute(select(table.c.secret).where(table.c.number == first.number)).scalar_one()
        connection.execute(update(table).where(table.c.number == second.number).values(secret=sealed))

    host.service.context.records.write(swap)
    with pytest.raises(DataFolderError):
        host.service.notifications.channels.hidden_of(second)
    see(host, "1")
    wait_for(host, first, delivered=1)
    wait_until(lambda: status(host, second).failures, "the channel to fail")  # and again, a second later
    assert "sealed" in status(host, second).error


def test_tests_that_hang_hold_few_threads(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels_module, "MAX_TESTS", 1)
    channels = host.service.notifications.channels
    with hanging() as port:
        made = hook_to(host, f"http://127.0.0.1:{port}/")
        monkeypatch.setattr(webhook, "WHOLE_S", 0.2)
        outcome = channels.test(made.channel_id, None, operator=BOSS)
        assert (outcome.ok, outcome.said.startswith("no answer")) == (False, True)
        while channels._tests.acquire(blocking=False):
            pass
        with pytest.raises(ConflictError, match="tests are under way"):
            channels.test(made.channel_id, None, operator=BOSS)


GOOD: dict[str, dict[str, Any]] = {
    "webhook": {"url": "https://example.com/hook?a=b"},
    "e-mail": {"to": ["a@example.com"]},
    "syslog": {"host": "logs.example.com", "port": 6514},
    "otlp": {"url": "https://collector.example.com/v1/logs"},
    "ocsf-file": {},
}


def test_options_are_complete_and_addresses_are_cut_to_their_origin() -> None:
    assert set(GOOD) == set(KINDS)
    shown = {kind: read_options(kind, options, None, HOSTS).shown for kind, options in GOOD.items()}
    assert shown == {
        "webhook": {"url": "https://example.com:443/", "format": "cloudevents", "signed": False},
        "e-mail": {"to": ["a@example.com"]},
        "syslog": {"host": "logs.example.com", "port": 6514, "transport": "tls", "facility": 16, "ca": None},
        "otlp": {"url": "https://collector.example.com:443/", "header": None},
        "ocsf-file": {},
    }
    assert (
        read_options("syslog", {"host": "10.0.0.5", "port": 514, "transport": "udp"}, None, HOSTS).shown["port"] == 514
    )


@pytest.mark.parametrize(
    ("kind", "options", "secret"),
    [
        ("pigeon", {}, None),
        ("webhook", None, None),
        ("webhook", {}, None),
        ("webhook", {"url": 1}, None),
        ("webhook", {"url": "https://a@example.com/"}, None),
        ("webhook", {"url": "https://example.com/#x"}, None),
        ("webhook", {"url": "ftp://example.com/"}, None),
        ("webhook", {"url": "https://localhost/"}, None),
        ("webhook", {**GOOD["webhook"], "format": "xml"}, None),
        ("webhook", {**GOOD["webhook"], "extra": 1}, None),
        ("webhook", GOOD["webhook"], "short"),
        ("e-mail", {"to": []}, None),
        ("e-mail", {"to": ["a@example.com\nBcc: x@example.com"]}, None),
        ("e-mail", {"to": ["a@example.com"] * 21}, None),
        ("e-mail", GOOD["e-mail"], SECRET),
        ("syslog", {"host": "x y", "port": 6514}, None),
        ("syslog", {"host": "logs.example.com", "port": 0}, None),
        ("syslog", {"host": "logs.example.com", "port": 514}, None),
        ("syslog", {"host": "logs.example.com", "port": 6514, "transport": "tcp"}, None),
        ("syslog", {"host": "logs.example.com", "port": 6514, "facility": 24}, None),
        ("syslog", {"host": "logs.example.com", "port": 6514, "ca": "no PEM"}, None),
        ("syslog", {"host": "192.168.1.1", "port": 6514}, None),
        ("otlp", {**GOOD["otlp"], "header": "X: y"}, "token"),
        ("otlp", GOOD["otlp"], "two\r\nlines"),
        ("ocsf-file", {"path": "/etc/passwd"}, None),
    ],
)
def test_options_that_cannot_be_are_one_error_without_the_secret(kind: str, options: Any, secret: str | None) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        read_options(kind, options, secret, HOSTS)
    assert error.value.remedy
    assert secret is None or secret not in error.value.message


def test_an_id_is_of_no_use_to_find_out_who_has_one(host: ServiceHost) -> None:
    with pytest.raises(NotFoundError):
        host.service.notifications.channels.get(UUID(int=0), "Contoso")
