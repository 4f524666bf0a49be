# SPDX-License-Identifier: Apache-2.0
"""A guardian's queue with clocks of its own, for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from armillary.engines.equipment.queue import MessageQueue
from armillary.guard.retention import QueueLimits
from armillary.wire.equipment.message import ClockQuality, MessageKind, Outgoing, Stored

NOON = 1_780_000_000.0
TELEMETRY, EVENT, ALARM, AUDIT = MessageKind


class Clocks:
    """Both clocks of a machine."""

    def __init__(self) -> None:
        self.wall = NOON
        self.running = 100.0

    def sleep(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@asynccontextmanager
async def opened(
    folder: Path, clocks: Clocks, limits: QueueLimits | None = None, machine: str = "m1", rate: float = 1e12
) -> AsyncIterator[MessageQueue]:
    queue = MessageQueue(
        folder,
        limits,
        backfill_bytes_per_s=rate,
        clock=lambda: clocks.wall,
        monotonic=lambda: clocks.running,
        machine=machine,
    )
    try:
        yield queue
    finally:
        await queue.close()


def message(
    clocks: Clocks,
    number: int = 0,
    *,
    kind: MessageKind = ALARM,  # which no group waits for
    equipment: str = "espresso1",
    size: int = 0,
    clock: ClockQuality = ClockQuality.SYNCED,
) -> Outgoing:
    body = json.dumps({"n": number, **({"text": "x" * size} if size else {})}).encode()
    return Outgoing(equipment, kind, body, clocks.wall, clocks.running, clock)


def numbers(found: Sequence[Stored]) -> list[int]:
    return [json.loads(each.body)["n"] for each in found]


async def settled(queue: MessageQueue) -> None:
    """Commit what waits."""
    await queue.put([Outgoing("other", ALARM, b"{}", NOON, 0.0, ClockQuality.SYNCED)])
