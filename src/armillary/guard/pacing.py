# SPDX-License-Identifier: Apache-2.0
"""A token bucket: how fast old messages follow, so that live ones have the link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# A fifth of an uplink of 100 kB/s: an hour's 600 KB of a coffee machine follow in half a minute.
BACKFILL_BYTES_PER_S: Final = 20_000

# What may be sent at once after a pause, seconds of the rate.
BURST_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket. It may go below zero by one message, which is then waited for."""

    rate: float  # Bytes a second
    level: float  # Bytes that may go at ``at``
    at: float  # Seconds of a clock that only runs

    def wait_s(self, now: float) -> float:
        """How long until something may go, in seconds; 0 for now."""
        return max(0.0, -self._level(now) / self.rate)

    def spent(self, now: float, size: int) -> Bucket:
        """The bucket after so many bytes went."""
        return Bucket(self.rate, self._level(now) - size, now)

    def _level(self, now: float) -> float:
        return min(self.rate * BURST_S, self.level + max(0.0, now - self.at) * self.rate)


def full(rate: float, now: float) -> Bucket:
    """A bucket from which a burst may go at once."""
    return Bucket(rate, rate * BURST_S, now)
