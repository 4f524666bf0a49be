# SPDX-License-Identifier: Apache-2.0
"""One token that takes more than its share of threads, requests, streams, exports, bodies or replays.

The others are served, and health answers meanwhile; each attack is played once more with the limit taken away.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.api.running_service import RunningService, wait_until
from tests.attacks.under_attack import Gate, Health, authorized, close, half_a_body, owner, sent, waits_long
from tests.fixtures.os_packages import os_packages

from armillary.api.http import callers
from armillary.api.http.callers import Budgets
from armillary.api.native import dashboard_live
from armillary.api.native.hub import series as native_series
from armillary.api.native.service import devices as native_devices
from armillary.engines.exports.store import DeadBatch, ExportCursor
from armillary.platform.exports import replays as export_replays
from armillary.sim.device.wire_device import certificate_request


def test_one_token_never_takes_all_threads(
    own: RunningService, budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[http.client.HTTPSConnection] = []
    with Gate() as gate:
        monkeypatch.setattr("armillary.api.views.series.retention", lambda *_, **__: gate.hold() or {})
        tokens = [own.tokens["Reader"]] * 12
        with Health(own) as health:
            ask(own, held, "/api/v1/telemetry/retention", tokens)
            gate.holds(callers.THREADS_OF_CALLER)
            wait_until(lambda: budgets.requests.of(owner(own)) == 12, "all of them to be there")
            assert own.call("GET", "/api/v1/me", token=own.tokens["other"]).status == 200
            assert not gate.is_reached(), "the others of this token wait for their turn"
        health.check()
        gate.open()
        assert statuses(held) == [200] * 12, "and get it"
        gate.shut()
        monkeypatch.setattr(budgets.turns, "each", 1 << 30)
        with Health(own) as control:
            ask(own, held, "/api/v1/telemetry/retention", tokens)
            gate.holds(8)
            assert waits_long(own), "the control: all threads are this token's"
        control.check()  # health needs no thread at all
    assert statuses(held) == [200] * 12


def ask(own: RunningService, held: list[http.client.HTTPSConnection], path: str, tokens: list[str]) -> None:
    """A request with each of the tokens, whose answers nobody takes yet."""
    for token in tokens:
        held.append(own.connection())
        held[-1].request("GET", path, headers={"Authorization": f"Bearer {token}"})


def statuses(held: list[http.client.HTTPSConnection]) -> list[int]:
    """Of the answers, which are taken now."""
    found = [each.getresponse().status for each in held]
    for each in held:
        each.close()
    held.clear()
    return found


def test_one_token_never_takes_all_requests_streams_and_exports(
    own: RunningService, opened: list[socket.socket], budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = own.make_device().device_id
    stream = f"/api/v1/devices/{device}/telemetry/stream"
    export = f"/api/v1/devices/{device}/telemetry/export"

    def endless(*_: Any, **__: Any) -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    monkeypatch.setattr(native_series.views_series, "export", endless)
    for path, quota, each, total in (
        (stream, budgets.streams, 3, 5),
        (export, budgets.exports, callers.MAX_EXPORTS_OF_CALLER, callers.MAX_EXPORTS),
    ):
        assert 2 * quota.each <= quota.total, "one caller leaves half"
        monkeypatch.setattr(quota, "each", each)
        monkeypatch.setattr(quota, "total", total)
        get = f"GET {path} HTTP/1.1\r\n{authorized(own, 'Reader')}\r\n".encode()
        with Health(own) as health:
            sent(own, opened, each, get)
            wait_until(lambda: len(quota) == each, "all that this token may have")  # noqa: B023 - called here
            refused = own.call("GET", path, token=own.tokens["Reader"])
            assert (refused.status, refused.headers["retry-after"]) == (429, "30")
            assert refused.body["code"] == "request.too-many"
            assert "the token 'Reader-token'" in refused.body["detail"]
            sent(own, opened, 1, f"GET {path} HTTP/1.1\r\n{authorized(own, 'other')}\r\n".encode())
            assert opened[-1].recv(15) == b"HTTP/1.1 200 OK"
        health.check()
        close(opened, quota)
        monkeypatch.setattr(quota, "each", 1 << 30)
        sent(own, opened, total, get)
        wait_until(lambda: len(quota) == total, "the control: one token has all")  # noqa: B023 - called here
        assert own.call("GET", path, token=own.tokens["other"]).status == 429
        close(opened, quota)
    monkeypatch.setattr(dashboard_live, "SHED_S", 0.2)
    shed = own.hub.counters()["live_readers_shed"]
    sent(own, opened, 1, f"GET {export} HTTP/1.1\r\n{authorized(own, 'Reader')}\r\n".encode())
    wait_until(lambda: own.hub.counters()["live_readers_shed"] == shed + 1, "an export that is not read to be let go")
    wait_until(lambda: len(budgets.exports) == 0, "its place to be given back")


def test_a_token_has_so_many_requests_and_so_many_large_bodies(
    own: RunningService, opened: list[socket.socket], budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets.requests, "each", 5)
    sent(own, opened, 5, half_a_body(own, "Reader"))
    wait_until(lambda: budgets.requests.of(owner(own)) == 5, "all that this token may have")
    refused = own.call("GET", "/api/v1/me", token=own.tokens["Reader"])
    assert (refused.status, refused.headers["retry-after"]) == (429, "2")
    assert own.call("GET", "/api/v1/me", token=own.tokens["other"]).status == 200
    close(opened, budgets.requests)
    monkeypatch.setattr(budgets.large_bodies, "each", 2)
    path = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.AzureSphere/catalogs/Contoso/uploadImage"
    large = (
        f"POST {path}?api-version=2024-04-01 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {own.token}\r\n"
        f"content-type: application/json\r\ncontent-length: {2 << 20}\r\n\r\n"
    ).encode()
    sent(own, opened, 2, large)
    wait_until(lambda: len(budgets.large_bodies) == 2, "two large bodies")
    sent(own, opened, 1, large)
    assert opened[-1].recv(12) == b"HTTP/1.1 429"
    close(opened, budgets.large_bodies)


def test_who_does_not_take_the_os_that_a_new_device_gets_holds_no_more_than_some(
    own: RunningService, opened: list[socket.socket], budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leaked enrolment token, spent: its device is answered again, with a device image's payloads, and reads nothing."""
    chip, service = "gateway-x86-64", own.service
    payloads = {each.name: bytes(6 << 20) for each in service.chips.get(chip).boot_components}
    packages = os_packages(service.chips.get(chip), payloads)
    draft = service.attestation.drafts.create(chip, "27.1", packages=packages, feed="Retail", actor="t")
    service.attestation.drafts.sign(draft.release_id, actor="t")
    release = service.attestation.drafts.publish(draft.release_id, actor="t")
    token = service.enrolments.create("Contoso", actor="t").secret

    def ask(route: str = "devices", **fields: object) -> bytes:
        body = json.dumps({"csr": certificate_request(b"w" * 32), "chip": chip, **fields}).encode()
        return (
            f"POST /api/v1/factory/{route} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body

    monkeypatch.setattr(budgets.large_bodies, "each", 2)
    sent(own, opened, 2, ask())
    wait_until(lambda: len(budgets.large_bodies) == 2, "two answers that nobody takes")
    sent(own, opened, 1, ask())
    assert opened[-1].recv(12) == b"HTTP/1.1 429"
    sent(own, opened, 1, ask(is_flashed=True))
    assert opened[-1].recv(12) == b"HTTP/1.1 201", "what has its OS gets little, and is no large one"
    proof = dict.fromkeys(("endorsement_certificate", "attestation_key", "identity_key", "certification"), "AAAA")
    for is_flashed, answer in ((False, b"HTTP/1.1 429"), (True, b"HTTP/1.1 400")):  # no TPM's proof is looked at before
        sent(own, opened, 1, ask("tpm-devices", **proof, secret="AAAA", expires_at=0, is_flashed=is_flashed))
        assert opened[-1].recv(12) == answer
    close(opened, budgets.large_bodies)
    monkeypatch.setattr(native_devices, "LARGE_BYTES", 1 << 30)
    sent(own, opened, 3, ask())
    for each in opened:
        assert each.recv(12) == b"HTTP/1.1 201", "the control: all are in memory"
    service.releases.withdraw(release.release_id, "of this test alone", actor="t")


def test_a_browser_and_a_script_of_one_token_are_one_caller(
    own: RunningService, opened: list[socket.socket], budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = own.call("GET", "/sign-in", token=None)
    found = re.search(rb'name="form_token" value="([^"]+)"', form.raw)
    assert found is not None
    fields = urlencode({"form_token": found[1].decode(), "token": own.tokens["Reader"], "back": "/fleet"}).encode()
    sent_by = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": form.headers["set-cookie"].partition(";")[0],
    }
    entered = own.call("POST", "/sign-in", fields, token=None, headers=sent_by)
    assert entered.status == 303
    browser = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}
    assert own.call("GET", "/fleet", token=None, headers=browser).status == 200
    monkeypatch.setattr(budgets.requests, "each", 2)
    sent(own, opened, 2, half_a_body(own, "Reader"))
    wait_until(lambda: budgets.requests.of(owner(own)) == 2, "all that this token may have")
    page = own.call("GET", "/fleet", token=None, headers=browser)
    assert (page.status, page.headers["retry-after"]) == (429, "2")
    assert b"Too many at once." in page.raw
    close(opened, budgets.requests)
    assert own.call("GET", "/fleet", token=None, headers=browser).status == 200


