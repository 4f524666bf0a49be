# SPDX-License-Identifier: Apache-2.0
"""Who of a guardian's queue has been taken, and what may be taken next. Plain bookkeeping of one event loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from armillary.wire.equipment.message import Lane, Stored

# A message is live for so long. A link that is down for less sends it as if nothing had been.
LIVE_S: Final = 60.0


class Lanes:
    """Lanes of a queue whose messages before ``first_live`` are of an earlier start."""

    def __init__(self, first_live: int) -> None:
        self.first_live = first_live  # Messages from this sequence on are live
        self.releases = 0  # How often something was released: what is being taken then counts as not taken
        self._ends: deque[tuple[int, float]] = deque()  # Last sequence of each commit, and when it was (monotonic)
        self._reached: dict[tuple[str | None, Lane], int] = {}  # By who takes: all up to it was taken
        self._taken: dict[int, str] = {}  # Sent and not acknowledged: sequence -> equipment
        self._settling: set[int] = set()  # Acknowledged or rejected, and that is not on the disk yet
        self._again: dict[int, str] = {}  # Rejected, to be taken again before others
        self._fresh: dict[str, list[Stored]] = {}  # What the last commit put, by equipment

    def committed(self, last: int, now: float) -> None:
        """Messages up to ``last`` are on the disk."""
        self._ends.append((last, now))

    def renew(self, fresh: Iterable[Stored] = ()) -> None:
        """After each commit: have at hand all that it put, or nothing; what the one before put is on the disk only."""
        self._fresh = {}
        for message in fresh:
            self._fresh.setdefault(message.equipment, []).append(message)

    def fresh(self, equipment: str | None, limit: int) -> list[Stored]:
        """Live messages that are at hand, where these are the next of a piece of equipment: else none."""
        if equipment is None or self.again(equipment, Lane.LIVE):
            return []
        found = [each for each in self._fresh.get(equipment, ()) if each.sequence not in self._taken]
        if not found or found[0].sequence < self.first_live:
            return []
        is_next = found[0].place.after <= self.reached(equipment, Lane.LIVE)  # All before it is taken
        return found[:limit] if is_next else []

    def look(self, now: float) -> None:
        """Move what is not live any more into the other lane."""
        while self._ends and now - self._ends[0][1] > LIVE_S:
            self.first_live = self._ends.popleft()[0] + 1

    def reached(self, equipment: str | None, lane: Lane) -> int:
        """The sequence above which there is something to take."""
        return self._reached.get((equipment, lane), 0)

    def again(self, equipment: str | None, lane: Lane) -> list[int]:
        """Messages that were rejected, to be taken before others."""
        return sorted(
            sequence
            for sequence, name in self._again.items()
            if equipment in (None, name) and (sequence >= self.first_live) is (lane is Lane.LIVE)
        )

    def skipped(self) -> frozenset[int]:
        """Messages that may not be taken now."""
        return frozenset(self._taken) | self._settling | frozenset(self._again)

    def take(self, found: Sequence[Stored], equipment: str | None, lane: Lane) -> None:
        """These were taken, in order."""
        for message in found:
            self._taken[message.sequence] = message.equipment
            if self._again.pop(message.sequence, None) is None:
                key = equipment, lane
                self._reached[key] = max(self._reached.get(key, 0), message.sequence)

    def settle(self, sequences: Iterable[int]) -> list[int]:
        """Those of these that were taken: nobody takes them again until :meth:`settled`."""
        found = [each for each in sequences if each in self._taken and each not in self._settling]
        self._settling.update(found)
        return found

    def settled(self, sequences: Iterable[int], again: Iterable[int] = ()) -> None:
        """These are settled on the disk; ``again`` were rejected and are to be taken again."""
        for sequence in again:
            if sequence in self._taken:
                self._again[sequence] = self._taken.pop(sequence)
                self._settling.discard(sequence)
        for sequence in sequences:
            self._taken.pop(sequence, None)
            self._settling.discard(sequence)

    def release(self, equipment: str | None) -> None:
        """What was taken of a piece of equipment (None: of all) and is not settled is to be taken again."""
        self.releases += 1
        for sequence, name in list(self._taken.items()):
            if equipment in (None, name) and sequence not in self._settling:
                del self._taken[sequence]
        for key in [key for key in self._reached if equipment is None or key[0] in (None, equipment)]:
            del self._reached[key]
