# SPDX-License-Identifier: Apache-2.0
"""When a link that could not connect may try again: at once the first time, then after longer and longer pauses."""

from __future__ import annotations

from typing import Final

from armillary.wire.equipment.faults import LinkError

# The pause after the second failure in a row; it doubles.
FIRST_PAUSE_S: Final = 0.1
# Equipment that comes back is noticed within so long, and one that is off costs one attempt in so long.
LONGEST_PAUSE_S: Final = 5.0


class Backoff:
    """Counts failures in a row. An answer ends the row; a connection alone does not: it may be dropped at once."""

    def __init__(self) -> None:
        self._failures = 0
        self._not_before = 0.0

    def check(self, now: float) -> None:
        """Let an attempt through, ``now`` in seconds of the loop's clock.

        Raises:
            LinkError: ``unreachable``: it is too soon.
        """
        if (left := self.left(now)) > 0:
            raise LinkError("unreachable", f"not connected; the next attempt is in {left:.1f} s")

    def left(self, now: float) -> float:
        """Seconds until the next attempt."""
        return max(0.0, self._not_before - now)

    def failed(self, now: float) -> None:
        """An attempt failed, or its connection was of no use."""
        self._failures += 1
        if self._failures > 1:
            pause = min(FIRST_PAUSE_S * 2 ** min(self._failures - 2, 10), LONGEST_PAUSE_S)
            self._not_before = now + pause

    def worked(self) -> None:
        """The equipment answered."""
        self._failures = 0
        self._not_before = 0.0
