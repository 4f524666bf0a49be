# SPDX-License-Identifier: Apache-2.0
"""What the tiles of a dashboard show, all in one answer: each tile's data, or what stands in its way.

A tile that cannot be answered (its group is gone, say) has an ``error`` and spoils no other. Values are as devices sent
them, and ``labels`` says what each is called and in which unit it is; colours and pictures are the reader's business.
Buckets over time never exceed what the caller can draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from armillary.api.http.tenure import begun, own_through, whole_hours_since
from armillary.engines.series.values.fleet import FleetBucket
from armillary.engines.series.values.query import bucket_width
from armillary.engines.series.values.rollups import MINUTE_MS
from armillary.errors import ArmillaryError, NotFoundError
from armillary.platform.dashboards.alerts import DeviceAlerts
from armillary.platform.dashboards.devices import DashboardDevices
from armillary.twin.author.dashboard import Dashboard, Place, Tile, state_of
from armillary.twin.template.value_names import as_fields

if TYPE_CHECKING:
    from armillary.hub.hub import Hub

Document = dict[str, Any]
# What a list of alerts says of each (``platform/rules/alerts.py``).
ALERT_FIELDS: Final = (
    "number", "device_id", "rule_id", "rule_name", "severity", "summary", "fired_ms", "over_ms", "acknowledged_ms",
)  # fmt: skip

# Points of a line when the caller does not say, and at most: what screens have pixels.
LINE_POINTS: Final = 400
MAX_LINE_POINTS: Final = 4000
# Bars of a chart over time: more are thinner than the gaps between them.
TIME_BARS: Final = 32
# Rows of a table, a heat map or a chart of devices; the answer says how many there are.
MAX_ROWS: Final = 40
# Dots of a map: more hide each other, and each is a hundred bytes.
MAX_DOTS: Final = 2000
# Buckets that one bar is put together from, at most: bars stand at round times, buckets perhaps at others.
FINER: Final = 4
# Buckets that the mean of a range is put together from.
WHOLE_POINTS: Final = 48


@dataclass(slots=True)
class Question:
    """One request for a dashboard's data; ``end_ms`` is the present, Unix milliseconds.

    ``range_s``: seconds that every tile over time looks back; None: what each tile says itself. ``points``: most
    buckets of a line. ``alerts``: firings of rules, as the asker may see them. ``since``: when devices that had an
    earlier owner came to the asker's catalog (``api/http/tenure.py``).
    """

    hub: Hub
    devices: DashboardDevices
    alerts: DeviceAlerts
    end_ms: int
    range_s: int | None
    points: int
    since: Mapping[str, int] = field(default_factory=dict)
    _latest: dict[tuple[Any, str], Mapping[str, tuple[int, Any]]] = field(default_factory=dict)

    def start_ms(self, tile: Tile) -> int:
        """Where a tile's time begins."""
        return self.end_ms - (self.range_s or tile.options["range_s"]) * 1000

    def latest(self, tile: Tile, name: str) -> Mapping[str, tuple[int, Any]]:
        """Device id -> (time, value) of the newest value of a name; each is read once."""
        place = (tile.source, name)
        if place not in self._latest:
            ids = self.devices.of(tile.source)
            found = self.hub.series.fleet.latest(ids, name, len(ids) + 1) if ids else []
            self._latest[place] = {
                device: (at, value) for device, at, value in found if at >= begun(self.since, device)
            }
        return self._latest[place]

    def buckets(
        self, ids: Collection[str], name: str, start_ms: int, points: int, most: int | None = None
    ) -> tuple[int, Sequence[FleetBucket]]:
        """Width and buckets of a name over devices; an own, cheaper read for a single one."""
        points = max(1, min(points, most or points))
        if len(ids) != 1:
            ids = own_through(ids, self.since, start_ms)
            found = self.hub.series.fleet.over_time(ids, name, start_ms, self.end_ms, points)
            return found.bucket_ms, found.buckets
        (device_id,) = ids
        start_ms = max(start_ms, whole_hours_since(begun(self.since, device_id)))
        if start_ms >= self.end_ms:
            return 0, ()
        try:
            one = self.hub.series.query(device_id, name, start_ms, self.end_ms, points)
        except NotFoundError:  # it has never sent this
            return 0, ()
        return one.bucket_ms, [
            FleetBucket(b.start_ms, b.count, b.low, b.high, b.mean * b.count, b.mean) for b in one.buckets
        ]


