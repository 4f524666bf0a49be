# SPDX-License-Identifier: Apache-2.0
"""Groups what is to be committed: many callers, one commit at a time, of one event loop.

A durable commit costs one wait for the disk whatever its size. One begins when 100 messages wait, when the first of
them has waited for 200 ms, or at once for an alarm or audit; meanwhile the next group gathers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from armillary.engines.equipment.queueing.file import Batch
from armillary.engines.equipment.queueing.room import Drops
from armillary.wire.equipment.faults import QueueError
from armillary.wire.equipment.message import MessageKind, Outgoing

GROUP_MESSAGES: Final = 100
GROUP_S: Final = 0.2

# Acknowledgements wait a little longer: what is lost of them in a crash is sent again, and the hub knows it.
GROUP_SETTLED: Final = 500

# Kinds that do not wait for a group.
_URGENT: Final = frozenset((MessageKind.ALARM, MessageKind.AUDIT))


class Group:
    """What waits for the next commit; ``commit`` returns False when settling must be tried again."""

    def __init__(self, commit: Callable[[Batch], Awaitable[bool]]) -> None:
        self._commit = commit
        self._batch = Batch()
        self._puts: list[asyncio.Future[None]] = []
        self._urgent = False
        self._is_refused = False  # By the disk, the last time: acknowledgements wait for the timer, however many
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def put(self, messages: Sequence[Outgoing]) -> asyncio.Future[None]:
        """Add messages; what is returned is done when they are committed.

        Raises:
            QueueError: closed.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not messages:
            future.set_result(None)
            return future
        if self._closed:
            raise QueueError("the queue is closed")
        self._puts.append(future)
        self._batch.put += messages
        self._urgent = self._urgent or any(message.kind in _URGENT for message in messages)
        self._schedule()
        return future

    def tell(self, message: Outgoing, reported: Drops) -> None:
        """Add a message that tells these drops, without waiting for it."""
        if not self._closed:
            self._batch.put.append(message)
            self._batch.reported = reported
            self._urgent = True
            self._schedule()

    def settle(self, *, acknowledged: Sequence[int] = (), rejected: Sequence[tuple[int, str]] = ()) -> None:
        """Acknowledge or reject with the next commit."""
        self._batch.acknowledged += acknowledged
        self._batch.rejected += rejected
        if not self._closed:
            self._schedule()

    async def flush(self) -> None:
        """Commit what waits, if the disk lets it."""
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._waits():
            self._begin()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Commit what waits; nothing more may be put."""
        self._closed = True
        await self.flush()

    def _waits(self) -> bool:
        batch = self._batch
        return bool(batch.put or batch.acknowledged or batch.rejected)

    def _schedule(self) -> None:
        if self._task is not None:
            return  # it looks again when it is done
        batch = self._batch
        many_settled = len(batch.acknowledged) >= GROUP_SETTLED and not self._is_refused
        if self._urgent or len(batch.put) >= GROUP_MESSAGES or many_settled:
            self._begin()
        elif self._timer is None and self._waits():
            self._timer = asyncio.get_running_loop().call_later(GROUP_S, self._begin)

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._once()
        finally:
            self._task = None
        if not self._closed:
            self._schedule()

    async def _once(self) -> None:
        batch, self._batch = self._batch, Batch()
        puts, self._puts = self._puts, []
        self._urgent = False
        is_settled = False
        try:
            is_settled = await self._commit(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is: whoever waits hears of it, and the next commit comes
            _end(puts, error)
        finally:
            self._is_refused = not is_settled
            if not is_settled:
                self._batch.acknowledged[:0] = batch.acknowledged
                self._batch.rejected[:0] = batch.rejected
            _end(puts, None)


def _end(puts: Sequence[asyncio.Future[None]], error: Exception | None) -> None:
    """Tell those who wait and have not heard."""
    for future in puts:
        if not future.done():
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
