# SPDX-License-Identifier: Apache-2.0
"""A process that ends before any statement of a commit leaves the queue as it was before, or as it is after it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from armillary.engines.equipment.queueing.file import Batch, QueueFile
from armillary.guard.retention import Moment, QueueLimits
from armillary.wire.equipment.message import ClockQuality, Lane, MessageKind, Outgoing

LIMITS = QueueLimits(bytes=300_000)
NOW = Moment(1_780_000_000.0, 100.0, ClockQuality.SYNCED, "m1")
TELEMETRY, EVENT, ALARM, AUDIT = MessageKind


class CutError(BaseException):
    """The process ends here."""


class Cutting:
    """A connection that is cut off before its n-th statement, and from then on."""

    def __init__(self, connection: Any, left: int) -> None:
        self._connection = connection
        self.left = left

    def __getattr__(self, name: str) -> Any:
        if name in ("execute", "executemany"):
            if self.left == 0:
                raise CutError
            self.left -= 1
        return getattr(self._connection, name)


def message(kind: MessageKind, equipment: str = "espresso1") -> Outgoing:
    return Outgoing(equipment, kind, b'{"text": "%s"}' % (b"x" * 1000), NOW.wall, 50.0, ClockQuality.SYNCED)


def full_queue(folder: Path) -> QueueFile:
    """A queue that is nearly full, with messages that were rejected twice."""
    folder.mkdir()
    queue = QueueFile(folder, LIMITS, "m1")
    queue.commit(Batch(put=[message(kind) for kind in MessageKind for _ in range(40)]), NOW)
    for _ in range(2):
        queue.commit(Batch(rejected=[(3, "no"), (50, "no")]), NOW)
    return queue


def state(queue: QueueFile) -> dict[str, Any]:
    """Everything that a reader or a person sees of it."""
    found = queue.read(Lane.BACKFILL, 2**62, 0, 10**6, None, ())
    while more := queue.read(Lane.BACKFILL, 2**62, found[-1].sequence, 10**6, None, ()):
        found += more
    tally = queue.tally
    return {
        "held": [(each.sequence, each.equipment, each.kind) for each in found],
        "counts": {kind: count for kind, count in tally.messages.items() if count},
        "dropped": dict(tally.dropped),
        "aside": [row[0] for row in queue.poison()],
        "poisoned": tally.poisoned,
        "last": queue.last,
    }


def reopened(folder: Path) -> dict[str, Any]:
    queue = QueueFile(folder, LIMITS, "m1")
    found = state(queue)
    queue.close()
    return found


def test_a_commit_that_is_cut_off_anywhere_is_whole_or_nothing(tmp_path: Path) -> None:
    pristine = tmp_path / "pristine"
    queue = full_queue(pristine)
    before = state(queue)
    queue.close()
    batch = Batch(
        put=[message(AUDIT, "espresso2") for _ in range(60)], acknowledged=[1, 2, 90], rejected=[(3, "no"), (50, "no")]
    )
    cut, seen = 0, []
    while True:
        folder = tmp_path / f"cut{cut}"
        shutil.copytree(pristine, folder)
        queue = QueueFile(folder, LIMITS, "m1")
        connection = queue._connection
        cutting = Cutting(connection, cut)
        queue._connection = queue._room._connection = cutting  # type: ignore[assignment]
        try:
            queue.commit(batch, NOW)
        except CutError:
            connection.close()  # as the kernel does
        else:
            connection.close()
            after = reopened(folder)
            break
        seen.append(reopened(folder))
        cut += 1
    assert after["dropped"][TELEMETRY, "space"] > 0
    assert after["aside"] == [50, 3]
    assert after["last"] == before["last"] + 60
    assert len(after["held"]) == sum(after["counts"].values())
    assert len(seen) > 15
    assert {str(each) for each in seen} == {str(before), str(after)}