def data(question: Question, dashboard: Dashboard, *, only: str | None = None) -> Document:
    """Data of every tile that has some, or of ``only`` one, by the tile's id."""
    tiles = {
        tile.id: _answer(question, tile) for tile in dashboard.tiles if tile.kind in ANSWERS and only in (None, tile.id)
    }
    return {"at_ms": question.end_ms, "range_s": question.range_s, "tiles": tiles}


def _answer(question: Question, tile: Tile) -> Document:
    try:
        ids = question.devices.of(tile.source)
        named = {"labels": labels(question.devices, tile)}
        return {"kind": tile.kind, "devices": len(ids), **named, **ANSWERS[tile.kind](question, tile, ids)}
    except ArmillaryError as error:
        shown = {"code": error.code, "message": error.message, "remedy": error.remedy}
        return {"kind": tile.kind, "devices": 0, "labels": [], "error": shown}


def tile_labels(devices: DashboardDevices, dashboard: Dashboard) -> dict[str, list[Document]]:
    """What is called how, by the tile's id; a tile that cannot be answered has nothing to say."""
    found = {}
    for tile in dashboard.tiles:
        try:
            found[tile.id] = labels(devices, tile)
        except ArmillaryError:  # the tile itself says what is wrong
            continue
    return found


def labels(devices: DashboardDevices, tile: Tile) -> list[Document]:
    """What is called how in a tile: its values, its properties, its command. Raises as :meth:`Devices.of`."""
    options = tile.options
    commands = [options["command"]] if "command" in options else [each.command for each in options.get("buttons", ())]
    named = dict.fromkeys((*tile.values, *options.get("names", ()), *commands))
    naming = devices.naming(tile.source)
    return [as_fields(naming.of(name)) for name in named]


# One number -------------------------------------------------------------------------------------------------------


def _kpi(question: Question, tile: Tile, ids: Sequence[str]) -> Document:
    name, aggregate = tile.values[0], tile.options["aggregate"]
    last = question.latest(tile, name)
    newest = max((at for at, _ in last.values()), default=None)
    drawn: Document = {}
    buckets: Sequence[FleetBucket] = ()
    if aggregate != "last" or tile.options.get("sparkline"):
        _, buckets = question.buckets(ids, name, question.start_ms(tile), WHOLE_POINTS)
    if tile.options.get("sparkline"):
        drawn = {
            "start_ms": question.start_ms(tile),
            "end_ms": question.end_ms,
            "points": [[each.start_ms, pick(aggregate, each)] for each in buckets],
        }
    value, of = _now(last) if aggregate == "last" else (pick(aggregate, whole(buckets)), None)
    state = state_of(tile.options["thresholds"], value) if _is_number(value) else ""
    key = next(iter(last)) if aggregate == "last" and len(last) == 1 else None
    return {"value": value, "of": of, "at_ms": newest, "state": state, "device_id": key, **drawn}


def _now(last: Mapping[str, tuple[int, Any]]) -> tuple[Any, int | None]:
    """What many newest values say together, and of how many where it is a count."""
    if len(last) == 1:
        return next(iter(last.values()))[1], None
    numbers = [value for _, value in last.values() if _is_number(value)]
    if numbers:
        return math.fsum(numbers) / len(numbers), None
    truths = [value for _, value in last.values() if isinstance(value, bool)]
    if truths:
        return sum(truths), len(truths)
    if not last:
        return None, None
    return max(last.values(), key=lambda each: each[0])[1], None


def whole(buckets: Iterable[FleetBucket]) -> FleetBucket | None:
    """One bucket of several; None of none."""
    every = list(buckets)
    if not every:
        return None
    count, total = sum(b.count for b in every), math.fsum(b.total for b in every)
    low, high = min(b.low for b in every), max(b.high for b in every)
    return FleetBucket(every[0].start_ms, count, low, high, total, min(max(total / count, low), high))


def pick(aggregate: str, found: FleetBucket | None) -> float | int | None:
    """The number that an aggregate takes of a bucket (``last`` takes the mean: a bucket knows no order)."""
    if found is None:
        return 0 if aggregate == "count" else None
    picked = {"min": found.low, "max": found.high, "sum": found.total, "count": found.count}
    return picked.get(aggregate, found.mean)


# Over time --------------------------------------------------------------------------------------------------------


def _line(question: Question, tile: Tile, ids: Sequence[str]) -> Document:
    return _over_time(question, tile, ids, question.points)


