# SPDX-License-Identifier: Apache-2.0
"""What is read goes to the queue without waiting for the disk, and waits where the disk does not follow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from armillary.errors import ArmillaryError
from armillary.guard.clock import Pair
from armillary.guardian.clocks import GuardianClock
from armillary.guardian.configuration import EquipmentEntry
from armillary.guardian.equipment import PUTS_LIMIT, Equipment
from armillary.wire.equipment.faults import QueueError
from armillary.wire.equipment.message import ClockQuality, MessageKind, Outgoing

TELEMETRY = Outgoing("espresso1", MessageKind.TELEMETRY, b"{}", 1.0, 1.0, ClockQuality.SYNCED)


class SlowDisk:
    """A queue whose commits end when the test says so."""

    def __init__(self) -> None:
        self.puts: list[asyncio.Future[None]] = []
        self.error: ArmillaryError | None = None

    def begin_put(self, _: Sequence[Outgoing]) -> asyncio.Future[None]:
        if self.error is not None:
            raise self.error
        self.puts.append(asyncio.get_running_loop().create_future())
        return self.puts[-1]


def reading_equipment(queue: SlowDisk) -> Equipment:
    means: Any = SimpleNamespace(clock=GuardianClock(), queue=queue)
    equipment = Equipment(EquipmentEntry(name="espresso1", profile="coffee.dsse"), means)
    observer: Any = SimpleNamespace(take=lambda *_: [TELEMETRY], raised=frozenset())
    equipment._observer = observer
    return equipment


async def take(equipment: Equipment) -> None:
    await equipment._take([], Pair(1.0, 1.0), kept=False)


def test_readings_wait_for_a_disk_that_does_not_follow_and_go_on_with_it():
    async def run() -> None:
        queue = SlowDisk()
        equipment = reading_equipment(queue)
        for _ in range(PUTS_LIMIT):
            await take(equipment)
        further = asyncio.create_task(take(equipment))
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(queue.puts) == PUTS_LIMIT
        queue.puts[0].set_result(None)
        await further
        assert len(queue.puts) == PUTS_LIMIT + 1

    asyncio.run(run())


def test_what_could_not_be_kept_is_in_the_log_and_ends_nothing(capfd: pytest.CaptureFixture[str]):
    async def run() -> None:
        queue = SlowDisk()
        equipment = reading_equipment(queue)
        await take(equipment)
        queue.puts[0].set_exception(QueueError("the disk is gone"))
        await asyncio.sleep(0)
        queue.error = QueueError("the queue is closed")
        await take(equipment)
        queue.error = None
        await take(equipment)
        assert len(queue.puts) == 2

    asyncio.run(run())
    said = "".join(capfd.readouterr())
    assert "espresso1: not kept: the disk is gone" in said
    assert "espresso1: not kept: the queue is closed" in said
