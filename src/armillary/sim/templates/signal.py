# SPDX-License-Identifier: Apache-2.0
"""Signals of a simulated device: functions of time that are described as data.

What it is: the closed set of kinds of signals (:data:`KINDS`), and how one is read from its description and evaluated.
What it is not: a device. Which signals one has, its incidents and its commands are in ``behaviour.py``.

A signal has no memory: its value follows from a seed, its name and the time alone. So a simulation that is stopped and
started goes on as if it had never stopped, and its past can be made up afterwards. What operators change (a valve that
they close) is a *setting*; settings are handed in.

Times are Unix seconds. Places are ``{"lat", "lon"}`` in degrees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final

from armillary.errors import InvalidArgumentError

Value = Any  # number, truth value, text, or a mapping of them

DAY_S: Final = 86_400.0
# A walk is the sum of so many waves, each faster and smaller: (how much faster, share).
_OCTAVES: Final = ((1.0, 0.62), (3.1, 0.26), (9.7, 0.12))
# Metres of a degree of latitude (WGS 84, mean).
METRES_A_DEGREE: Final = 111_195.0
# A normal value further out than so many deviations is drawn in: bounds hold.
MAX_DEVIATIONS: Final = 3.5
# What a setting says at first when it says when the simulation began.
AT_ORIGIN: Final = "@origin"

_REMEDY: Final = "docs/guides/templates.md lists the kinds of signals and their fields."


class Scene:
    """What the value of a signal depends on: one device at one moment.

    Args:
        signals: Name -> signal.
        seed: Of this device, at most 64 bytes.
        origin_s: When the simulation began.
        at_s: The moment.
        settings: Values of signals of the kind ``setting``, by name.
        change: What incidents make of a value: (name, value) -> value.
    """

    def __init__(
        self,
        signals: Mapping[str, Signal],
        *,
        seed: bytes,
        origin_s: float,
        at_s: float,
        settings: Mapping[str, Value],
        change: Callable[[str, Value], Value] = lambda _, value: value,
    ) -> None:
        self.signals = signals
        self.seed = seed
        self.origin_s = origin_s
        self.at_s = at_s
        self.settings = settings
        self._change = change
        self._known: dict[str, Value] = {}

    def value(self, name: str) -> Value:
        """The value of a signal now."""
        if name not in self._known:
            signal = self.signals[name]
            value = self._change(name, signal.kind.evaluate(self, name, signal.options))
            self._known[name] = signal.rounded(value)
        return self._known[name]

    def number(self, name: str) -> float:
        """The value of a signal as a number: a truth value is 0 or 1, a text 0."""
        value = self.value(name)
        return float(value) if isinstance(value, (int, float)) else 0.0

    def unit(self, name: str, number: int) -> float:
        """A number in [0, 1) that looks random and is always the same for this device, name and number."""
        return unit(self.seed, name, number)


def unit(seed: bytes, name: str, number: int) -> float:
    """A number in [0, 1) that looks random and follows from its arguments."""
    digest = blake2b(f"{name}#{number}".encode(), key=seed, digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2.0**48


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of signal.

    Attributes:
        evaluate: (scene, name, options) -> value.
        fields: Option -> its value when it is left out; ``...`` where it must be there.
        reads: Options that name other signals.
    """

    evaluate: Callable[[Scene, str, Mapping[str, Any]], Value]
    fields: Mapping[str, Any]
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal.

    Attributes:
        options: The kind's own, complete.
        least: Lower bound of numbers.
        most: Upper bound of numbers.
        decimals: Digits after the point; 0 makes it a whole number; None leaves it.
        unit: Unit as its model says it; "" without one.
    """

    kind: Kind
    options: Mapping[str, Any]
    least: float = -math.inf
    most: float = math.inf
    decimals: int | None = None
    unit: str = ""

    def rounded(self, value: Value) -> Value:
        """``value`` within the bounds, with so many digits."""
        if isinstance(value, Mapping):
            return {name: self.rounded(part) for name, part in value.items()}
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return value
        bounded = min(max(value, self.least), self.most)
        if self.decimals is None:
            return bounded
        return round(bounded) if self.decimals == 0 else round(bounded, self.decimals)


def parse_signal(name: str, table: object) -> Signal:
    """Read a signal's description; InvalidArgumentError names the kind or field that makes no sense."""
    if not isinstance(table, Mapping) or table.get("kind") not in KINDS:
        got = table.get("kind") if isinstance(table, Mapping) else table
        raise refused(f"signal {name}", f"a kind of {', '.join(sorted(KINDS))}", repr(got))
    kind = KINDS[table["kind"]]
    general = ("kind", "least", "most", "decimals", "unit")
    unknown = sorted(set(table) - set(kind.fields) - set(general))
    missing = sorted(each for each, default in kind.fields.items() if default is ... and each not in table)
    if unknown or missing:
        wanted = ", ".join((*kind.fields, *general))
        raise refused(f"signal {name}", f"fields {wanted}", f"unknown {unknown}, missing {missing}")
    options = {each: table.get(each, default) for each, default in kind.fields.items()}
    _check_options(name, table["kind"], options)
    if "fields" in options:
        options["fields"] = {part: parse_signal(f"{name}.{part}", each) for part, each in options["fields"].items()}
    return Signal(
        kind,
        options,
        float(table.get("least", -math.inf)),
        float(table.get("most", math.inf)),
        table.get("decimals"),
        table.get("unit", ""),
    )


