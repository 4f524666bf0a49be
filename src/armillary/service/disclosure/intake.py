# SPDX-License-Identifier: Apache-2.0
"""How many reports strangers may hand in: of one address, and in all. In memory; a restart begins anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from armillary.engines.quota import address_owner
from armillary.errors import QuotaExceededError

# Of one address (of IPv6 a /64): who found something writes once, and again when a part was forgotten.
BURST_OF_ADDRESS: Final = 5
SECONDS_OF_ADDRESS: Final = 600  # for each report more
# Of all addresses together: a day of this is more than a team reads, and 24 MB at most.
BURST: Final = 30
SECONDS: Final = 60
# Addresses that are remembered, at most: no more come in while the others' allowances fill up again.
MAX_ADDRESSES: Final = 1000


@dataclass(slots=True)
class _Bucket:
    """An allowance that fills up again: ``left`` as of ``at``."""

    left: float
    at: float

    def fill(self, now: float, burst: int, seconds: int) -> float:
        """What is left now; a clock that went back fills nothing."""
        self.left = min(float(burst), self.left + max(0.0, now - self.at) / seconds)
        self.at = now
        return self.left


class IntakeRate:
    """Counts reports. From any thread.

    Attributes:
        refused: Reports that were refused since the start.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._all = _Bucket(BURST, clock())
        self._of: dict[str, _Bucket] = {}
        self.refused = 0

    @property
    def remembered(self) -> int:
        """How many addresses are remembered."""
        return len(self._of)

    def take(self, address: str) -> None:
        """Count a report from an address.

        Raises:
            QuotaExceededError: the address, or all together, have handed in as many as they may; nothing was counted.
        """
        owner = address_owner(address)
        with self._lock:
            now = self._clock()
            mine = self._of.get(owner) or _Bucket(BURST_OF_ADDRESS, now)
            if mine.fill(now, BURST_OF_ADDRESS, SECONDS_OF_ADDRESS) < 1:
                self._refuse("your address has handed in as many reports as it may for now", SECONDS_OF_ADDRESS)
            if self._all.fill(now, BURST, SECONDS) < 1 or self._is_full(owner, now):
                self._refuse("more reports come in than are taken at a time", SECONDS)
            mine.left -= 1
            self._all.left -= 1
            self._of[owner] = mine

    def _refuse(self, why: str, seconds: int) -> None:
        self.refused += 1
        raise QuotaExceededError(why, retry_after_s=seconds)

    def _is_full(self, owner: str, now: float) -> bool:
        """Whether no more addresses can be remembered; forgets those whose allowance is whole again."""
        if owner in self._of or len(self._of) < MAX_ADDRESSES:
            return False
        for each, bucket in list(self._of.items()):
            if bucket.fill(now, BURST_OF_ADDRESS, SECONDS_OF_ADDRESS) >= BURST_OF_ADDRESS:
                del self._of[each]
        return len(self._of) >= MAX_ADDRESSES
