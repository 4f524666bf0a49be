# SPDX-License-Identifier: Apache-2.0
"""Actions of rules against real servers: mail, webhooks, devices; retries, dead letters, restarts."""

from __future__ import annotations

import base64
import hmac
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from aiosmtpd.smtp import AuthResult
from tests.fixtures.directories import Owners
from tests.fixtures.ports import reserved_port
from tests.hub.running_hub import DEVICE, OTHER, Authority, Client, RunningHub, wait_until
from tests.platform.rules.mail_server import Mailbox, MailController
from tests.platform.rules.test_rules import alerts, put

from armillary.engines.database import outbox
from armillary.engines.outbound import attempts, webhook as rule_webhook
from armillary.engines.outbound.email import MailServer
from armillary.engines.outbound.webhook import AllowedHosts, verify
from armillary.engines.rules import rows, shares
from armillary.engines.rules.alerts import AlertFilter
from armillary.errors import InvalidArgumentError, PermissionDeniedError
from armillary.platform.rules import actions as rule_actions
from armillary.platform.rules.actions import ActionSettings

SECRET = "correct horse battery staple"


@dataclass
class Hook:
    """A receiver of webhooks and objects; answers with ``answers`` in turn, then 204."""

    answers: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=1"


@pytest.fixture
def hook() -> Iterator[Hook]:
    receiver = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.paths.append(self.path)
            receiver.got.append((dict(self.headers), body))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()

        do_PUT = do_POST  # noqa: N815 - http.server's name

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield receiver
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_RETRY_S", 0.05)


def use(running: RunningHub, **settings: Any) -> None:
    hosts = AllowedHosts.parse("127.0.0.1")
    running.platform.rules.actions.settings = ActionSettings(**{"hosts": hosts, **settings})


def deliveries(running: RunningHub, number: int = 0) -> dict[str, Any]:
    store = running.platform.rules.store()
    found = list(reversed(alerts(running)))
    return {each.action: each for each in store.deliveries.of(found[number])} if len(found) > number else {}


def fire(running: RunningHub, client: Client, *actions: dict[str, Any], **fields: Any) -> None:
    put(running, "hot", actions=list(actions), **fields)
    client.telemetry({"t": 31})


def state(running: RunningHub, action: str = "1") -> str:
    found = deliveries(running)
    return str(found[action].state) if action in found else ""


@pytest.mark.parametrize(("owner", "name"), [("south", "Hall pump"), ("North", None), (None, None)])
def test_a_message_names_the_device_as_the_alerts_owner_does_and_no_other(owner: str | None, name: str | None) -> None:
    directory = SimpleNamespace(
        of=lambda _: {DEVICE: {"catalog": owner}} if owner else {}, names=lambda _: {DEVICE: "Hall pump"}
    )
    alert = SimpleNamespace(device_id=DEVICE, catalog="South")
    assert rule_actions._name_of(directory, alert) == name  # type: ignore[arg-type]


# Webhooks -------------------------------------------------------------------------------------------------------------


def test_a_webhook_gets_a_signed_cloud_event_that_the_recipe_verifies(
    running: RunningHub, client: Client, hook: Hook
) -> None:
    use(running)
    running.platform.rules.store().commits.submit(rows.secrets_changed("hot", {"1": SECRET}, ["1"])).result()
    fire(running, client, {"kind": "webhook", "url": hook.url, "signed": True}, severity="high")
    wait_until(lambda: state(running) == "done", "the delivery")
    ((headers, body),) = hook.got
    event = json.loads(body)
    (alert,) = alerts(running)
    assert headers["Content-Type"] == "application/cloudevents+json; charset=UTF-8"
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "armillary.rule.fired", DEVICE)
    assert (event["id"], event["source"]) == (f"{alert.id}.0", "/catalogs//rules/hot")
    assert (event["data"]["severity"], event["data"]["trace"]["outcome"]) == ("high", "fired")
    now_s = running.platform.rules.now_ms() // 1000
    signature = headers["Armillary-Signature"]
    assert verify(SECRET, body, signature, now_s) == body
    said_s = int(signature[2:].partition(",")[0])
    recipe = hmac.new(SECRET.encode(), str(said_s).encode() + b"." + body, "sha256").hexdigest()  # as documented
    assert (signature, abs(now_s - said_s) < 60) == (f"t={said_s},v1={recipe}", True)
    for forged_body, forged_signature, at in (
        (body.replace(b"high", b"info"), signature, now_s),  # changed on the way
        (body, rule_webhook.sign("another secret of another", body, now_s), now_s),  # somebody else's
        (body, signature.replace(f"t={said_s}", f"t={said_s + 1}"), now_s),  # another time, by a second
        (body, signature.replace(f"t={said_s}", f"t={said_s - 1}"), now_s),
        (body, "v1=", now_s),
        (body, "", now_s),
        (body, signature, now_s + rule_webhook.MAX_AGE_S + 1),  # sent again later
    ):
        with pytest.raises(PermissionDeniedError):
            verify(SECRET, forged_body, forged_signature, at)


