# SPDX-License-Identifier: Apache-2.0
"""When a transfer is too slow to go on with: a least rate in every window, and an end for the whole.

Without it a source that gives one byte a second keeps a device busy for ever and its owner believes that it is being
updated (slow retrieval; Uptane Standard 2.1.0 §5.4.2.2 asks for a least rate). Times are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from armillary.errors import TransferError

# Below what the slowest links in use give (NB-IoT: 2 to 7 kB/s).
MIN_BYTES_PER_S = 1024
# Long enough that a link that is busy or changes its cell does not end a transfer.
WINDOW_S = 30.0
# For a connection, a request and the first byte, beside the time that the bytes may take.
ALLOWANCE_S = 60.0


@dataclass(frozen=True, slots=True)
class PaceRules:
    """The rates and times above, which a test can shorten."""

    min_bytes_per_s: float = MIN_BYTES_PER_S
    window_s: float = WINDOW_S
    allowance_s: float = ALLOWANCE_S


DEFAULT_PACE = PaceRules()


class Pace:
    """Watches one transfer of at most ``length`` bytes that began at ``started``."""

    def __init__(self, name: str, rules: PaceRules, *, length: int, started: float) -> None:
        self._name = name
        self._rules = rules
        self._left = length
        self._deadline = started + rules.allowance_s + length / rules.min_bytes_per_s
        self._begin(started)

    def received(self, count: int, now: float) -> None:
        """Note ``count`` more bytes, 0 to only look at the time; TransferError when the transfer is to end."""
        self._in_window += count
        self._left -= count
        if now >= self._deadline:
            raise TransferError(
                f"{self._name}: not finished within {self._rules.allowance_s:.0f} s and its length's time"
            )
        if now < self._window_ends:
            return
        if self._in_window < self._wanted:
            raise TransferError(
                f"{self._name}: {self._in_window} bytes in {self._rules.window_s:.0f} s: expected at least "
                f"{self._rules.min_bytes_per_s:.0f} bytes/s"
            )
        self._begin(now)

    def patience_s(self, now: float) -> float:
        """How long to wait for the next bytes before :meth:`received` has to look at the time."""
        return max(0.0, min(self._window_ends, self._deadline) - now)

    def _begin(self, now: float) -> None:
        self._window_ends = now + self._rules.window_s
        self._in_window = 0
        self._wanted = min(self._rules.window_s * self._rules.min_bytes_per_s, max(self._left, 1))
