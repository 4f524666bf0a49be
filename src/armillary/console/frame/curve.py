# SPDX-License-Identifier: Apache-2.0
"""Counts over time as a chart of steps: drawn by the server, and with a readout where there is script. Pure.

A count stays what it is until it changes, so that a line is flat between two points and upright at the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.console.frame.words import Moment, grouped, moment

# The drawing's own units; the page stretches them.
WIDTH: Final = 1000
HEIGHT: Final = 200
# A change of now is seen at the edge of a chart that begins now.
LEAST_SPAN_S: Final = 60


@dataclass(frozen=True, slots=True)
class Line:
    """A count by time: (Unix seconds, count), rising."""

    label: str
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line as a path of SVG, and its newest count in words."""

    label: str
    path: str
    newest: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A chart: what it shows (``label``), where script gets it (``href``, as :func:`document`)."""

    label: str
    href: str
    most: str
    begin: Moment | None
    end: Moment | None
    lines: tuple[DrawnLine, ...]


def curve(label: str, href: str, lines: Sequence[Line], *, begin: int, end: int, now: int) -> Curve:
    """A chart from ``begin`` to ``end`` (Unix seconds)."""
    span = max(end - begin, LEAST_SPAN_S)
    most = max((count for line in lines for _, count in line.points), default=0)
    drawn = tuple(
        DrawnLine(line.label, _path(line, begin, span, max(most, 1)), grouped(line.points[-1][1]))
        for line in lines
        if line.points
    )
    return Curve(label, href, grouped(most), moment(begin, now), moment(end, now), drawn)


def document(lines: Sequence[Line], unit: str, *, begin: int, end: int) -> dict[str, Any]:
    """A chart as ``static/time-plot.js`` takes it; ``unit`` stands at its axis, labels of lines say it."""
    span_ms = max(end - begin, LEAST_SPAN_S) * 1000
    series = []
    for line in lines:
        steps = _steps(line.points, end)
        series.append(
            {
                "label": line.label,
                "unit": "",
                "axis": 0,
                "at_ms": [at * 1000 for at, _ in steps],
                "values": [count for _, count in steps],
            }
        )
    # The bucket is as wide as the chart: however far apart two changes are, between them is no gap.
    return {
        "start_ms": begin * 1000,
        "end_ms": begin * 1000 + span_ms,
        "bucket_ms": span_ms,
        "axes": [unit],
        "series": series,
    }


def line_of(label: str, points: Sequence[Mapping[str, int]], name: str) -> Line:
    """A line of points that have ``at`` and a count by ``name``."""
    return Line(label, tuple((each["at"], each[name]) for each in points))


def _steps(points: Sequence[tuple[int, int]], end: int) -> list[tuple[int, int]]:
    """Points with the corner before each change, up to the end."""
    found: list[tuple[int, int]] = []
    for at, count in points:
        if found and found[-1][1] != count and found[-1][0] < at - 1:
            found.append((at - 1, found[-1][1]))
        found.append((at, count))
    if found and found[-1][0] < end:
        found.append((end, found[-1][1]))
    return found


def _path(line: Line, begin: int, span: int, most: int) -> str:
    def place(at: int) -> str:
        return f"{WIDTH * min(max(at - begin, 0), span) / span:.1f}"

    def height(count: int) -> str:
        return f"{HEIGHT - HEIGHT * count / most:.1f}"

    (first_at, first), *rest = line.points
    parts = [f"M{place(first_at)} {height(first)}"]
    parts += [f"H{place(at)}V{height(count)}" for at, count in rest]
    return "".join([*parts, f"H{WIDTH}"])
