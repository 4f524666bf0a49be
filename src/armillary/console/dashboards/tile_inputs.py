# SPDX-License-Identifier: Apache-2.0
"""The fields of a tile's form: what each is called and how it is written. Pure data.

``shape`` says how a field is laid out and read (``pages_tile_form.py``, ``filled_tile.py``): source, value, values,
length, choice, truth, number, steps, buttons, picture, places, target, line, long, json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from armillary.console.dashboards.durations import COLUMNS, RANGES

# kind -> (what it is called, what it shows, its size when it is new).
WORDS: Mapping[str, tuple[str, str, tuple[int, int]]] = MappingProxyType(
    {
        "kpi": ("Number", "one figure, in the colour of its threshold", (3, 2)),
        "gauge": ("Gauge", "one figure on its scale", (3, 3)),
        "line": ("Line chart", "values over time", (6, 4)),
        "bar": ("Bar chart", "values side by side, by time or by device", (6, 4)),
        "heatmap": ("Heat map", "devices by time, the more the darker", (6, 4)),
        "map": ("Map", "where devices are", (6, 5)),
        "floor-plan": ("Floor plan", "values on a picture", (6, 5)),
        "last-values": ("Last values", "a table of what devices sent last", (6, 4)),
        "property": ("Properties", "a table of what devices report and what is kept of them", (6, 4)),
        "alerts": ("Alerts", "what rules have fired for, newest first", (4, 4)),
        "command": ("Command", "a button that calls a direct method", (3, 2)),
        "commands": ("Commands", "several buttons, each with its command", (3, 3)),
        "image": ("Picture", "a picture", (3, 3)),
        "text": ("Text", "a note with headings, lists and links", (4, 3)),
        "link": ("Link", "the way to another dashboard or page", (3, 1)),
    }
)
AGGREGATE_WORDS: Final = (
    ("last", "newest value"), ("avg", "average"), ("min", "lowest"), ("max", "highest"), ("sum", "sum"),
    ("count", "how many values"),
)  # fmt: skip
STATE_WORDS: Final = (("good", "good (green)"), ("attention", "attention (amber)"), ("bad", "bad (red)"))


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a form.

    Attributes:
        offers: Of ``value`` and ``values``: which list of choices they are from (``api/views/tile_choices.py``).
        choices: (value, words), of ``choice``; seconds that a ``length`` offers.
        more: Whether it stands under "More settings".
    """

    name: str
    label: str
    shape: str
    hint: str = ""
    offers: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    lengths: tuple[int, ...] = ()
    more: bool = False


INPUTS: Final[Mapping[str, Input]] = MappingProxyType(
    {
        each.name: each
        for each in (
            Input("source", "Devices", "source"),
            Input("value", "Value", "value", offers="values"),
            Input("values", "Values", "values", offers="values"),
            Input("names", "Properties", "values", "reported, else kept by operators, else desired", "properties"),
            Input("aggregate", "Aggregate", "choice", choices=AGGREGATE_WORDS),
            Input("by", "A bar for each", "choice", choices=(("time", "stretch of time"), ("device", "device"))),
            Input("range_s", "Time range", "length", lengths=RANGES),
            Input("bucket_s", "Width of a column", "length", lengths=COLUMNS),
            Input("unit", "Unit", "line", "empty: the unit of the device template", more=True),
            Input("decimals", "Decimals", "number", "empty: as many as it needs", more=True),
            Input("thresholds", "Colours", "steps", "from this value on; below the first it has no colour"),
            Input("location", "Place", "value", offers="locations"),
            Input("image", "Picture", "picture"),
            Input("alt", "What the picture shows, in words", "line", "for people who do not see it"),
            Input("places", "Places", "places", '[{"device": ID, "x": 0.2, "y": 0.5}]; x and y from 0 to 1'),
            Input("command", "Command", "value", offers="commands"),
            Input("parameters", "Parameters (JSON)", "json"),
            Input("label", "Label", "line"),
            Input("sparkline", "A line of the time range below the figure", "truth"),
            Input("low", "Lower end of the scale", "number"),
            Input("high", "Upper end of the scale", "number"),
            Input("status", "Alerts", "choice", choices=(("open", "open ones"), ("all", "all"))),
            Input("most", "Lines at most", "number", more=True),
            Input("buttons", "Buttons", "buttons", "a row without a label is left out"),
            Input("target", "Leads to", "target", "or a path that begins with /, or an address"),
            Input("text", "Text", "long", "# heading, - list, **bold**, [words](address)"),
        )
    }
)  # fmt: skip
