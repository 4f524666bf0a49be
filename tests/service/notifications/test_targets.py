# SPDX-License-Identifier: Apache-2.0
"""Each kind of channel against a real receiver: mail, syslog, a collector, files, webhooks in OCSF's form."""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_string, policy
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings import http as cloud_events
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from tests.fixtures.certificates import self_signed
from tests.fixtures.ports import reserved_port
from tests.fixtures.waiting import wait_until
from tests.platform.rules.mail_server import Mailbox, MailController
from tests.service.notifications import receivers
from tests.service.notifications.receivers import Receiver
from tests.service.notifications.test_sender import BOSS, SEEN, see, wait_for
from tests.wire.notification import test_ocsf, test_syslog

from armillary.engines.outbound import email, syslog
from armillary.engines.outbound.email import MailServer
from armillary.engines.records.schema.security.notification_rows import Channel
from armillary.service.notifications import targets as targets_module
from armillary.service.notifications.channels import ChannelForm
from armillary.sim.device.service_host import ServiceHost


def channel(service: ServiceHost, kind: str, secret: str | None = None, **options: Any) -> Channel:
    form = ChannelForm(name=kind, kind=kind, options=options, secret=secret)
    return service.service.notifications.channels.create(form, None, operator=BOSS)


def tried(host: ServiceHost, made: Channel) -> tuple[bool, str]:
    outcome = host.service.notifications.channels.test(made.channel_id, None, operator=BOSS)
    return outcome.ok, outcome.said


def seen_together(host: ServiceHost, *keys: str) -> None:
    """Have one attempt tell of several findings: no attempt begins before all are there."""
    sender = host.service.notifications._sender
    assert sender is not None
    with sender._changing:
        see(host, *keys)


# Syslog ---------------------------------------------------------------------------------------------------------------


