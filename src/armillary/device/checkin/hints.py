# SPDX-License-Identifier: Apache-2.0
"""Waits for the service's hint to check in now, beside the loop of the device.

A hint only makes the next check-in come earlier: whoever forged one would gain a check-in. The wait begins after the
first answered check-in, and after a hint the next one is waited for only once a check-in was answered, so a service
that hints without end is asked no more often than it answers check-ins.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from armillary.device.state.backoff import Backoff
from armillary.device.state.journal import Journal
from armillary.errors import ArmillaryError, DeviceFault, RateLimitedError

AGAIN_S = 5.0  # between two waits: a service that answers at once is not asked in a loop
RETRY_LIMIT_S = 600.0
# A service of before has no such address, and one that lets the device in for nothing has no hint for it.
REFUSED_S = 3600.0


class HintWatch:
    """The wait for hints, from entering its block to leaving it.

    ``hint`` waits for one answer of the service; ``check_in_now`` is called when it says so.
    """

    def __init__(
        self,
        hint: Callable[[], Awaitable[bool]],
        check_in_now: Callable[[], None],
        journal: Journal,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._hint = hint
        self._check_in_now = check_in_now
        self._journal = journal
        self._sleep = sleep
        self._answered = asyncio.Event()
        self._backoff = Backoff(AGAIN_S, RETRY_LIMIT_S, random.random)
        self._task: asyncio.Task[None] | None = None

    def check_in_answered(self) -> None:
        """A check-in was answered."""
        self._answered.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch(), name="device hints")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        while True:
            await self._answered.wait()
            await self._sleep(await self._wait_once())

    async def _wait_once(self) -> float:
        """Wait for one answer; returns the seconds until the next wait."""
        try:
            if await self._hint():
                self._journal.write("asked-to-check-in")
                self._answered.clear()
                self._check_in_now()
        except RateLimitedError as error:  # it has no room for one more that waits
            return max(float(error.retry_after_s), self._backoff.failed())
        except DeviceFault:
            return REFUSED_S
        except ArmillaryError:
            return self._backoff.failed()
        self._backoff.succeeded()
        return AGAIN_S