def test_a_webhook_that_is_down_is_tried_again_with_the_same_id_until_it_takes_it(
    running: RunningHub, client: Client, hook: Hook
) -> None:
    use(running)
    hook.answers = [500, 503, 429]
    fire(running, client, {"kind": "webhook", "url": hook.url})
    wait_until(lambda: state(running) == "done", "the delivery")
    events = [json.loads(body) for _, body in hook.got]
    assert len(events) == 4
    assert len({event["id"] for event in events}) == 1
    assert [headers["Armillary-Attempt"] for headers, _ in hook.got] == ["1", "2", "3", "4"]
    assert deliveries(running)["1"].attempts == 4
    assert running.platform.counters()["rule_actions_retried"] == 3


def test_a_refusal_for_good_is_a_dead_letter_that_an_operator_replays(
    running: RunningHub, client: Client, hook: Hook
) -> None:
    use(running)
    hook.answers = [410]
    fire(running, client, {"kind": "webhook", "url": hook.url})
    wait_until(lambda: state(running) == "dead", "the dead letter")
    (letter,) = running.platform.rules.store().deliveries.dead("", before=None, limit=10)
    assert letter.error == "answered 410"
    wait_until(lambda: running.platform.counters()["rule_actions_dead_letters_now"] == 1, "it is counted")
    change = rows.replayed("", [letter.number], running.platform.rules.now_ms())
    assert running.platform.rules.store().commits.submit(change).result() == 1
    running.platform.rules.actions.wake_soon()
    wait_until(lambda: state(running) == "done", "the delivery")
    assert len(hook.got) == 2


def test_attempts_end_after_so_many(
    running: RunningHub, client: Client, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_actions, "MAX_ATTEMPTS", 3)
    use(running)
    hook.answers = [500] * 10
    fire(running, client, {"kind": "webhook", "url": hook.url})
    wait_until(lambda: state(running) == "dead", "the dead letter")
    assert len(hook.got) == 3


