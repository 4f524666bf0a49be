# SPDX-License-Identifier: Apache-2.0
"""Firings that wait for their commit, by owner and device, and which of them are committed next.

What a device's rules said is committed whole, with the states that said it: a crash in between would lose or double it.
Owners take turns, a device each, so one that fires much waits behind itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from armillary.engines.rules.rows import More, News
from armillary.platform.rules.plans import Plan


@dataclass(slots=True)
class Pending:
    """News of rules about one device that wait for their commit."""

    plan: Plan  # The device's
    owner: str  # Its catalog when the first of them came
    since: float  # When that was, monotonic seconds
    _news: list[News] = field(default_factory=list)
    _more: dict[str, More] = field(default_factory=dict)

    @property
    def news(self) -> list[News]:
        """Everything, firings before what is counted on them."""
        return [*self._news, *self._more.values()]

    def __len__(self) -> int:
        return len(self._news) + len(self._more)

    def add(self, news: Sequence[News]) -> None:
        """Note more; firings that are only counted are one row an alert."""
        for each in news:
            if not isinstance(each, More):
                self._news.append(each)
                continue
            before = self._more.get(each.alert_id)
            count = each.count + (before.count if before else 0)
            self._more[each.alert_id] = More(each.alert_id, count, each.over_ms)

    def put_before(self, earlier: Pending) -> None:
        """Put earlier news in front."""
        news = [*earlier.news, *self.news]
        self._news, self._more, self.since = [], {}, earlier.since
        self.add(news)


class Queue:
    """Devices of which something is to be committed; ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._devices: dict[str, Pending] = {}
        self._owners: dict[str, dict[str, Pending]] = {}  # in the order of their turns, their devices in that of theirs

    def __len__(self) -> int:
        return sum(len(each) for each in self._devices.values())

    @property
    def age_s(self) -> float:
        """For how long the oldest waits, seconds."""
        oldest = [next(iter(devices.values())).since for devices in self._owners.values()]
        return self._clock() - min(oldest) if oldest else 0.0

    def note(self, plan: Plan, news: Sequence[News]) -> None:
        """Add news of a device."""
        pending = self._devices.get(plan.device_id)
        if pending is None:
            pending = Pending(plan, plan.catalog.lower(), self._clock())
            self._devices[plan.device_id] = pending
            self._owners.setdefault(pending.owner, {})[plan.device_id] = pending
        pending.add(news)

    def take(self, limit: int) -> list[Pending]:
        """Whole devices, until ``limit`` pieces of news are reached; owners take turns."""
        taken: list[Pending] = []
        count = 0
        while self._owners and count < limit:
            owner = next(iter(self._owners))
            devices = self._owners.pop(owner)
            device_id = next(iter(devices))
            pending = devices.pop(device_id)
            del self._devices[device_id]
            if devices:
                self._owners[owner] = devices  # behind the others
            taken.append(pending)
            count += len(pending)
        return taken

    def give_back(self, taken: Sequence[Pending]) -> None:
        """Put back news that could not be committed, in front of later news of the same device."""
        for each in taken:
            later = self._devices.get(each.plan.device_id)
            if later is None:
                self._devices[each.plan.device_id] = each
                self._owners.setdefault(each.owner, {})[each.plan.device_id] = each
            else:
                later.put_before(each)
