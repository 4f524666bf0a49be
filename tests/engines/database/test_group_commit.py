# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.fixtures.waiting import DEADLINE_S

from armillary.engines.database.group_commit import GroupCommit, LoopSink, Rejected
from armillary.errors import ConflictError, RateLimitedError

Queue = GroupCommit[int, int]


class Journal:
    """A commit function that records batches and can be held."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.closed_in: str | None = None

    def commit(self, items: Sequence[int]) -> list[int | Rejected]:
        self.entered.set()
        assert self.gate.wait(10)
        if -1 in items:
            raise OSError(28, "No space left on device")
        self.batches.append(list(items))
        return [Rejected(ConflictError(f"{item} is odd")) if item % 2 else item * 10 for item in items]

    def close(self) -> None:
        self.closed_in = threading.current_thread().name

    def hold(self) -> None:
        self.gate.clear()
        self.entered.clear()


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
def queue(journal: Journal):
    commits = GroupCommit(
        journal.commit, name="test-writer", max_queued_weight=8, max_batch_weight=4, on_close=journal.close
    )
    yield commits
    journal.gate.set()
    commits.close()


def test_outcomes_follow_their_items(queue: Queue):
    futures = [queue.submit(item) for item in (2, 3, 4)]
    assert futures[0].result(DEADLINE_S) == 20
    with pytest.raises(ConflictError, match="3 is odd"):
        futures[1].result(DEADLINE_S)
    assert futures[2].result(DEADLINE_S) == 40


def test_items_queued_during_a_commit_form_one_batch(queue: Queue, journal: Journal):
    journal.hold()
    first = queue.submit(0)
    assert journal.entered.wait(DEADLINE_S)
    rest = [queue.submit(item) for item in (2, 4, 6)]
    assert not first.done()
    journal.gate.set()
    assert [future.result(DEADLINE_S) for future in rest] == [20, 40, 60]
    assert journal.batches == [[0], [2, 4, 6]]
    assert queue.batches == 2
    assert queue.queued == 0


def test_a_batch_is_cut_at_its_weight_and_keeps_order(queue: Queue, journal: Journal):
    journal.hold()
    futures = [queue.submit(0)]
    assert journal.entered.wait(DEADLINE_S)
    futures += [queue.submit(item, weight=weight) for item, weight in ((2, 2), (4, 2), (6, 3))]
    journal.gate.set()
    for future in futures:
        future.result(DEADLINE_S)
    assert journal.batches == [[0], [2, 4], [6]]


def test_a_failed_commit_reaches_everybody_and_the_thread_goes_on(queue: Queue, journal: Journal):
    journal.hold()
    queue.submit(0)
    assert journal.entered.wait(DEADLINE_S)
    futures = [queue.submit(item) for item in (2, -1)]
    journal.gate.set()
    for future in futures:
        with pytest.raises(OSError, match="No space"):
            future.result(DEADLINE_S)
    assert queue.submit(8).result(DEADLINE_S) == 80


def test_a_wrong_number_of_outcomes_is_an_error_not_a_hang():
    commits = GroupCommit(lambda _: [], name="short")
    with pytest.raises(RuntimeError, match="1 items gave 0 outcomes"):
        commits.submit(1).result(DEADLINE_S)
    commits.close()


def test_a_thread_waits_for_room_and_a_loop_is_refused(queue: Queue, journal: Journal):
    journal.hold()
    queue.submit(0, weight=8)
    assert journal.entered.wait(DEADLINE_S)
    loop = asyncio.new_event_loop()
    with pytest.raises(RateLimitedError) as refused:
        queue.post(2, LoopSink(loop, lambda *_: None))
    assert refused.value.retry_after_s > 0
    loop.close()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: queue.submit(4).result(DEADLINE_S))
        assert not waiting.done()
        journal.gate.set()
        assert waiting.result(DEADLINE_S) == 40
    assert journal.batches == [[0], [4]]


def test_a_full_queue_ends_in_try_later(queue: Queue, journal: Journal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("armillary.engines.database.group_commit.ROOM_TIMEOUT_S", 0.01)
    journal.hold()
    queue.submit(0, weight=8)
    assert journal.entered.wait(DEADLINE_S)
    with pytest.raises(RateLimitedError, match="test-writer: the queue is full"):
        queue.submit(2)


def test_an_item_heavier_than_the_limit_is_let_in_alone(queue: Queue):
    assert queue.submit(2, weight=100).result(DEADLINE_S) == 20


def test_a_loop_gets_one_callback_per_batch(queue: Queue, journal: Journal):
    async def play() -> list[tuple[list[int], list[int | Rejected]]]:
        calls: list[tuple[list[int], list[int | Rejected]]] = []
        done = asyncio.Event()

        def deliver(items: list[int], outcomes: list[int | Rejected]) -> None:
            calls.append((items, outcomes))
            if sum(len(items) for items, _ in calls) == 4:
                done.set()

        sink = LoopSink(asyncio.get_running_loop(), deliver)
        journal.hold()
        queue.post(0, sink)
        assert await asyncio.to_thread(journal.entered.wait, 5)
        for item in (2, 4, 6):
            queue.post(item, sink)
        journal.gate.set()
        await asyncio.wait_for(done.wait(), 5)
        return calls

    assert asyncio.run(play()) == [([0], [0]), ([2, 4, 6], [20, 40, 60])]


def test_run_waits_without_blocking_the_loop(queue: Queue):
    async def play() -> None:
        assert await asyncio.gather(*(queue.run(item) for item in (2, 4, 6))) == [20, 40, 60]
        with pytest.raises(ConflictError):
            await queue.run(3)

    asyncio.run(play())


def test_cancelled_waiters_do_not_stop_the_thread(queue: Queue, journal: Journal):
    async def play() -> None:
        journal.hold()
        task = asyncio.create_task(queue.run(2))
        assert await asyncio.to_thread(journal.entered.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        journal.gate.set()

    asyncio.run(play())
    journal.hold()
    queue.submit(4)
    assert journal.entered.wait(DEADLINE_S)
    given_up = queue.submit(6)
    assert given_up.cancel()
    journal.gate.set()
    assert queue.submit(8).result(DEADLINE_S) == 80
    assert [2] in journal.batches


def test_close_flushes_and_then_refuses(journal: Journal):
    commits = GroupCommit(journal.commit, name="closing", on_close=journal.close)
    journal.hold()
    futures = [commits.submit(item) for item in (0, 2, 4)]
    closer = threading.Thread(target=commits.close)
    closer.start()
    journal.gate.set()
    closer.join(DEADLINE_S)
    assert [future.result(0) for future in futures] == [0, 20, 40]
    assert journal.closed_in == "closing"
    with pytest.raises(RateLimitedError, match="closing"):
        commits.submit(6)
    commits.close()