def test_what_waits_is_given_up_with_its_rule(
    running: RunningHub, client: Client, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FIRST_RETRY_S", 3600.0)  # it waits for its second attempt
    use(running)
    hook.answers = [500]
    fire(running, client, {"kind": "webhook", "url": hook.url})
    wait_until(lambda: deliveries(running) and deliveries(running)["1"].attempts == 1, "the first attempt")
    assert state(running) == "waiting"
    running.platform.documents.delete("rule", "hot", by="test")
    wait_until(lambda: state(running) == "dead", "it is given up")
    assert "the rule was deleted" in deliveries(running)["1"].error


def test_a_dead_target_holds_up_no_other(running: RunningHub, client: Client, hook: Hook) -> None:
    use(running, hosts=AllowedHosts.parse("127.0.0.1, localhost"))
    nobody = {"name": "nobody", "kind": "webhook", "url": "http://localhost:9/x"}
    fire(running, client, nobody, {"name": "hook", "kind": "webhook", "url": hook.url}, repeat=True)
    for _ in range(5):
        client.telemetry({"t": 31})
    wait_until(lambda: len(hook.got) == 6, "all of the living target's")
    wait_until(lambda: deliveries(running)["nobody"].attempts, "the dead one is tried")
    assert "no answer" in deliveries(running)["nobody"].error


def test_redirects_are_not_followed_and_no_answer_is_shown(running: RunningHub, client: Client, hook: Hook) -> None:
    use(running)
    hook.answers = [302]
    hook.headers = {"Location": "http://169.254.169.254/latest/meta-data", "X-Secret": "inside"}
    fire(running, client, {"kind": "webhook", "url": hook.url})
    wait_until(lambda: state(running) == "dead", "the dead letter")
    assert deliveries(running)["1"].error == "answered 302; redirects are not followed"
    assert len(hook.got) == 1


# Where webhooks may go ------------------------------------------------------------------------------------------------

PUBLIC = AllowedHosts.parse("public")


def test_a_name_that_leads_inside_is_refused_when_it_is_called(
    running: RunningHub, client: Client, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(running, hosts=PUBLIC)
    monkeypatch.setattr(rule_webhook.socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", hook.port))])
    url = f"https://rebound.example.com:{hook.port}/"
    rule_webhook.check_url(url, PUBLIC)  # by its looks there is nothing wrong
    fire(running, client, {"kind": "webhook", "url": url})
    wait_until(lambda: state(running) == "dead", "the refusal")
    assert "an address inside a network" in deliveries(running)["1"].error
    assert hook.got == []


def test_without_the_guard_the_same_name_reaches_the_inside(
    running: RunningHub, client: Client, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the attack of the test above gets through when nobody looks at the address."""
    use(running, hosts=PUBLIC)
    monkeypatch.setattr(rule_webhook, "resolve", lambda *_: ("127.0.0.1", hook.port))
    monkeypatch.setattr(rule_webhook, "place_of", lambda _: ("http", "rebound.example.com", hook.port, "/"))
    fire(running, client, {"kind": "webhook", "url": f"https://rebound.example.com:{hook.port}/"})
    wait_until(lambda: hook.got, "the request inside")


# E-mail ---------------------------------------------------------------------------------------------------------------


@dataclass
class Mail:
    server: MailServer
    box: Mailbox
    controller: MailController


@pytest.fixture
def mail(authority: Authority) -> Iterator[Mail]:
    """A mail server that asks for STARTTLS and a login."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.folder / "server.pem")
    box = Mailbox()

    def login(_server: Any, _session: Any, _envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = mechanism in ("LOGIN", "PLAIN") and (data.login, data.password) == (b"armillary", b"pass word")
        return AuthResult(success=good, handled=False)  # else it says nothing, and the client waits

    port = reserved_port()
    controller = MailController(
        box, hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True, authenticator=login,
        auth_required=True,
    )  # fmt: skip
    controller.start()
    root = str(authority.folder / "root.pem")
    server = MailServer("localhost", port, "starttls", "armillary", "pass word", "armillary@example.com", root)
    yield Mail(server, box, controller)
    controller.stop()


def test_an_e_mail_reaches_a_real_server_over_tls_with_a_login(running: RunningHub, client: Client, mail: Mail) -> None:
    use(running, mail=mail.server)
    fire(running, client, {"kind": "email", "to": ["desk@example.com", "night@example.com"]}, severity="critical")
    wait_until(lambda: state(running) == "done", "the e-mail")
    ((to, text),) = mail.box.messages
    assert to == ["desk@example.com", "night@example.com"]
    assert "Subject: critical: Hot" in text
    (alert,) = alerts(running)
    assert f"Message-ID: <{alert.id}.0@example.com>" in text
    body = text.partition("\r\n\r\n")[2]
    said = base64.b64decode(body).decode() if "base64" in text else body
    assert "t is 31, > 30: met" in said


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"ca_file": ""}, {"port": 9}, {"host": ""}])
def test_a_mail_server_that_takes_nothing_is_tried_again_and_nothing_is_lost(
    running: RunningHub, client: Client, mail: Mail, change: dict[str, Any]
) -> None:
    wrong = MailServer(
        **{
            "host": "localhost", "port": mail.server.port, "user": "armillary", "password": "pass word",
            "sender": "armillary@example.com", "ca_file": mail.server.ca_file, **change,
        }
    )  # fmt: skip
    use(running, mail=wrong)
    with structlog.testing.capture_logs() as logs:
        fire(running, client, {"kind": "email", "to": ["desk@example.com"]})
        wait_until(lambda: deliveries(running) and deliveries(running)["1"].attempts, "an attempt", 30)
    found = deliveries(running)["1"]
    assert found.state == "waiting"
    assert found.error
    assert "pass word" not in f"{logs}{found}{wrong}"
    assert mail.box.messages == []
    use(running, mail=mail.server)
    # The next attempt may have begun with the wrong one.
    wait_until(lambda: state(running) == "done", "the e-mail, when the server is right again", 30)
    assert len(mail.box.messages) == 1


@pytest.mark.parametrize(("answer", "wanted"), [("550 no such user", "dead"), ("451 later", "waiting")])
def test_an_address_that_is_refused_for_good_is_not_tried_again(
    running: RunningHub, client: Client, mail: Mail, answer: str, wanted: str
) -> None:
    mail.box.refuse = answer
    use(running, mail=mail.server)
    fire(running, client, {"kind": "email", "to": ["desk@example.com"]})
    wait_until(lambda: deliveries(running) and deliveries(running)["1"].attempts >= 1, "an attempt")
    assert state(running) == wanted


def test_a_name_cannot_write_headers() -> None:
    with pytest.raises(InvalidArgumentError):
        MailServer(host="h", sender="", user="")
    with pytest.raises(InvalidArgumentError, match="without TLS"):
        MailServer(host="h", sender="a@b", user="u", security="none")


# Commands, quarantine, restarts ---------------------------------------------------------------------------------------


def test_a_command_calls_the_device_and_is_in_the_audit_log(running: RunningHub, client: Client) -> None:
    use(running)
    client.subscribe("$iothub/methods/POST/#")
    fire(running, client, {"name": "close", "kind": "command", "method": "closeValve", "payload": {"percent": 100}})
    topic, body = client.take("$iothub/methods/POST/closeValve/")
    assert json.loads(body) == {"percent": 100}
    request = topic.partition("$rid=")[2]
    client.publish(f"$iothub/methods/res/200/?$rid={request}", b"{}")
    wait_until(lambda: state(running, "close") == "done", "the command")
    assert running.audited == [("rule hot", "device.method", DEVICE, {"method": "closeValve"})]


def test_a_command_to_a_device_that_takes_none_waits_and_one_it_refuses_is_dead(
    running: RunningHub, client: Client
) -> None:
    use(running)
    fire(running, client, {"kind": "command", "method": "reboot"})
    wait_until(lambda: deliveries(running) and deliveries(running)["1"].attempts, "an attempt")
    assert "takes no direct methods" in deliveries(running)["1"].error
    client.subscribe("$iothub/methods/POST/#")
    topic, _ = client.take("$iothub/methods/POST/reboot/")
    client.publish(f"$iothub/methods/res/501/?$rid={topic.partition('$rid=')[2]}")
    wait_until(lambda: state(running) == "dead", "the refusal")
    assert deliveries(running)["1"].error == "the device answered 501"


def test_a_job_is_begun_once_for_a_firing_and_over_the_own_catalogs_devices_only(
    running: RunningHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, platform = running.hub, running.platform
    running.directory.now = Owners({DEVICE: "North", OTHER: "South"})
    use(running)
    platform.documents.put("group", "everybody", {"name": "Everybody"}, by="t")
    action = {"kind": "set-property", "properties": {"closed": True}}
    for name, catalog in (("of-all", None), ("of-south", "South")):
        body = {"name": name, "group": "everybody", "catalog": catalog, "action": action}
        platform.documents.put("job", name, body, by="t")
    jobs = [{"name": name, "kind": "job", "job": name} for name in ("of-all", "of-south", "of-nobody")]
    monkeypatch.setattr(outbox, "MAX_WAITING", 0)
    fire(running, client, *jobs)

    def made() -> dict[str, Any]:
        store = platform.rules.store()
        return {
            each.action: each
            for alert in store.alerts.found(AlertFilter(catalog="North"), 100)
            for each in store.deliveries.of(alert)
        }

    wait_until(lambda: "of-all" in made() and made()["of-all"].attempts, "an attempt")
    assert "the audit log takes no lines" in made()["of-all"].error
    monkeypatch.setattr(outbox, "MAX_WAITING", 1)
    states = {"of-all": "done", "of-south": "dead", "of-nobody": "dead"}
    wait_until(lambda: {name: each.state for name, each in made().items()} == states, "the outcomes")
    assert "there is no job" in made()["of-south"].error  # another owner's
    wait_until(lambda: hub.twins.get(DEVICE).desired.properties, "the job")
    (run,) = platform.jobs.store.runs("of-all")
    assert [each.device_id for each in platform.jobs.store.devices.results(run.number)] == [DEVICE]
    assert hub.twins.get(OTHER).desired.properties == {}
    assert running.audited == [("rule hot", "job.run", DEVICE, {"job": "of-all", "run": run.number})]
    (alert,) = platform.rules.store().alerts.found(AlertFilter(catalog="North"), 100)
    wait_until(lambda: platform.jobs.store.run("of-all", run.number).state == "completed", "its end")
    # An attempt that began the run and whose end was not noted is made again: it begins no other.
    assert running.run(platform.rules.actions._job(made()["of-all"], alert)) == ""
    assert len(platform.jobs.store.runs("of-all")) == 1


def test_quarantine_goes_to_who_decides_and_is_dead_where_nobody_does(running: RunningHub, client: Client) -> None:
    told: list[Any] = []
    use(running, quarantine=lambda *said: told.append(said))
    fire(running, client, {"kind": "quarantine", "reason": "odd"})
    wait_until(lambda: state(running) == "done", "the request")
    ((device, _, said),) = told
    assert (device, said["reason"], said["rule"]) == (DEVICE, "odd", "Hot")
    use(running)
    client.telemetry({"t": 1})
    client.telemetry({"t": 31})
    wait_until(lambda: deliveries(running, 1) and deliveries(running, 1)["1"].state == "dead", "nobody decides")


def test_what_was_not_delivered_is_delivered_by_the_next_life(
    running: RunningHub, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = partial(ActionSettings, hosts=AllowedHosts.parse("127.0.0.1"))
    monkeypatch.setattr("tests.hub.running_hub.ActionSettings", settings)
    running.restart()
    hook.answers = [500] * 3
    client = running.client().ready()
    fire(running, client, {"kind": "webhook", "url": hook.url})
    wait_until(lambda: hook.got, "an attempt")
    running.restart()
    wait_until(lambda: state(running) == "done", "the delivery")
    assert len({json.loads(body)["id"] for _, body in hook.got}) == 1
    assert len(alerts(running)) == 1


def test_too_many_waiting_deliveries_become_dead_letters_and_are_counted(
    running: RunningHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "MAX_WAITING_OF_OWNER", 1)
    use(running)
    one = {"kind": "webhook", "url": "http://127.0.0.1:9/"}
    fire(running, client, {"name": "a", **one}, {"name": "b", **one})
    wait_until(lambda: deliveries(running), "the deliveries")
    assert {name: each.state for name, each in deliveries(running).items()} == {"a": "waiting", "b": "dead"}
    wait_until(lambda: running.platform.counters()["rule_deliveries_refused"] == 1, "it is counted")


def test_old_alerts_go_with_their_deliveries(
    running: RunningHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MAX_ALERTS", 2)
    use(running)
    fire(running, client, {"kind": "quarantine"}, repeat=True)
    for _ in range(3):
        client.telemetry({"t": 31})
    wait_until(lambda: len(alerts(running)) == 4, "four alerts")
    assert running.platform.rules.store().commits.submit(rows.pruned).result() == 2
    assert [each.number for each in alerts(running)] == [4, 3]
