# SPDX-License-Identifier: Apache-2.0
"""Reads tables of the kernel in a thread: an application, or the host, can make them long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Reading:
    """Reads for one application, one table at a time, so that it delays only itself. Owns its thread."""

    _thread: ThreadPoolExecutor | None = None

    async def run(self, read: Callable[..., T], *arguments: Any) -> T:
        """What a function returns that opens nothing it does not close itself: nobody may wait for it any more."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sandbox-reading")
        return await asyncio.get_running_loop().run_in_executor(self._thread, read, *arguments)

    def close(self) -> None:
        """Start nothing more."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
