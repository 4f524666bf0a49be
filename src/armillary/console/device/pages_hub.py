# SPDX-License-Identifier: Apache-2.0
"""Telemetry and twin of a device: last values, points of a chart, desired beside reported. Pure: API answers in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.console.frame.values import exact_text, is_number, is_stale, json_text
from armillary.console.frame.words import Moment, grouped, moment
from armillary.console.language.say import say
from armillary.twin.template.value_names import ValueName, from_fields, unnamed
from armillary.wire.hub.guardian_report import SECTION

# The range of a chart where the address names none (``frame/times.RANGES``).
DEFAULT_RANGE: Final = "15m"
# Points of one chart: more than a screen has pixels.
MAX_POINTS = 1500


@dataclass(frozen=True, slots=True)
class ValueLine:
    """The last value of one metric."""

    metric: str
    label: str
    text: str
    at: Moment | None
    stale: bool
    chartable: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class TwinLine:
    """One property: what was asked for, what the device reports, and whether they agree."""

    name: str
    label: str
    desired: str
    reported: str
    agrees: str
    kind: str


@dataclass(frozen=True, slots=True)
class TwinView:
    """A device twin."""

    lines: tuple[TwinLine, ...]
    desired_version: str
    reported_version: str


def chart(name: ValueName, points: Sequence[Sequence[Any]], start_ms: int, end_ms: int) -> dict[str, Any]:
    """A chart of one metric as ``static/time-plot.js`` takes it."""
    series = {
        "label": name.display_name,
        "unit": name.symbol,
        "axis": 0,
        "key": name.name,
        "at_ms": [at_ms for at_ms, _ in points],
        "values": [value for _, value in points],
    }
    return {"start_ms": start_ms, "end_ms": end_ms, "bucket_ms": 0, "axes": [name.symbol], "series": [series]}


def value_lines(
    items: Sequence[Mapping[str, Any]], called: Callable[[str], Mapping[str, Any]], chosen: str, now: int
) -> tuple[ValueLine, ...]:
    """Last values; a number can be drawn, a stale one says so. ``called`` says what each is."""
    named = {item["metric"]: from_fields(called(item["metric"])) for item in items}
    return tuple(
        ValueLine(
            item["metric"],
            named[item["metric"]].display_name,
            exact_text(item["value"], named[item["metric"]]),
            moment(item["at_ms"] // 1000, now),
            is_stale(item["at_ms"], now),
            is_number(item["value"]),
            item["metric"] == chosen,
        )
        for item in sorted(items, key=lambda item: (named[item["metric"]].display_name.lower(), str(item["metric"])))
    )


def chosen_metric(items: Sequence[Mapping[str, Any]], asked: str) -> str:
    """The metric to draw: the asked one if it has numbers, else the first that has."""
    numbers = sorted(str(item["metric"]) for item in items if is_number(item["value"]))
    if asked in numbers:
        return asked
    return numbers[0] if numbers else ""


def is_guardian(twin: Mapping[str, Any]) -> bool:
    """Whether a device reports of equipment behind it."""
    return SECTION in twin["reported"]


def twin_view(twin: Mapping[str, Any], called: Callable[[str], Mapping[str, Any]] | None = None) -> TwinView:
    """Desired and reported side by side. Not reported is not agreed. ``called`` says what properties are."""
    desired = {name: value for name, value in twin["desired"].items() if not name.startswith("$")}
    reported = {name: value for name, value in twin["reported"].items() if not name.startswith("$")}
    lines = []
    for name in sorted(set(desired) | set(reported)):
        agrees, kind = _agreement(desired, reported, name)
        known = unnamed(name) if called is None else from_fields(called(name))
        lines.append(
            TwinLine(
                name,
                known.display_name,
                _shown(known, desired[name]) if name in desired else "",
                _shown(known, reported[name]) if name in reported else "",
                agrees,
                kind,
            )
        )
    return TwinView(tuple(lines), _version(twin["desired"]), _version(twin["reported"]))


def _agreement(desired: Mapping[str, Any], reported: Mapping[str, Any], name: str) -> tuple[str, str]:
    if name not in desired:
        return say("reported only"), "none"
    if name not in reported:
        return say("not reported yet"), "unknown"
    if desired[name] == reported[name]:
        return say("in step"), "good"
    return "pending", "attention"


def _version(side: Mapping[str, Any]) -> str:
    version = side.get("$version")
    return say("not known") if version is None else grouped(version)


def _shown(name: ValueName, value: object) -> str:
    """A property as JSON; where its template gives it a unit or words, with these."""
    says = name.symbol and is_number(value)
    worded = isinstance(value, (str, int)) and not isinstance(value, bool) and value in name.words
    return name.text(value) if says or worded else json_text(value)
