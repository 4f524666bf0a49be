# SPDX-License-Identifier: Apache-2.0
"""The process of ``armillary up``: its log, memory, open files and signals around the whole service (``whole.py``)."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
from collections.abc import Callable

import uvloop

from armillary.roles.log import log_to_stderr
from armillary.roles.memory import give_back_memory, keep_one_heap
from armillary.roles.whole import Parts, Whole, running_whole
from armillary.settings import Settings

# Open files: every connection of the device endpoint, the hub and the API, and then some.
MAX_DESCRIPTORS = 65_536


def serve(settings: Settings, on_ready: Callable[[Whole], None], on_stop: Callable[[], None]) -> None:
    """Run until SIGINT or SIGTERM.

    ``on_ready`` is called once everything listens, and shows the first token, which counts as announced afterwards;
    ``on_stop`` when the process begins to stop.

    Raises:
        ArmillaryError: it cannot start.
    """
    log_to_stderr(settings.log_level)
    keep_one_heap()
    _allow_descriptors()
    uvloop.run(_serve(settings, on_ready, on_stop))


def _allow_descriptors() -> None:
    """Raise the limit of open files as far as the system allows: every connection is one, and 1,024 is usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(settings: Settings, on_ready: Callable[[Whole], None], on_stop: Callable[[], None]) -> None:
    """Start everything, report it, wait for the end."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_whole(settings, Parts(announces_token=True)) as whole:
        on_ready(whole)
        whole.service.token_announced()
        gc.collect()
        trimming = asyncio.create_task(give_back_memory(), name="give-back-memory")
        await stop.wait()
        trimming.cancel()
        on_stop()
