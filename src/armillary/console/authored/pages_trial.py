# SPDX-License-Identifier: Apache-2.0
"""The chart of a rule that was tried: a device's values, the thresholds, and when the rule would have fired. Pure.

The server draws it, so that it is there without script; with script it has axes, a readout and a zoom
(``static/curve.js``), from the same values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from armillary.console.frame.form import Field
from armillary.console.frame.values import is_number, value_text
from armillary.console.frame.words import counted, moment
from armillary.console.language.say import apart, say
from armillary.twin.rule.rule import ORDERING, SECTIONS, Aggregate
from armillary.twin.template.value_names import ValueName

# The drawing's own units; the page stretches them.
WIDTH: Final = 1000
HEIGHT: Final = 200
# Units that a chart has axes for, left and right.
MAX_AXES: Final = 2
# Devices whose charts a trial's page leads to.
MAX_LINKS: Final = 8
# Aggregates whose result stands beside the values that it is made of; a sum or a count has another scale.
_BESIDE: Final = frozenset({None, Aggregate.AVG, Aggregate.MIN, Aggregate.MAX})
_COMPARED: Final[Mapping[str, str]] = {
    ">": say("above"),
    ">=": say("from"),
    "<": say("below"),
    "<=": say("up to"),
    "==": say("at"),
    "!=": say("not"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialChart:
    """A chart.

    Attributes:
        label: What it shows.
        said: Range of the values, thresholds and firings in words.
        lines: (name, path of SVG).
        limits: Heights of thresholds.
        marks: Places of firings, from the left.
        document: The same as ``static/time-plot.js`` takes it.
    """

    label: str
    said: str
    lines: tuple[tuple[str, str], ...]
    limits: tuple[float, ...]
    marks: tuple[float, ...]
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What a device sent of one name: (Unix milliseconds, value), rising."""

    name: ValueName
    points: Sequence[Sequence[Any]]


def charted(trial: Mapping[str, Any], chosen: str) -> Mapping[str, Any] | None:
    """The device of a trial that is drawn: the ``chosen`` one, else the one that fired most; None for none."""
    devices = by_firings(trial)
    return next((each for each in devices if each["device_id"] == chosen), devices[0] if devices else None)


