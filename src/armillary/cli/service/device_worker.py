# SPDX-License-Identifier: Apache-2.0
"""``python -m armillary.cli.service.device_worker FD``: one device worker. Started by the service, never by people."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from armillary.roles.log import log_to_stderr
from armillary.roles.memory import give_back_memory, keep_one_heap
from armillary.service.workers import device_worker


async def _serve(descriptor: int) -> int:
    trimming = asyncio.create_task(give_back_memory(), name="give-back-memory")
    try:
        return await device_worker.serve(descriptor, log_to_stderr)
    finally:
        trimming.cancel()


def main() -> None:
    """Serve until the service says stop or is gone."""
    device_worker.end_with_service()
    log_to_stderr()
    keep_one_heap()
    sys.exit(uvloop.run(_serve(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
