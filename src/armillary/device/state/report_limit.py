# SPDX-License-Identifier: Apache-2.0
"""How many reports of the same thing a device makes: some at once, then one in ten minutes that counts them all.

A token bucket for each fingerprint of an incident (type, place, what it says): :data:`BURST` at once, and one more
every :data:`PERIOD_S`. What finds no token is held back and counted; it goes into the next report of its kind that has
one, so that counts stay exact whatever an application does. The first of a kind always passes.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

BURST: Final = 5
PERIOD_S: Final = 600
# Fingerprints that are remembered; the one that was seen longest ago is forgotten, and may then burst again.
MAX_TRACKED: Final = 512


class ReportLimit:
    """Token buckets by fingerprint. They begin full at every start: a boot loop is slow by itself."""

    def __init__(self) -> None:
        self._buckets: dict[Hashable, tuple[float, int]] = {}  # tokens, as of when

    def take(self, fingerprint: Hashable, now: int) -> bool:
        """Take a token, if there is one; ``now`` in Unix seconds."""
        tokens, at = self._buckets.pop(fingerprint, (float(BURST), now))
        # A clock that was set back gives nothing and takes nothing.
        tokens = min(float(BURST), tokens + max(0, now - at) / PERIOD_S)
        passes = tokens >= 1
        self._buckets[fingerprint] = (tokens - 1 if passes else tokens, now)
        if len(self._buckets) > MAX_TRACKED:
            del self._buckets[next(iter(self._buckets))]
        return passes
