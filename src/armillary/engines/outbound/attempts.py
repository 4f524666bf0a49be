# SPDX-License-Identifier: Apache-2.0
"""Attempts to reach something outside: what failed for now, what failed for good, and when it is tried again.

Actions of rules and data exports share it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

# The first retry comes about this late (seconds), each next one twice as late, never later than the other.
FIRST_RETRY_S: Final = 2.0
LAST_RETRY_S: Final = 900.0

# A status that says "not now" (RFC 9110 §15): anything else from 300 on says "never".
_NOT_NOW: Final = frozenset({408, 425, 429, *range(500, 600)})


class NotNowError(Exception):
    """An attempt failed and may succeed later, after ``wait_s`` seconds if the target said so."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class NeverError(Exception):
    """An attempt failed and the next would fail as well."""

    def __init__(self, why: str, status: int | None = None, *, which: Sequence[int] | None = None) -> None:
        super().__init__(why)
        self.status = status  # What the target answered, where it did
        self.which = which  # Positions of what was refused, where the target has taken the rest; None means everything


def check_status(status: int, retry_after: str) -> None:
    """Judge what a web server answered.

    Raises:
        NotNowError: later, perhaps.
        NeverError: not at all.
    """
    if status in _NOT_NOW:
        wait_s = float(retry_after) if retry_after.isdecimal() and len(retry_after) < 6 else 0.0
        raise NotNowError(f"answered {status}", min(wait_s, LAST_RETRY_S))
    if not 200 <= status < 300:
        followed = "; redirects are not followed" if 300 <= status < 400 else ""
        raise NeverError(f"answered {status}{followed}", status)


def backoff(attempts: int) -> float:
    """Seconds before the next attempt, after so many earlier ones: doubled each time, with jitter."""
    longest = min(FIRST_RETRY_S * 2.0 ** min(attempts, 30), LAST_RETRY_S)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, keeps no secret


def brief(error: BaseException) -> str:
    """An error of the network in a few words, without addresses and answers that a target chose."""
    return getattr(error, "strerror", None) or type(error).__name__
