# SPDX-License-Identifier: Apache-2.0
"""The series store by itself: points appended a second, and what a dashboard of 10,000 devices over 24 hours costs.

``series-append`` takes values as the decoder hands them over, flushes, seals and rolls up all of them, in CPU time.
``dashboard`` is everything on one page, CPU time of the thread that answers, median of several askings: the fleet's
mean, lowest and highest an hour over a day, those of a group of 2,500, the latest value of every device for the tiles,
and the chart of one device. The last hour of the day is not sealed, and its last points are in the tail.

Where a PostgreSQL server is installed, both again on one (durable, by a socket) with a quarter of the points, by the
clock: it works elsewhere.
"""

from __future__ import annotations

import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore
from armillary.engines.series.values.chunks import HOUR_MS
from armillary.wire.hub.telemetry import Telemetry
from bench.result import result

DEVICES = 10_000
POINTS_PER_DEVICE = 200
POINTS_ON_POSTGRESQL = 50  # it has no floor, and takes a minute for as many
DAY_MS = 24 * HOUR_MS
START = 1_795_478_400_000  # midnight
FLUSH_POINTS = 50_000
IN_TAIL = 500  # more than come in the 15 seconds between two flushes
# ThingsBoard's largest published test of one node: 1,000,000 devices, 36 cores.
PEER = ("a peer's published rate of a node", 33_333.0)
LIMIT_MS = 100.0
ASKINGS = 7


def run() -> list[dict[str, object]]:
    """Both figures from one store, on each engine."""
    return [*_embedded(), *_on_postgresql()]


def _embedded() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as scratch:
        store = SeriesStore(Path(scratch, "hub"), retention=Retention(), listener=lambda *_: None)
        rate, typical, parts = _measured(store, POINTS_PER_DEVICE, time.process_time, time.thread_time)
        size = Path(scratch, "hub", "hub.db").stat().st_size
        store.commits.close()
    points = DEVICES * POINTS_PER_DEVICE
    layout = f"{DEVICES:,} devices, {points:,} points over 24 h"
    askings = f"{layout}, median of {ASKINGS} askings"
    return [
        result(
            "series-append",
            rate,
            "points/CPU-s",
            PEER,
            f"{layout}, in order of time: taken, flushed with synchronous=FULL, sealed and rolled up; "
            f"{size / points:.1f} bytes a point with all roll-ups; in process, one core",
        ),
        result("dashboard", typical, "CPU ms", ("limit", LIMIT_MS), f"{askings}, in process: {parts}"),
    ]


def _on_postgresql() -> list[dict[str, object]]:
    from tests.postgresql import Server, binaries  # noqa: PLC0415 - needs psycopg, and a server

    if binaries() is None:
        return []
    server = Server(durable=True)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            url = server.database("bench")
            store = SeriesStore(Path(scratch, "hub"), retention=Retention(), listener=lambda *_: None, database=url)
            rate, typical, parts = _measured(store, POINTS_ON_POSTGRESQL, time.perf_counter, time.perf_counter)
            query = "SELECT pg_database_size(current_database())"
            size = store.read(lambda connection: connection.execute(query).fetchone()[0])
            store.close(START + DAY_MS)
    finally:
        server.close()
    points = DEVICES * POINTS_ON_POSTGRESQL
    layout = f"PostgreSQL on this machine, by the clock; {DEVICES:,} devices, {points:,} points over 24 h"
    askings = f"{layout}, median of {ASKINGS} askings"
    limit = ("limit of the embedded engine", LIMIT_MS)
    return [
        result(
            "series-append-postgresql",
            rate,
            "points/s",
            PEER,
            f"{layout}: taken, flushed, sealed and rolled up; {size / points:.0f} bytes a point",
        ),
        result("dashboard-postgresql", typical, "ms", limit, f"{askings}: {parts}"),
    ]


def _measured(
    store: SeriesStore, points: int, filling: Callable[[], float], asking: Callable[[], float]
) -> tuple[float, float, str]:
    """Points taken a second of one clock, milliseconds of a dashboard by another, and those of its parts."""
    names = [f"{number:0128x}" for number in range(DEVICES)]
    numbers = list(store.commits.submit(store.restoring.devices(names)).result().values())
    spent = _filled(store, numbers, points, filling)
    return DEVICES * points / spent, *_dashboard(store, names, points, asking)


def _filled(store: SeriesStore, numbers: list[int], points: int, clock: Callable[[], float]) -> float:
    """Put the day in, so many points a device; seconds of the clock spent in the store, its writing thread included."""
    spent = 0.0
    step = DAY_MS // points
    pending = 0
    for turn in range(points):
        at = START + turn * step
        batch = [
            (device, Telemetry(at + device % step, {"temperature": round(20 + 5 * math.sin(turn / 30 + device), 2)}))
            for device in numbers
        ]
        is_last = turn == points - 1
        started = clock()
        for count, (device, telemetry) in enumerate(batch):
            if pending == FLUSH_POINTS or (is_last and count == DEVICES - IN_TAIL):
                flushed_and_sealed(store, turn, at)
                pending = 0
            store.tail.add(turn + 1, device, telemetry)
            pending += 1
        spent += clock() - started
    return spent


def flushed_and_sealed(store: SeriesStore, reaches: int, now_ms: int) -> None:
    store.decoder.decoded_seq = reaches
    store.commits.submit(store.begin_flush(now_ms)).result()
    store.end_flush(kept=True)
    _seal(store, now_ms)


def _seal(store: SeriesStore, now_ms: int) -> None:
    store.maintenance._begun_at = float("-inf")  # noqa: SLF001 - the day goes by in seconds
    more = True
    while more:
        change = store.maintenance.begin(now_ms)
        if change is None:
            raise RuntimeError("maintenance is under way")
        more = store.commits.submit(change).result()
        store.maintenance.end(more=more)


def _dashboard(store: SeriesStore, names: list[str], points: int, clock: Callable[[], float]) -> tuple[float, str]:
    """Milliseconds of the clock of a dashboard, and of its parts."""
    end = START + DAY_MS
    group = names[::4]
    spent: list[list[float]] = []
    slowest = 0.0
    for _ in range(ASKINGS):
        began = time.perf_counter()
        times = [clock()]
        fleet = store.fleet.over_time(None, "temperature", START, end, 24)
        times.append(clock())
        some = store.fleet.over_time(group, "temperature", START, end, 24)
        times.append(clock())
        latest = store.fleet.latest(None, "temperature", DEVICES)
        times.append(clock())
        chart = store.query(names[77], "temperature", START, end, 500)
        times.append(clock())
        slowest = max(slowest, time.perf_counter() - began)
        if (
            sum(each.count for each in fleet.buckets) != DEVICES * points
            or sum(each.count for each in some.buckets) != len(group) * points
            or len(latest) != DEVICES
            or len(chart.buckets) != points
        ):
            raise RuntimeError("the dashboard does not show every point")
        spent.append([(after - before) * 1000 for before, after in itertools.pairwise(times)])
    parts = [statistics.median(each) for each in zip(*spent, strict=True)]
    text = "fleet {:.0f}, group of a quarter {:.0f}, latest of all {:.0f}, one device {:.0f} ms".format(*parts)
    return statistics.median(map(sum, spent)), f"{text}; slowest {slowest * 1000:.0f} ms by the clock"
