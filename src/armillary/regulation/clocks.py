# SPDX-License-Identifier: Apache-2.0
"""By when a case must be reported: Regulation (EU) 2024/2847 (Cyber Resilience Act), Article 14(2) and 14(4).

=======================  =======  =========================================  ==========
kind of case             stage    begins                                     ends after
=======================  =======  =========================================  ==========
exploited-vulnerability  24h      aware                                      24 hours
exploited-vulnerability  72h      aware                                      72 hours
exploited-vulnerability  final    a fix or mitigation is available (but not  14 days
                                  before aware)
severe-incident          24h      aware                                      24 hours
severe-incident          72h      aware                                      72 hours
severe-incident          final    the 72 h notice was submitted              one month
=======================  =======  =========================================  ==========

A month ends at the same time of the same day of the next month, or of its last day. Nothing is put off by weekends or
holidays, which Regulation 1182/71 would allow for periods of days: what is reported earlier is never late.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

HOUR_S: Final = 3600
DAY_S: Final = 86_400
EXPLOITED: Final = "exploited-vulnerability"
INCIDENT: Final = "severe-incident"
EARLY: Final = "24h"
NOTICE: Final = "72h"
FINAL: Final = "final"
STAGES: Final = (EARLY, NOTICE, FINAL)  # in the order in which they end
AWARE: Final = "aware"  # what begins a clock: these, or a stage that was submitted
FIX: Final = "fix-available"


@dataclass(frozen=True, slots=True)
class Clock:
    """One period: what begins it, how long it is, and how long before its end somebody is warned.

    Attributes:
        lasts_s: Seconds; None for one month.
    """

    stage: str
    begins: str
    lasts_s: int | None
    warn_s: int

    def ends_at(self, begun_at: int) -> int:
        """When it is over, of a time when it began; Unix seconds UTC."""
        return month_after(begun_at) if self.lasts_s is None else begun_at + self.lasts_s


# The warning leaves a working shift for the first, a day for the second, and a weekend for the last.
_FIRST: Final = (Clock(EARLY, AWARE, 24 * HOUR_S, 8 * HOUR_S), Clock(NOTICE, AWARE, 72 * HOUR_S, DAY_S))
CLOCKS: Final[Mapping[str, tuple[Clock, ...]]] = MappingProxyType(
    {
        EXPLOITED: (*_FIRST, Clock(FINAL, FIX, 14 * DAY_S, 3 * DAY_S)),
        INCIDENT: (*_FIRST, Clock(FINAL, NOTICE, None, 3 * DAY_S)),
    }
)
KINDS: Final = tuple(CLOCKS)


def month_after(at: int) -> int:
    """The same time of the same day of the next month, of its last day where it has no such; Unix seconds UTC."""
    moment = datetime.fromtimestamp(at, UTC)
    year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)
    day = min(moment.day, monthrange(year, month)[1])
    return int(moment.replace(year=year, month=month, day=day).timestamp())