def by_firings(trial: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The devices of a trial that sent something, those that fired most first."""
    heard = [each for each in trial["devices"] if each["messages"]]
    return sorted(heard, key=lambda each: (-each["firings"], each["device_id"]))


def trial_links(
    trial: Mapping[str, Any], labels: Mapping[str, str], drawn: str, path: str
) -> tuple[tuple[str, str, bool], ...]:
    """Ways to the charts of those that fired most, of a trial's page: (words, address, whether it is drawn)."""
    devices = [each["device_id"] for each in by_firings(trial)[:MAX_LINKS]]
    if len(devices) < 2:
        return ()
    return tuple((labels.get(each, each), f"{path}?{urlencode({'chart_of': each})}", each == drawn) for each in devices)


def chart_field(trial: Mapping[str, Any], labels: Mapping[str, str], drawn: str) -> Field | None:
    """The choice of the device that is drawn; None where there is nothing to choose."""
    devices = [each["device_id"] for each in by_firings(trial)]
    offered = tuple((each, labels[each]) for each in devices if each in labels)
    if len(offered) < 2:
        return None
    return Field(name="chart_of", label=say("Chart of"), kind="select", value=drawn, choices=offered)


def names_of(body: Mapping[str, Any]) -> list[str]:
    """Telemetry that a rule's conditions compare with a number, or with what is known of the device."""
    found = [
        each["telemetry"]
        for each in body.get("conditions", ())
        if each.get("telemetry") and not each.get("silent_s") and each.get("op") in _COMPARED
    ]
    return [each for each in dict.fromkeys(found) if each.partition(".")[0] not in SECTIONS]


def trial_chart(
    tried: Mapping[str, Any], values: Sequence[Values], device: str, *, start_ms: int, end_ms: int
) -> TrialChart | None:
    """The chart of one device (what it is called); None where it sent no numbers that the rule compares."""
    numbers = [each for each in values if any(is_number(value) for _, value in each.points)]
    axes = list(dict.fromkeys(each.name.symbol for each in numbers))[:MAX_AXES]
    shown = [each for each in numbers if each.name.symbol in axes]
    if not shown:
        return None
    thresholds = _thresholds(tried, shown, axes)
    fired = [each["now_ms"] for each in tried["fired"]]
    series: list[dict[str, Any]] = [
        {
            "label": each.name.display_name,
            "unit": each.name.symbol,
            "axis": axes.index(each.name.symbol),
            "at_ms": [at_ms for at_ms, value in each.points if is_number(value)],
            "values": [value for _, value in each.points if is_number(value)],
        }
        for each in shown
    ]
    document = {
        "start_ms": start_ms,
        "end_ms": end_ms,
        "bucket_ms": 0,
        "axes": axes,
        "series": series,
        "thresholds": thresholds,
        "marks": [{"at_ms": each, "label": say("fires")} for each in fired],
    }
    scales = [_scale(axis, series, thresholds) for axis in range(len(axes))]
    span = end_ms - start_ms
    return TrialChart(
        label=say("{values} of {device}", values=", ".join(each["label"] for each in series), device=device),
        said=_said(tried, series, thresholds),
        lines=tuple((each["label"], _path(each, scales[each["axis"]], start_ms, span)) for each in series),
        limits=tuple(_height(each["at"], scales[each["axis"]]) for each in thresholds),
        marks=tuple(round(WIDTH * (each - start_ms) / span, 1) for each in fired),
        document=document,
    )


def _thresholds(tried: Mapping[str, Any], shown: Sequence[Values], axes: Sequence[str]) -> list[dict[str, Any]]:
    """What the device's values were compared with, as its newest evaluation has it."""
    symbols = {each.name.name: each.name for each in shown}
    evaluation: Mapping[str, Any] = next(iter([*tried["last"], *tried["fired"]]), {})
    found = []
    for each in evaluation.get("compared", ()):
        name = symbols.get(each["name"])
        if name is None or each["silent_s"] or each["aggregate"] not in _BESIDE or not is_number(each["right"]):
            continue
        word = _COMPARED.get(each["op"], say("at"))
        found.append(
            {
                "axis": axes.index(name.symbol),
                "at": each["right"],
                "shape": "bad" if each["op"] in ORDERING else "attention",
                "label": say("{compared} {value}", compared=word, value=value_text(each["right"], name.symbol)),
            }
        )
    return found


def _scale(
    axis: int, series: Sequence[Mapping[str, Any]], thresholds: Sequence[Mapping[str, Any]]
) -> tuple[float, float]:
    """Lowest value of an axis, and how far it reaches; a tenth is left free above and below."""
    every = [value for each in series if each["axis"] == axis for value in each["values"]]
    every += [each["at"] for each in thresholds if each["axis"] == axis]
    reach = max(every) - min(every) or 1.0
    return min(every) - reach / 10, reach * 1.2


def _height(value: float, scale: tuple[float, float]) -> float:
    low, reach = scale
    return round(HEIGHT - HEIGHT * (value - low) / reach, 1)


def _path(series: Mapping[str, Any], scale: tuple[float, float], start_ms: int, span: int) -> str:
    points = zip(series["at_ms"], series["values"], strict=True)
    places = (f"{WIDTH * (at_ms - start_ms) / span:.1f} {_height(value, scale)}" for at_ms, value in points)
    return "M" + "L".join(places)


def _said(
    tried: Mapping[str, Any], series: Sequence[Mapping[str, Any]], thresholds: Sequence[Mapping[str, Any]]
) -> str:
    ranges = [
        say(
            "{label} from {low} to {high}",
            label=each["label"],
            low=value_text(min(each["values"]), each["unit"]),
            high=value_text(max(each["values"]), each["unit"]),
        )
        for each in series
    ]
    values = apart(ranges)
    if thresholds:
        values = say("{values}; fires {limits}", values=values, limits=apart([each["label"] for each in thresholds]))
    first = moment(tried["fired"][0]["now_ms"] // 1000, 0) if tried["fired"] else None
    told = {"values": values, "times": counted(tried["firings"], "time")}
    if first is None:
        return say("{values}. Fires {times}.", **told)
    return say("{values}. Fires {times}, first at {first}.", **told, first=first.exact)
