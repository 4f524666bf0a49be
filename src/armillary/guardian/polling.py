# SPDX-License-Identifier: Apache-2.0
"""Reads a piece of equipment: each poll group in its rhythm, and the frames that come by themselves.

A read that fails makes its points stale (or bad, where they were never read): never an old value that looks new. While
equipment does not answer it is asked less often, so that a line is not filled with requests that time out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from armillary.guard.clock import Pair
from armillary.guard.compiling import CompiledProfile
from armillary.guard.decoding import decode
from armillary.guard.situation import Seen
from armillary.guard.slots import PollBlock
from armillary.guardian.clocks import GuardianClock
from armillary.guardian.exchange import Exchange
from armillary.guardian.log import log
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.reading import Quality, Reading

# Equipment that does not answer is asked after twice as long each time, up to this.
SILENT_LIMIT_S = 10.0
SILENT_DOUBLINGS = 10


class Take(Protocol):
    """What gets readings."""

    async def __call__(self, readings: Sequence[Reading], moment: Pair, *, kept: bool) -> None:
        """Take readings of one moment; ``kept``: return only when what is worth it is kept durably."""
        ...


class Latest(Mapping[str, Seen]):
    """The newest reading of each point, as the guard asks for it."""

    def __init__(self) -> None:
        self._readings: dict[str, tuple[Reading, float]] = {}

    def add(self, readings: Iterable[Reading], monotonic: float) -> None:
        """Take readings of one moment."""
        for reading in readings:
            self._readings[reading.point] = (reading, monotonic)

    def __getitem__(self, point: str) -> Seen:
        return Seen(*self._readings[point])

    def __iter__(self) -> Iterator[str]:
        return iter(self._readings)

    def __len__(self) -> int:
        return len(self._readings)


class Poller:
    """Reads one piece of equipment; every batch of readings goes to ``take`` with its moment."""

    def __init__(
        self, name: str, compiled: CompiledProfile, exchange: Exchange, clock: GuardianClock, take: Take
    ) -> None:
        self.is_up = False  # The last exchange had a reply
        self.latest = Latest()
        self.unlisted = 0  # Frames of a kind or length that the profile does not have
        self._name = name
        self._compiled = compiled
        self._exchange = exchange
        self._clock = clock
        self._take = take

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for group, period_s in self._compiled.profile.groups.items():
                blocks = tuple(block for block in self._compiled.blocks if block.group == group)
                if blocks:
                    tasks.create_task(self._poll(period_s, blocks))
            if self._compiled.frames:
                tasks.create_task(self._listen())

    async def read(self, point: str) -> Reading | None:
        """Read the block that has a point now, and return its reading; None where the profile polls no such point.

        Raises:
            LinkError: the equipment does not answer.
        """
        for block in self._compiled.blocks:
            if any(slot.point.name == point for slot in block.slots):
                readings = await self._read(block, self._clock.now())
                return next(reading for reading in readings if reading.point == point)
        return None

    async def _poll(self, period_s: float, blocks: Sequence[PollBlock]) -> None:
        loop = asyncio.get_running_loop()
        due, failures = loop.time(), 0
        while True:
            failures = 0 if await self._cycle(blocks) else failures + 1
            slower_s = min(period_s * 2 ** min(failures, SILENT_DOUBLINGS), SILENT_LIMIT_S)
            due = max(due + (max(period_s, slower_s) if failures else period_s), loop.time())
            await asyncio.sleep(due - loop.time())  # What was missed is not made up for

    async def _cycle(self, blocks: Sequence[PollBlock]) -> bool:
        """Read each block once; False where the equipment did not answer."""
        moment = self._clock.now()
        readings: list[Reading] = []
        for position, block in enumerate(blocks):
            try:
                readings += await self._read(block, moment)
            except LinkError as error:
                if error.reason == "refused":  # It answers, and does not have this: the others may be there
                    readings += self._unread((block,), moment)
                    continue
                readings += self._unread(blocks[position:], moment)
                await self._take(readings, moment, kept=False)
                return False
        await self._take(readings, moment, kept=False)
        return True

    async def _read(self, block: PollBlock, moment: Pair) -> list[Reading]:
        try:
            readings = decode(block, await self._exchange.send(block.request), moment.wall)
        except LinkError as error:
            self._became(is_up=error.reason == "refused", why=error.message)
            raise
        self.latest.add(readings, moment.monotonic)
        self._became(is_up=True)
        return readings

    def _unread(self, blocks: Iterable[PollBlock], moment: Pair) -> list[Reading]:
        """What is said of points that were not read: the last good value, as stale, or that there is none."""
        found = []
        for block in blocks:
            for slot in block.slots:
                name = slot.point.name
                before = self.latest[name].reading if name in self.latest else None
                if before is None or before.quality in (Quality.BAD, Quality.RANGE):
                    found.append(Reading(name, None, Quality.BAD, moment.wall))
                else:
                    found.append(Reading(name, before.value, Quality.STALE, moment.wall))
        return found

    async def _listen(self) -> None:
        """Take the frames that the equipment sends by itself."""
        while True:
            try:
                frame = await self._exchange.receive()
            except LinkError as error:
                self._became(is_up=False, why=error.message)
                await asyncio.sleep(1.0)  # The line is opened anew by the next attempt
                continue
            self._became(is_up=True)
            moment = self._clock.now()
            block = self._compiled.frames.get(frame.kind)
            if block is None or len(frame.payload) != block.length:
                self.unlisted += 1
                continue
            readings = decode(block, frame, moment.wall)
            self.latest.add(readings, moment.monotonic)
            # The next ``receive`` acknowledges this one: what was acknowledged is kept.
            await self._take(readings, moment, kept=True)

    def _became(self, *, is_up: bool, why: str = "") -> None:
        if is_up is not self.is_up:
            log(f"{self._name} answers" if is_up else f"{self._name} does not answer: {why:.200}")
        self.is_up = is_up