def reads_of(signal: Signal) -> Iterable[str]:
    """Names of the signals that a signal is made from."""
    for option in signal.kind.reads:
        named = signal.options[option]
        yield from (named,) if isinstance(named, str) else named
    if "fields" in signal.options:
        for part in signal.options["fields"].values():
            yield from reads_of(part)


def _check_options(name: str, kind: str, options: Mapping[str, Any]) -> None:
    for field in ("hold_s", "period_s", "slot_s", "speed_kmh"):
        if field in options and not options[field] > 0:
            raise refused(f"signal {name}", f"{field} above 0", repr(options[field]))
    for low, high in (("low", "high"),):
        if low in options and not options[low] <= options[high]:
            raise refused(f"signal {name}", f"{low} at most {high}", f"{options[low]} and {options[high]}")
    for field, length in (("hours", 24), ("weekdays", 7)):
        if options.get(field) is not None and (len(options[field]) != length or min(options[field]) < 0):
            raise refused(f"signal {name}", f"{length} numbers from 0 as {field}", repr(options[field]))
    if kind == "counter" and sum(options["hours"]) <= 0:
        raise refused(f"signal {name}", "hours with a sum above 0", repr(options["hours"]))
    if kind == "derived" and options["op"] not in OPERATIONS:
        raise refused(f"signal {name}", f"an op of {', '.join(sorted(OPERATIONS))}", repr(options["op"]))
    if kind == "route" and len(options["places"]) < 2:
        raise refused(f"signal {name}", "at least two places", repr(options["places"]))


# Kinds --------------------------------------------------------------------------------------------------------------


def _constant(_scene: Scene, _name: str, options: Mapping[str, Any]) -> Value:
    return options["value"]


def _setting(scene: Scene, name: str, options: Mapping[str, Any]) -> Value:
    if name in scene.settings:
        return scene.settings[name]
    return iso_time(scene.origin_s) if options["initial"] == AT_ORIGIN else options["initial"]


