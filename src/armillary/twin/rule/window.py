# SPDX-License-Identifier: Apache-2.0
"""Windows of a rule: which points are in one, and their aggregates.

Time of measurement decides where a point belongs; time of arrival only decides when a window is closed.

*Tumbling*: windows of ``length`` stand at multiples of it. One closes ``lateness`` after its end, or after its last
point arrived if that was later (a device that was offline brings its old points together), or as soon as the device
itself has measured something ``lateness`` beyond its end. A point for a closed window is late: it is not used.

*Sliding*: SLICES slices of equal length, the newest ends the window. A new point moves the window on; when none has
arrived for ``lateness``, the clock does. A point older than the window is late: it is not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from armillary.twin.rule.rule import Aggregate
from armillary.twin.rule.state import SLICES, Pane, Sums

NO_SUMS: Final = Sums(0, 0.0, math.inf, -math.inf)


def slice_of(at_ms: int, length_ms: int) -> int:
    """Number of the slice of a sliding window that a time belongs to; times in Unix milliseconds."""
    return at_ms * SLICES // length_ms


def slice_end_ms(number: int, length_ms: int) -> int:
    """First millisecond after a slice."""
    return -(-(number + 1) * length_ms // SLICES)


def with_point(sums: Sums | None, value: float | None) -> Sums:
    """Sums with one more point; None counts and has no number (a text)."""
    count, total, low, high = sums or NO_SUMS
    if value is None:
        return Sums(count + 1, total, low, high)
    return Sums(count + 1, total + value, min(low, value), max(high, value))


def merged(many: Iterable[Sums | None]) -> Sums | None:
    """The sums of several panes together; None when none of them has a point."""
    count, total, low, high = NO_SUMS
    for each in many:
        if each is not None:
            count += each[0]
            total += each[1]
            low = min(low, each[2])
            high = max(high, each[3])
    return Sums(count, total, low, high) if count else None


def aggregated(sums: Sums | None, aggregate: Aggregate) -> float | None:
    """The one number of a window; None when it has no point, or its sum leaves what a double holds."""
    if aggregate is Aggregate.COUNT:
        return float(sums[0]) if sums else 0.0
    if sums is None:
        return None
    count, total, low, high = sums
    if aggregate is Aggregate.MIN:
        value = low
    elif aggregate is Aggregate.MAX:
        value = high
    else:
        value = total / count if aggregate is Aggregate.AVG else total
    return value if math.isfinite(value) else None


def with_pane(
    panes: tuple[Pane, ...], number: int, now_ms: int, values: tuple[float | bool | None, ...]
) -> tuple[Pane, ...]:
    """Panes, in order of number, with one more point in pane ``number``.

    ``values`` has a number for each condition with an aggregate; False counts without a number, None is no point of it.
    """
    at = len(panes)
    while at and panes[at - 1].number > number:
        at -= 1
    present = panes[at - 1] if at and panes[at - 1].number == number else None
    before = present.sums if present else (None,) * len(values)
    sums = tuple(
        old if value is None else with_point(old, None if value is False else value)
        for old, value in zip(before, values, strict=True)
    )
    return (*panes[: at - (present is not None)], Pane(number, now_ms, sums), *panes[at:])
