# SPDX-License-Identifier: Apache-2.0
"""Display names and units of values, from device templates: ``Temperature`` is "Cargo temperature", in °C.

Values have machine names: those of telemetry (``wire/hub/telemetry.py``: parts of objects behind dots), of properties,
of cloud properties, of commands. A template gives most of them a display name, many a unit, and enums a word for each
value. :class:`ValueNames` has those of one template, :class:`Naming` those for devices of several templates. Where no
template has one, the machine name is the display name, and its ending gives the unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from armillary.twin.template.equipment_names import QUALITY, SECONDS, is_of_equipment, point_of
from armillary.wire.dtdl.unit_symbols import unit_symbol

if TYPE_CHECKING:
    from armillary.twin.template.template import Template
    from armillary.wire.dtdl.model import Schema

# Cached names of one template: devices choose the keys of maps.
MAX_CACHED: Final = 2000
# Sections of a device's properties as rules write them.
SECTIONS: Final = ("reported", "desired", "cloud")
# Display names of the parts of a geopoint; other parts have their machine name.
PARTS: Final[Mapping[str, str]] = {"lat": "latitude", "lon": "longitude", "alt": "altitude"}
# Units of the parts of a geopoint; the parts of a vector have the unit of the vector.
PART_UNITS: Final[Mapping[str, str]] = {"lat": "°", "lon": "°", "alt": "m"}

# Units without a space before them.
ANGLES: Final = frozenset(("\u00b0", "\u2032", "\u2033"))

# Ending of a machine name -> unit, where no template gives one.
ENDINGS: Final = (
    ("_celsius", "°C"),
    ("_c", "°C"),
    ("_percent", "%"),
    ("_bar", "bar"),
    ("_kpa", "kPa"),
    ("_v", "V"),
    ("_a", "A"),
    ("_w", "W"),
    ("_kwh", "kWh"),
    ("_ml", "ml"),
    ("_s", "s"),
    ("_ms", "ms"),
    ("_hz", "Hz"),
    ("_rpm", "rpm"),
)


@dataclass(frozen=True, slots=True)
class ValueName:
    """Display name, unit and enum words of one value."""

    name: str  # machine name
    display_name: str  # for people; the machine name where no template has one
    symbol: str = ""  # of its unit
    words: Mapping[str | int, str] = field(default_factory=dict)  # value of an enum -> its word

    def text(self, value: object) -> str:
        """A value with its unit, as a sentence says it: ``30.5 °C``, ``Walking``, ``true``."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int, float)) and value in self.words:
            return self.words[value]  # type: ignore[index]  # 1.0 is 1
        said = _figure(value) if isinstance(value, (int, float)) else str(value)
        return quantity(said, self.symbol) if isinstance(value, (int, float)) else said


def quantity(figure: str, symbol: str) -> str:
    """A figure with its unit: a space between them, none before the signs of an angle (SI brochure, 5.4.3)."""
    return figure + symbol if symbol in ANGLES else f"{figure} {symbol}".strip()


def _figure(value: float) -> str:
    """A number with grouped thousands and at most six significant digits: ``1,204.5``."""
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-4:
        return f"{value:.6g}"
    digits = max(0, 6 - len(str(int(size))))
    written = f"{value:,.{digits}f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def unnamed(name: str) -> ValueName:
    """The name of a value that no template has."""
    return ValueName(name, name, unit_by_ending(name))


def unit_by_ending(name: str) -> str:
    """The unit in the ending of a machine name (``water_celsius``); "" for none."""
    return next((unit for end, unit in ENDINGS if name.lower().endswith(end)), "")


