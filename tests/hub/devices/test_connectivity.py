# SPDX-License-Identifier: Apache-2.0
"""Connects and disconnects of real clients as records of a data export: order, reasons, a hub that did not say so."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from tests.hub.running_hub import DEVICE, Authority, RunningHub, wait_until
from tests.hub.wire_client import WireClient, device_context
from tests.platform.exports.test_exports import got, put, quick, settled
from tests.platform.rules.test_rule_actions import Hook, hook

from armillary.engines.hub import connectivity
from armillary.hub.hub import Hub
from armillary.hub.link.reasons import Reason, why_ended

__all__ = ["hook", "quick"]


def said(hook: Hook) -> list[tuple[str, str | None]]:
    return [(each["event"], each.get("reason")) for each in got(hook)]


def test_a_device_that_comes_and_goes_is_two_records_with_the_reason(
    running: RunningHub, hook: Hook, authority: Authority
) -> None:
    before = running.client(DEVICE).ready()  # nothing is written before an export wants it
    before.close()
    wait_until(lambda: not running.hub.connected(), "it to go")
    name = put(running, {"kind": "webhook", "url": hook.url}, source="connectivity")
    assert running.hub.series.read(lambda c: c.execute("SELECT count(*) FROM connectivity").fetchone()[0]) == 0
    client = running.client(DEVICE).ready()
    settled(running, name, exported=1)
    client.close()  # says that it goes
    settled(running, name, exported=2)
    first = WireClient(running.port, context=device_context(authority), client_id=DEVICE)
    first.connect()
    settled(running, name, exported=3)
    running.client(DEVICE).ready()  # takes it over
    settled(running, name, exported=5)
    running.hub.disconnect(DEVICE)
    settled(running, name, exported=6)
    assert said(hook)[:6] == [
        ("connected", None), ("disconnected", "client"),
        ("connected", None), ("disconnected", "taken-over"),
        ("connected", None), ("disconnected", "shut-out"),
    ]  # fmt: skip
    records = got(hook)
    assert [each["sequence"] for each in records] == sorted(each["sequence"] for each in records)
    assert [each["id"] for each in records] == [f"c-{each['sequence']}" for each in records]
    assert {each["device_id"] for each in records} == {DEVICE}


def test_a_client_that_goes_without_a_word_is_lost(running: RunningHub, hook: Hook, authority: Authority) -> None:
    name = put(running, {"kind": "webhook", "url": hook.url}, source="connectivity")
    client = WireClient(running.port, context=device_context(authority), client_id=DEVICE)
    client.connect()
    settled(running, name, exported=1)
    client.socket.close()
    settled(running, name, exported=2)
    assert said(hook) == [("connected", None), ("disconnected", "lost")]


def test_a_hub_that_ended_without_a_word_says_at_its_next_start_who_is_not_connected_any_more(tmp_path: Any) -> None:
    hub = Hub(tmp_path / "hub", authenticate=lambda _: "nobody")
    for change in (
        connectivity.wanted,
        connectivity.connected("d1", now_ms=1),
        connectivity.connected("d2", now_ms=2),
        connectivity.disconnected("d2", "client", now_ms=3),
    ):
        hub.series.commits.submit(change).result(10)
    hub._close_stores()  # nobody has said of d1 that it went
    for _ in range(2):  # once is enough
        hub = Hub(tmp_path / "hub", authenticate=lambda _: "nobody")
        assert hub.connectivity.recover()
        rows = hub.series.read(lambda c: connectivity.read_events(c, 0, 100))
        hub._close_stores()
        assert [(each.device_id, each.event, each.reason) for each in rows] == [
            ("d1", "connected", ""), ("d2", "connected", ""), ("d2", "disconnected", "client"),
            ("d1", "disconnected", "service-stopped"),
        ]  # fmt: skip


def test_the_journal_keeps_the_newest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectivity, "MAX_EVENTS", 20)
    monkeypatch.setattr(connectivity, "EVENTS_PER_PRUNE", 5)
    with sqlite3.connect(":memory:") as database:
        database.executescript(connectivity.TABLES)
        for number in range(1, 101):
            connectivity.connected("d", now_ms=number)(database)
        rows = connectivity.read_events(database, 0, 1000)
    assert [each.number for each in rows] == list(range(81, 101))


def test_every_reason_has_a_word() -> None:
    words = {why_ended(each) for each in (None, *Reason)}
    assert all(word and word == word.lower() for word in words)
