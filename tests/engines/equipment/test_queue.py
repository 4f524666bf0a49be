# SPDX-License-Identifier: Apache-2.0
"""The guardian's queue: lanes, settling, room, time, and what becomes of a full disk and a damaged file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.engines.equipment.queue_story import (
    ALARM,
    AUDIT,
    EVENT,
    NOON,
    TELEMETRY,
    Clocks,
    clocks,
    message,
    numbers,
    opened,
    settled,
)
from tests.fixtures.waiting import until

from armillary.engines.equipment.queue import MessageQueue
from armillary.engines.equipment.queueing.file import MAX_REJECTS, Batch
from armillary.engines.equipment.queueing.group import GROUP_SETTLED, Group
from armillary.engines.equipment.queueing.lanes import LIVE_S
from armillary.errors import WireError
from armillary.guard.clock import Pair
from armillary.guard.retention import QueueLimits
from armillary.wire.equipment.faults import QueueError
from armillary.wire.equipment.message import MAX_BODY_BYTES, ClockQuality, Lane, MessageKind, Outgoing, Stored

__all__ = ["clocks"]


def test_what_was_put_is_taken_once_and_goes_when_it_is_acknowledged(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, number) for number in range(5)])
            first = await queue.take(Lane.LIVE, 3)
            assert numbers(first) == [0, 1, 2]
            assert numbers(await queue.take(Lane.LIVE, 9)) == [3, 4]
            assert await queue.take(Lane.LIVE, 9) == []
            assert [each.place.after for each in first] == [0, 1, 2]
            queue.acknowledge(each.sequence for each in first)
            await settled(queue)
            assert queue.counters.messages == 3
            assert queue.counters.acknowledged == 3
            queue.release()
            again = await queue.take(Lane.LIVE, 2)
            assert numbers(again) == [3, 4]
            assert [each.place.floor for each in again] == [4, 4]

    asyncio.run(story())


def test_what_nobody_took_cannot_be_acknowledged(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks)])
            queue.acknowledge([1, 77])
            await settled(queue)
            assert numbers(await queue.take(Lane.LIVE, 1, "espresso1")) == [0]

    asyncio.run(story())


def test_pieces_of_equipment_are_taken_and_released_each_for_itself(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, number, equipment=f"espresso{number % 2}") for number in range(6)])
            even = await queue.take(Lane.LIVE, 9, "espresso0")
            assert numbers(even) == [0, 2, 4]
            assert [(each.sequence, each.place.after, each.place.floor) for each in even] == [
                (1, 0, 1),
                (3, 1, 1),
                (5, 3, 1),
            ]
            assert numbers(await queue.take(Lane.LIVE, 9, "espresso1")) == [1, 3, 5]
            queue.release("espresso1")
            assert await queue.take(Lane.LIVE, 9, "espresso0") == []
            assert numbers(await queue.take(Lane.LIVE, 9, "espresso1")) == [1, 3, 5]
            assert await queue.take(Lane.LIVE, 9, "unknown") == []

    asyncio.run(story())


def test_what_waited_for_a_minute_or_a_restart_is_backfill(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, 1)])
            clocks.sleep(LIVE_S + 1)
            await queue.put([message(clocks, 2)])
            live, old = await queue.take(Lane.LIVE, 9), await queue.take(Lane.BACKFILL, 9)
            assert (numbers(live), numbers(old)) == ([2], [1])
            assert "historical" not in live[0].properties
            assert old[0].properties["historical"] == "true"
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, 3)])
            assert numbers(await queue.take(Lane.BACKFILL, 9)) == [1, 2]
            found = await queue.take(Lane.LIVE, 9)
            assert numbers(found) == [3]
            assert (found[0].sequence, found[0].place.after, found[0].place.floor) == (3, 0, 3)

    asyncio.run(story())


def test_backfill_has_its_rate(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks, rate=1000.0) as queue:
            await queue.put([message(clocks, number, size=990) for number in range(100)])
            clocks.sleep(LIVE_S + 1)
            taken = 0
            for _ in range(600):  # a minute
                taken += len(await queue.take(Lane.BACKFILL, 1))
                clocks.sleep(0.1)
            assert 58 <= taken <= 62
            assert queue.backfill_wait_s() <= 1.1

    asyncio.run(story())


def without_reads(queue: MessageQueue, patch: pytest.MonkeyPatch) -> None:
    """Have the queue read nothing from its file for whoever takes."""

    def read(*_: object) -> list[Stored]:
        raise AssertionError("read from the file")

    patch.setattr(queue._file, "read_again", read)


def test_who_follows_takes_what_a_commit_put_without_reading_it_again(
    tmp_path: Path, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, number, equipment=f"espresso{number % 2}") for number in range(4)])
            assert numbers(await queue.take(Lane.LIVE, 9, "espresso0")) == [0, 2]
            await queue.put([message(clocks, number, equipment=f"espresso{number % 2}") for number in range(4, 10)])
            with monkeypatch.context() as patch:
                without_reads(queue, patch)
                found = await queue.take(Lane.LIVE, 2, "espresso0")
                found += await queue.take(Lane.LIVE, 9, "espresso0")
            assert numbers(found) == [4, 6, 8]
            assert await queue.take(Lane.LIVE, 9, "espresso0") == []
            queue.release("espresso0")
            again = await queue.take(Lane.LIVE, 9, "espresso0")
            assert numbers(again) == [0, 2, 4, 6, 8]
            assert again[2:] == found, "as they are in the file"
            with monkeypatch.context() as patch:
                without_reads(queue, patch)
                with pytest.raises(AssertionError, match="read from the file"):
                    await queue.take(Lane.LIVE, 9, "espresso1")  # It has not taken what was before
            assert numbers(await queue.take(Lane.LIVE, 9, "espresso1")) == [1, 3, 5, 7, 9]
            await queue.put([message(clocks, 10, equipment="espresso1")])
            last = await queue.take(Lane.LIVE, 9)  # By somebody who takes of all
            assert numbers(last) == [10]
            assert await queue.take(Lane.LIVE, 9, "espresso1") == []
            queue.acknowledge(each.sequence for each in last)
            await queue.flush()
            assert await queue.take(Lane.LIVE, 9, "espresso1") == [], "it is settled"

    asyncio.run(story())


def test_what_a_commit_put_is_taken_after_what_is_taken_again_and_only_while_it_is_live(
    tmp_path: Path, clocks: Clocks
) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, 1)])
            (first,) = await queue.take(Lane.LIVE, 9, "espresso1")
            queue.reject(first.sequence, "not now")
            await queue.put([message(clocks, 2), message(clocks, 3)])
            assert numbers(await queue.take(Lane.LIVE, 9, "espresso1")) == [1]
            assert numbers(await queue.take(Lane.LIVE, 1, "espresso1")) == [2]
            clocks.sleep(LIVE_S + 1)
            assert await queue.take(Lane.LIVE, 9, "espresso1") == []
            assert numbers(await queue.take(Lane.BACKFILL, 9, "espresso1")) == [3]

    asyncio.run(story())


def test_a_message_that_is_rejected_comes_again_and_is_set_aside_in_the_end(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, number) for number in range(3)])
            await queue.take(Lane.LIVE, 9)
            for _ in range(MAX_REJECTS):
                queue.reject(2, "too ugly for the hub")
                await settled(queue)
                found = await queue.take(Lane.LIVE, 9, "espresso1")
            assert found == []
            assert await queue.set_aside() == [(2, "espresso1", "too ugly for the hub", b'{"n": 1}')]
            assert queue.counters.set_aside == 1
        async with opened(tmp_path, clocks) as queue:
            assert numbers(await queue.take(Lane.BACKFILL, 9, "espresso1")) == [0, 2]
            assert queue.counters.set_aside == 1

    asyncio.run(story())


def test_a_file_that_cannot_be_read_gives_nothing_and_ends_nobody(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, 1)])
            (found,) = await queue.take(Lane.LIVE, 9)
            queue.reject(found.sequence, "not now")
            await settled(queue)
            queue._file._connection.close()
            assert await queue.take(Lane.LIVE, 9) == [], "what was rejected is read by itself"
            assert queue.counters.disk_failures > 0

    asyncio.run(story())


def test_a_group_is_one_commit(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            commits = 0
            commit = queue._file.commit

            def counted(*arguments: object) -> object:
                nonlocal commits
                commits += 1
                return commit(*arguments)  # type: ignore[arg-type]

            queue._file.commit = counted  # type: ignore[method-assign,assignment]
            puts = [queue.put([message(clocks, number, kind=TELEMETRY)]) for number in range(100)]
            await asyncio.gather(*puts)
            assert commits == 1
            await queue.put([message(clocks, 100, kind=TELEMETRY)])  # alone: after its time
            assert commits == 2

    asyncio.run(story())


def test_acknowledgements_that_the_disk_refuses_are_given_again_after_a_pause() -> None:
    commits: list[int] = []

    async def refused(batch: Batch) -> bool:
        commits.append(len(batch.acknowledged))
        await asyncio.sleep(0)
        return False

    async def story() -> None:
        group = Group(refused)
        group.settle(acknowledged=range(GROUP_SETTLED))
        for _ in range(100):
            await asyncio.sleep(0)
        assert commits == [GROUP_SETTLED], "not again and again without a pause"
        await until(lambda: len(commits) > 1, "the next try")
        await group.close()

    asyncio.run(story())


def test_a_body_beyond_the_limit_is_refused_whole(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            with pytest.raises(WireError, match="245761 bytes"):
                await queue.put([message(clocks), Outgoing("e", ALARM, b"x" * (MAX_BODY_BYTES + 1), 0, 0, "synced")])  # type: ignore[arg-type]
            assert queue.counters.messages == 0

    asyncio.run(story())


def test_who_watches_hears_of_what_came_and_what_was_released(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            heard: list[str] = []
            queue.watch(lambda: heard.append("any"))
            queue.watch(lambda: heard.append("espresso1"), "espresso1")
            queue.watch(lambda: heard.append("other"), "other")
            await queue.put([message(clocks)])
            assert heard == ["any", "espresso1"]
            queue.acknowledge([each.sequence for each in await queue.take(Lane.LIVE, 10)])
            await queue.flush()
            assert len(heard) == 2  # Nothing more to take
            queue.release("other")
            assert heard[2:] == ["any", "other"]
            queue.release()
            assert heard[4:] == ["any", "espresso1", "other"]
            await queue.put([message(clocks)])
            (taken,) = await queue.take(Lane.LIVE, 10)
            queue.reject(taken.sequence, "too new")
            await queue.flush()
            assert heard[9:] == ["any", "espresso1", "other"]

    asyncio.run(story())


def test_a_full_queue_gives_up_telemetry_then_events_and_tells_it(tmp_path: Path, clocks: Clocks) -> None:
    limits = QueueLimits(bytes=500_000)

    async def story() -> None:
        async with opened(tmp_path, clocks, limits) as queue:
            await queue.put([message(clocks, kind=kind, size=1000) for kind in MessageKind for _ in range(50)])
            for _ in range(10):
                await queue.put([message(clocks, number, kind=TELEMETRY, size=1000) for number in range(100)])
            counters = queue.counters
            assert set(counters.dropped) == {"telemetry"}
            assert counters.causes == {"space": counters.dropped["telemetry"]}
            assert counters.messages + counters.dropped["telemetry"] == 1200
            for _ in range(4):
                await queue.put([message(clocks, kind=AUDIT, size=1000) for _ in range(50)])
            assert queue._file.tally.messages[TELEMETRY] < 40
            assert queue._file.tally.messages[ALARM] == 50
            assert (tmp_path / "queue.db").stat().st_size <= limits.bytes + (2 << 20)
            told: list[Stored] = []
            await queue.take(Lane.LIVE, 9)
            await settled(queue)
            while found := await queue.take(Lane.LIVE, 500):
                told += [each for each in found if each.equipment == ""]
            dropped = {key: value for key, value in queue.counters.dropped.items() if value}
            assert [json.loads(each.body) for each in told] == [
                {"dropped": {kind: {"space": count} for kind, count in dropped.items()}}
            ]
        async with opened(tmp_path, clocks, limits) as queue:
            assert queue.counters.dropped == dropped
            await queue.take(Lane.LIVE, 1)
            await settled(queue)
            assert numbers(await queue.take(Lane.LIVE, 9, "")) == []  # it was told once

    asyncio.run(story())


def test_what_is_too_old_goes_by_the_clock_that_only_runs(tmp_path: Path, clocks: Clocks) -> None:
    limits = QueueLimits(age_s=1000.0)

    async def story() -> None:
        async with opened(tmp_path, clocks, limits) as queue:
            await queue.put([message(clocks, kind=kind) for kind in MessageKind])
            clocks.wall -= 10**9  # set back by 30 years
            clocks.running += 900
            await queue.put([message(clocks, 1, kind=EVENT), message(clocks, 1)])
            assert queue.counters.dropped == {}
            clocks.wall += 2 * 10**9
            clocks.running += 101
            await settled(queue)
            assert queue.counters.dropped == {"telemetry": 1, "event": 1}
            assert queue.counters.causes == {"age": 2}

    asyncio.run(story())


def test_times_are_corrected_once_the_time_is_known_and_what_was_said_is_kept(tmp_path: Path, clocks: Clocks) -> None:
    clocks.wall = 1000.0  # never set

    async def story() -> None:
        unsynced = ClockQuality.UNSYNCED
        async with opened(tmp_path, clocks, machine="m0") as queue:
            await queue.put([message(clocks, 0, clock=unsynced)])  # another start of the machine: nothing can be known
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, 1, clock=unsynced)])
        clocks.sleep(50)
        async with opened(tmp_path, clocks) as queue:
            clocks.wall += 12345  # somebody stepped it, wrongly
            await queue.put([message(clocks, 2, clock=unsynced), message(clocks, 3)])
            clocks.running += 50
            assert await queue.correct_clock(Pair(NOON, clocks.running))
            found = await queue.take(Lane.BACKFILL, 9) + await queue.take(Lane.LIVE, 9)
            assert [(each.at, each.clock_said, each.clock.value) for each in found] == [
                (1000.0, None, "unsynced"),
                (NOON - 100, 1000.0, "synced"),
                (NOON - 50, 13395.0, "synced"),
                (13395.0, None, "synced"),
            ]
            assert queue.counters.oldest_s is None

    asyncio.run(story())


def test_one_process_has_the_queue(tmp_path: Path, clocks: Clocks) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks):
            with pytest.raises(QueueError, match="locked"):
                async with opened(tmp_path, clocks):
                    pass

    asyncio.run(story())


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path: Path, clocks: Clocks) -> None:
    with pytest.raises(QueueError, match="No such file"):
        MessageQueue(tmp_path / "none", clock=lambda: 0.0, monotonic=lambda: 0.0)
    (tmp_path / "queue.db").write_bytes(b"")
    other = tmp_path / "other"
    other.mkdir()
    (other / "queue.db").mkdir()
    with pytest.raises(QueueError, match="cannot be opened"):
        MessageQueue(other, clock=lambda: 0.0, monotonic=lambda: 0.0)


@pytest.mark.parametrize("damage", ["all", "page"])
def test_a_damaged_file_is_put_aside_and_told(tmp_path: Path, clocks: Clocks, damage: str) -> None:
    async def story() -> None:
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, number, size=3000) for number in range(50)])
        file = tmp_path / "queue.db"
        content = bytearray(file.read_bytes())
        content[0 if damage == "all" else 4096 : 40_000] = b"\xa5" * (40_000 - (0 if damage == "all" else 4096))
        file.write_bytes(content)
        async with opened(tmp_path, clocks) as queue:
            await queue.put([message(clocks, 1)])
            await queue.take(Lane.LIVE, 9)
            await settled(queue)
            assert queue.counters.causes["damaged"] >= 1
            assert (tmp_path / "queue.damaged").exists()
            told = await queue.take(Lane.LIVE, 9, "") or await queue.take(Lane.LIVE, 9)
            assert any(b"damaged" in each.body for each in told)

    asyncio.run(story())