def test_the_tokens_of_one_catalog_never_have_all_together(
    own: RunningService, opened: list[socket.socket], budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who makes tokens without end gets no more by them; the operator gets in though tenants have all they may have."""
    made: dict[str, list[str]] = {}
    for name in ("Alpha", "Beta"):
        own.azure("PUT", f"/{name}", {"location": "global"})
        tokens = [own.service.tokens.create(f"{name}-{n}", "Administrator", actor="t", catalog=name) for n in range(5)]
        made[name] = [each.secret for each in tokens]
    own.tokens |= {f"{name}-{n}": secret for name, found in made.items() for n, secret in enumerate(found)}
    catalogs = [callers.catalog_of(each) for each in own.service.tokens.list() if each.name in ("Alpha-0", "Beta-0")]
    assert len(set(catalogs) - {""}) == 2
    quota = budgets.requests
    assert quota.of_catalog * 2 <= quota.total, "one catalog leaves half"
    assert quota.each <= quota.of_catalog < quota.of_catalogs < quota.total
    for limit, value in (("each", 2), ("of_catalog", 4), ("of_catalogs", 6), ("total", 8)):
        monkeypatch.setattr(quota, limit, value)

    def attack(name: str, count: int) -> None:
        """Begin two requests with each of a catalog's tokens, and never end them."""
        for n in range(count):
            sent(own, opened, 2, half_a_body(own, f"{name}-{n}", f"/api/v1/group-preview?catalog={name}"))

    def asks(token: str) -> int:
        reply = own.call("GET", "/api/v1/me", token=own.tokens[token])
        if reply.status == 429:
            assert (reply.body["code"], reply.headers["retry-after"]) == ("request.too-many", "2")
        return reply.status

    refused = quota.refused
    with Health(own) as health:
        attack("Alpha", 2)
        wait_until(lambda: len(quota) == 4, "all that one catalog may have")
        assert [asks(f"Alpha-{n}") for n in (2, 3, 4)] == [429] * 3, "a new token has no quota of its own"
        assert (asks("Beta-0"), asks("other")) == (200, 200)
        attack("Beta", 1)
        wait_until(lambda: len(quota) == 6, "all that catalogs may have")
        assert (asks("Beta-1"), asks("other")) == (429, 200), "the operator has its own"
    health.check()
    assert quota.refused == refused + 4
    close(opened, quota)
    monkeypatch.setattr(quota, "of_catalog", 1 << 30)
    monkeypatch.setattr(quota, "of_catalogs", 1 << 30)
    attack("Alpha", 4)
    wait_until(lambda: len(quota) == 8, "the control: one catalog has all")
    assert (asks("Beta-0"), asks("other")) == (429, 429)
    close(opened, quota)


def test_the_tokens_of_one_catalog_never_take_all_threads(
    own: RunningService, budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.azure("PUT", "/Gamma", {"location": "global"})
    made = [own.service.tokens.create(f"Gamma-{n}", "Reader", actor="t", catalog="Gamma") for n in range(4)]
    tokens, held = [each.secret for each in made for _ in range(3)], list[http.client.HTTPSConnection]()
    listed = "armillary.platform.authored.documents.AuthoredDocuments.listed"
    with Gate() as gate:
        monkeypatch.setattr(listed, lambda *_, **__: gate.hold() or {"items": [], "next": None})
        ask(own, held, "/api/v1/groups?catalog=Gamma", tokens)
        gate.holds(callers.THREADS_OF_CATALOG)
        wait_until(lambda: len(budgets.requests) >= 12, "all of them to be there")
        assert own.call("GET", "/api/v1/me", token=own.tokens["other"]).status == 200
        assert not gate.is_reached(), "the others of this catalog wait for their turn"
        gate.open()
        assert statuses(held) == [200] * 12, "and get it"
        gate.shut()
        monkeypatch.setattr(budgets.turns_of_catalog, "each", 1 << 30)
        monkeypatch.setattr(budgets.turns_of_catalogs, "each", 1 << 30)
        ask(own, held, "/api/v1/groups?catalog=Gamma", tokens)
        gate.holds(callers.OPERATOR_THREADS)
        assert waits_long(own), "the control: all threads are this catalog's"
    assert statuses(held) == [200] * 12


class Inline:
    """A thread that is none: what it is to do is done by who starts it."""

    def __init__(self, target: Callable[[], None], **_: object) -> None:
        self.start = target


def test_replays_to_a_receiver_that_never_answers_take_no_operators_thread(
    own: RunningService, budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, exports = own.token_of("Contributor"), own.platform.exports
    for number in range(10):
        body = {"name": "x", "source": "telemetry", "enabled": False, "destination": {"kind": "file"}}
        assert own.call("PUT", f"/api/v1/exports/e{number}", body).status == 200
        dead = [DeadBatch([{"n": 1}], [("d", "r")], "why"), DeadBatch([{"n": 2}], [("d", "r")], "why")]
        exports.store.keep(f"e{number}", ExportCursor(seq=0), dead)
    monkeypatch.setattr(export_replays, "ANSWER_S", 0.1)
    path = "/api/v1/exports/e{}/dead-letters/replay"
    with Gate() as gate:
        silent = SimpleNamespace(deliver=lambda *_: gate.hold(), close=lambda: None)
        monkeypatch.setattr("armillary.platform.exports.exports.open_destination", lambda *_, **__: silent)
        with Health(own) as health:
            for number in range(export_replays.MAX_REPLAYS_OF_CALLER):
                reply = own.call("POST", path.format(number), token=token)
                assert (reply.status, reply.body) == (200, {"delivered": 0, "under_way": True})
                gate.holds(1)
            again, more = own.call("POST", path.format(0)), own.call("POST", path.format(2), token=token)
            for refused in (again, more):
                assert (refused.status, refused.headers["retry-after"]) == (429, "30")
            assert own.call("GET", "/api/v1/me", token=own.tokens["other"]).status == 200
        health.check()
        gate.open()
        wait_until(lambda: not exports.store.dead_letters("e0"), "the replay to go on by itself")
        wait_until(lambda: own.call("POST", path.format(0)).body == {"delivered": 0, "under_way": False}, "its end")
        lines = [each for each in own.call("GET", "/api/v1/audit?limit=100").body["items"] if each["target"] == "e0"]
        assert {"records": 2} in [each["detail"] for each in lines if each["operation"] == "export.replay"]
        gate.shut()
        monkeypatch.setattr(export_replays, "threading", SimpleNamespace(Thread=Inline))
        monkeypatch.setattr(exports.replays._of_caller, "each", 1 << 30)
        monkeypatch.setattr(budgets.turns, "each", 1 << 30)
        with ThreadPoolExecutor(8) as pool, Health(own) as control:
            for number in range(2, 10):
                pool.submit(own.call, "POST", path.format(number), token=token, fresh=True)
            gate.holds(8)
            assert waits_long(own), "the control: all threads wait for the receiver"
            gate.open()
        control.check()
