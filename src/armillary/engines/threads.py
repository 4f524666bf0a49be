# SPDX-License-Identifier: Apache-2.0
"""Runs blocking work in a thread from an event loop; a cancelled caller waits for the thread, too.

A thread cannot be stopped: a caller that went on at once would find it still writing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], executor: Executor | None = None) -> T:
    """Run ``work`` in a thread of an executor (None: the loop's own); returns its result."""
    future = asyncio.get_running_loop().run_in_executor(executor, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # mark it as retrieved: there is no caller to raise it to
        raise
