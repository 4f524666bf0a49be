# SPDX-License-Identifier: Apache-2.0
"""What methods do that would hold up the device's loop, or wear out its flash.

Work goes to threads of the interface's own, one piece at a time of each application: what one asks for waits for what
it asked for before, and that of others comes in between. Changes of the flash have a rate, and beyond it are refused.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from armillary.device.interface.allowance import Allowance

THREADS = 2
# Changes that one run of an application may make: somebody sets a device up, then next to nothing.
CHANGE_BURST, CHANGES_PER_SECOND = 20, 1 / 30

Found = TypeVar("Found")


class Work:
    """The work of one run of an application, in threads that are shared."""

    def __init__(self, threads: ThreadPoolExecutor, monotonic: Callable[[], float]) -> None:
        self._threads = threads
        self._one = asyncio.Lock()
        self._changes = Allowance(burst=CHANGE_BURST, per_second=CHANGES_PER_SECOND, monotonic=monotonic)

    async def do(self, function: Callable[..., Found], *arguments: object) -> Found:
        """What a function returns or raises that blocks; it runs after what this application asked for before."""
        async with self._one:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def begin_change(self) -> None:
        """Count a change of the flash; OSError (EAGAIN) if this application has made too many."""
        seconds = self._changes.peek()
        if seconds > 0:
            raise OSError(
                errno.EAGAIN, f"an application changes the device's flash seldom: again in {int(seconds) + 1} s"
            )
        self._changes.take()
