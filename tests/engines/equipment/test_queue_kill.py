# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a guardian at any moment: nothing that was said to be kept is lost, no sequence is used twice."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

from tests.engines.equipment.queue_story import Clocks, clocks, numbers, opened
from tests.fixtures.effort import effort
from tests.fixtures.processes import killed_process

from armillary.guard.retention import QueueLimits
from armillary.wire.equipment.message import Lane

__all__ = ["clocks"]

RUNNER = Path(__file__).with_name("queue_runner.py")


class Witness:
    """What a queue's process said."""

    def __init__(self) -> None:
        self.put: set[int] = set()
        self.gone: set[int] = set()
        self.seen: dict[int, int] = {}  # Sequence -> number

    def hear(self, line: str) -> None:
        word, *figures = line.split()
        if word == "put":
            self.put.add(int(figures[0]))
        elif word == "gone":
            self.gone.add(int(figures[0]))
        elif word == "seen":
            sequence, number = map(int, figures)
            assert self.seen.setdefault(sequence, number) == number, f"sequence {sequence} was used twice"


def test_kills_lose_nothing_and_use_no_sequence_twice(tmp_path: Path, clocks: Clocks) -> None:
    chance = random.Random(3)  # noqa: S311 - the same moments each time
    witness = Witness()
    kills = effort(4, 25)
    for _ in range(kills):
        first = max(witness.put, default=0) + 1000
        with killed_process(
            [sys.executable, str(RUNNER), str(tmp_path), str(first)], stdout=subprocess.PIPE, text=True
        ) as process:
            for _ in range(chance.randint(1, 400)):
                witness.hear(process.readline())
            process.kill()
            for line in process.stdout.read().splitlines(keepends=True):
                if line.endswith("\n"):  # else it was cut
                    witness.hear(line)

    async def what_is_left() -> list[int]:
        async with opened(tmp_path, clocks, QueueLimits(bytes=64 << 20)) as queue:
            found = await queue.take(Lane.BACKFILL, 10**6)
            while more := await queue.take(Lane.BACKFILL, 10**6):
                found += more
        for each, number in zip(found, numbers(found), strict=True):
            assert witness.seen.get(each.sequence, number) == number
        return numbers(found)

    left = asyncio.run(what_is_left())
    assert len(left) == len(set(left))
    acknowledged = set(witness.seen.values()) - set(left)
    assert witness.put - set(left) <= acknowledged
    assert len(acknowledged - witness.gone) <= 15 * kills  # those whose acknowledgement was under way
    assert not witness.gone & set(left)
    assert len(witness.put) > 100
    assert len(witness.gone) > 20