class ValueNames:
    """Display names and units of one template."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self._known: dict[str, ValueName | None] = {}
        self._shared: frozenset[str] | None = None
        self._is_of_equipment = is_of_equipment(template)

    def of(self, name: str) -> ValueName | None:
        """The name of a telemetry, property, cloud property or command; None where the template does not have it.

        A part of one stands behind a dot; a property may also be ``reported.NAME``, ``cloud.NAME``.
        """
        if name not in self._known:
            if len(self._known) >= MAX_CACHED:
                self._known.clear()
            self._known[name] = self._find(name)
        return self._known[name]

    def _find(self, name: str) -> ValueName | None:
        section, dot, inner = name.partition(".")
        if dot and section in SECTIONS and section not in self.template.components:
            found = self._cloud(inner) if section == "cloud" else self._capability(inner)
            return None if found is None else replace(found, name=name)
        return self._capability(name) or self._cloud(name)

    def _capability(self, name: str) -> ValueName | None:
        """The capability of this name, or the part of one."""
        parts = name.split(".")
        for cut in range(len(parts), 0, -1):
            found = self.template.capabilities.get(".".join(parts[:cut]))
            if found is None:
                continue
            schema = getattr(found.content, "schema", None)
            symbol = unit_symbol(getattr(found.content, "unit", None))
            display = self._display(found.name, found.component, found.display_name)
            if self._is_of_equipment and cut == 1 and len(parts) == 2:
                captured = self._captured(name, display, *parts)
                if captured is not None:
                    return captured
            return _inside(name, display, symbol, schema, parts[cut:])
        return None

    def _captured(self, name: str, display: str, telemetry: str, part: str) -> ValueName | None:
        """What an event of equipment captured of a point, or how good the point is; None for another part."""
        point = point_of(self.template, telemetry, part)
        measured = None if point is None else self._capability(point)
        if measured is not None and telemetry == QUALITY:
            return ValueName(name, f"{display}, {measured.display_name}")
        if measured is not None:
            return replace(measured, name=name, display_name=f"{display}, {measured.display_name}")
        return ValueName(name, f"{display}, {SECONDS}", "s") if part == SECONDS else None

    def _cloud(self, name: str) -> ValueName | None:
        found = self.template.cloud.get(name)
        if found is None:
            return None
        return _inside(name, found.display_name or found.name, unit_symbol(found.unit), found.schema, [])

    def _display(self, name: str, component: str, display_name: str) -> str:
        """A display name; with its component's where two of the template would be called the same."""
        if not component or name in self.template.labels:
            return display_name
        if self._shared is None:
            called = sorted(each.display_name for each in self.template.capabilities.values() if each.kind != "command")
            self._shared = frozenset(one for one, two in pairwise(called) if one == two)
        return f"{component}: {display_name}" if display_name in self._shared else display_name


class Naming:
    """Display names and units for devices of one or several templates, that of most devices first."""

    def __init__(self, tables: Sequence[ValueNames] = ()) -> None:
        self._tables = tables

    @property
    def templates(self) -> tuple[Template, ...]:
        """The templates, that of most devices first."""
        return tuple(each.template for each in self._tables)

    def of(self, name: str) -> ValueName:
        """The name of a value. Where templates differ in its unit, the unit is ``°C or °F``."""
        found = [each for table in self._tables if (each := table.of(name)) is not None]
        if not found:
            return unnamed(name)
        symbols = list(dict.fromkeys(each.symbol for each in found))
        if symbols == [""] and found[0].display_name == name:  # the template does not say more than the name does
            symbols = [unit_by_ending(name)]
        symbol = symbols[0] if len(symbols) == 1 else " or ".join(each or "no unit" for each in symbols)
        words = {value: word for each in reversed(found) for value, word in each.words.items()}
        return ValueName(name, found[0].display_name, symbol, words)


def as_fields(found: ValueName) -> dict[str, Any]:
    """A value's name as JSON-able fields."""
    return {
        "name": found.name,
        "display_name": found.display_name,
        "symbol": found.symbol,
        "words": [{"value": value, "display_name": word} for value, word in found.words.items()],
    }


def from_fields(fields: Mapping[str, Any]) -> ValueName:
    """The value's name from the fields that :func:`as_fields` made."""
    words = {each["value"]: each["display_name"] for each in fields["words"]}
    return ValueName(fields["name"], fields["display_name"], fields["symbol"], words)


def _inside(name: str, display: str, symbol: str, schema: Schema | None, path: Sequence[str]) -> ValueName:
    """The value at a path below a schema: ``Blood pressure, Systolic``."""
    from armillary.wire.dtdl import model as dtdl  # noqa: PLC0415 - a megabyte that a hub without templates does not need

    for part in path:
        if isinstance(schema, dtdl.ObjectSchema):
            inner = next((each for each in schema.fields if each.name == part), None)
            if inner is not None:
                display = f"{display}, {dtdl.label(inner.display_name, inner.name)}"
                symbol, schema = unit_symbol(inner.unit) or symbol, inner.schema
                continue
        elif isinstance(schema, dtdl.ArraySchema):
            display, schema = f"{display}, {part}", schema.element
            continue
        elif isinstance(schema, dtdl.MapSchema):
            display, schema = f"{display}, {part}", schema.value
            continue
        elif isinstance(schema, dtdl.Standard) and schema.word == "geopoint":
            symbol = PART_UNITS.get(part, symbol)
        display, schema = f"{display}, {PARTS.get(part, part)}", None
    words: dict[str | int, str] = {}
    if isinstance(schema, dtdl.EnumSchema):
        words = {each.value: dtdl.label(each.display_name, each.name) for each in schema.values}
    return ValueName(name, display, symbol, words)
