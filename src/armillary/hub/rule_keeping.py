# SPDX-License-Identifier: Apache-2.0
"""What rules make durable, and when: firings at the end of the block that made them, everything else now and then.

A commit holds the states of whole devices and what they fired, and nothing that is younger or older: it is made between
two blocks of the log. One is under way at a time; one that the disk refuses is made again, with what came meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from armillary.engines.group_commit import LoopSink, Rejected
from armillary.engines.rules.rows import Change, Fired, Over, keep, pruned
from armillary.engines.rules.store import RuleStore
from armillary.errors import RateLimitedError
from armillary.hub.rule_plans import Plan

# States are kept at least so often (seconds): bounds what is evaluated again after a crash.
CHECKPOINT_S: Final = 15.0
# A commit that failed is tried again after this time (seconds).
RETRY_S: Final = 1.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RuleCounters:
    """What rules count since the start.

    Attributes:
        rule_evaluations: Evaluations of a rule for a device.
        rule_firings: Firings kept.
        rule_faults: Evaluations that ended in a fault of this program; the rule goes on with the next message.
        rules_unreadable: Rule documents that say no rule.
        rule_commits_failed: Commits of firings that the disk refused; they are tried again.
        rule_deliveries_refused: Deliveries that became dead letters at once, because too many waited.
    """

    rule_evaluations: int = 0
    rule_firings: int = 0
    rule_faults: int = 0
    rules_unreadable: int = 0
    rule_commits_failed: int = 0
    rule_deliveries_refused: int = 0


class RuleKeeping:
    """Firings that wait for their commit, and the database. Runs in the hub's loop unless it says otherwise.

    Args:
        folder: The hub's folder.
        counters: What is counted.
        fired: Called when firings with actions were kept.
    """

    def __init__(self, folder: Path, counters: RuleCounters, fired: Callable[[], None]) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._folder = folder
        self._counters = counters
        self._on_fired = fired
        self._opening = threading.Lock()
        self._store: RuleStore | None = None
        self._news: list[Fired | Over] = []
        self._plans: dict[str, Plan] = {}  # of devices that have news
        self._committing = False
        self._under_way = 0
        self._checkpoint_at = time.monotonic()

    # The database -------------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether there has ever been a rule."""
        return RuleStore.exists(self._folder)

    def store(self) -> RuleStore:
        """The database, opened or made when first asked for; from any thread.

        Raises:
            DataFolderError: it cannot be opened.
        """
        with self._opening:
            if self._store is None:
                self._store = RuleStore(self._folder)
            return self._store

    def take_store(self) -> RuleStore | None:
        """The database for the last time: whoever took it closes it."""
        with self._opening:
            store, self._store = self._store, None
        return store

    def post(self, change: Change, deliver: Callable[[list[Any], list[Any]], None] = lambda *_: None) -> None:
        """Queue a change; ``deliver`` gets its outcome in the loop."""
        if self.loop is None:
            return
        try:
            self.store().commits.post(change, LoopSink(self.loop, deliver))
        except RateLimitedError as error:
            deliver([change], [Rejected(error)])

    # News ---------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Firings and ends of them that are not committed."""
        return len(self._news) + self._under_way

    def note(self, plan: Plan, news: Sequence[Fired | Over]) -> None:
        """Something came of an evaluation."""
        self._news += news
        self._plans[plan.device_id] = plan

    def take_news(self) -> list[Fired | Over]:
        """What was not committed; it is somebody else's now."""
        news, self._news = self._news, []
        self._plans = {}
        return news

    def begin(self) -> None:
        """Rules begin: the next checkpoint is a while off."""
        self._checkpoint_at = time.monotonic()

    def settle(self, plans: Iterable[Plan], decoded_seq: int) -> None:
        """Between two blocks of the log: commit what came of evaluations, or a checkpoint if it is time.

        Args:
            plans: Of all devices.
            decoded_seq: Every block up to this one was evaluated.
        """
        if self._committing:
            return
        if self._news:
            self._commit(list(self._plans.values()), None)
        elif time.monotonic() - self._checkpoint_at >= CHECKPOINT_S:
            self._checkpoint_at = time.monotonic()
            self._commit([plan for plan in plans if plan.is_dirty], decoded_seq)
            self.post(pruned)

    def _commit(self, plans: list[Plan], evaluated: int | None) -> None:
        states = [plan.snapshot() for plan in plans]
        news = self.take_news()
        self._committing, self._under_way = True, len(news)

        def deliver(_: list[Any], outcomes: list[Any]) -> None:
            self._committing, self._under_way = False, 0
            outcome = outcomes[0]
            if isinstance(outcome, Rejected):
                self._not_kept(plans, news, outcome.error)
                return
            firings = [each for each in news if isinstance(each, Fired)]
            self._counters.rule_firings += len(firings)
            self._counters.rule_deliveries_refused += outcome
            if any(each.deliveries for each in firings):
                self._on_fired()

        self.post(keep(states, news, evaluated), deliver)

    def _not_kept(self, plans: list[Plan], news: list[Fired | Over], error: Exception) -> None:
        """The disk refused: nothing of it was kept, so all of it is kept the next time."""
        self._counters.rule_commits_failed += 1
        _log.error("hub.rules-not-kept", why=str(error))
        self._news = [*news, *self._news]
        for plan in plans:
            plan.is_dirty = True
            if news:
                self._plans[plan.device_id] = plan
        self._committing = True
        if self.loop is not None:
            self.loop.call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self._committing = False  # the next slice of decoding or the next tick settles