def _uniform(scene: Scene, name: str, options: Mapping[str, Any]) -> float:
    part = scene.unit(name, int(scene.at_s // options["hold_s"]))
    return float(options["low"] + (options["high"] - options["low"]) * part)


def _normal(scene: Scene, name: str, options: Mapping[str, Any]) -> float:
    return float(options["mean"] + options["deviation"] * _deviate(scene, name, scene.at_s, options["hold_s"]))


def _deviate(scene: Scene, name: str, at_s: float, hold_s: float) -> float:
    """A normally distributed number (Box and Muller), drawn in at MAX_DEVIATIONS."""
    slot = int(at_s // hold_s)
    first, second = scene.unit(f"{name}/a", slot), scene.unit(f"{name}/b", slot)
    found = math.sqrt(-2.0 * math.log(1.0 - first)) * math.cos(2.0 * math.pi * second)
    return min(max(found, -MAX_DEVIATIONS), MAX_DEVIATIONS)


def _daily(scene: Scene, name: str, options: Mapping[str, Any]) -> float:
    hours: Sequence[float] = options["hours"]
    local = scene.at_s / 3600.0 + options["utc_offset_h"]
    hour, part = int(local // 1), local % 1.0
    value = hours[hour % 24] * (1.0 - part) + hours[(hour + 1) % 24] * part
    if options["weekdays"] is not None:
        value *= options["weekdays"][(int(local // 24) + 3) % 7]  # 1970-01-01 was a Thursday; Monday is 0
    return float(value * (1.0 + options["noise"] * _deviate(scene, name, scene.at_s, options["hold_s"])))


def _walk(scene: Scene, name: str, options: Mapping[str, Any]) -> float:
    total = 0.0
    for number, (faster, share) in enumerate(_OCTAVES):
        at = scene.at_s * faster / options["period_s"]
        slot, part = int(at // 1), at % 1.0
        part = part * part * (3.0 - 2.0 * part)
        wave = f"{name}/{number}"
        total += share * (scene.unit(wave, slot) * (1.0 - part) + scene.unit(wave, slot + 1) * part)
    stretched = min(max(0.5 + (total - 0.5) * 1.6, 0.0), 1.0)
    return float(options["low"] + (options["high"] - options["low"]) * stretched)


def _counter(scene: Scene, name: str, options: Mapping[str, Any]) -> float:
    return _counted(scene, name, options)[0]


def _rate(scene: Scene, _name: str, options: Mapping[str, Any]) -> float:
    of = options["of"]
    return _counted(scene, of, scene.signals[of].options)[1] * float(options["times"])


def _counted(scene: Scene, name: str, options: Mapping[str, Any]) -> tuple[float, float]:
    """A counter's value, and how much it grows an hour now.

    A day adds ``per_day`` by the weights of its hours; within an hour it runs ahead or behind without ever going back.
    """
    hours: Sequence[float] = options["hours"]
    total = sum(hours)
    local = scene.at_s / 3600.0 + options["utc_offset_h"]
    began = scene.origin_s / 3600.0 + options["utc_offset_h"]
    hour, part = int(local // 1), local % 1.0
    bend = 1.6 * scene.unit(name, hour) - 0.8
    days = hour // 24 - int(began // 24)
    done = sum(hours[: hour % 24]) / total
    share = hours[hour % 24] / total
    within = part + bend * math.sin(2.0 * math.pi * part) / (2.0 * math.pi)
    value = options["start"] + options["per_day"] * (days + done + share * within)
    return float(value), float(options["per_day"] * share * (1.0 + bend * math.cos(2.0 * math.pi * part)))


def _fill(scene: Scene, name: str, options: Mapping[str, Any]) -> float:
    period = options["period_s"]
    at = scene.at_s + period * scene.unit(f"{name}/phase", 0)
    slot, part = int(at // period), at % period / period
    top = options["low"] + (options["high"] - options["low"]) * (0.85 + 0.15 * scene.unit(name, slot))
    return float(options["low"] + (top - options["low"]) * part ** options["shape"])


def _drain(scene: Scene, name: str, options: Mapping[str, Any]) -> float:
    whole = options["period_s"] + options["charge_s"]
    at = (scene.at_s + whole * scene.unit(f"{name}/phase", 0)) % whole
    if at < options["period_s"]:
        part = at / options["period_s"]
    else:
        part = 1.0 - (at - options["period_s"]) / options["charge_s"]
    return float(options["high"] + (options["low"] - options["high"]) * part)


def _route(scene: Scene, name: str, options: Mapping[str, Any]) -> Value:
    places: Sequence[Sequence[float]] = options["places"]
    stops = [*places, places[0]] if options["loop"] else [*places, *reversed(places[:-1])]
    speed = options["speed_kmh"] / 3.6
    legs = [distance_m(one, other) / speed for one, other in pairwise(stops)]
    whole = sum(legs) + options["dwell_s"] * len(legs)
    if whole <= 0.0:
        return place_of(places[0])
    at = (scene.at_s + whole * scene.unit(f"{name}/phase", 0)) % whole
    for (one, other), leg in zip(pairwise(stops), legs, strict=True):
        if at < options["dwell_s"]:
            return place_of(one)
        at -= options["dwell_s"]
        if at < leg:
            part = at / leg
            return place_of([one[axis] + (other[axis] - one[axis]) * part for axis in (0, 1)])
        at -= leg
    return place_of(stops[-1])


def _place(scene: Scene, name: str, options: Mapping[str, Any]) -> Value:
    lat, lon = options["at"]
    spread = options["spread_m"] / METRES_A_DEGREE
    north = spread * (2.0 * scene.unit(name, 0) - 1.0)
    east = spread * (2.0 * scene.unit(name, 1) - 1.0) / math.cos(math.radians(lat))
    return place_of((lat + north, lon + east))


def _states(scene: Scene, name: str, options: Mapping[str, Any]) -> Value:
    steps: Sequence[tuple[Value, float]] = options["steps"]
    whole = sum(length for _, length in steps)
    at = scene.at_s + whole * scene.unit(f"{name}/phase", 0)
    slot, at = int(at // whole), at % whole
    edge = 0.0
    for number, (state, length) in enumerate(steps):
        edge += length
        room = min(length, steps[(number + 1) % len(steps)][1])
        moved = options["jitter"] * room * (scene.unit(f"{name}/{number}", slot) - 0.5)
        if number == len(steps) - 1 or at < edge + moved:
            return state
    return steps[-1][0]


def _choice(scene: Scene, name: str, options: Mapping[str, Any]) -> Value:
    choices: Sequence[tuple[Value, float]] = options["choices"]
    left = scene.unit(name, int(scene.at_s // options["slot_s"])) * sum(weight for _, weight in choices)
    for choice, weight in choices:
        left -= weight
        if left < 0:
            return choice
    return choices[-1][0]


def _object(scene: Scene, name: str, options: Mapping[str, Any]) -> Value:
    found = {}
    for part, signal in options["fields"].items():
        found[part] = signal.rounded(signal.kind.evaluate(scene, f"{name}.{part}", signal.options))
    return found


def _derived(scene: Scene, _name: str, options: Mapping[str, Any]) -> Value:
    named = options["of"]
    sources = [named] if isinstance(named, str) else list(named)
    value = OPERATIONS[options["op"]](scene, sources, options)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return value * options["times"] + options["plus"]


def _numbers(scene: Scene, sources: Sequence[str]) -> list[float]:
    return [scene.number(source) for source in sources]


def _ratio(scene: Scene, sources: Sequence[str], _options: Mapping[str, Any]) -> float:
    over, under = _numbers(scene, sources)
    return over / under if under else 0.0


def _difference(scene: Scene, sources: Sequence[str], _options: Mapping[str, Any]) -> float:
    first, *rest = _numbers(scene, sources)
    return first - sum(rest)


def _chosen(scene: Scene, sources: Sequence[str], options: Mapping[str, Any]) -> Value:
    """``values`` by the source's text; ``other`` for what is not among them. Text that names a signal is its value."""
    found = options["values"].get(str(scene.value(sources[0])), options["other"])
    return scene.value(found) if isinstance(found, str) and found in scene.signals else found


# Operation of a derived signal -> (scene, names, options) -> value.
OPERATIONS: Final[Mapping[str, Callable[[Scene, Sequence[str], Mapping[str, Any]], Value]]] = {
    "sum": lambda scene, sources, _: sum(_numbers(scene, sources)),
    "product": lambda scene, sources, _: math.prod(_numbers(scene, sources)),
    "difference": _difference,
    "ratio": _ratio,
    "minimum": lambda scene, sources, _: min(_numbers(scene, sources)),
    "maximum": lambda scene, sources, _: max(_numbers(scene, sources)),
    "average": lambda scene, sources, _: sum(_numbers(scene, sources)) / len(sources),
    "same": lambda scene, sources, _: scene.value(sources[0]),
    "above": lambda scene, sources, options: scene.number(sources[0]) >= options["threshold"],
    "below": lambda scene, sources, options: scene.number(sources[0]) < options["threshold"],
    "choose": _chosen,
}

_EVEN: Final = (1.0,) * 24

KINDS: Final[Mapping[str, Kind]] = {
    "constant": Kind(_constant, {"value": ...}),
    "setting": Kind(_setting, {"initial": ...}),
    "uniform": Kind(_uniform, {"low": ..., "high": ..., "hold_s": 10}),
    "normal": Kind(_normal, {"mean": ..., "deviation": ..., "hold_s": 10}),
    "daily": Kind(_daily, {"hours": ..., "weekdays": None, "noise": 0.0, "hold_s": 10, "utc_offset_h": 0}),
    "walk": Kind(_walk, {"low": ..., "high": ..., "period_s": ...}),
    "counter": Kind(_counter, {"per_day": ..., "start": 0.0, "hours": _EVEN, "utc_offset_h": 0}),
    "rate": Kind(_rate, {"of": ..., "times": 1.0}, ("of",)),
    "fill": Kind(_fill, {"low": 0.0, "high": 100.0, "period_s": ..., "shape": 1.0}),
    "drain": Kind(_drain, {"low": 15.0, "high": 100.0, "period_s": ..., "charge_s": 3600}),
    "route": Kind(_route, {"places": ..., "speed_kmh": ..., "dwell_s": 0, "loop": True}),
    "place": Kind(_place, {"at": ..., "spread_m": 0}),
    "states": Kind(_states, {"steps": ..., "jitter": 0.3}),
    "choice": Kind(_choice, {"choices": ..., "slot_s": ...}),
    "object": Kind(_object, {"fields": ...}),
    "derived": Kind(
        _derived,
        {"op": ..., "of": ..., "times": 1.0, "plus": 0.0, "threshold": 0.5, "values": {}, "other": ""},
        ("of",),
    ),
}


# Small things -------------------------------------------------------------------------------------------------------


def distance_m(one: Sequence[float], other: Sequence[float]) -> float:
    """Metres between two places that are not far apart."""
    north = other[0] - one[0]
    east = (other[1] - one[1]) * math.cos(math.radians((one[0] + other[0]) / 2.0))
    return math.hypot(north, east) * METRES_A_DEGREE


def place_of(pair: Sequence[float]) -> dict[str, float]:
    """A place as IoT Central's geopoint."""
    return {"lat": round(pair[0], 6), "lon": round(pair[1], 6)}


def iso_time(at_s: float) -> str:
    """A time in ISO 8601, whole seconds, UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def refused(what: str, expected: str, got: str) -> InvalidArgumentError:
    """The error for a description that is not valid."""
    return InvalidArgumentError(f"{what}: expected {expected}, got {got:.200}", remedy=_REMEDY)
