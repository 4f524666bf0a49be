# SPDX-License-Identifier: Apache-2.0
"""The guardian's queue against a model: whatever is put, taken, settled, released, aged and restarted, in any order."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.engines.equipment.queue_story import Clocks
from tests.fixtures.effort import examples

from armillary.engines.equipment.queue import MessageQueue
from armillary.engines.equipment.queueing.file import MAX_REJECTS
from armillary.engines.equipment.queueing.lanes import LIVE_S
from armillary.wire.equipment.message import ClockQuality, Lane, MessageKind, Outgoing
from armillary.wire.equipment.seen import Seen

NAMES = ("", "espresso1", "espresso2")


@dataclass
class Held:
    """A message of the model."""

    equipment: str
    put_at: float  # Seconds since the machine started
    is_of_this_start: bool = True
    taken: bool = False
    rejects: int = 0


@dataclass
class Model:
    """What a queue is to hold, by the number in each body."""

    held: dict[int, Held] = field(default_factory=dict)
    aside: set[int] = field(default_factory=set)


class QueueMachine(RuleBasedStateMachine):
    """Puts, takes and settles; kills and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="queue-"))
        self.loop = asyncio.new_event_loop()
        self.clocks = Clocks()
        self.model = Model()
        self.number = 0
        self.sequences: dict[int, int] = {}  # Sequence -> number, of all times
        self.seen: dict[tuple[str, str], Seen] = {}  # The hub's side
        self.kept: list[int] = []  # What the hub stored
        self.open()

    def open(self) -> None:
        self.queue = MessageQueue(
            self.folder,
            backfill_bytes_per_s=1e12,
            clock=lambda: self.clocks.wall,
            monotonic=lambda: self.clocks.running,
            machine="m1",
        )

    def teardown(self) -> None:
        self.loop.run_until_complete(self.queue.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    @rule(equipment=st.sampled_from(NAMES), kinds=st.lists(st.sampled_from(MessageKind), min_size=1, max_size=4))
    def put(self, equipment: str, kinds: list[MessageKind]) -> None:
        messages = []
        for kind in kinds:
            body = json.dumps({"n": self.number}).encode()
            messages.append(Outgoing(equipment, kind, body, self.clocks.wall, self.clocks.running, ClockQuality.SYNCED))
            self.model.held[self.number] = Held(equipment, self.clocks.running)
            self.number += 1

        async def story() -> None:
            await asyncio.gather(self.queue.put(messages), self.queue.flush())

        self.loop.run_until_complete(story())

    @rule(
        lane=st.sampled_from(Lane),
        limit=st.integers(1, 6),
        equipment=st.sampled_from((None, *NAMES)),
        comes=st.booleans(),
    )
    def take(self, lane: Lane, limit: int, equipment: str | None, comes: bool) -> None:
        found = self.loop.run_until_complete(self.queue.take(lane, limit, equipment))
        numbers = [json.loads(each.body)["n"] for each in found]
        due = [number for number in self.model.held if self._may_be_taken(number, lane, equipment)]
        assert set(numbers) <= set(due)
        assert numbers == sorted(numbers)
        assert len(numbers) <= limit
        assert bool(numbers) == bool(due)
        if not any(self.model.held[number].rejects for number in due):
            assert numbers == due[:limit]
        for each, number in zip(found, numbers, strict=True):
            assert self.sequences.setdefault(each.sequence, number) == number
            assert (each.equipment, each.lane) == (self.model.held[number].equipment, lane)
            self.model.held[number].taken = True
            if comes:
                self._come(each.equipment, each.place, number)

    def _may_be_taken(self, number: int, lane: Lane, equipment: str | None) -> bool:
        held = self.model.held[number]
        is_live = held.is_of_this_start and self.clocks.running - held.put_at <= LIVE_S
        return not held.taken and equipment in (None, held.equipment) and is_live is (lane is Lane.LIVE)

    def _come(self, equipment: str, place: object, number: int) -> None:
        """The message reaches the hub; its PUBACK may be lost."""
        key = equipment, place.boot  # type: ignore[attr-defined]
        seen = self.seen.get(key, Seen())
        if place.sequence not in seen:  # type: ignore[attr-defined]
            self.seen[key] = seen.with_place(place)  # type: ignore[arg-type]
            self.kept.append(number)
        else:
            assert number in self.kept, "the hub took a new message for one that is sent again"

    @precondition(lambda self: any(each.taken for each in self.model.held.values()))
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        came = [number for number, each in self.model.held.items() if each.taken and number in self.kept]
        if came:
            number = data.draw(st.sampled_from(came))
            self._settle(lambda: self.queue.acknowledge([self._sequence(number)]))
            del self.model.held[number]

    @precondition(lambda self: any(each.taken for each in self.model.held.values()))
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([number for number, each in self.model.held.items() if each.taken]))
        self._settle(lambda: self.queue.reject(self._sequence(number), "no"))
        held = self.model.held[number]
        held.rejects, held.taken = held.rejects + 1, False
        if held.rejects == MAX_REJECTS:
            del self.model.held[number]
            self.model.aside.add(number)

    def _settle(self, act: Callable[[], None]) -> None:
        async def story() -> None:
            act()
            await self.queue.flush()

        self.loop.run_until_complete(story())

    def _sequence(self, number: int) -> int:
        return next(sequence for sequence, each in self.sequences.items() if each == number)

    @rule(equipment=st.sampled_from((None, *NAMES)))
    def release(self, equipment: str | None) -> None:
        self.queue.release(equipment)
        for each in self.model.held.values():
            if equipment in (None, each.equipment):
                each.taken = False

    @rule(seconds=st.sampled_from((1.0, LIVE_S / 2, LIVE_S * 2)), step=st.sampled_from((0.0, -1e8, 1e8)))
    def time_passes(self, seconds: float, step: float) -> None:
        self.clocks.sleep(seconds)
        self.clocks.wall += step  # and somebody sets the clock

    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:
        if killed:  # nothing waits: what was put is committed
            self.queue._file._connection.close()
            self.queue._thread.shutdown()
        else:
            self.loop.run_until_complete(self.queue.close())
        for each in self.model.held.values():
            each.taken = each.is_of_this_start = False
        self.open()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        counters = self.queue.counters
        assert counters.messages == len(self.model.held)
        assert counters.set_aside == len(self.model.aside)
        assert counters.dropped == {}
        assert len(self.kept) == len(set(self.kept))


QueueMachine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
TestQueue = QueueMachine.TestCase
