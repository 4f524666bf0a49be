# SPDX-License-Identifier: Apache-2.0
"""Reads a ``dashboard`` document: JSON in, a frozen value or an error that names tile and field out.

::

    {"name": "Water network", "template": "flow-meter", "columns": 12,
     "tiles": [{"id": "flow", "kind": "line", "title": "Flow", "x": 0, "y": 0, "w": 8, "h": 4,
                "source": {"group": "all-meters"}, "values": ["flow"], "range_s": 86400, "unit": "l/min"}]}

Each kind of tile is a row of :data:`KINDS`: its fields, which of them are needed, and what stands in for an absent one.
A bar tile without ``by`` has a bar a device where its aggregate is ``last``, else one a stretch of time. Tiles lie on a
grid of :data:`COLUMNS` columns and do not overlap. A ``source`` says which devices a tile is about: ``{"device": ID}``,
``{"template": ID}`` (all devices of a device template) or ``{"group": ID}`` (a segment).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.rule.fields import json_integer, json_list, json_object, json_text, one_of, refused
from armillary.wire.hub.credentials import canonical_device_id, check_module_name

COLUMNS: Final = 12
# A screen shows about eight rows of a grid cell's height; a hundred are a very long page, and each has a style rule.
MAX_ROWS: Final = 100
MAX_TILE_ROWS: Final = 12
# Tiles of a dashboard: each is a query or two.
MAX_TILES: Final = 60
# Lines of one chart, columns of one table: more cannot be told apart.
MAX_VALUES: Final = 8
MAX_NAMES: Final = 24
MAX_PLACES: Final = 200
MAX_THRESHOLDS: Final = 6
MAX_TEXT_CHARACTERS: Final = 4000
MAX_NAME_CHARACTERS: Final = 128
MAX_IDENTITY_CHARACTERS: Final = 193  # a device's 128 and a module's 64, with a slash between them
MAX_TITLE_CHARACTERS: Final = 80
MIN_RANGE_S: Final = 60
MAX_RANGE_S: Final = 400 * 86_400
# Columns of a heat map: a wide screen has room for some 400 of three pixels.
MAX_HEAT_COLUMNS: Final = 400
MAX_PARAMETER_CHARACTERS: Final = 4096
# Buttons of one tile of commands, lines of a list of alerts: more do not fit.
MAX_BUTTONS: Final = 8
MAX_ALERTS: Final = 40

AGGREGATES: Final = ("avg", "min", "max", "sum", "count", "last")
STATES: Final = ("good", "attention", "bad")
SOURCES: Final = ("device", "group", "template")

_REMEDY: Final = "docs/guides/dashboards.md lists every kind of tile and its fields; nothing of the dashboard was kept."
_DOCUMENT_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?\Z")
_TILE_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\Z")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9._-]{0,62}\.(?:svg|png|webp|jpg)\Z")
_URL = re.compile(r"(?:https?://[^\s/?#\\]+|/(?![/\\]))[^\s\\]*\Z")

Check = Callable[[object, str], Any]


@dataclass(frozen=True, slots=True)
class TileSource:
    """Which devices: ``kind`` is one of SOURCES, ``id`` the device's, the group's or the template's."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class StateThreshold:
    """A number of at least ``at`` is shown in ``state``, one of STATES."""

    at: float
    state: str


@dataclass(frozen=True, slots=True)
class Place:
    """A spot on a floor plan, of one device or of the first whose cloud property ``name`` equals ``equals``.

    ``x`` and ``y`` are shares of the picture's width and height from its upper left corner.
    """

    x: float
    y: float
    label: str
    device: str
    name: str
    equals: str | float | bool


