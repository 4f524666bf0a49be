# SPDX-License-Identifier: Apache-2.0
"""Points that a guardian's queue keeps and gives in a second, each message waiting for the disk with 99 others.

``guardian-queue``: messages of four points are put 100 at a time into an empty queue on this machine's disk (WAL,
``synchronous=FULL``), by the clock; the limit is 20,000 points a second. ``guardian-queue-raw``: the same by SQLite
alone, which inserts the same bytes with the same settings into a table of two columns, in turns with the queue.
``guardian-queue-drain``: as many are taken 100 at a time and acknowledged until the queue is empty.
``guardian-queue-cpu``: what one point costs of a core, put, taken and acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from armillary.engines.equipment.queue import MessageQueue, monotonic
from armillary.engines.equipment.queueing.opening import PAGE_BYTES, WAL_PAGES
from armillary.guard.retention import QueueLimits
from armillary.wire.equipment.message import ClockQuality, Lane, MessageKind, Outgoing
from bench.result import result

ROUNDS = 5
MESSAGES = 10_000  # a round
GROUP = 100
LIMIT_POINTS_PER_S = 20_000.0
LIMIT_US = 10.0  # Of a core for a point, from the equipment to the hub

POINTS = 4  # In each message
BODY = json.dumps({f"pointOfTheCoffeeMachine{number}": 92.5 + number for number in range(POINTS)}).encode()


def run() -> list[dict[str, object]]:
    """Putting, draining, and the same by SQLite alone."""
    points = MESSAGES * POINTS
    puts, drains, cpus, raws = [], [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="queue-", dir=Path.cwd()) as folder:
            raws.append(_bare(Path(folder)))
            put_s, drain_s, cpu_s = asyncio.run(_queue(Path(folder)))
        puts.append(points / put_s)
        drains.append(points / drain_s)
        cpus.append(cpu_s / points * 1e6)
    conditions = (
        f"messages of {POINTS} points and {len(BODY)} bytes, {GROUP} a commit, synchronous=FULL, by the clock,"
        f" median of {ROUNDS} rounds of {MESSAGES:,}"
    )
    put, raw = statistics.median(puts), statistics.median(raws)
    return [
        result("guardian-queue", put, "points/s", ("the limit", LIMIT_POINTS_PER_S), conditions),
        result("guardian-queue-raw", put, "points/s", ("SQLite alone, in turns", raw), conditions),
        result(
            "guardian-queue-drain", statistics.median(drains), "points/s", ("the limit", LIMIT_POINTS_PER_S), conditions
        ),
        result(
            "guardian-queue-cpu",
            statistics.median(cpus),
            "us/point",
            ("the limit of a point's whole way", LIMIT_US),
            f"put, taken and acknowledged; CPU time of the process; {conditions}",
        ),
    ]


async def _queue(folder: Path) -> tuple[float, float, float]:
    """Seconds to put, seconds to drain, CPU seconds of both."""
    queue = MessageQueue(folder, QueueLimits(bytes=64 << 20))
    groups = [_group() for _ in range(MESSAGES // GROUP)]
    worked, began = time.process_time(), time.perf_counter()
    for group in groups:
        await queue.put(group)
    put_s = time.perf_counter() - began
    began = time.perf_counter()
    while found := await queue.take(Lane.LIVE, GROUP):
        queue.acknowledge(each.sequence for each in found)
    await queue.flush()
    drain_s = time.perf_counter() - began
    worked = time.process_time() - worked
    if queue.counters.messages:
        raise RuntimeError("the queue is not empty")
    await queue.close()
    return put_s, drain_s, worked


def _group() -> Sequence[Outgoing]:
    at, running = time.time(), monotonic()
    return [Outgoing("espresso1", MessageKind.TELEMETRY, BODY, at, running, ClockQuality.SYNCED) for _ in range(GROUP)]


def _bare(folder: Path) -> float:
    """Points that SQLite alone inserts in a second."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in (
        f"page_size={PAGE_BYTES}",
        "journal_mode=WAL",
        "synchronous=FULL",
        f"wal_autocheckpoint={WAL_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE message (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    began = time.perf_counter()
    for _ in range(MESSAGES // GROUP):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO message (body) VALUES (?)", [(BODY,)] * GROUP)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    return MESSAGES * POINTS / seconds
