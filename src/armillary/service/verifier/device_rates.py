# SPDX-License-Identifier: Apache-2.0
"""How often one device may check in and how much it may report: what it adds to the records in a day is bounded.

Each allowance is a burst that is there at once and comes back at a steady rate (the generic cell rate algorithm: one
number a device, the time at which its burst is whole again). The bursts are for what honest devices do together: a boot
loop, a queue of reports after a week without a network, check-ins around an update. What is beyond:

* a check-in is refused with "try later" and the time when it will be taken; the device keeps what it wanted to tell.
  It is charged when it arrives, before anything of it is read: one that is malformed, or proves nothing, costs its
  device as much as one that is accepted. "Too often" itself costs nothing, nor does a challenge: to refuse one takes
  longer than to make it;
* so is one whose update outcomes are beyond: a roll-out goes by them, so none may get lost;
* error reports are taken and not kept: the check-in goes on, and how many they were is counted in the records. A faulty
  application that floods its device with reports must not cost that device its certificate.

The memory is of one process and begins empty: with device workers a device can have each allowance once at each worker,
and once more after a restart. :func:`daily_bound` is what one device can add in a day, computed from these numbers;
``docs/reference/records.md`` is that table for people.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from armillary.engines.records.queries.reports import MAX_REFUSALS_A_DAY, REFUSAL_CODES
from armillary.errors import RateLimitedError
from armillary.wire.device.checkin import MAX_OUTCOMES

DAY_S: Final = 86_400


class Allowance(NamedTuple):
    """So many at once, and one more every ``period_s`` seconds."""

    burst: int
    period_s: float

    @property
    def a_day(self) -> int:
        """The most that can be taken in any 24 hours."""
        return self.burst + math.ceil(DAY_S / self.period_s)


# A device checks in once an hour, some times around an update, and at every boot: a loop of boots of 30 s each is taken
# for two hours before it is slowed to one a minute. One whose challenge is not taken (too old, spent at another worker,
# of records that were set back) asks for a new one and proves again at once: two. One that speaks a later version of
# the protocol leaves out one thing after the other, at each boot: five at most. One that is refused for anything else
# waits, at last some minutes (device/checkin/schedule.py).
CHECK_INS: Final = Allowance(120, 60.0)
# Where devices are asked for shorter intervals than an hour: so many in an interval, at the least.
CHECK_INS_PER_INTERVAL: Final = 4
# A check-in that is not attested brings its own words of what failed, and counts as so many.
UPDATE_ONLY_COST: Final = 4
# A device keeps at most 128 reports while it is offline and sends 32 a check-in: an hourly one never has more.
REPORTS: Final = Allowance(256, 90.0)
# One for each image of an update: some tries of a large set at once, and one of a set of twelve an hour.
OUTCOMES: Final = Allowance(256, 300.0)

# Devices whose bursts are not whole, about 100 bytes each; beyond, the one that was noted first is forgotten.
MAX_TRACKED: Final = 500_000
# Entries after which whole ones are looked for; twice as many as were left by the last look.
SWEEP_AT: Final = 1024

# What a row takes at the most with its share of the indexes, bytes: measured by
# tests/service/verifier/test_device_rates.py.
CHECK_IN_BYTES: Final = 640
STEPS_BYTES: Final = 12 * 1024  # the steps of one appraisal that is not attested, in its own words
REPORT_BYTES: Final = 1792
OUTCOME_BYTES: Final = 1152
REFUSAL_BYTES: Final = 1536
FINDING_BYTES: Final = 4096
SUPPRESSED_ROWS_A_DAY: Final = 25  # one an hour that a day touches


class Meter:
    """What each device has taken of one allowance, for one event loop: it takes no lock."""

    __slots__ = ("_allowance", "_limit", "_sweep_at", "_whole_at")

    def __init__(self, allowance: Allowance, *, limit: int = MAX_TRACKED) -> None:
        self._allowance = allowance
        self._limit = limit
        self._sweep_at = SWEEP_AT
        self._whole_at: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._whole_at)

    def left(self, number: int, now: int) -> int:
        """How many a device may take now."""
        behind = self._behind(number, now)
        return int((self._allowance.burst * self._allowance.period_s - behind) / self._allowance.period_s + 1e-9)

    def wait_s(self, number: int, now: int, amount: int = 1) -> int:
        """Seconds until a device may take so many; 0 when it may now."""
        beyond = self._behind(number, now) + (amount - self._allowance.burst) * self._allowance.period_s
        return max(0, math.ceil(beyond - 1e-9))

    def take(self, number: int, now: int, amount: int = 1) -> None:
        """Note that a device has taken so many."""
        if not amount:
            return
        if len(self._whole_at) >= self._sweep_at:
            self._sweep(now)
        # Taken out first, so that the order of the memory is that of the last taking.
        behind = self._behind(number, now)
        self._whole_at.pop(number, None)
        self._whole_at[number] = now + behind + amount * self._allowance.period_s

    def charge(self, number: int, now: int, complaint: str) -> None:
        """Take one. Raises RateLimitedError, with this message and the seconds to wait, and takes none, beyond it."""
        if wait := self.wait_s(number, now):
            raise RateLimitedError(complaint, retry_after_s=wait)
        self.take(number, now)

    def _behind(self, number: int, now: int) -> float:
        """Seconds until the burst of a device is whole.

        What lies further ahead than taking can bring it was noted by a clock that has been set back since: forgotten,
        so that no honest device waits for it. Devices do not set that clock.
        """
        whole_at = self._whole_at.get(number)
        if whole_at is None or whole_at <= now:
            return 0.0
        most = self._allowance.burst * self._allowance.period_s
        if whole_at - now > most + UPDATE_ONLY_COST * self._allowance.period_s:
            del self._whole_at[number]
            return 0.0
        return whole_at - now

    def _sweep(self, now: int) -> None:
        self._whole_at = {number: at for number, at in self._whole_at.items() if at > now}
        while len(self._whole_at) >= self._limit:
            del self._whole_at[next(iter(self._whole_at))]
        self._sweep_at = min(self._limit, max(SWEEP_AT, 2 * len(self._whole_at)))


class DeviceRates:
    """The three allowances of the devices of one process, that are asked to check in every ``interval_s`` seconds."""

    def __init__(self, interval_s: int) -> None:
        self._check_ins = Meter(CHECK_INS._replace(period_s=check_in_period_s(interval_s)))
        self._reports = Meter(REPORTS)
        self._outcomes = Meter(OUTCOMES)

    def charge_check_in(self, number: int, now: int) -> None:
        """Take a check-in that arrives. Raises RateLimitedError for a device that checks in too often."""
        self._check_ins.charge(number, now, "this device checks in too often")

    def check_outcomes(self, number: int, now: int, amount: int) -> None:
        """Raise RateLimitedError, with the seconds to wait, for too many update outcomes of a device."""
        if amount and (wait := self._outcomes.wait_s(number, now, amount)):
            raise RateLimitedError("this device reports too many update outcomes", retry_after_s=wait)

    def reports_left(self, number: int, now: int) -> int:
        """How many more error reports of a device are kept."""
        return self._reports.left(number, now)

    def took(self, number: int, now: int, *, attested: bool, reports: int, outcomes: int) -> None:
        """Take what a check-in that is being recorded costs beside its arrival."""
        self._check_ins.take(number, now, 0 if attested else UPDATE_ONLY_COST - 1)
        self._reports.take(number, now, reports)
        self._outcomes.take(number, now, outcomes)


def check_in_period_s(interval_s: int) -> float:
    """Seconds in which a device regains one check-in."""
    return min(CHECK_INS.period_s, interval_s / CHECK_INS_PER_INTERVAL)


class DailyBound(NamedTuple):
    """The most rows that one device can add in 24 hours to each part of the records, and the bytes of them all."""

    check_ins: int
    appraisals: int
    error_reports: int
    outcomes: int
    refusals: int
    findings: int

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(self)

    @property
    def size(self) -> int:
        """Bytes."""
        sizes = (CHECK_IN_BYTES, STEPS_BYTES, REPORT_BYTES, OUTCOME_BYTES, REFUSAL_BYTES, FINDING_BYTES)
        return sum(count * each for count, each in zip(self, sizes, strict=True))


def daily_bound(*, findings: int, interval_s: int = 3600, workers: int = 1) -> DailyBound:
    """What one device can add to the records in 24 hours.

    It can open ``findings`` (``service/watch/watch.py``), is asked to check in every ``interval_s`` seconds, and is
    served by ``workers`` processes, which have allowances of their own.
    """
    check_ins = CHECK_INS._replace(period_s=check_in_period_s(interval_s)).a_day * workers
    return DailyBound(
        check_ins=check_ins,
        appraisals=-(-check_ins // UPDATE_ONLY_COST) + workers,  # the last may go beyond the burst
        error_reports=REPORTS.a_day * workers + SUPPRESSED_ROWS_A_DAY,
        outcomes=(OUTCOMES.a_day + MAX_OUTCOMES) * workers,
        refusals=MAX_REFUSALS_A_DAY + 2 * REFUSAL_CODES,  # two days are touched
        findings=findings,
    )
