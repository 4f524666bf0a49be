# SPDX-License-Identifier: Apache-2.0
"""A small picture of a dashboard, drawn from its tiles: each where it stands, as what its kind shows. Pure.

It is a sketch and no screenshot: it shows the arrangement, and no value of anybody. ``applications.html`` writes the
shapes as SVG; colours are the style sheet's, so that it is right in light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

COLUMNS: Final = 12
# Units of a column and a row, and between two tiles; a dashboard is cut below.
WIDE, HIGH, GAP, MOST_ROWS = 20, 11, 2, 13
WIDTH: Final = COLUMNS * WIDE


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of SVG: its element, its attributes, and the class that colours it."""

    element: Literal["rect", "circle", "path"]
    attributes: tuple[tuple[str, str], ...]
    role: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: ``height`` in units of which it is :data:`WIDTH` wide."""

    height: int
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """Where a tile is drawn."""

    x: float
    y: float
    w: float
    h: float


def picture_of(tiles: Sequence[Mapping[str, Any]]) -> Picture:
    """The picture of a dashboard with these tiles, as ``twin/author/dashboard.py`` has them."""
    rows = min(MOST_ROWS, max((each["y"] + each["h"] for each in tiles), default=1))
    shapes: list[Shape] = []
    for number, tile in enumerate(tiles):
        if tile["y"] >= rows:
            continue
        high = min(tile["h"], rows - tile["y"])
        box = Box(tile["x"] * WIDE + GAP / 2, tile["y"] * HIGH + GAP / 2, tile["w"] * WIDE - GAP, high * HIGH - GAP)
        shapes.append(_rect(box.x, box.y, box.w, box.h, "frame"))
        inner = Box(box.x + 4, box.y + 4, box.w - 8, box.h - 8)
        if inner.w > 0 and inner.h > 0:
            shapes += DRAWN.get(tile["kind"], _text)(inner, number)
    return Picture(rows * HIGH, tuple(shapes))


def _rect(x: float, y: float, w: float, h: float, role: str) -> Shape:
    return Shape("rect", tuple(zip(("x", "y", "width", "height"), map(_n, (x, y, w, h)), strict=True)), role)


def _circle(x: float, y: float, radius: float, role: str) -> Shape:
    return Shape("circle", tuple(zip(("cx", "cy", "r"), map(_n, (x, y, radius)), strict=True)), role)


def _path(points: Sequence[tuple[float, float]], role: str) -> Shape:
    return Shape("path", (("d", "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)),), role)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _number(box: Box, number: int) -> Iterator[Shape]:
    yield _rect(box.x, box.y, box.w * 0.7, 2, "quiet")
    yield _rect(box.x, box.y + 5, box.w * (0.35 + number % 3 * 0.1), min(7, max(2, box.h - 5)), "strong")


def _lines(box: Box, number: int) -> Iterator[Shape]:
    yield _rect(box.x, box.y, box.w * 0.4, 2, "quiet")
    for line, role in enumerate(("first", "second")):
        middle, swing = box.y + box.h * (0.45 + 0.25 * line), box.h * 0.18
        steps = [index / 16 for index in range(17)]
        yield _path(
            [
                (
                    box.x + box.w * at,
                    middle + swing * math.sin(at * (9 + line * 4) + number * 1.7 + line) * (1 - at / 3),
                )
                for at in steps
            ],
            role,
        )


def _bars(box: Box, number: int) -> Iterator[Shape]:
    yield _rect(box.x, box.y, box.w * 0.4, 2, "quiet")
    rows = max(1, min(5, int((box.h - 5) // 6)))
    for row in range(rows):
        share = 0.95 - 0.13 * row - 0.05 * ((number + row) % 2)
        yield _rect(box.x, box.y + 6 + row * 6, box.w * share, 3.5, "fill")


def _cells(box: Box, number: int) -> Iterator[Shape]:
    wide, high = 8, max(1, int(box.h // 5))
    for row in range(high):
        for column in range(wide):
            role = ("soft", "soft", "half", "fill")[(row * 5 + column * 3 + number) % 7 % 4]
            yield _rect(box.x + column * box.w / wide, box.y + row * 5, box.w / wide - 1, 4, role)


def _map(box: Box, number: int) -> Iterator[Shape]:
    yield _rect(box.x - 3, box.y - 3, box.w + 6, box.h + 6, "soft")
    coast = [(box.x + box.w * at / 8, box.y + box.h * (0.3 + 0.18 * math.sin(at * 1.3 + number))) for at in range(9)]
    yield _path([*coast, (box.x + box.w, box.y + box.h), (box.x, box.y + box.h)], "land")
    for index in range(5):
        at = ((index * 37 + number * 11) % 80 + 10) / 100
        down = ((index * 23 + number * 7) % 40 + 50) / 100
        yield _circle(box.x + box.w * at, box.y + box.h * down, 2.4, "attention" if index == 3 else "good")


def _plan(box: Box, number: int) -> Iterator[Shape]:
    yield _rect(box.x, box.y, box.w, box.h, "wall")
    half, third = box.x + box.w * 0.55, box.y + box.h * 0.45
    yield _path([(half, box.y), (half, box.y + box.h * 0.7)], "wall")
    yield _path([(box.x, third), (box.x + box.w * 0.4, third)], "wall")
    for index in range(6):
        at, down = ((index * 31 + number * 13) % 84 + 8) / 100, ((index * 47 + 11) % 78 + 12) / 100
        yield _circle(box.x + box.w * at, box.y + box.h * down, 2.2, "attention" if index == 2 else "good")


def _table(box: Box, _number: int) -> Iterator[Shape]:
    yield _rect(box.x, box.y, box.w * 0.4, 2, "quiet")
    for row in range(max(1, min(6, int((box.h - 4) // 5)))):
        yield _rect(box.x, box.y + 6 + row * 5, box.w * (0.5 - row % 2 * 0.1), 1.6, "quiet")
        yield _rect(box.x + box.w * 0.72, box.y + 6 + row * 5, box.w * 0.25, 1.6, "strong")


def _buttons(box: Box, _number: int) -> Iterator[Shape]:
    high = min(8.0, box.h)
    yield _rect(box.x, box.y + (box.h - high) / 2, box.w * 0.8, high, "button")


def _text(box: Box, number: int) -> Iterator[Shape]:
    for row in range(max(1, min(4, int(box.h // 4)))):
        yield _rect(box.x, box.y + row * 4, box.w * (0.9 - (row + number) % 3 * 0.15), 1.6, "quiet")


def _image(box: Box, _number: int) -> Iterator[Shape]:
    radius = min(box.h, box.w) / 2
    yield _circle(box.x + radius, box.y + box.h / 2, radius, "half")
    if box.w > 4 * radius:
        yield _rect(box.x + 2.6 * radius, box.y + box.h / 2 - 2, box.w - 3 * radius, 4, "strong")


# Kind of tile -> how it is drawn; one that is not here is drawn as text.
DRAWN: Final[Mapping[str, Callable[[Box, int], Iterator[Shape]]]] = MappingProxyType(
    {
        "kpi": _number,
        "gauge": _number,
        "line": _lines,
        "bar": _bars,
        "heatmap": _cells,
        "map": _map,
        "floor-plan": _plan,
        "last-values": _table,
        "property": _table,
        "alerts": _table,
        "command": _buttons,
        "commands": _buttons,
        "image": _image,
    }
)
