# SPDX-License-Identifier: Apache-2.0
"""When a device checks in next: as the service said, sooner when something asks for it, later after failures."""

from __future__ import annotations

import random
from collections.abc import Callable

from armillary.device.state.backoff import Backoff
from armillary.errors import ArmillaryError, RateLimitedError

# Reports wait no longer for a check-in.
REPORT_S = 3600.0
# Errors go at once, after so long, so that what happens together goes together; so many times, and once more in so
# long. A device on which something fails all the time costs the service no more than that.
GATHER_S = 0.25
AT_ONCE = 5
AGAIN_S = 600.0


class CheckInSchedule:
    """Decides when the next check-in is due. Monotonic seconds; the first is due at once.

    ``contact`` is when the service last accepted a check-in, None before the first; ``attempts`` counts failed ones
    too.
    """

    def __init__(self, monotonic: Callable[[], float], *, retry_first_s: float, retry_limit_s: float) -> None:
        self._monotonic = monotonic
        self._backoff = Backoff(retry_first_s, retry_limit_s, random.random)
        self._offers = Backoff(retry_first_s, retry_limit_s, random.random)
        self._due = 0.0
        self._is_asked = False
        self._errors_due: float | None = None
        self._whole_at = monotonic()  # when all of AT_ONCE are there again
        self.contact: float | None = None
        self.attempts = 0

    @property
    def wait_s(self) -> float:
        """Seconds until a check-in is due; at most zero when it is."""
        return self._due - self._monotonic()

    def ask(self) -> None:
        """Make a check-in due at once; if one is under way, another is due after it."""
        self._due = 0.0
        self._is_asked = True

    def begin(self) -> None:
        """A check-in begins, which covers every request until now."""
        self._is_asked = False
        now = self._monotonic()
        if self._errors_due is not None and now >= self._errors_due:
            self._whole_at = max(now, self._whole_at) + AGAIN_S
        self._errors_due = None

    def succeeded(self, next_s: float) -> None:
        """A check-in was accepted, and the service wants the next one in ``next_s``."""
        self.attempts += 1
        self._backoff.succeeded()
        self.contact = self._monotonic()
        if not self._is_asked:
            self._due = self.contact + next_s

    def failed(self, error: ArmillaryError) -> float:
        """A check-in failed; returns the seconds until it is tried again."""
        self.attempts += 1
        retry_s = self._backoff.failed()
        if isinstance(error, RateLimitedError):
            retry_s = max(retry_s, float(error.retry_after_s))
        self._due = self._monotonic() + retry_s
        return retry_s

    def soon(self, *, is_error: bool = False) -> None:
        """There is something to report: make a check-in due an hour after the last one that was accepted.

        With an error at once, :data:`AT_ONCE` times, and then once in :data:`AGAIN_S`. After a failure it changes
        nothing: then another is due soon, and no sooner than the service can take.
        """
        if self.contact is None or self._backoff.failures:
            return
        self._due = min(self._due, self.contact + REPORT_S)
        if is_error:
            if self._errors_due is None:
                now = self._monotonic()
                self._errors_due = max(now + GATHER_S, self._whole_at - (AT_ONCE - 1) * AGAIN_S)
            self._due = min(self._due, self._errors_due)

    def retry_offer(self) -> None:
        """What is offered could not be fetched, written or verified now: check in sooner, to be offered it again.

        Later each time, however well the check-ins between go: a flash that stays full, or a mirror that stays away,
        would have the device come every second.
        """
        self._due = min(self._due, self._monotonic() + self._offers.failed())

    def offer_settled(self) -> None:
        """Nothing is offered, or it went on or was refused for good: the next offer that fails is tried again soon."""
        self._offers.succeeded()
