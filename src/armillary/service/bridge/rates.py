# SPDX-License-Identifier: Apache-2.0
"""How often one bridged device may ask, and how often it may tell: what it adds to the records is bounded.

swupdate polls with two requests once a second at the most, and tells a few dozen things of an update. What is beyond is
refused with "try later"; nothing that was told is kept in part.

Reads of artifacts have an allowance of their own: RAUC that streams a bundle (``stream_bundle``) asks for a range with
each read of its network block device, some thousands for a large bundle, and tries a refused one again a second later.
"""

from __future__ import annotations

from typing import Final

from armillary.errors import RateLimitedError
from armillary.service.context.context import Context
from armillary.service.verifier.device_rates import Allowance, Meter

# Requests of any kind but reads of artifacts.
REQUESTS: Final = Allowance(600, 0.5)
# Whole artifacts and ranges: 250 MiB at once in RAUC's reads of 128 KiB, then 2.5 MiB a second.
READS: Final = Allowance(2000, 0.05)
# Feedback and attributes: each is a commit.
WRITES: Final = Allowance(300, 10.0)


class BridgeRates:
    """What each bridged device has taken of its allowances; for one event loop."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._requests, self._reads, self._writes = Meter(REQUESTS), Meter(READS), Meter(WRITES)

    def take(self, number: int, *, writes: bool = False) -> None:
        """Note a request of a device. Raises RateLimitedError, with the seconds to wait, for one too many."""
        now = self._context.now()
        wait = max(self._requests.wait_s(number, now), self._writes.wait_s(number, now) if writes else 0)
        if wait:
            raise RateLimitedError("this device asks too often", retry_after_s=wait)
        self._requests.take(number, now)
        if writes:
            self._writes.take(number, now)

    def take_read(self, number: int) -> None:
        """As :meth:`take`, for a request for an artifact or a part of it."""
        self._reads.charge(number, self._context.now(), "this device reads artifacts too often")
