# SPDX-License-Identifier: Apache-2.0
"""How many devices of a roll-out stand where, by cohort and state: what its plan is made of.

Numbers instead of devices: a plan over a million devices reads some dozen counters, and only the devices that reported
since the last plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

FAILED: Final = ("reverted", "failed", "timed-out")
FINISHED: Final = ("confirmed", *FAILED)
UNFINISHED: Final = ("started", "offered")
LEFT: Final = "left"  # moved to another group, or revoked: it counts no longer


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts by (cohort, state); devices that have left are in none.

    Attributes:
        devices: All of them.
        recent: Those that have not finished before the roll-out was last started or resumed: a person has accepted
            what was known then.
    """

    devices: Mapping[tuple[int, str], int] = field(default_factory=dict)
    recent: Mapping[tuple[int, str], int] = field(default_factory=dict)

    def count(self, states: Iterable[str] | None = None, *, cohort: int | None = None) -> int:
        """Devices in any of these states (None: in all), of one cohort or of all."""
        return _sum(self.devices, states, cohort)

    def count_recent(self, states: Iterable[str], *, cohort: int | None = None) -> int:
        """The same of the recent ones."""
        return _sum(self.recent, states, cohort)

    def with_changes(self, changes: Iterable[tuple[int, str, bool, str]]) -> Tally:
        """The tally after changes: (cohort, state before or "", whether it was recent, state after)."""
        devices, recent = Counter(self.devices), Counter(self.recent)
        for cohort, old, was_recent, new in changes:
            if old and old != LEFT:
                devices[cohort, old] -= 1
                recent[cohort, old] -= was_recent
            if new != LEFT:
                devices[cohort, new] += 1
                recent[cohort, new] += 1
        return Tally(devices, recent)


def _sum(counts: Mapping[tuple[int, str], int], states: Iterable[str] | None, cohort: int | None) -> int:
    wanted = None if states is None else frozenset(states)
    return sum(
        number
        for (index, state), number in counts.items()
        if (wanted is None or state in wanted) and (cohort is None or index == cohort)
    )
