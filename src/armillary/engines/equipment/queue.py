# SPDX-License-Identifier: Apache-2.0
"""The queue of what a guardian has not sent: durable, bounded, in two lanes.

::

    put --grouped: 100 messages or 200 ms, alarms and audit at once--> commit --> put returns
    take(LIVE)       messages of the last minute, since this start
    take(BACKFILL)   what is older: after an outage or a restart
    acknowledge --with the next commit--> gone          reject --three times--> set aside
    release          the connection is gone: what was taken and not acknowledged is taken again

A source may forget a reading when ``put`` has returned, and the hub's acknowledgement is passed on by ``acknowledge``:
so each message reaches the hub at least once, and by its :class:`~armillary.wire.equipment.message.Place` the hub keeps
it once. There is no queue in memory before the file. Everything here belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from armillary.engines.equipment.queueing.file import Batch, Outcome, QueueFile
from armillary.engines.equipment.queueing.group import Group
from armillary.engines.equipment.queueing.lanes import Lanes
from armillary.errors import WireError
from armillary.guard.clock import Pair, corrected
from armillary.guard.pacing import BACKFILL_BYTES_PER_S, full
from armillary.guard.retention import Moment, QueueLimits, age_s
from armillary.wire.equipment.faults import QueueError
from armillary.wire.equipment.message import MAX_BODY_BYTES, ClockQuality, Lane, MessageKind, Outgoing, Stored

# Drops are told at most so often.
REPORT_S: Final = 10.0

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QueueCounters:
    """What a queue holds and has lost."""

    messages: int  # Held
    bytes: int  # Held
    oldest_s: float | None  # Age of the oldest; None when there is none, or its age cannot be known
    dropped: Mapping[str, int]  # By kind, since the queue was made; a kind of which none was dropped is absent
    causes: Mapping[str, int]  # The same by cause: ``space``, ``age``, ``disk``, ``damaged``
    set_aside: int  # Rejected too often, since the queue was made
    put: int  # Since the start, as the next two
    acknowledged: int
    disk_failures: int


def machine_id() -> str:
    """Which start of the machine this is, by the kernel; empty where it does not say."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def monotonic() -> float:
    """Seconds since the machine started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class MessageQueue:
    """The queue in ``folder``; opens or makes it.

    ``clock`` is Unix time, ``monotonic`` the seconds since the machine started, by which messages are stamped too.

    Raises:
        QueueError: another process has it, or the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        limits: QueueLimits | None = None,
        *,
        backfill_bytes_per_s: float = BACKFILL_BYTES_PER_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = monotonic,
        machine: str | None = None,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._machine = machine_id() if machine is None else machine
        self._file = QueueFile(folder, limits or QueueLimits(), self._machine)
        self._thread = ThreadPoolExecutor(1, "guardian-queue")
        self._right: Pair | None = None  # A moment whose time is right
        self._lanes = Lanes(self._file.last + 1)
        self._bucket = full(backfill_bytes_per_s, monotonic())
        self._taking = asyncio.Lock()
        self._group = Group(self._commit)
        self._put = self._acknowledged = 0
        self._is_taken = False  # Somebody took messages, or tried to, since the last commit
        self._reported_at = -REPORT_S
        self._watchers: list[tuple[str | None, Callable[[], None]]] = []

    @property
    def boot(self) -> str:
        """The id of this opening, in the message ids of what is put from now on."""
        return self._file.boot

    @property
    def counters(self) -> QueueCounters:
        """What the queue holds and has lost, as of the last commit."""
        tally, oldest = self._file.tally, self._file.oldest
        dropped: Counter[str] = Counter()
        causes: Counter[str] = Counter()
        for (kind, cause), count in tally.dropped.items():
            dropped[kind.name.lower()] += count
            causes[cause] += count
        return QueueCounters(
            messages=tally.messages.total(),
            bytes=tally.bytes.total(),
            oldest_s=None if oldest is None else age_s(oldest, self._moment()),
            dropped=dropped,
            causes=causes,
            set_aside=tally.poisoned,
            put=self._put,
            acknowledged=self._acknowledged,
            disk_failures=self._file.disk_failures,
        )

    async def put(self, messages: Sequence[Outgoing]) -> None:
        """Keep messages; returns when they are on the disk, or were counted as dropped because it is full.

        Raises:
            WireError: a body is longer than MAX_BODY_BYTES; none of the messages was kept.
            QueueError: the queue is closed.
        """
        await self.begin_put(messages)

    def begin_put(self, messages: Sequence[Outgoing]) -> asyncio.Future[None]:
        """As :meth:`put`, without waiting: what is returned is done when ``put`` would return, and raises as it."""
        for message in messages:
            if len(message.body) > MAX_BODY_BYTES:
                raise WireError(
                    "guardian-message",
                    expected=f"a body of at most {MAX_BODY_BYTES} bytes",
                    got=f"{len(message.body)} bytes",
                    remedy="Capture fewer points in one event.",
                )
        return self._group.put(messages)

    async def take(self, lane: Lane, limit: int, equipment: str | None = None) -> list[Stored]:
        """The next messages of a lane, of one piece of equipment (its name) or of all; each is taken once.

        They stay in the queue until they are acknowledged. BACKFILL gives nothing while its rate is used up
        (:meth:`backfill_wait_s`); messages come to it by growing old, so look there every few seconds.
        """
        async with self._taking:
            now = self._monotonic()
            self._lanes.look(now)
            if not equipment:
                self._tell_drops(now)
            if lane is Lane.BACKFILL and self._bucket.wait_s(now) > 0:
                return []
            lanes, releases = self._lanes, self._lanes.releases
            self._is_taken = True
            if lane is Lane.LIVE and (found := lanes.fresh(equipment, limit)):
                lanes.take(found, equipment, lane)
                return found
            again, reached, skip = lanes.again(equipment, lane)[:limit], lanes.reached(equipment, lane), lanes.skipped()
            first_live = lanes.first_live

            def read() -> list[Stored]:
                found = self._file.read_again(again, first_live)
                return found or self._file.read(lane, first_live, reached, limit, equipment, skip)

            found = await self._in_thread(read)
            if releases != lanes.releases:
                return []  # the connection that they were for is gone
            lanes.take(found, equipment, lane)
            if lane is Lane.BACKFILL:
                self._bucket = self._bucket.spent(now, sum(len(message.body) for message in found))
            return found

    def backfill_wait_s(self) -> float:
        """How long until BACKFILL gives something again, in seconds."""
        return self._bucket.wait_s(self._monotonic())

    def acknowledge(self, sequences: Iterable[int]) -> None:
        """The hub has these: they go with the next commit. Those that were not taken are left alone."""
        self._group.settle(acknowledged=self._lanes.settle(sequences))

    def reject(self, sequence: int, reason: str) -> None:
        """The hub did not take this message: it is taken again, or set aside when it was rejected three times."""
        self._group.settle(rejected=[(each, reason) for each in self._lanes.settle([sequence])])

    def release(self, equipment: str | None = None) -> None:
        """A connection is gone: what was taken of its equipment (None: of all) and not acknowledged is taken again."""
        self._lanes.release(equipment)
        self._tell(None if equipment is None else {equipment})

    def watch(self, listener: Callable[[], None], equipment: str | None = None) -> None:
        """Call ``listener`` in the loop whenever there may be something to take, of one piece of equipment or of any.

        Messages that became old without being taken are not told of: look at BACKFILL every few seconds.
        """
        self._watchers.append((equipment, listener))

    async def correct_clock(self, right: Pair) -> bool:
        """Correct the times of messages that this start of the machine stamped before it knew the time.

        Call it when the time is known for the first time. False when the disk refused: call it again later.
        """
        self._right = right
        try:
            while await self._in_thread(lambda: self._file.correct(right)):
                pass
        except QueueError:
            return False
        self._lanes.renew()
        return True

    async def set_aside(self) -> list[tuple[int, str, str, bytes]]:
        """Messages that were rejected too often, the newest first: sequence, equipment, reason, body."""
        return await self._in_thread(self._file.poison)

    async def flush(self) -> None:
        """Commit what waits now: acknowledgements too, which else have no hurry."""
        await self._group.flush()

    async def close(self) -> None:
        """Commit what waits, then close the file."""
        await self._group.close()
        await self._in_thread(self._file.close)
        self._thread.shutdown()

    async def _commit(self, batch: Batch) -> bool:
        """Commit a batch; False when acknowledgements and rejections must be given again."""
        moment, first_live = self._moment(), self._lanes.first_live
        wanted, self._is_taken = self._is_taken, False

        def commit() -> tuple[Outcome, list[Stored]]:
            above = self._file.last
            outcome = self._file.commit(batch, moment)
            if not wanted or not outcome.kept:
                return outcome, []
            fresh = self._file.read(Lane.LIVE, first_live, above, outcome.kept, None, ())
            return outcome, fresh if len(fresh) == outcome.kept else []

        outcome, fresh = await self._in_thread(commit)
        self._lanes.renew(fresh)
        if outcome.settled:
            rejected = [sequence for sequence, _ in batch.rejected]
            self._lanes.settled([*batch.acknowledged, *outcome.set_aside], set(rejected) - outcome.set_aside)
            self._acknowledged += len(batch.acknowledged)
        if outcome.kept:
            self._put += outcome.kept
            self._lanes.committed(self._file.last, moment.monotonic)
        if outcome.kept or batch.rejected:
            self._tell(None if batch.rejected else {message.equipment for message in batch.put})
        return outcome.settled

    def _tell_drops(self, now: float) -> None:
        """Put a message about what was dropped since the last of them."""
        tally = self._file.tally
        if tally.dropped == tally.reported or now - self._reported_at < REPORT_S:
            return
        self._reported_at = now
        body: dict[str, dict[str, int]] = {}
        for (kind, cause), count in (tally.dropped - tally.reported).items():
            body.setdefault(kind.name.lower(), {})[cause] = count
        moment = self._moment()
        message = Outgoing(
            "", MessageKind.AUDIT, json.dumps({"dropped": body}).encode(), moment.wall, now, moment.clock
        )
        self._group.tell(message, Counter(tally.dropped))

    def _moment(self) -> Moment:
        now = self._monotonic()
        if self._right is None:
            return Moment(self._clock(), now, ClockQuality.UNSYNCED, self._machine)
        return Moment(corrected(now, self._right), now, ClockQuality.SYNCED, self._machine)

    def _tell(self, equipment: Collection[str] | None) -> None:
        """Tell whoever watches one of these pieces of equipment; None: everybody."""
        for watched, listener in self._watchers:
            if equipment is None or watched is None or watched in equipment:
                listener()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