def frames(data: bytes) -> list[bytes]:
    found = []
    while data:
        length, _, rest = data.partition(b" ")
        found.append(rest[: int(length)])
        data = rest[int(length) :]
    return found


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_syslog_receiver_of_a_stream_gets_frames(host: ServiceHost, transport: str, tmp_path: Path) -> None:
    file, pem, _ = self_signed(tmp_path, "syslog", hosts=["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with receivers.stream(context if transport == "tls" else None) as server:
        made = channel(host, "syslog", host="localhost", port=server.port, transport=transport, ca=pem)
        assert tried(host, made) == (True, "sent; syslog answers nothing")
        seen_together(host, "1", "2")
        wait_for(host, made, delivered=2)
        wait_until(lambda: sum(len(frames(each)) for each in server.got) == 3, "the messages")
        texts = [test_syslog.parsed(each) for got in server.got for each in frames(got)]
    assert [each["msgid"] for each in texts] == ["channel.test", "finding.opened", "finding.opened"]
    assert 'sequenceId="2"' in texts[2]["data"]


def test_a_syslog_receiver_of_datagrams_gets_one_each(host: ServiceHost) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        made = channel(host, "syslog", host="127.0.0.1", port=server.getsockname()[1], transport="udp")
        see(host, "1", cause="long " * 1000)
        wait_for(host, made, delivered=1)
        sent = server.recv(1 << 16)
    assert len(sent) == targets_module.syslog_message.MAX_DATAGRAM_BYTES
    assert test_syslog.parsed(sent)["text"].startswith("Odd 1 long long")


def test_a_syslog_receiver_that_is_gone_or_another_than_it_says_is_told_nothing(
    host: ServiceHost, tmp_path: Path
) -> None:
    made = channel(host, "syslog", host="127.0.0.1", port=reserved_port(), transport="tcp")
    assert tried(host, made) == (False, "not taken (Connection refused)")
    _, other, _ = self_signed(tmp_path, "other", hosts=["localhost"])
    (tmp_path / "own").mkdir()
    file, _, _ = self_signed(tmp_path / "own", "syslog", hosts=["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    host.service.notifications.channels.delete(made.channel_id, None, operator=BOSS)
    with receivers.stream(context) as server:
        made = channel(host, "syslog", host="localhost", port=server.port, transport="tls", ca=other)
        ok, said = tried(host, made)
        assert not ok
        assert "not taken" in said
        assert server.got == []


def test_a_syslog_receiver_that_resets_the_connection_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = targets_module.AllowedHosts.parse("127.0.0.1")
    with receivers.stream(resets=True) as server, pytest.raises(OSError, match=r"reset|Broken pipe|not connected"):
        syslog.send([b"x" * 1000] * 1000, "127.0.0.1", server.port, "tcp", hosts)


# Mail -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mailbox(host: ServiceHost) -> Iterator[Mailbox]:
    found, port = Mailbox(), reserved_port()
    controller = MailController(found, hostname="127.0.0.1", port=port)
    controller.start()
    channels = host.service.notifications.channels
    channels.targets = replace(
        channels.targets, mail=MailServer(host="127.0.0.1", port=port, security="none", sender="service@example.com")
    )
    yield found
    controller.stop()


def test_a_mailbox_gets_one_letter_for_what_happened_together(host: ServiceHost, mailbox: Mailbox) -> None:
    made = channel(host, "e-mail", to=["desk@example.com", "soc@example.com"])
    assert tried(host, made) == (True, "the mail server has taken it")
    seen_together(host, "1", "2")
    wait_for(host, made, delivered=2)
    assert len(mailbox.messages) == 2
    to, text = mailbox.messages[1]
    message = message_from_string(text, policy=policy.default)
    assert to == ["desk@example.com", "soc@example.com"]
    assert message["Subject"] == "high: Odd 1 (and 1 more)"
    body = message.get_content()
    assert body.index("HIGH: Odd 1") < body.index("HIGH: Odd 2")
    assert "catalog" not in body


def test_no_text_of_a_device_adds_a_header_or_hides_a_line(host: ServiceHost, mailbox: Mailbox) -> None:
    made = channel(host, "e-mail", to=["desk@example.com"])
    evil = "x\r\nBcc: thief@example.com\r\n\r\n<html>\x1b[2J\u202e"
    host.service.watch.observe(replace(SEEN, title=evil, cause=evil))
    host.service.notifications.wake()
    wait_for(host, made, delivered=1)
    to, text = mailbox.messages[0]
    message = message_from_string(text, policy=policy.default)
    assert (to, message["Bcc"], message.get_content_type()) == (["desk@example.com"], None, "text/plain")
    assert message["Subject"] == "high: x Bcc: thief@example.com <html> [2J"
    assert "\x1b" not in message.get_content() + text
    assert "\u202e" not in message.get_content()


def test_a_mail_server_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says something before each timeout, and would hold the thread for as long as it likes."""
    monkeypatch.setattr(email, "WHOLE_S", 0.5)
    with receivers.dripping(b"220-wait\r\n") as port:
        server = MailServer(host="127.0.0.1", port=port, security="none", sender="service@example.com")
        with pytest.raises((OSError, smtplib.SMTPException)):
            email.send(server, "id", ["desk@example.com"], "s", "t")


def test_without_a_mail_server_what_is_told_waits(host: ServiceHost) -> None:
    made = channel(host, "e-mail", to=["desk@example.com"])
    assert tried(host, made) == (False, "no mail server is set")


# OpenTelemetry --------------------------------------------------------------------------------------------------------


def test_a_collector_gets_log_records_with_its_token(host: ServiceHost, hook: Receiver) -> None:
    hook.answer, hook.body = 200, b"{}"
    url = f"http://127.0.0.1:{hook.port}/v1/logs"
    made = channel(host, "otlp", "Bearer t0ken", url=url)
    assert tried(host, made) == (True, "answered 200")
    seen_together(host, "1", "2")
    wait_for(host, made, delivered=2)
    path, headers, body = hook.got[1]
    assert (path, headers["Authorization"], headers["Content-Type"]) == ("/v1/logs", "Bearer t0ken", "application/json")
    request = json_format.Parse(body, ExportLogsServiceRequest())
    records = request.resource_logs[0].scope_logs[0].log_records
    assert [each.body.string_value.partition("\n")[0] for each in records] == ["Odd 1", "Odd 2"]


def test_what_a_collector_does_not_take_is_given_up_one_by_one(host: ServiceHost, hook: Receiver) -> None:
    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = 1
    hook.answer, hook.body = 200, json_format.MessageToJson(answer).encode()
    made = channel(host, "otlp", url=hook.url)
    seen_together(host, "1", "2")
    wait_for(host, made, given_up=2, waiting=0)
    assert len(hook.got) == 3  # both, then each for itself


# OCSF -----------------------------------------------------------------------------------------------------------------


def test_a_webhook_in_ocsfs_form_is_a_cloud_event_in_binary_mode(host: ServiceHost, hook: Receiver) -> None:
    made = channel(host, "webhook", url=hook.url, format="ocsf")
    see(host, "1")
    wait_for(host, made, delivered=1)
    _, headers, body = hook.got[0]
    test_ocsf.check(json.loads(body))
    assert headers["Content-Type"] == "application/json"
    read = cloud_events.from_http_event(cloud_events.HTTPMessage(headers, body))
    assert (read.get_type(), read.get_source()) == ("armillary.finding.opened", "/service/findings")
    assert read.get_data() == json.loads(body)
    assert read.get_id() == read.get_data()["metadata"]["uid"]
    assert read.get_extension("sequence") == "1"


def test_the_other_form_is_a_cloud_event_in_structured_mode(host: ServiceHost, hook: Receiver) -> None:
    """By CloudEvents' own reader."""
    mine = host.service.registry.catalogs.get("Contoso").catalog_id
    made = channel(host, "webhook", url=hook.url)
    see(host, "é \u202e", catalog_id=mine)
    wait_for(host, made, delivered=1)
    _, headers, body = hook.got[0]
    read = cloud_events.from_http_event(cloud_events.HTTPMessage(headers, body))
    assert (read.get_type(), read.get_source()) == ("armillary.finding.opened", "/catalogs/Contoso/findings")
    assert (read.get_subject(), read.get_data()["kind"]) == (read.get_data()["subject"], "finding.opened")
    assert read.get_time().timestamp() == read.get_data()["at"]


def test_files_hold_a_valid_event_a_line(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets_module, "ROTATE_BYTES", 1000)
    made = channel(host, "ocsf-file")
    assert tried(host, made)[0]
    for number, key in enumerate("123"):
        see(host, key)
        wait_for(host, made, delivered=number + 1)
    folder = host.service.context.folder.path / "notifications" / str(made.channel_id)
    files = sorted(folder.iterdir())
    lines = [json.loads(line) for each in files for line in each.read_text().splitlines()]
    for each in lines:
        test_ocsf.check(each)
    assert [each["metadata"]["sequence"] for each in lines] == [0, 1, 2, 3]
    assert len(files) > 1
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
