# SPDX-License-Identifier: Apache-2.0
"""Counts what an application writes to mutable storage that no file system bounds, and ends its run over the quota.

That is where the device is not run by root, or the host has no loop devices (``engines/sandbox/storage`` elsewhere). A
run that begins over the quota may remove and write nothing, so an application gets over it by what it writes within one
look, and not again with each restart. When enough is removed that run is ended too, and the next may write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from armillary.engines.sandbox.port import Launch
from armillary.engines.sandbox.storage.use import folder_use, image_of

LOOK_S = 1.0


def is_over(launch: Launch) -> bool:
    """Whether there is more in the folder of its storage than its quota, or than can be counted.

    Never where a file system bounds it.
    """
    if launch.data is None or image_of(launch.data).exists():
        return False
    found = folder_use(launch.data)
    return not found.whole or found.used_bytes > launch.grant.mutable_storage_kb * 1024


async def watch(launch: Launch, end: Callable[[bool], None]) -> None:
    """Look until the storage crosses its quota, then call ``end``: with True when it is over now.

    Returns without a word where there is nothing to count.
    """
    if launch.data is None or image_of(launch.data).exists():
        return
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            over = await asyncio.to_thread(is_over, launch)
        except OSError:  # the device is short of descriptors, or the disk fails: without a next look nothing bounds it
            continue
        if over != launch.storage_full:
            end(over)
            return
