# SPDX-License-Identifier: Apache-2.0
"""What rules make durable, and when: firings at the end of the block that made them, everything else at checkpoints.

A commit holds the states of whole devices and what they fired, and nothing that is younger or older: it is made between
two blocks of the log. One is under way at a time; one that the disk refuses is made again, with what came meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from armillary.engines.database.group_commit import LoopSink, Rejected
from armillary.engines.database.on_demand import OnDemand
from armillary.engines.rules.rows import PRUNE_SLICE, Change, Fired, More, News, keep, pruned
from armillary.engines.rules.store import RuleStore
from armillary.errors import RateLimitedError
from armillary.platform.rules.pending import Pending, Queue
from armillary.platform.rules.plans import Plan

# States are kept at least so often (seconds): bounds what is evaluated again after a crash.
CHECKPOINT_S: Final = 15.0
# News of one commit, about: some ten milliseconds of the disk, so no owner waits long for its turn. A device's news are
# never cut; they are at most ``rule_plans.MAX_ALERTS_OF_RULE`` a rule and minute.
MAX_NEWS_OF_COMMIT: Final = 500
# News kept when the hub ends, about: under a second. What is left is evaluated again from the log.
MAX_NEWS_AT_CLOSE: Final = 5_000
# A commit that failed is tried again after this time (seconds).
RETRY_S: Final = 1.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RuleCounters:
    """What rules count since the start."""

    rule_evaluations: int = 0  # Evaluations of a rule for a device
    rule_firings: int = 0  # Firings kept
    rule_firings_counted: int = 0  # Firings counted on an earlier alert: the rule fired too often for the device
    rule_faults: int = 0  # Evaluations that ended in a fault of this program; the rule goes on with the next message
    rules_unreadable: int = 0  # Rule documents that say no rule
    rule_commits_failed: int = 0  # Commits of firings that the disk refused; they are tried again
    rule_deliveries_refused: int = 0  # Deliveries that became dead letters at once, because too many waited


class RuleKeeping:
    """Firings that wait for their commit, and the database; ``fired`` is called when firings with actions are kept.

    Runs in the hub's loop unless it says otherwise.
    """

    def __init__(self, store: OnDemand[RuleStore], counters: RuleCounters, fired: Callable[[], None]) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._store = store
        self._counters = counters
        self._on_fired = fired
        self._queue = Queue()
        self._committing = False
        self._under_way = 0
        self._under_way_since = 0.0
        self._under_way_devices: frozenset[str] = frozenset()
        self._checkpoint_at = self._pruned_at = time.monotonic()

    def post(self, change: Change, deliver: Callable[[list[Any], list[Any]], None] = lambda *_: None) -> None:
        """Queue a change; ``deliver`` gets its outcome in the loop."""
        if self.loop is None:
            return
        try:
            self._store.get().commits.post(change, LoopSink(self.loop, deliver))
        except RateLimitedError as error:
            deliver([change], [Rejected(error)])

    # News ---------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Firings and ends of them that are not committed."""
        return len(self._queue) + self._under_way

    @property
    def age_s(self) -> float:
        """For how long the oldest of them waits, seconds."""
        return max(self._queue.age_s, time.monotonic() - self._under_way_since if self._under_way else 0.0)

    def note(self, plan: Plan, news: Sequence[News]) -> None:
        """Add the news of an evaluation."""
        self._queue.note(plan, news)

    def end(self) -> None:
        """The last rule is gone: commit what is left, and note that nothing is evaluated any more."""
        while taken := self._queue.take(MAX_NEWS_OF_COMMIT):
            self.post(keep((), _news_of(taken), None))
        self.post(keep((), (), -1))

    def last_change(self, plans: Iterable[Plan], decoded_seq: int) -> Change:
        """What is kept when the hub ends, about MAX_NEWS_AT_CLOSE of it: devices whose news are left begin before them.

        So do devices whose news are being committed: whether the disk takes them is not known any more. ``plans`` are
        of all devices; every block up to ``decoded_seq`` was evaluated.
        """
        taken = [
            each for each in self._queue.take(MAX_NEWS_AT_CLOSE) if each.plan.device_id not in self._under_way_devices
        ]
        left = self._under_way_devices | {each.plan.device_id for each in self._queue.take(len(self._queue) + 1)}
        states = [plan.snapshot() for plan in plans if plan.is_dirty and plan.device_id not in left]
        return keep(states, _news_of(taken), None if left else decoded_seq)

    def begin(self) -> None:
        """Start the time to the next checkpoint."""
        self._checkpoint_at = time.monotonic()

    def settle(self, plans: Iterable[Plan], decoded_seq: int) -> None:
        """Between two blocks of the log: commit what came of evaluations, or a checkpoint if it is time.

        ``plans`` are of all devices; every block up to ``decoded_seq`` was evaluated.
        """
        if time.monotonic() - self._pruned_at >= CHECKPOINT_S:
            self._prune()
        if self._committing:
            return
        taken = self._queue.take(MAX_NEWS_OF_COMMIT)
        if not len(self._queue) and time.monotonic() - self._checkpoint_at >= CHECKPOINT_S:
            self._checkpoint_at = time.monotonic()
            self._commit(taken, [plan for plan in plans if plan.is_dirty], decoded_seq)
        elif taken:
            self._commit(taken, [each.plan for each in taken], None)

    def _prune(self) -> None:
        """Delete the oldest alerts, until there are no more than the limit."""
        self._pruned_at = time.monotonic()

        def deliver(_: list[Any], outcomes: list[Any]) -> None:
            if outcomes[0] == PRUNE_SLICE:
                self._prune()

        self.post(pruned, deliver)

    def _commit(self, taken: list[Pending], plans: list[Plan], evaluated: int | None) -> None:
        states = [plan.snapshot() for plan in plans]
        news = _news_of(taken)
        self._committing, self._under_way = True, len(news)
        self._under_way_devices = frozenset(each.plan.device_id for each in taken)
        self._under_way_since = min((each.since for each in taken), default=0.0)

        def deliver(_: list[Any], outcomes: list[Any]) -> None:
            self._committing, self._under_way, self._under_way_devices = False, 0, frozenset()
            outcome = outcomes[0]
            if isinstance(outcome, Rejected):
                self._not_kept(taken, plans, outcome.error)
                return
            firings = [each for each in news if isinstance(each, Fired)]
            self._counters.rule_firings += len(firings)
            self._counters.rule_firings_counted += sum(each.count for each in news if isinstance(each, More))
            self._counters.rule_deliveries_refused += outcome
            if any(each.deliveries for each in firings):
                self._on_fired()

        self.post(keep(states, news, evaluated), deliver)

    def _not_kept(self, taken: list[Pending], plans: list[Plan], error: Exception) -> None:
        """The disk refused: nothing of it was kept, so all of it is kept the next time."""
        self._counters.rule_commits_failed += 1
        _log.error("hub.rules-not-kept", why=str(error))
        self._queue.give_back(taken)
        for plan in plans:
            plan.is_dirty = True
        self._committing = True
        if self.loop is not None:
            self.loop.call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self._committing = False  # the next slice of decoding or the next tick settles


def _news_of(taken: Iterable[Pending]) -> list[News]:
    return [each for pending in taken for each in pending.news]
