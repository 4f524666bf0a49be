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
from armillary.console.language.say import say

# kind -> (what it is called, what it shows, its size when it is new).
WORDS: Mapping[str, tuple[str, str, tuple[int, int]]] = MappingProxyType(
    {
        "kpi": (say("Number"), say("one figure, in the colour of its threshold"), (3, 2)),
        "gauge": (say("Gauge"), say("one figure on its scale"), (3, 3)),
        "line": (say("Line chart"), say("values over time"), (6, 4)),
        "bar": (say("Bar chart"), say("values side by side, by time or by device"), (6, 4)),
        "heatmap": (say("Heat map"), say("devices by time, the more the darker"), (6, 4)),
        "map": (say("Map"), say("where devices are"), (6, 5)),
        "floor-plan": (say("Floor plan"), say("values on a picture"), (6, 5)),
        "last-values": (say("Last values"), say("a table of what devices sent last"), (6, 4)),
        "property": (say("Properties"), say("a table of what devices report and what is kept of them"), (6, 4)),
        "alerts": (say("Alerts"), say("what rules have fired for, newest first"), (4, 4)),
        "command": (say("Command"), say("a button that calls a direct method"), (3, 2)),
        "commands": (say("Commands"), say("several buttons, each with its command"), (3, 3)),
        "image": (say("Picture"), say("a picture"), (3, 3)),
        "text": (say("Text"), say("a note with headings, lists and links"), (4, 3)),
        "link": (say("Link"), say("the way to another dashboard or page"), (3, 1)),
    }
)
AGGREGATE_WORDS: Final = (
    ("last", say("newest value")),
    ("avg", say("average")),
    ("min", say("lowest")),
    ("max", say("highest")),
    ("sum", say("sum")),
    ("count", say("how many values")),
)
STATE_WORDS: Final = (("good", say("good (green)")), ("attention", say("attention (amber)")), ("bad", say("bad (red)")))


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
            Input("source", say("Devices"), "source"),
            Input("value", say("Value"), "value", offers="values"),
            Input("values", say("Values"), "values", offers="values"),
            Input(
                "names",
                say("Properties"),
                "values",
                say("reported, else kept by operators, else desired"),
                "properties",
            ),
            Input("aggregate", say("Aggregate"), "choice", choices=AGGREGATE_WORDS),
            Input(
                "by",
                say("A bar for each"),
                "choice",
                choices=(("time", say("stretch of time")), ("device", say("device"))),
            ),
            Input("range_s", say("Time range"), "length", lengths=RANGES),
            Input("bucket_s", say("Width of a column"), "length", lengths=COLUMNS),
            Input("unit", say("Unit"), "line", say("empty: the unit of the device template"), more=True),
            Input("decimals", say("Decimals"), "number", say("empty: as many as it needs"), more=True),
            Input("thresholds", say("Colours"), "steps", say("from this value on; below the first it has no colour")),
            Input("location", say("Place"), "value", offers="locations"),
            Input("image", say("Picture"), "picture"),
            Input("alt", say("What the picture shows, in words"), "line", say("for people who do not see it")),
            Input(
                "places", say("Places"), "places", say('[{{"device": ID, "x": 0.2, "y": 0.5}}]; x and y from 0 to 1')
            ),
            Input("command", say("Command"), "value", offers="commands"),
            Input("parameters", say("Parameters (JSON)"), "json"),
            Input("label", say("Label"), "line"),
            Input("sparkline", say("A line of the time range below the figure"), "truth"),
            Input("low", say("Lower end of the scale"), "number"),
            Input("high", say("Upper end of the scale"), "number"),
            Input("status", say("Alerts"), "choice", choices=(("open", say("open ones")), ("all", say("all")))),
            Input("most", say("Lines at most"), "number", more=True),
            Input("buttons", say("Buttons"), "buttons", say("a row without a label is left out")),
            Input("target", say("Leads to"), "target", say("or a path that begins with /, or an address")),
            Input("text", say("Text"), "long", say("# heading, - list, **bold**, [words](address)")),
        )
    }
)
