# SPDX-License-Identifier: Apache-2.0
"""The time of rules: up to when every message was evaluated, and the deadlines that are due by then. In the hub's loop.

A hub that is behind takes no device for silent: a deadline is evaluated after every message that arrived before it.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from itertools import count

from armillary.engines.series.store import SeriesStore
from armillary.platform.ports import Devices
from armillary.platform.rules.plans import Running


class RuleTime:
    """How far evaluation has come; ``clock`` is Unix time in seconds."""

    def __init__(self, clock: Callable[[], float], series: SeriesStore, devices: Devices) -> None:
        self.reached_ms = 0  # Arrival of the last message that was evaluated, Unix milliseconds
        self.listening_since_ms = 0  # When the hub started
        self.is_replaying = False  # Whether messages from before the start are evaluated
        self._clock = clock
        self._series = series
        self._devices = devices

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        return int(self._clock() * 1000)

    def moment_ms(self) -> int:
        """The time up to which every message was evaluated: the present, unless the decoder is behind."""
        behind = self.is_replaying or self._series.decoder.backlog
        return self.reached_ms or self.now_ms() if behind else self.now_ms()

    def horizon_ms(self) -> int:
        """Deadlines up to this time are due: every message that arrived before was evaluated."""
        now_ms = self.now_ms()
        behind = self._series.decoder.backlog or self._devices.has_undecoded()
        return min(now_ms, self.reached_ms) if behind else now_ms


class Deadlines:
    """When rules have to be evaluated although no message comes, soonest first."""

    def __init__(self) -> None:
        self._queue: list[tuple[int, int, Running]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._queue)

    def clear(self) -> None:
        """Forget all."""
        self._queue.clear()

    def schedule(self, each: Running) -> None:
        """Note the deadline of a rule and device, unless an earlier one is noted."""
        deadline = each.state.deadline_ms
        if deadline and (not each.queued_ms or deadline < each.queued_ms):
            each.queued_ms = deadline
            heapq.heappush(self._queue, (deadline, next(self._order), each))

    def due(self, horizon_ms: int, until: float) -> Iterator[Running]:
        """Those that are due by a time, as long as there is time left (``until``: seconds of the process's clock)."""
        while self._queue and self._queue[0][0] <= horizon_ms and time.perf_counter() < until:
            deadline, _, each = heapq.heappop(self._queue)
            if each.queued_ms == deadline:
                each.queued_ms = 0
            if each.gone:
                continue
            if each.state.deadline_ms and each.state.deadline_ms <= horizon_ms:
                yield each
            else:
                self.schedule(each)
