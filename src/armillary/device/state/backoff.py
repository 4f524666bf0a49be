# SPDX-License-Identifier: Apache-2.0
"""Exponential back-off with optional jitter."""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """Doubles from ``first_s`` to ``limit_s``; with ``random``, a random part of it (full jitter).

    Jitter keeps a fleet from coming back in step after its service was down. An application's restart has none:
    it is alone.
    """

    def __init__(self, first_s: float, limit_s: float, random: Callable[[], float] | None = None) -> None:
        self._first_s = first_s
        self._limit_s = limit_s
        self._random = random
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._failures

    def failed(self) -> float:
        """Count a failure; returns seconds to wait."""
        wait = min(self._limit_s, self._first_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        if self._random is None:
            return wait
        return self._first_s / 2 + (wait - self._first_s / 2) * self._random()

    def succeeded(self) -> None:
        """Start over."""
        self._failures = 0