def _over_time(question: Question, tile: Tile, ids: Sequence[str], points: int) -> Document:
    start_ms = question.start_ms(tile)
    series, width = [], 0
    for name in tile.values:
        width, buckets = question.buckets(ids, name, start_ms, points)
        series.append(
            {
                "name": name,
                "at_ms": [b.start_ms for b in buckets],
                "values": [pick(tile.options["aggregate"], b) for b in buckets],
            }
        )
    one = ids[0] if len(ids) == 1 else None
    return {"start_ms": start_ms, "end_ms": question.end_ms, "bucket_ms": width, "series": series, "device_id": one}


def _time_bars(question: Question, tile: Tile, ids: Sequence[str]) -> Document:
    """Bars of one width at round times, also where nothing was sent."""
    bars = min(question.points, TIME_BARS)
    width = bucket_width(question.start_ms(tile), question.end_ms, bars, MINUTE_MS)
    first = question.start_ms(tile) // width * width
    starts = range(first, question.end_ms, width)
    series = []
    for name in tile.values:
        sums: dict[int, list[FleetBucket]] = {}
        for each in question.buckets(ids, name, first, bars * FINER)[1]:
            sums.setdefault(max(each.start_ms, first) // width * width, []).append(each)
        found = [whole(sums.get(at, ())) for at in starts]
        picked = [None if each is None else pick(tile.options["aggregate"], each) for each in found]
        at_ms = list(starts) if any(each is not None for each in picked) else []
        series.append({"name": name, "at_ms": at_ms, "values": picked if at_ms else []})
    one = ids[0] if len(ids) == 1 else None
    return {"start_ms": first, "end_ms": question.end_ms, "bucket_ms": width, "series": series, "device_id": one}


def _bar(question: Question, tile: Tile, ids: Sequence[str]) -> Document:
    aggregate = tile.options["aggregate"]
    by = tile.options["by"] or ("device" if aggregate == "last" else "time")
    if by == "time":
        return {"by": by, **_time_bars(question, tile, ids)}
    if aggregate == "last":
        newest = {name: question.latest(tile, name) for name in tile.values}
        found = {each: [newest[name].get(each, (0, None))[1] for name in tile.values] for each in ids}
        first = [each for each in ids if _is_number(found[each][0])]
        shown = sorted(first, key=lambda each: (-found[each][0], each))[:MAX_ROWS]
    else:
        shown, start_ms = list(ids[:MAX_ROWS]), question.start_ms(tile)
        found = {
            each: [
                pick(aggregate, whole(question.buckets((each,), name, start_ms, WHOLE_POINTS)[1]))
                for name in tile.values
            ]
            for each in shown
        }
    labels = question.devices.labels(shown)
    bars = [
        {"device_id": each, "label": labels[each], "values": [v if _is_number(v) else None for v in found[each]]}
        for each in shown
    ]
    return {"by": by, "names": list(tile.values), "bars": bars}


def _heatmap(question: Question, tile: Tile, ids: Sequence[str]) -> Document:
    width = tile.options["bucket_s"] * 1000
    while question.end_ms - question.start_ms(tile) > width * question.points:  # a longer range was asked for
        width *= 2
    first = question.start_ms(tile) // width * width
    columns = -(-(question.end_ms - first) // width)
    rows, shown = [], list(ids[:MAX_ROWS])
    labels = question.devices.labels(shown)
    for each in shown:
        sums: dict[int, list[FleetBucket]] = {}
        for bucket in question.buckets((each,), tile.values[0], first, columns * 2)[1]:
            sums.setdefault((max(bucket.start_ms, first) - first) // width, []).append(bucket)
        values = [pick("avg", whole(sums.get(at, ()))) for at in range(columns)]
        rows.append({"device_id": each, "label": labels[each], "values": values})
    return {"start_ms": first, "bucket_ms": width, "columns": columns, "rows": rows}


# Places -----------------------------------------------------------------------------------------------------------


def _map(question: Question, tile: Tile, ids: Sequence[str]) -> Document:
    location, name = tile.options["location"], tile.options["value"]
    lat, lon = (question.latest(tile, f"{location}.{axis}") for axis in ("lat", "lon"))
    spots: dict[str, tuple[float, float]] = {}
    for each in ids:
        if each in lat and each in lon and _is_spot(lat[each][1], lon[each][1]):
            spots[each] = (lat[each][1], lon[each][1])
    silent = [each for each in ids if each not in spots][:MAX_DOTS]
    for device_id, value in question.devices.properties(silent, location).items():
        if isinstance(value, Mapping) and _is_spot(value.get("lat"), value.get("lon")):
            spots[device_id] = (value["lat"], value["lon"])
    shown = [each for each in ids if each in spots][:MAX_DOTS]
    last = question.latest(tile, name) if name else {}
    labels = question.devices.labels(shown)
    dots = [
        {
            "device_id": each,
            "label": labels[each],
            "lat": spots[each][0],
            "lon": spots[each][1],
            **_spot(tile, last, each),
        }
        for each in shown
    ]
    return {"dots": dots, "placed": len(spots)}


def _floor_plan(question: Question, tile: Tile, ids: Sequence[str]) -> Document:
    last = question.latest(tile, tile.values[0])
    known, places, taken = set(ids), tile.options["places"], set[str]()
    by_name = {place.name: question.devices.properties(ids[:MAX_DOTS], place.name) for place in places if place.name}
    found: list[tuple[Place, str]] = []
    for place in places:
        device = place.device if place.device in known else ""
        if place.name:
            here = by_name[place.name]
            device = next((each for each in ids if here.get(each) == place.equals and each not in taken), "")
        if device:
            taken.add(device)
        found.append((place, device))
    labels = question.devices.labels([device for _, device in found if device])
    spots = [
        {
            "x": place.x,
            "y": place.y,
            "label": place.label or labels.get(device, "") or str(place.equals),
            "device_id": device or None,
            **_spot(tile, last, device),
        }
        for place, device in found
    ]
    return {"image": tile.options["image"], "spots": spots}


def _spot(tile: Tile, last: Mapping[str, tuple[int, Any]], device: str) -> Document:
    at_ms, value = last.get(device, (None, None))
    state = state_of(tile.options["thresholds"], value) if _is_number(value) else ""
    return {"value": value, "at_ms": at_ms, "state": state}


# Tables -----------------------------------------------------------------------------------------------------------


def _last_values(question: Question, tile: Tile, ids: Sequence[str]) -> Document:
    shown = ids[:MAX_ROWS]
    newest = [question.latest(tile, name) for name in tile.values]
    labels = question.devices.labels(shown)
    rows = []
    for each in shown:
        cells = [column.get(each, (None, None)) for column in newest]
        rows.append(
            {
                "device_id": each,
                "label": labels[each],
                "values": [value for _, value in cells],
                "at_ms": [at for at, _ in cells],
            }
        )
    return {"names": list(tile.values), "rows": rows}


def _property(question: Question, tile: Tile, ids: Sequence[str]) -> Document:
    shown = ids[:MAX_ROWS]
    names = list(tile.options["names"])
    labels = question.devices.labels(shown)
    columns = [question.devices.properties(shown, name) for name in names]
    rows = [
        {"device_id": each, "label": labels[each], "values": [column.get(each) for column in columns]} for each in shown
    ]
    return {"names": names, "rows": rows}


def _command(question: Question, tile: Tile, ids: Sequence[str]) -> Document:  # noqa: ARG001 - as all
    connected = question.hub.connected()
    return {"connected": sum(each in connected for each in ids)}


# Alerts ----------------------------------------------------------------------------------------------------------


def _alerts(question: Question, tile: Tile, ids: Sequence[str]) -> Document:
    found, more = question.alerts(ids, is_open=tile.options["status"] == "open" or None, most=tile.options["most"])
    labels = question.devices.labels([each["device_id"] for each in found])
    return {
        "alerts": [
            {**{name: each[name] for name in ALERT_FIELDS}, "label": labels[each["device_id"]]} for each in found
        ],
        "more": more,
    }


ANSWERS: Final[Mapping[str, Callable[[Question, Tile, Sequence[str]], Document]]] = MappingProxyType(
    {
        "kpi": _kpi,
        "gauge": _kpi,
        "line": _line,
        "bar": _bar,
        "heatmap": _heatmap,
        "map": _map,
        "floor-plan": _floor_plan,
        "property": _property,
        "last-values": _last_values,
        "alerts": _alerts,
        "command": _command,
        "commands": _command,
    }
)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_spot(lat: object, lon: object) -> bool:
    return isinstance(lat, (int, float)) and isinstance(lon, (int, float)) and abs(lat) <= 90 and abs(lon) <= 180
