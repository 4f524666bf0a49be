# SPDX-License-Identifier: Apache-2.0
"""Which readings are worth sending: report by exception, point by point.

A reading is sent when it is the first of its point, when its quality changed, when it moved by the deadband and
``min_s`` have passed since the last one, or when ``max_s`` have passed. A change that comes too early is not lost: the
next reading is compared with what was sent last, not with what was read last.

Source: ``docs/reference/equipment-profile.md`` (report).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from armillary.wire.equipment.profile import ReportRule
from armillary.wire.equipment.reading import Quality, Reading, Value

# Of a deadband: 92.8 is 0.3 above 92.5 although the difference of their doubles is a little less.
ROUNDING: Final = 1e-6


class _Sent:
    """What was sent last of one point, and its rule."""

    __slots__ = ("absolute", "at", "max_s", "min_s", "percent", "quality", "value")

    def __init__(self, rule: ReportRule) -> None:
        self.absolute = rule.absolute * (1 - ROUNDING)
        self.percent = rule.percent / 100.0 * (1 - ROUNDING)
        self.min_s = rule.min_s
        self.max_s = rule.max_s
        self.value: Value | None = None
        self.quality: Quality | None = None  # None: nothing was sent yet
        self.at = 0.0


class Reporter:
    """Keeps what was sent last of each point of one piece of equipment."""

    def __init__(self, rules: Mapping[str, ReportRule]) -> None:
        self._sent = {point: _Sent(rule) for point, rule in rules.items()}

    def take(self, readings: Iterable[Reading], now: float) -> list[Reading]:
        """Return those readings that are worth sending at this moment (monotonic seconds), in their order.

        Points without a rule are never sent.
        """
        worth = []
        table = self._sent
        for reading in readings:
            point, value, quality, _ = reading
            sent = table.get(point)
            if sent is None:
                continue
            if sent.quality is quality:
                passed = now - sent.at
                if passed < sent.max_s and (passed < sent.min_s or not _is_far(sent, value)):
                    continue
            sent.value, sent.quality, sent.at = value, quality, now
            worth.append(reading)
        return worth


def _is_far(sent: _Sent, value: Value | None) -> bool:
    """Whether a value moved by its deadband from what was sent last."""
    before = sent.value
    if value == before:
        return False
    if isinstance(value, (bool, str)) or isinstance(before, (bool, str)) or value is None or before is None:
        return True
    moved = abs(value - before)
    return moved >= sent.absolute and moved >= sent.percent * abs(before)
