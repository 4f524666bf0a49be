# SPDX-License-Identifier: Apache-2.0
"""Retention by pattern, points and roll-ups apart; a disk that is nearly full."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.engines.series.play import DEVICE, START, Play, packet

from armillary.engines.series.log.blocks import PacketRun
from armillary.engines.series.retention import DAY_MS, Retention as Default, RetentionRule, read_rules
from armillary.engines.series.store import SeriesStore
from armillary.engines.series.values.chunks import HOUR_MS
from armillary.errors import DiskReserveError, InvalidArgumentError

DAYS = 40

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def play(tmp_path: Path) -> Play:  # type: ignore[misc]
    playing = Play(tmp_path / "hub", values_days=20, rollups_days=30)
    yield playing
    playing.store.close(START)


def forty_days(play: Play) -> int:
    """A point a day of three metrics, all sealed; the time after."""
    for day in range(DAYS):
        play.keep((START + day * DAY_MS, {"t": day, "air.co2": day, "air.dust": day}))
    now_ms = START + DAYS * DAY_MS
    play.flush(now_ms)
    return now_ms


def set_rules(play: Play, *rules: RetentionRule) -> None:
    play.store.commits.submit(play.store.maintenance.set_rules(rules)).result()
    assert play.store.read(read_rules) == rules


def kept_days(play: Play, metric: str) -> tuple[int, int]:
    """Days of which there are points, and of which there are roll-ups."""
    raw = play.store.raw(DEVICE, metric, 0, 2**50, 99)
    rollups = play.store.query(DEVICE, metric, START, START + DAYS * DAY_MS, DAYS)
    return len(raw), len(rollups.buckets)


def fleet_days(play: Play, metric: str) -> int:
    return len(play.store.fleet.over_time(None, metric, START, START + DAYS * DAY_MS, DAYS + 1).buckets)


def test_points_and_rollups_are_kept_each_for_its_time(play: Play) -> None:
    play.maintain(forty_days(play))
    assert kept_days(play, "t") == kept_days(play, "air.co2") == (20, 30)
    assert fleet_days(play, "t") == 30


def test_rules_go_by_pattern_and_the_first_that_matches_decides(play: Play) -> None:
    now_ms = forty_days(play)
    set_rules(
        play,
        RetentionRule(metric="air.co2", raw_days=None, rollup_days=None),
        RetentionRule(metric="air.*", raw_days=2, rollup_days=5),
    )
    play.maintain(now_ms)
    assert kept_days(play, "t") == (20, 30)
    assert kept_days(play, "air.co2") == (DAYS, DAYS)
    assert kept_days(play, "air.dust") == (2, 5)
    assert [fleet_days(play, each) for each in ("t", "air.co2", "air.dust")] == [30, DAYS, 5]


def test_rules_that_change_and_points_that_come_late_are_looked_at_again(play: Play) -> None:
    now_ms = forty_days(play)
    play.maintain(now_ms)
    set_rules(play, RetentionRule(metric="t", raw_days=3, rollup_days=3))
    play.maintain(now_ms)
    assert kept_days(play, "t") == (3, 3)
    play.keep((START + 2 * DAY_MS, {"t": 2}))
    play.seal(now_ms)
    play.store.maintenance._passes = 0  # a day later
    play.maintain(now_ms)
    assert kept_days(play, "t") == (3, 3)


def test_rules_of_templates_ask_for_the_devices_template(play: Play) -> None:
    now_ms = forty_days(play)
    play.store.maintenance._template_of = lambda device_id: "pump" if device_id == DEVICE else ""
    set_rules(
        play,
        RetentionRule(template="valve", raw_days=1, rollup_days=1),
        RetentionRule(template="pu*", metric="t", raw_days=4, rollup_days=6),
    )
    play.maintain(now_ms)
    assert kept_days(play, "t") == (4, 6)
    assert kept_days(play, "air.co2") == (20, 30)


def test_late_points_of_hours_without_points_add_to_the_rollup(play: Play) -> None:
    now_ms = forty_days(play)
    play.maintain(now_ms)
    day = START + 12 * DAY_MS  # a roll-up, no points any more
    play.keep((day + 5, {"t": 100}))
    for _ in range(2):
        play.decode()
        found = play.store.query(DEVICE, "t", day, day + HOUR_MS, 1).buckets
        assert [(each.count, each.low, each.high) for each in found] == [(2, 12.0, 100.0)]
        play.seal(now_ms)
    assert [at for at, _ in play.store.raw(DEVICE, "t", day, day + HOUR_MS, 9)] == []
    minutes = play.store.query(DEVICE, "t", day, day + HOUR_MS, 60)
    assert (minutes.bucket_ms, [each.count for each in minutes.buckets]) == (60_000, [2])


@pytest.mark.parametrize(
    "rule",
    [
        {"raw_days": 0, "rollup_days": 5},
        {"raw_days": 5, "rollup_days": 4},
        {"raw_days": None, "rollup_days": 4},
        {"raw_days": 10**7, "rollup_days": None},
        {"metric": "", "raw_days": 1, "rollup_days": 1},
        {"template": "x" * 300, "raw_days": 1, "rollup_days": 1},
    ],
)
def test_rules_that_cannot_be_kept_to_are_refused(play: Play, rule: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="retention rule 1"):
        play.store.maintenance.set_rules([RetentionRule(**rule)])
    with pytest.raises(InvalidArgumentError, match="at most"):
        play.store.maintenance.set_rules([RetentionRule(raw_days=1, rollup_days=1)] * 201)


@pytest.mark.usefixtures("sqlite_only")
def test_messages_are_refused_before_the_disk_is_full_and_nothing_acknowledged_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SeriesStore(tmp_path / "hub", retention=Default(), listener=lambda *_: None, reserve_bytes=100 << 20)
    free = 200 << 20

    def statvfs(_: object) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=free >> 12, f_frsize=4096)

    monkeypatch.setattr(os, "statvfs", statvfs)
    number = store.commits.submit(store.restoring.devices([DEVICE])).result()[DEVICE]

    def send(value: int) -> Any:
        block = store.commits.submit(PacketRun(4, number, START + value, packet({"t": value}), 1)).result()
        store.decoder.add(block)
        return block

    send(1)
    free = 99 << 20
    with pytest.raises(DiskReserveError, match="99 MiB left"):
        send(2)
    assert store.is_refusing
    # Everything else goes on: what was acknowledged is decoded and flushed, hours are sealed, old ones deleted.
    while store.decoder.work(1.0):
        pass
    store.commits.submit(store.begin_flush(START)).result()
    store.end_flush(kept=True)
    assert store.raw(DEVICE, "t", START, START + 9, 9) == [(START + 1, 1.0)]
    with pytest.raises(DiskReserveError):
        store.commits.submit(store.restoring.points([], START)).result()
    free = 101 << 20
    send(3)
    assert not store.is_refusing
    store.decoder.work(1.0)
    assert [value for _, value in store.raw(DEVICE, "t", START, START + 9, 9)] == [1.0, 3.0]
    store.close(START)
