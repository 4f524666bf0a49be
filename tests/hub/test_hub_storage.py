# SPDX-License-Identifier: Apache-2.0
"""The hub drives its store: hours are sealed while it runs, and a disk that is nearly full refuses messages only."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from tests.hub.running_hub import DEVICE, RunningHub, wait_until

from armillary.engines.series import maintenance, store
from armillary.engines.series.log.blocks import PacketRun
from armillary.errors import RateLimitedError

LONG_AGO = "iothub-creation-time-utc=2026-01-02T03%3A04%3A05Z"
AT_MS = 1767323045000


def test_hours_are_flushed_sealed_and_counted_while_it_runs(
    running: RunningHub, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FLUSH_INTERVAL_S", 0.0)
    monkeypatch.setattr(maintenance, "MAINTENANCE_INTERVAL_S", 0.0)
    series = running.hub.series
    for _ in range(2):
        client.telemetry({"t": 1.5}, LONG_AGO)
    wait_until(lambda: running.hub.counters()["points_late"] == 2, "both flushed")
    wait_until(
        lambda: series.read(lambda c: c.execute("SELECT count(*) FROM chunk").fetchone()[0] == 1), "the hour sealed"
    )
    wait_until(lambda: running.hub.counters()["points_duplicate"] == 1, "the second one found to be the first")
    assert series.raw(DEVICE, "t", AT_MS, AT_MS + 1, 9) == [(AT_MS, 1.5)]


def test_a_flush_that_the_full_queue_did_not_take_is_tried_again(
    running: RunningHub, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FLUSH_INTERVAL_S", 0.0)
    commits, refused = running.hub.series.commits, threading.Event()
    post = commits.post

    def full(item: Any, *rest: Any, **named: Any) -> None:
        if not isinstance(item, PacketRun) and not refused.is_set():
            refused.set()
            raise RateLimitedError("the queue is full", retry_after_s=1)
        post(item, *rest, **named)

    monkeypatch.setattr(commits, "post", full)
    client.telemetry({"t": 1}, LONG_AGO)
    assert refused.wait(20)
    client.telemetry({"t": 2}, LONG_AGO)
    wait_until(lambda: running.hub.counters()["points_late"] == 2, "both flushed")


def test_a_disk_that_is_nearly_full_refuses_messages_and_nothing_else(
    running: RunningHub, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.telemetry({"t": 1})
    running.hub.series._writer._reserve_bytes = 100 << 20
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=10, f_frsize=4096))
    client.publish(f"devices/{DEVICE}/messages/events/", b'{"t": 2}')
    client.is_cut_off()
    assert running.hub.counters()["disk_full_now"] == 1
    assert running.hub.counters()["commits_failed"] == 1
    assert running.hub.twins.change(DEVICE, desired={"rate": 5}).desired.properties == {
        "rate": 5
    }  # small, maybe urgent
    monkeypatch.undo()
    again = running.client().ready()
    again.telemetry({"t": 3})
    again.close()
    assert running.hub.counters()["disk_full_now"] == 0
    wait_until(lambda: [each.value for each in running.hub.series.last_values(DEVICE)] == [3.0], "the value")
    # 2 was never acknowledged: paho sends it again, or nobody does. 1 and 3 were.
    values = [value for _, value in running.hub.series.raw(DEVICE, "t", 0, 2**50, 9)]
    assert {1.0, 3.0} <= set(values)


def test_a_slow_reader_holds_up_nobody(running: RunningHub, client: Any) -> None:
    client.telemetry({"t": 1})
    series = running.hub.series
    wait_until(lambda: series.last_values(DEVICE), "the value")
    inside, leave = threading.Event(), threading.Event()

    def slow(connection: Any) -> int:
        inside.set()
        assert leave.wait(10)
        return int(connection.execute("SELECT count(*) FROM device").fetchone()[0])

    found: list[int] = []
    reader = threading.Thread(target=lambda: found.append(series.read(slow)))
    reader.start()
    assert inside.wait(10)
    assert series.device(DEVICE) is not None
    assert [each.value for each in series.last_values(DEVICE)] == [1.0]
    leave.set()
    reader.join(10)
    assert found == [1]
