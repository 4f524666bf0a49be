# SPDX-License-Identifier: Apache-2.0
"""Writes the broker's state to disk: facts are noted as they happen, and what depends on them waits for the commit.

Rule: a packet that confirms something (PUBACK, PUBREC, PUBCOMP, CONNACK, SUBACK, a message of QoS 1 or 2 for a kept
session) is sent after the facts noted before it are committed. Facts of one turn of the event loop are one item of the
group commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from armillary.engines.database.group_commit import LoopSink, Rejected
from armillary.engines.hub.broker import BrokerStore, Fact, Value
from armillary.errors import RateLimitedError

# When the writing thread has no room, the facts wait here and are offered again after this time (seconds).
_RETRY_S = 0.02


class Journal:
    """Notes facts and runs what waits for them, in order; without a store nothing is kept, and everything runs at once.

    ``failed`` is called when the disk refused: nothing noted since the last commit is kept or was acknowledged.
    """

    def __init__(
        self, store: BrokerStore | None, loop: asyncio.AbstractEventLoop, failed: Callable[[Exception], None]
    ) -> None:
        self._store = store
        self._loop = loop
        self._failed = failed
        self._facts: list[Fact] = []
        self._acts: list[Callable[[], None]] = []
        self._posted: deque[list[Callable[[], None]]] = deque()
        self._sink: LoopSink[list[Fact], None] = LoopSink(loop, self._kept)
        self._flushing = False

    @property
    def keeps(self) -> bool:
        """Whether facts are written to a disk."""
        return self._store is not None

    @property
    def is_idle(self) -> bool:
        """Whether everything noted is committed."""
        return not self._facts and not self._posted

    def note(self, name: str, *values: Value) -> None:
        """Note a fact: a statement of ``engines/hub/broker.py`` and its parameters."""
        if self._store is not None:
            self._facts.append((name, values))
            self._flush_soon()

    def after(self, act: Callable[[], None]) -> None:
        """Run something once everything noted before is committed: at once when it is."""
        if self.is_idle:
            act()
            return
        self._acts.append(act)
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._store is None or not (self._facts or self._acts):
            return
        try:
            self._store.commits.post(self._facts, self._sink, weight=1 + len(self._facts))
        except RateLimitedError:
            self._flushing = True
            self._loop.call_later(_RETRY_S, self._flush)
            return
        self._posted.append(self._acts)
        self._facts, self._acts = [], []

    def _kept(self, _: list[Any], outcomes: list[Rejected | None]) -> None:
        for outcome in outcomes:
            acts = self._posted.popleft() if self._posted else []
            if isinstance(outcome, Rejected):
                self._facts, self._acts = [], []
                self._posted.clear()
                self._failed(outcome.error)
                return
            for act in acts:
                act()
