# SPDX-License-Identifier: Apache-2.0
"""A guardian's queue in its own process, to be killed: ``python queue_runner.py FOLDER FIRST`` puts numbered messages.

Prints ``put N`` when message N is on the disk, ``seen SEQUENCE N`` for each message that it takes, and ``gone N`` when
its acknowledgement is on the disk.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from armillary.engines.equipment.queue import MessageQueue
from armillary.guard.retention import QueueLimits
from armillary.wire.equipment.message import ClockQuality, Lane, MessageKind, Outgoing


async def run(folder: Path, number: int) -> None:
    queue = MessageQueue(folder, QueueLimits(bytes=64 << 20), backfill_bytes_per_s=1e12)
    print("open", flush=True)
    while True:
        several = range(number, number + 10)
        number += len(several)
        kinds = (MessageKind.TELEMETRY, MessageKind.ALARM)
        await queue.put(
            [
                Outgoing(f"e{each % 3}", kinds[each % 2], b'{"n": %d}' % each, 0.0, 0.0, ClockQuality.SYNCED)
                for each in several
            ]
        )
        print("".join(f"put {each}\n" for each in several), end="", flush=True)
        found = [*await queue.take(Lane.BACKFILL, 3), *await queue.take(Lane.LIVE, 9 + number % 3)]
        numbers = {each.sequence: json.loads(each.body)["n"] for each in found}
        print("".join(f"seen {sequence} {each}\n" for sequence, each in numbers.items()), end="", flush=True)
        queue.acknowledge(numbers)
        await queue.flush()
        print("".join(f"gone {each}\n" for each in numbers.values()), end="", flush=True)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2])))