@dataclass(frozen=True, slots=True)
class CommandButton:
    """One button of a tile of commands; with ``ask`` people may change its ``parameters`` before they are sent."""

    label: str
    command: str
    parameters: Any
    ask: bool


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a tile: how it is checked, whether it must be there, and what an absent one means."""

    name: str
    check: Check
    needed: bool = True
    default: Any = None


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile."""

    id: str  # unique on its dashboard
    kind: str  # a key of KINDS
    title: str  # may be empty
    x: int  # place and size in cells of the grid, as are ``y``, ``w`` and ``h``
    y: int
    w: int
    h: int
    options: Mapping[str, Any]  # checked fields of its kind, every one present

    @property
    def source(self) -> TileSource | None:
        """Its devices, where the kind has some."""
        found: TileSource | None = self.options.get("source")
        return found

    @property
    def values(self) -> tuple[str, ...]:
        """Names of the telemetry that it shows."""
        value, values = self.options.get("value"), self.options.get("values", ())
        return ((value,) if value else ()) + tuple(values)


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A checked dashboard."""

    name: str
    description: str
    catalog: str | None
    template: str
    tiles: tuple[Tile, ...]

    def tile(self, tile_id: str) -> Tile | None:
        """The tile of this id."""
        return next((tile for tile in self.tiles if tile.id == tile_id), None)


def parse(document: object) -> Dashboard:
    """The dashboard in a decoded JSON document.

    Raises InvalidArgumentError with the tile and the field, what was expected and what was found.
    """
    try:
        return _dashboard(document)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(error.message, remedy=_REMEDY) from None


def parse_tile(document: object) -> Tile:
    """One tile, as it stands in ``tiles``; raises InvalidArgumentError with the tile and the field."""
    try:
        return _tile(document, "tile")
    except InvalidArgumentError as error:
        raise InvalidArgumentError(error.message, remedy=_REMEDY) from None


def parse_source(document: object) -> TileSource:
    """The devices of a tile, as they stand in ``source``; raises InvalidArgumentError."""
    return _source(document, "source")


def reading_order(tiles: Sequence[Tile]) -> tuple[Tile, ...]:
    """Tiles in the order in which people read them, and in which a narrow screen stacks them.

    Where a line across parts them, those above it come first; else, where a line down does, those left of it. So a
    column of small tiles beside a tall one stays together. What no line parts goes by row, then by column.
    """
    for axis, size in (("y", "h"), ("x", "w")):
        bands = _bands(tiles, axis, size)
        if len(bands) > 1:
            return tuple(tile for band in bands for tile in reading_order(band))
    return tuple(sorted(tiles, key=lambda tile: (tile.y, tile.x)))


def _bands(tiles: Sequence[Tile], axis: str, size: str) -> list[list[Tile]]:
    """Tiles as the lines across an axis part them that cut no tile."""
    bands: list[list[Tile]] = []
    reached = 0
    for tile in sorted(tiles, key=lambda each: int(getattr(each, axis))):
        start = getattr(tile, axis)
        if not bands or start >= reached:
            bands.append([])
        bands[-1].append(tile)
        reached = max(reached, start + getattr(tile, size))
    return bands


def free_row(tiles: tuple[Tile, ...]) -> int:
    """The first row below every tile."""
    return max((tile.y + tile.h for tile in tiles), default=0)


def state_of(thresholds: tuple[StateThreshold, ...], value: float) -> str:
    """The state of a number, one of STATES; "" below the first threshold. Thresholds rise."""
    state = ""
    for threshold in thresholds:
        if value >= threshold.at:
            state = threshold.state
    return state


def _dashboard(document: object) -> Dashboard:
    fields = json_object(document, "dashboard", ("name", "description", "catalog", "template", "columns", "tiles"))
    if fields.get("columns", COLUMNS) != COLUMNS:
        raise refused("columns", str(COLUMNS), repr(fields["columns"]))
    template, catalog = fields.get("template"), fields.get("catalog")
    tiles = tuple(
        _tile(each, f"tiles[{number}]")
        for number, each in enumerate(json_list(fields.get("tiles"), "tiles", 0, MAX_TILES))
    )
    _check_together(tiles)
    return Dashboard(
        name=json_text(fields.get("name"), "name", 1, MAX_NAME_CHARACTERS),
        description=json_text(fields.get("description", ""), "description", 0, MAX_TEXT_CHARACTERS, lines=True),
        catalog=None if catalog is None else json_text(catalog, "catalog", 1, MAX_NAME_CHARACTERS),
        template="" if template is None else _matched(_DOCUMENT_ID, template, "template", "a template's id or null"),
        tiles=tiles,
    )


def _tile(document: object, place: str) -> Tile:
    if not isinstance(document, Mapping):
        raise refused(place, "a JSON object", type(document).__name__)
    tile_id = _matched(_TILE_ID, document.get("id"), f"{place}.id", "1 to 40 of a-z 0-9 -")
    path = f"tile {tile_id!r}: "
    kind = one_of(document.get("kind"), path + "kind", tuple(KINDS))
    rows = KINDS[kind]
    json_object(document, path + kind, (*_PLACE_FIELDS, *(row.name for row in rows)))
    x = _between(document.get("x"), path + "x", 0, COLUMNS - 1)
    w = _between(document.get("w"), path + "w", 1, COLUMNS)
    if x + w > COLUMNS:
        raise refused(path + "w", f"at most {COLUMNS - x} columns from column {x} on", str(w))
    y = _between(document.get("y"), path + "y", 0, MAX_ROWS - 1)
    h = _between(document.get("h"), path + "h", 1, MAX_TILE_ROWS)
    if y + h > MAX_ROWS:
        raise refused(path + "h", f"at most {MAX_ROWS - y} rows from row {y} on", str(h))
    options: dict[str, Any] = {}
    for row in rows:
        if document.get(row.name) is None:
            if row.needed:
                raise refused(path + row.name, f"one, because a {kind} tile needs it", "none")
            options[row.name] = row.default
        else:
            options[row.name] = row.check(document[row.name], path + row.name)
    if kind == "heatmap" and options["range_s"] > options["bucket_s"] * MAX_HEAT_COLUMNS:
        most = options["bucket_s"] * MAX_HEAT_COLUMNS
        raise refused(path + "range_s", f"at most {most} s with columns of bucket_s", str(options["range_s"]))
    if kind == "gauge" and options["low"] >= options["high"]:
        raise refused(path + "high", f"more than low, {options['low']:g}", f"{options['high']:g}")
    title = json_text(document.get("title", ""), path + "title", 0, MAX_TITLE_CHARACTERS)
    return Tile(tile_id, kind, title, x, y, w, h, MappingProxyType(options))


def _check_together(tiles: tuple[Tile, ...]) -> None:
    seen: set[str] = set()
    taken: dict[tuple[int, int], str] = {}
    for tile in tiles:
        if tile.id in seen:
            raise refused(f"tile {tile.id!r}: id", "an id that no other tile has", "it twice")
        seen.add(tile.id)
        for cell in ((x, y) for x in range(tile.x, tile.x + tile.w) for y in range(tile.y, tile.y + tile.h)):
            if cell in taken:
                raise refused(
                    f"tile {tile.id!r}: x, y, w, h",
                    "cells that no other tile lies on",
                    f"column {cell[0]}, row {cell[1]}, where tile {taken[cell]!r} lies",
                )
            taken[cell] = tile.id


# Checks of single fields --------------------------------------------------------------------------------------------


def _matched(pattern: re.Pattern[str], value: object, path: str, expected: str) -> str:
    if not isinstance(value, str) or not pattern.match(value) or ".." in value:
        raise refused(path, expected, repr(value))
    return value


def _device(value: object, path: str) -> str:
    """The id of a device, or ``device/module``."""
    device, slash, module = json_text(value, path, 1, MAX_IDENTITY_CHARACTERS).partition("/")
    try:
        return canonical_device_id(device) + (f"/{check_module_name(module)}" if slash else "")
    except InvalidArgumentError as error:
        expected = "the id of a device: 128 hexadecimal digits, or a hub device's id; DEVICE/MODULE for a module"
        raise refused(path, expected, repr(value)) from error


def _between(value: object, path: str, least: int, most: int) -> int:
    number = json_integer(value, path)
    if not least <= number <= most:
        raise refused(path, f"{least} to {most}", str(number))
    return number


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise refused(path, "a number", repr(value))
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise refused(path, "a finite number", repr(value))
    return number


def _source(value: object, path: str) -> TileSource:
    fields = json_object(value, path, SOURCES)
    if len(fields) != 1:
        raise refused(path, f"one of {', '.join(SOURCES)}", ", ".join(sorted(fields)) or "nothing")
    ((kind, name),) = fields.items()
    if kind == "device":
        return TileSource(kind, _device(name, f"{path}.device"))
    return TileSource(kind, _matched(_DOCUMENT_ID, name, f"{path}.{kind}", f"the id of a {kind}"))


def _name(value: object, path: str) -> str:
    return json_text(value, path, 1, MAX_NAME_CHARACTERS)


def _names(most: int) -> Check:
    def check(value: object, path: str) -> tuple[str, ...]:
        names = tuple(_name(each, f"{path}[{at}]") for at, each in enumerate(json_list(value, path, 1, most)))
        if len(set(names)) != len(names):
            raise refused(path, "each name once", repr(list(names)))
        return names

    return check


def _one(words: tuple[str, ...]) -> Check:
    return lambda value, path: one_of(value, path, words)


def _whole(least: int, most: int) -> Check:
    return lambda value, path: _between(value, path, least, most)


def _text(most: int, *, least: int = 1, lines: bool = False) -> Check:
    return lambda value, path: json_text(value, path, least, most, lines=lines)


def _image(value: object, path: str) -> str:
    return _matched(_IMAGE, value, path, "TEMPLATE/FILE.svg (or .png, .webp, .jpg)")


def _target(value: object, path: str) -> str:
    if isinstance(value, str) and (_DOCUMENT_ID.match(value) or (len(value) <= 1000 and _URL.match(value))):
        return value
    raise refused(path, "a dashboard's id, a path that begins with / or an http(s) address", repr(value))


def _thresholds(value: object, path: str) -> tuple[StateThreshold, ...]:
    found = []
    for at, each in enumerate(json_list(value, path, 0, MAX_THRESHOLDS)):
        place = f"{path}[{at}]"
        fields = json_object(each, place, ("from", "state"))
        state = one_of(fields.get("state"), f"{place}.state", STATES)
        found.append(StateThreshold(_number(fields.get("from"), f"{place}.from"), state))
    if any(one.at >= two.at for one, two in pairwise(found)):
        raise refused(path, "rising values of from", repr([each.at for each in found]))
    return tuple(found)


def _places(value: object, path: str) -> tuple[Place, ...]:
    return tuple(_place(each, f"{path}[{at}]") for at, each in enumerate(json_list(value, path, 1, MAX_PLACES)))


def _place(value: object, path: str) -> Place:
    fields = json_object(value, path, ("device", "property", "equals", "label", "x", "y"))
    if ("device" in fields) == ("property" in fields) or ("property" in fields) != ("equals" in fields):
        raise refused(path, "either device, or property and equals", ", ".join(sorted(fields)))
    x, y = (_number(fields.get(axis), f"{path}.{axis}") for axis in ("x", "y"))
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise refused(f"{path}.x, y", "0 to 1, shares of the picture", f"{x:g}, {y:g}")
    equals = fields.get("equals", "")
    if not isinstance(equals, (str, int, float)):
        raise refused(f"{path}.equals", "a text, a number or a truth value", repr(equals))
    device = fields.get("device", "")
    return Place(
        x=x,
        y=y,
        label=json_text(fields.get("label", ""), f"{path}.label", 0, MAX_TITLE_CHARACTERS),
        device=_device(device, f"{path}.device") if device else "",
        name=_name(fields["property"], f"{path}.property") if "property" in fields else "",
        equals=json_text(equals, f"{path}.equals", 0, MAX_NAME_CHARACTERS)
        if isinstance(equals, str)
        else equals
        if isinstance(equals, bool)
        else _number(equals, f"{path}.equals"),
    )


def _parameters(value: object, path: str) -> object:
    if len(repr(value)) > MAX_PARAMETER_CHARACTERS:
        raise refused(path, f"JSON of at most {MAX_PARAMETER_CHARACTERS} characters", f"{len(repr(value))}")
    return value


def _truth(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise refused(path, "true or false", repr(value))
    return value


def _buttons(value: object, path: str) -> tuple[CommandButton, ...]:
    return tuple(_button(each, f"{path}[{at}]") for at, each in enumerate(json_list(value, path, 1, MAX_BUTTONS)))


def _button(value: object, path: str) -> CommandButton:
    fields = json_object(value, path, ("label", "command", "parameters", "ask"))
    return CommandButton(
        label=json_text(fields.get("label"), f"{path}.label", 1, MAX_TITLE_CHARACTERS),
        command=_name(fields.get("command"), f"{path}.command"),
        parameters=_parameters(fields.get("parameters"), f"{path}.parameters"),
        ask=_truth(fields.get("ask", False), f"{path}.ask"),
    )


_PLACE_FIELDS: Final = ("id", "kind", "title", "x", "y", "w", "h")
_SOURCE = Field("source", _source)
_VALUE = Field("value", _name)
_VALUES = Field("values", _names(MAX_VALUES))
_UNIT = Field("unit", _text(16), needed=False, default="")
_DECIMALS = Field("decimals", _whole(0, 6), needed=False)
_RANGE = Field("range_s", _whole(MIN_RANGE_S, MAX_RANGE_S), needed=False, default=86_400)
_AGGREGATE = Field("aggregate", _one(AGGREGATES), needed=False, default="avg")
_LAST = Field("aggregate", _one(AGGREGATES), needed=False, default="last")
_BUCKET = Field("bucket_s", _whole(60, 7 * 86_400), needed=False, default=3600)
_BY = Field("by", _one(("time", "device")), needed=False)
_ANY_VALUE = Field("value", _name, needed=False, default="")
_LIMITS = Field("thresholds", _thresholds, needed=False, default=())
_LOCATION = Field("location", _name)
_IMAGE_FILE = Field("image", _image)
_LABEL = Field("label", _text(MAX_TITLE_CHARACTERS))
_PARAMETERS = Field("parameters", _parameters, needed=False)
_SPARKLINE = Field("sparkline", _truth, needed=False, default=False)
_SCALE = (Field("low", _number), Field("high", _number))
_STATUS = Field("status", _one(("open", "all")), needed=False, default="open")
_MOST = Field("most", _whole(1, MAX_ALERTS), needed=False, default=10)

# kind of tile -> its fields.
KINDS: Final[Mapping[str, tuple[Field, ...]]] = MappingProxyType(
    {
        "kpi": (_SOURCE, _VALUE, _LAST, _RANGE, _UNIT, _DECIMALS, _LIMITS, _SPARKLINE),
        "gauge": (_SOURCE, _VALUE, *_SCALE, _LAST, _RANGE, _UNIT, _DECIMALS, _LIMITS),
        "line": (_SOURCE, _VALUES, _RANGE, _AGGREGATE, _UNIT, _LIMITS),
        "bar": (_SOURCE, _VALUES, _RANGE, _AGGREGATE, _UNIT, _BY, _LIMITS),
        "heatmap": (_SOURCE, _VALUE, _RANGE, _BUCKET, _UNIT),
        "map": (_SOURCE, _LOCATION, _ANY_VALUE, _UNIT, _LIMITS),
        "floor-plan": (_SOURCE, _IMAGE_FILE, _VALUE, Field("places", _places), _UNIT, _DECIMALS, _LIMITS),
        "property": (_SOURCE, Field("names", _names(MAX_NAMES))),
        "last-values": (_SOURCE, _VALUES, _UNIT),
        "alerts": (_SOURCE, _STATUS, _MOST),
        "command": (_SOURCE, Field("command", _name), _PARAMETERS, _LABEL),
        "commands": (_SOURCE, Field("buttons", _buttons)),
        "image": (_IMAGE_FILE, Field("alt", _text(200, least=0))),
        "text": (Field("text", _text(MAX_TEXT_CHARACTERS, lines=True)),),
        "link": (_LABEL, Field("target", _target)),
    }
)
