# SPDX-License-Identifier: Apache-2.0
"""Many devices at once: sums over groups against the points themselves, latest values, limits."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import pytest
from tests.engines.series.play import START, packet
from tests.postgresql import database_of

from armillary.engines.hub.devices import enrolled
from armillary.engines.series.log.blocks import PacketRun
from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore
from armillary.engines.series.values import fleet
from armillary.engines.series.values.chunks import HOUR_MS
from armillary.errors import InvalidArgumentError

DEVICES = [f"{number:0128x}" for number in range(30)]
POINTS = 1500
HOURS = 5


class Fleet:
    """A store with thirty devices and five hours of points: sealed, hot, late and in the tail."""

    def __init__(self, folder: Path) -> None:
        self.store = SeriesStore(folder, retention=Retention(), listener=lambda *_: None, database=database_of(folder))
        commits = self.store.commits
        self.numbers = [commits.submit(enrolled(each, now_ms=0, clean=False)).result().number for each in DEVICES]
        chance = random.Random(5)  # noqa: S311 - the same in every run
        self.points: list[tuple[str, int, float]] = []
        for step in range(POINTS):
            device = chance.randrange(len(DEVICES) - 1)  # the last one never sends a number
            at = START + chance.randrange(HOURS * HOUR_MS)
            value = round(chance.uniform(-50, 50), 2)
            self.points.append((DEVICES[device], at, value))
            run = PacketRun(4, self.numbers[device], at, packet({"t": value, "other": 1, "s": "x"}), 1)
            self.store.decoder.add(commits.submit(run).result())
            if step in (500, 1000, 1300):
                self.flush()
            if step == 1000:
                change = self.store.maintenance.begin(START + 4 * HOUR_MS)
                while commits.submit(change).result():
                    pass
                self.store.maintenance.end(more=False)
        while self.store.decoder.work(1.0):
            pass

    def flush(self) -> None:
        while self.store.decoder.work(1.0):
            pass
        self.store.commits.submit(self.store.begin_flush(START)).result()
        self.store.end_flush(kept=True)

    def expected(self, devices: set[str], width: int) -> list[tuple[int, int, float, float, float]]:
        gathered: dict[int, list[float]] = defaultdict(list)
        for device, at, value in self.points:
            if device in devices:
                gathered[at - at % width].append(value)
        return [
            (start, len(values), min(values), max(values), round(sum(values), 6))
            for start, values in sorted(gathered.items())
        ]


@pytest.fixture(scope="module")
def thirty(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Fleet:  # type: ignore[misc]
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    yield made
    made.store.close(START)


def summed(thirty: Fleet, devices: list[str] | None, points: int) -> list[tuple[int, int, float, float, float]]:
    found = thirty.store.fleet.over_time(devices, "t", START, START + HOURS * HOUR_MS, points)
    for each in found.buckets:
        assert each.mean == pytest.approx(each.total / each.count)
    return [(each.start_ms, each.count, each.low, each.high, round(each.total, 6)) for each in found.buckets]


@pytest.mark.parametrize(("points", "width"), [(5, HOUR_MS), (60, 300_000), (300, 60_000), (2, 3 * HOUR_MS)])
@pytest.mark.parametrize("group", [None, DEVICES[:7], DEVICES[3:4], DEVICES])
def test_sums_over_a_group_are_those_of_its_points(
    thirty: Fleet, points: int, width: int, group: list[str] | None
) -> None:
    assert summed(thirty, group, points) == thirty.expected(set(group or DEVICES), width)


def test_there_is_something_of_every_state_in_the_fleet(thirty: Fleet) -> None:
    for query in ("SELECT count(*) FROM hot", "SELECT count(*) FROM chunk", "SELECT count(*) FROM fleet"):
        assert thirty.store.read(lambda connection, query=query: connection.execute(query).fetchone()[0])  # type: ignore[misc]
    assert thirty.store.tail.present.points


def test_minutes_of_too_many_devices_become_hours(thirty: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "MAX_DEVICE_HOURS", 100)
    assert thirty.store.fleet.over_time(None, "t", START, START + HOURS * HOUR_MS, 300).bucket_ms == HOUR_MS
    assert thirty.store.fleet.over_time(DEVICES[:9], "t", START, START + HOURS * HOUR_MS, 300).bucket_ms == 60_000


def test_nobody_and_nothing_are_empty(thirty: Fleet) -> None:
    for devices, metric in (([], "t"), (["ff" * 64], "t"), (None, "nothing"), (DEVICES[-1:], "t"), (None, "s")):
        assert thirty.store.fleet.over_time(devices, metric, START, START + HOUR_MS, 10).buckets == ()
    assert thirty.store.fleet.over_time(None, "t", 0, 1, 10).buckets == ()
    for start, end, points in ((5, 5, 10), (0, 5, 0), (0, 5, 10**9)):
        with pytest.raises(InvalidArgumentError):
            thirty.store.fleet.over_time(None, "t", start, end, points)


@pytest.mark.parametrize("group", [None, DEVICES[4:9]])
def test_latest_values_of_many_devices(thirty: Fleet, group: list[str] | None) -> None:
    newest: dict[str, tuple[int, float]] = {}
    for device, at, value in thirty.points:
        if at >= newest.get(device, (0, 0))[0]:
            newest[device] = (at, value)
    wanted = set(group or DEVICES)
    expected = [(device, *newest[device]) for device in DEVICES if device in newest and device in wanted]
    assert thirty.store.fleet.latest(group, "t", 100) == expected
    assert thirty.store.fleet.latest(group, "t", 3) == expected[:3]
    assert {value for _, _, value in thirty.store.fleet.latest(group, "s", 100)} == {"x"}
    assert thirty.store.fleet.latest(group, "nothing", 100) == []
