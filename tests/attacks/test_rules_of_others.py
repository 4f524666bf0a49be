# SPDX-License-Identifier: Apache-2.0
"""Rules and other owners: a rule looks at its own catalog's devices only, also after one has changed hands.

Each attack has its control: with the check taken away it gets through.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from typing import Any

import pytest
from tests.api.native.platform.test_native_rules import alerts, hot, put, say
from tests.api.running_service import RunningService, fresh, wait_until
from tests.attacks.owners import Owner, owner

from armillary.engines.outbound import webhook as rule_webhook
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.platform.authored.documents import AuthoredDocuments
from armillary.platform.rules.plans import Plan
from armillary.platform.rules.rules import Rules


def evaluations(service: RunningService, rule: str, device: str) -> int:
    return len(service.platform.rules.traces.of(rule, device))


def spying_rule(service: RunningService, alice: Owner) -> str:
    """A rule of Alice's that fires at everything her device says, and has."""
    rule = fresh("spy")
    put(service, rule, hot(alice.name, repeat=True))
    say(service, alice.device.device_id, {"t": 31})
    wait_until(lambda: len(alerts(service, f"rule={rule}")) == 1, "it fires for its own device")
    return rule


def watched(service: RunningService, bob: Owner) -> str:
    """A rule of Bob's, to see when a message of the device was evaluated."""
    rule = fresh("own")
    put(service, rule, hot(bob.name, repeat=True))
    return rule


def test_a_rule_does_not_follow_a_device_to_its_next_owner(service: RunningService, alice: Owner, bob: Owner) -> None:
    spy, own = spying_rule(service, alice), watched(service, bob)
    alice.give_device(bob)
    say(service, alice.device.device_id, {"t": 99})
    wait_until(lambda: alerts(service, f"rule={own}"), "the new owner's rule fires")
    assert len(alerts(service, f"rule={spy}")) == 1
    assert evaluations(service, spy, alice.device.device_id) == 1


def test_without_the_notice_it_would(
    service: RunningService, alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy, _ = spying_rule(service, alice), watched(service, bob)
    monkeypatch.setattr(Rules, "_look_again", lambda *_: None)
    alice.give_device(bob)
    say(service, alice.device.device_id, {"t": 99})
    wait_until(lambda: len(alerts(service, f"rule={spy}")) == 2, "the old owner goes on watching")


def mean_of(service: RunningService, alice: Owner, bob: Owner) -> str:
    """What Bob reads of a rule of all catalogs that adds up, after his device's first message."""
    rule, own = fresh("mean"), watched(service, bob)
    window = {"kind": "sliding", "length_s": 600}
    conditions = [{"telemetry": "t", "aggregate": "max", "op": ">", "value": 30}]
    made = put(service, rule, {"name": "Mean", "catalog": None, "conditions": conditions, "window": window})
    assert made.status == 200, made.raw
    device = alice.device.device_id
    say(service, device, {"t": 77.5})
    wait_until(lambda: evaluations(service, rule, device) > 0, "looked at")
    time.sleep(1.1 - time.time() % 1)  # claimed_at has whole seconds: this is after everything above
    alice.give_device(bob)
    say(service, device, {"t": 40})
    wait_until(lambda: alerts(service, f"rule={own}"), "the new owner's rule fires")
    traces = [each["trace"] for each in alerts(service, f"rule={rule}&catalog={bob.name}")]
    return str(traces) + str(bob.call("GET", f"/rules/{rule}/trace/{device}").body["items"])


def test_a_rule_of_all_catalogs_begins_anew_with_a_new_owner(
    service: RunningService, alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = mean_of(service, alice, bob)
    assert "40" in seen
    assert "77.5" not in seen
    monkeypatch.setattr(Plan, "_is_sold", lambda *_: False)
    assert "77.5" in mean_of(service, owner(service), owner(service))  # the control


def body_of(who: Owner) -> dict[str, Any]:
    return hot(who.name)


def test_nobody_overwrites_a_rule_of_another(
    service: RunningService, alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = fresh("mine")
    path = f"/rules/{rule}?catalog="
    assert alice.call("PUT", path + alice.name, body_of(alice)).status == 200
    assert bob.call("PUT", path + bob.name, body_of(bob)).status == 409  # the id is taken; by whom is not said
    assert bob.call("PUT", path + alice.name, body_of(alice)).status == 404
    assert bob.call("PUT", f"/rules/{rule}", body_of(alice)).status == 403
    secret = {"kind": "webhook", "url": "https://example.com/", "secret": "sixteen characters"}
    assert bob.call("PUT", path + bob.name, {**body_of(bob), "actions": [secret]}).status == 409
    assert service.platform.rules.store().secret(rule, "1") is None
    assert service.platform.documents.get("rule", rule).content["catalog"] == alice.name
    monkeypatch.setattr(AuthoredDocuments, "check_owned", lambda *_: None)  # the control
    monkeypatch.setattr(AuthoredDocuments, "owned_version", lambda *_: None)
    assert bob.call("PUT", path + bob.name, body_of(bob)).status == 200
    assert service.platform.documents.get("rule", rule).content["catalog"] == bob.name


class Dripper(threading.Thread):
    """A server that sends a byte of its answer's head now and then, for ever; or an honest one."""

    def __init__(self, pause_s: float, head: bytes) -> None:
        super().__init__(daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        self._pause_s, self._head = pause_s, head

    def run(self) -> None:
        client, _ = self._listening.accept()
        with contextlib.suppress(OSError), client, self._listening:
            asked = b""
            while not asked.endswith(b"{}"):  # what is not read would be answered by a reset
                asked += client.recv(1 << 16)
            for each in self._head:
                client.sendall(bytes((each,)))
                time.sleep(self._pause_s)


def test_a_webhook_that_answers_a_byte_at_a_time_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few threads make the actions of all rules, quarantine among them."""
    allowed = AllowedHosts(public=False, named=frozenset({"127.0.0.1"}))
    slow = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 30 + b"\r\n\r\n"

    def takes(server: Dripper) -> float:
        server.start()
        began = time.monotonic()
        with contextlib.suppress(OSError, http.client.HTTPException):
            rule_webhook.post(server.url, b"{}", {}, allowed)
        return time.monotonic() - began

    monkeypatch.setattr(rule_webhook, "WHOLE_S", 0.5)
    honest = Dripper(0, b"HTTP/1.1 202 Accepted\r\n\r\n")
    honest.start()
    assert rule_webhook.post(honest.url, b"{}", {}, allowed) == (202, "")  # the control
    assert takes(Dripper(0.1, slow)) < 3
    # Mutation: without an end it is held for as long as the other side likes.
    monkeypatch.setattr(rule_webhook, "WHOLE_S", 60.0)
    assert takes(Dripper(0.1, slow)) > 4
