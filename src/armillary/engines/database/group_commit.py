# SPDX-License-Identifier: Apache-2.0
"""Group commit: many submitters, one thread, one transaction per batch.

A durable commit costs one wait for the disk whatever its size. So submitters only queue items: one thread takes
everything that is queued, calls ``commit`` once for all of it, and then delivers each outcome. While one batch waits
for the disk the next one gathers, so the batch size follows the load without any timer.

Rules:

1. An outcome is delivered after the commit that contains the item, never before.
2. Items are committed in the order in which they were submitted.
3. If ``commit`` raises, nothing was committed, and every submitter of the batch gets that error.
   An item that fails alone is reported by ``commit`` as :class:`Rejected` and does not affect others.
4. The queue is bounded by weight. A thread waits for room; an event loop never waits: it gets
   :class:`~armillary.errors.RateLimitedError`, or watches :attr:`GroupCommit.queued` and stops reading.
5. ``close`` commits what is queued, then ends the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from armillary.errors import RateLimitedError

Item = TypeVar("Item")
Result = TypeVar("Result")

# One batch holds at most this much weight: keeps one transaction, and so the longest wait of a submitter, short.
MAX_BATCH_WEIGHT = 20_000

# Queued weight above which submitters are held back: a second or so of work for a slow disk.
MAX_QUEUED_WEIGHT = 100_000

# A thread that finds no room for this long gets an error (seconds).
ROOM_TIMEOUT_S = 30.0
# A commit that takes longer than this is a broken disk (seconds).
COMMIT_TIMEOUT_S = 30.0

# When a refused submitter may try again (seconds).
RETRY_AFTER_S = 2


@dataclass(frozen=True, slots=True)
class Rejected:
    """Outcome of an item that was not committed."""

    error: Exception  # Raised at the submitter of the item


class LoopSink(Generic[Item, Result]):
    """Delivers outcomes to an event loop: one callback in the loop for each batch, however many items it has.

    ``deliver`` is called with the items of this sink in one batch, in order, and their outcomes.
    """

    __slots__ = ("deliver", "loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[list[Item], list[Result | Rejected]], None],
    ) -> None:
        self.loop = loop
        self.deliver = deliver


class GroupCommit(Generic[Item, Result]):
    """A queue, a thread and one commit per batch.

    Args:
        commit: Runs in the thread: keeps all items durably in one transaction and returns one outcome per
            item, in order; :class:`Rejected` for an item that was refused alone. Raises if nothing was kept.
        name: Name of the thread and of the queue in messages, e.g. ``hub-writer``.
        max_batch_weight: Most weight of one batch (an item that is heavier alone is a batch of its own).
        max_queued_weight: Queued weight above which submitters are held back.
        on_close: Runs in the thread as its last act: close the database connection here.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Sequence[Result | Rejected]],
        *,
        name: str,
        max_batch_weight: int = MAX_BATCH_WEIGHT,
        max_queued_weight: int = MAX_QUEUED_WEIGHT,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._commit = commit
        self._name = name
        self._max_batch_weight = max_batch_weight
        self._max_queued_weight = max_queued_weight
        self._on_close = on_close
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._entries: list[tuple[Item, int, Future[Result] | LoopSink[Item, Result]]] = []
        self._queued = 0
        self._closing = False
        self._batches = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Weight of the items not yet committed, the batch being committed included."""
        return self._queued

    @property
    def batches(self) -> int:
        """How many batches were committed or failed since the start."""
        return self._batches

    def submit(self, item: Item, *, weight: int = 1) -> Future[Result]:
        """Queue an item from any thread but an event loop's; waits while the queue is full.

        Raises:
            RateLimitedError: the queue stayed full for ROOM_TIMEOUT_S, or is closing.
        """
        future: Future[Result] = Future()
        with self._lock:
            deadline = time.monotonic() + ROOM_TIMEOUT_S
            while self._is_full(weight) and not self._closing:
                if not self._room.wait(max(0.0, deadline - time.monotonic())):
                    raise RateLimitedError(f"{self._name}: the queue is full", retry_after_s=RETRY_AFTER_S)
            self._append(item, weight, future)
        return future

    def commit(self, item: Item, *, weight: int = 1) -> Result:
        """Queue an item and wait for its outcome. Blocks: never call it in an event loop.

        Raises:
            TimeoutError: the disk took longer than COMMIT_TIMEOUT_S.
            RateLimitedError: as of :meth:`submit`.
        """
        return self.submit(item, weight=weight).result(COMMIT_TIMEOUT_S)

    def post(self, item: Item, sink: LoopSink[Item, Result], *, weight: int = 1) -> None:
        """Queue an item from an event loop; the outcome comes through ``sink``. Never waits.

        Raises:
            RateLimitedError: the queue is full or closing; the item was not queued.
        """
        with self._lock:
            if self._is_full(weight):
                raise RateLimitedError(f"{self._name}: the queue is full", retry_after_s=RETRY_AFTER_S)
            self._append(item, weight, sink)

    async def run(self, item: Item, *, weight: int = 1) -> Result:
        """Queue an item from an event loop and wait for its outcome without blocking the loop.

        A caller that is cancelled stops waiting; the item is committed all the same.

        Raises:
            RateLimitedError: the queue is full or closing; the item was not queued.
            Exception: what the commit raised, or the error the item was rejected with.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Result] = loop.create_future()

        def deliver(_: list[Item], outcomes: list[Result | Rejected]) -> None:
            if waiter.cancelled():
                return
            outcome = outcomes[0]
            if isinstance(outcome, Rejected):
                waiter.set_exception(outcome.error)
            else:
                waiter.set_result(outcome)

        self.post(item, LoopSink(loop, deliver), weight=weight)
        return await waiter

    def close(self) -> None:
        """Commit what is queued, deliver the outcomes and end the thread. May be called twice."""
        with self._lock:
            self._closing = True
            self._work.notify()
            self._room.notify_all()
        self._thread.join()

    def _is_full(self, weight: int) -> bool:
        # An item heavier than the whole limit is let in when it would be alone: it could never be queued otherwise.
        return self._queued > 0 and self._queued + weight > self._max_queued_weight

    def _append(self, item: Item, weight: int, target: Future[Result] | LoopSink[Item, Result]) -> None:
        if self._closing:
            raise RateLimitedError(f"{self._name}: closing", retry_after_s=RETRY_AFTER_S)
        self._entries.append((item, weight, target))
        self._queued += weight
        if len(self._entries) == 1:
            self._work.notify()

    def _run(self) -> None:
        try:
            while batch := self._take():
                self._keep(batch)
        finally:
            if self._on_close is not None:
                self._on_close()

    def _take(self) -> list[tuple[Item, int, Future[Result] | LoopSink[Item, Result]]]:
        """The next batch; empty when closed and nothing is left."""
        with self._lock:
            while not self._entries and not self._closing:
                self._work.wait()
            if self._queued <= self._max_batch_weight:
                batch, self._entries = self._entries, []
                return batch
            weight = count = 0
            for _, item_weight, _ in self._entries:
                if count and weight + item_weight > self._max_batch_weight:
                    break
                weight += item_weight
                count += 1
            batch = self._entries[:count]
            del self._entries[:count]
            return batch

    def _keep(self, batch: list[tuple[Item, int, Future[Result] | LoopSink[Item, Result]]]) -> None:
        items = [item for item, _, _ in batch]
        outcomes: Sequence[Result | Rejected]
        try:
            outcomes = self._commit(items)
            if len(outcomes) != len(items):
                raise RuntimeError(f"{self._name}: {len(items)} items gave {len(outcomes)} outcomes")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - the thread's outermost loop: handed to every submitter instead
            outcomes = [Rejected(error)] * len(items)
        with self._lock:
            self._batches += 1
            self._queued -= sum(weight for _, weight, _ in batch)
            self._room.notify_all()
        _deliver(batch, outcomes)


def _deliver(
    batch: Sequence[tuple[Item, int, Future[Result] | LoopSink[Item, Result]]],
    outcomes: Sequence[Result | Rejected],
) -> None:
    gathered: dict[LoopSink[Item, Result], tuple[list[Item], list[Result | Rejected]]] = {}
    for (item, _, target), outcome in zip(batch, outcomes, strict=True):
        if isinstance(target, LoopSink):
            lists = gathered.get(target)
            if lists is None:
                lists = gathered[target] = ([], [])
            lists[0].append(item)
            lists[1].append(outcome)
        elif not target.set_running_or_notify_cancel():
            continue  # the waiter gave up; the item stays committed
        elif isinstance(outcome, Rejected):
            target.set_exception(outcome.error)
        else:
            target.set_result(outcome)
    for sink, (items, results) in gathered.items():
        # A closed loop gets no outcomes; the items are committed all the same.
        with contextlib.suppress(RuntimeError):
            sink.loop.call_soon_threadsafe(sink.deliver, items, results)
