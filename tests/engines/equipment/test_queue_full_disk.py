# SPDX-License-Identifier: Apache-2.0
"""A disk without room costs a guardian telemetry, and nothing else: alarms and audit are kept, and it goes on."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.equipment.queue_story import AUDIT, TELEMETRY, Clocks, clocks, message, numbers, opened

from armillary.engines.equipment.queue import MessageQueue
from armillary.engines.equipment.queueing import opening
from armillary.engines.equipment.queueing.file import LOOK_S
from armillary.guard.retention import QueueLimits
from armillary.wire.equipment.message import Lane, MessageKind

__all__ = ["clocks"]

DISK_BYTES = 3 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 3 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small disk; to enable: sudo make test ARGS=tests/engines/equipment")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here ({mounted.stderr.decode().strip()}): run it outside of a container")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def fill(queue: MessageQueue, clocks: Clocks, count: int) -> None:
    for start in range(0, count, 100):
        await queue.put([message(clocks, start + each, kind=TELEMETRY, size=1000) for each in range(100)])


async def is_kept_and_goes_on(queue: MessageQueue, clocks: Clocks) -> None:
    """After the disk is full: important messages are kept, telemetry too once there is room."""
    lost = queue.counters.dropped["telemetry"]
    assert lost > 0
    assert queue.counters.disk_failures > 0
    held = queue.counters.messages
    for number in range(20):
        await queue.put([message(clocks, 100_000 + number, kind=AUDIT, size=1000)])
    assert queue.counters.dropped.get("audit", 0) == 0
    assert queue._file.tally.messages[AUDIT] == 20
    while found := await queue.take(Lane.LIVE, 200):
        queue.acknowledge(each.sequence for each in found)
        await queue.flush()
    assert queue.counters.acknowledged >= held - 200  # some made room for the audit
    clocks.sleep(LOOK_S)
    await queue.flush()
    lost = queue.counters.dropped["telemetry"]
    await fill(queue, clocks, 500)
    assert queue.counters.dropped["telemetry"] == lost


def test_a_file_system_without_room_costs_telemetry_only(small_disk: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(small_disk, clocks, QueueLimits(bytes=64 << 20)) as queue:
            await fill(queue, clocks, 5000)
            counters = queue.counters
            assert counters.messages + counters.dropped["telemetry"] == 5000
            await is_kept_and_goes_on(queue, clocks)

    asyncio.run(story())


def test_others_that_fill_the_disk_are_outlived(small_disk: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(small_disk, clocks, QueueLimits(bytes=64 << 20)) as queue:
            await fill(queue, clocks, 300)
            ballast = small_disk / "ballast"
            with ballast.open("wb") as file:  # to the last byte
                size = os.statvfs(small_disk).f_bavail * 4096
                os.posix_fallocate(file.fileno(), 0, size)
            await fill(queue, clocks, 1500)
            assert queue.counters.causes["disk"] > 0
            await queue.put([message(clocks, 7, kind=AUDIT, size=500)])
            ballast.unlink()
            clocks.sleep(LOOK_S)
            await queue.put([message(clocks, 8, kind=AUDIT, size=500)])
            await fill(queue, clocks, 100)
            assert queue._file.tally.messages[AUDIT] == 2
        async with opened(small_disk, clocks, QueueLimits(bytes=64 << 20)) as queue:
            found = await queue.take(Lane.BACKFILL, 10**6)
            while more := await queue.take(Lane.BACKFILL, 10**6):
                found += more
            assert numbers([each for each in found if each.kind is AUDIT]) == [7, 8]
            assert queue.counters.causes["disk"] > 0  # it is remembered

    asyncio.run(story())


def test_a_quota_of_pages_costs_telemetry_only(tmp_path: Path, clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = QueueLimits(bytes=4 << 20)
    monkeypatch.setattr(opening, "SLACK_PAGES", -512)  # SQLite refuses before the queue would

    async def story() -> None:
        async with opened(tmp_path, clocks, limits) as queue:
            await fill(queue, clocks, 5000)
            assert (tmp_path / "queue.db").stat().st_size <= 2 << 20
            await is_kept_and_goes_on(queue, clocks)

    asyncio.run(story())


def test_the_largest_file_that_the_sandbox_allows_bounds_the_queue(tmp_path: Path, clocks: Clocks) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def story() -> None:
        async with opened(tmp_path, clocks, QueueLimits(bytes=64 << 20)) as queue:
            await fill(queue, clocks, 5000)
            await queue.put([message(clocks, number, kind=AUDIT, size=1000) for number in range(20)])
            counters = queue.counters
            assert (counters.disk_failures, set(counters.causes)) == (0, {"space"})
            assert queue._file.tally.messages[AUDIT] == 20

    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, before[1]))  # as MutableStorage is limited
    try:
        asyncio.run(story())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_gone_stops_nothing(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        folder = tmp_path / "queue"
        folder.mkdir()
        async with opened(folder, clocks) as queue:
            await queue.put([message(clocks, 1)])
            queue._file._connection.close()  # as after an error of the disk under it
            await queue.put([message(clocks, 2), message(clocks, 3, kind=TELEMETRY)])
            counters = queue.counters
            assert counters.disk_failures == 3
            assert counters.dropped == {"alarm": 1, "telemetry": 1}
            assert counters.causes == {"disk": 2}

    asyncio.run(story())


def test_acknowledgements_that_the_disk_refused_are_tried_again(
    tmp_path: Path, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, number) for number in range(3)])
            found = await queue.take(Lane.LIVE, 2)
            with monkeypatch.context() as refusing:

                def refuse(*_: object, **__: object) -> frozenset[int]:
                    raise sqlite3.OperationalError("disk I/O error")

                refusing.setattr(queue._file, "_transaction", refuse)
                queue.acknowledge(each.sequence for each in found)
                await queue.flush()
                assert queue.counters.messages == 3
                queue.release()
                assert numbers(await queue.take(Lane.LIVE, 9)) == [2]  # those are not sent again
            await queue.flush()
            assert queue.counters.messages == 1

    asyncio.run(story())


def test_a_fault_of_ours_reaches_who_puts_and_stops_nothing(
    tmp_path: Path, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, 1)])
            found = await queue.take(Lane.LIVE, 1)
            with monkeypatch.context() as broken:

                def fail(*_: object) -> None:
                    raise RuntimeError("a bug")

                broken.setattr(queue._file, "commit", fail)
                queue.acknowledge(each.sequence for each in found)
                with pytest.raises(RuntimeError, match="a bug"):
                    await queue.put([message(clocks, 2)])
            await queue.put([message(clocks, 3)])
            assert numbers(await queue.take(Lane.LIVE, 9)) == [3]
            assert queue.counters.messages == 1

    asyncio.run(story())


@pytest.mark.parametrize("kind", list(MessageKind))
def test_each_kind_is_given_up_only_after_the_lower_ones(
    tmp_path: Path, clocks: Clocks, kind: MessageKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SLACK_PAGES", 2048)

    async def story() -> None:
        async with opened(tmp_path, clocks, QueueLimits(bytes=1 << 20)) as queue:
            for lower in MessageKind:
                await queue.put([message(clocks, kind=lower, size=1000) for _ in range(100)])
            while not queue._file.tally.dropped[kind, "space"]:
                await queue.put([message(clocks, kind=AUDIT, size=1000) for _ in range(100)])
            assert not any(queue._file.tally.messages[lower] for lower in MessageKind if lower < kind)

    asyncio.run(story())
