# SPDX-License-Identifier: Apache-2.0
"""How good a detector is: average precision, the rate of true alarms at few false ones, and recall at a budget.

A random split of rows flatters every detector, and so does the area under the curve: what is judged here comes later in
time than what was learned from, and false alarms are counted against the time that all devices were watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

# False incidents per 1,000 device-days that people still look at.
BUDGET: Final = 1.0


def average_precision(scored: Iterable[tuple[float, bool]]) -> float:
    """Mean precision over the true ones, by falling score; what has an equal score is taken together, 0 without any."""
    rows = sorted(scored, key=lambda one: -one[0])
    true, seen, total, index = 0, 0, 0.0, 0
    while index < len(rows):
        score, found, taken = rows[index][0], 0, 0
        while index < len(rows) and rows[index][0] == score:
            found, taken, index = found + rows[index][1], taken + 1, index + 1
        true, seen = true + found, seen + taken
        total += found * true / seen
    return total / true if true else 0.0


def recall_at_rate(scored: Sequence[tuple[float, bool]], *, negatives: int, rate: float) -> float:
    """Share of true ones above the lowest threshold that at most ``rate`` of ``negatives`` false ones pass."""
    allowed = int(rate * negatives)
    false = sorted((score for score, is_true in scored if not is_true), reverse=True)
    threshold = false[allowed] if len(false) > allowed else float("-inf")
    true = [score for score, is_true in scored if is_true]
    return sum(score > threshold for score in true) / len(true) if true else 0.0


def false_per_thousand_days(false: int, device_days: float) -> float:
    """False incidents per 1,000 device-days."""
    return 1000 * false / device_days if device_days else 0.0
