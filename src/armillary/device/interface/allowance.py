# SPDX-License-Identifier: Apache-2.0
"""A rate that one application may have: so many at once, then so many each second. Whoever is over it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Allowance:
    """A token bucket that begins full; ``monotonic`` gives seconds."""

    burst: int
    per_second: float
    monotonic: Callable[[], float]
    _tokens: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._tokens, self._at = float(self.burst), self.monotonic()

    def peek(self) -> float:
        """The seconds that :meth:`take` would have somebody wait."""
        tokens = min(float(self.burst), self._tokens + max(0.0, self.monotonic() - self._at) * self.per_second) - 1
        return max(0.0, -tokens / self.per_second)

    def take(self) -> float:
        """Take one; the seconds to wait before it is used, 0 within the rate."""
        now = self.monotonic()
        self._tokens = min(float(self.burst), self._tokens + max(0.0, now - self._at) * self.per_second) - 1
        self._at = now
        return max(0.0, -self._tokens / self.per_second)

    async def wait(self) -> None:
        """Take one, and wait until it may be used."""
        seconds = self.take()
        if seconds > 0:
            await asyncio.sleep(seconds)
