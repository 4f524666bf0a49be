# SPDX-License-Identifier: Apache-2.0
"""What is evaluated: the samples of one series, as they were sent or rolled up; and series of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Labels = Mapping[str, str]
# The name of a series is the label of this name.
NAME = "__name__"


class Stretch(NamedTuple):
    """What a roll-up keeps of a stretch of time."""

    points: int
    low: float
    high: float
    total: float


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one series in order of time; rolled up each is the last value of a stretch, at the stretch's end."""

    labels: Labels
    times: Sequence[int]  # Unix milliseconds, ascending
    values: Sequence[float]
    width_ms: int = 0  # of each stretch; 0 for samples as they were sent
    stretches: Sequence[Stretch] = ()  # as many as samples where they are rolled up


@dataclass(frozen=True, slots=True)
class Row:
    """One series of a result: a value for each step, None where it has none."""

    labels: Labels
    values: list[float | None]


def without_name(labels: Labels) -> dict[str, str]:
    """The labels of what was computed: no longer the metric's own."""
    return {name: value for name, value in labels.items() if name != NAME}


def key_of(labels: Labels) -> tuple[tuple[str, str], ...]:
    """Labels as a key: equal for equal labels in any order."""
    return tuple(sorted(labels.items()))
