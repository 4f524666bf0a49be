# SPDX-License-Identifier: Apache-2.0
"""Checks telemetry against a device template: modelled, unmodelled, or not as its schema says.

The hub stores values under flat names (``wire/hub/telemetry.py``: ``[component.]name``, parts of objects and arrays
behind dots). A :class:`PayloadTable` is built once per template; then a value costs one dict look-up and one check.
Unmodelled values are never refused: they are stored and shown as unmodelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from armillary.twin.template.schema import KEPT_CHECKS, Mismatch, enum_words, is_enum_value, shown
from armillary.twin.template.template import Template
from armillary.wire.dtdl import model as dtdl
from armillary.wire.dtdl.tables import GEOSPATIAL, IOT_CENTRAL_SCHEMAS
from armillary.wire.hub.telemetry import Value

# Cached names with indexes or keys: devices choose the keys of maps.
MAX_CACHED: Final = 2000

_NUMBER = KEPT_CHECKS["double"]
_TEXT = KEPT_CHECKS["string"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A single value of a telemetry, possibly a part of an object or array."""

    capability: str  # the telemetry it is part of
    fits: Callable[[object], bool]  # whether a value is as the schema says
    expected: str  # what the schema allows, in words


@dataclass(frozen=True, slots=True)
class Judgement:
    """The values of a message by flat name, judged by the template."""

    modelled: tuple[str, ...]  # in the template, and values that fit
    unmodelled: tuple[str, ...]  # not in the template
    broken: tuple[Mismatch, ...]  # values that are not as the template says


class PayloadTable:
    """A template's telemetry by flat name."""

    def __init__(self, template: Template) -> None:
        self._schemas: dict[str, dtdl.Schema] = {
            each.name: each.content.schema
            for each in template.capabilities.values()
            if isinstance(each.content, dtdl.Telemetry)
        }
        # None for an unmodelled name. Names that follow from the model, and those looked up so far.
        self.known: dict[str, Leaf | None] = {}
        for name, schema in self._schemas.items():
            _collect(schema, name, name, self.known)
        self._fixed = frozenset(self.known)

    def leaf(self, name: str) -> Leaf | None:
        """The leaf of a flat name; None for an unmodelled one."""
        try:
            return self.known[name]
        except KeyError:
            found = self._search(name)
            if len(self.known) - len(self._fixed) >= MAX_CACHED:
                self.known = {each: self.known[each] for each in self._fixed}
            self.known[name] = found
            return found

    def judge(self, values: Mapping[str, Value]) -> Judgement:
        """Judge the values of one message in the form in which the hub stores them."""
        modelled: list[str] = []
        unmodelled: list[str] = []
        broken: list[Mismatch] = []
        for name, value in values.items():
            leaf = self.leaf(name)
            if leaf is None:
                unmodelled.append(name)
            elif leaf.fits(value):
                modelled.append(name)
            else:
                broken.append(Mismatch(name, leaf.expected, shown(value)))
        return Judgement(tuple(modelled), tuple(unmodelled), tuple(broken))

    def _search(self, name: str) -> Leaf | None:
        """The leaf of a name that has an index or a key in it."""
        for capability, schema in self._schemas.items():
            if name.startswith(capability + "."):
                found = _descend(schema, name[len(capability) + 1 :].split("."), capability)
                if found is not None:
                    return found
        return None


def _collect(schema: dtdl.Schema, name: str, capability: str, leaves: dict[str, Leaf | None]) -> None:
    """Add the leaves whose names follow from the model alone: not those of arrays and maps."""
    if isinstance(schema, dtdl.ObjectSchema):
        for each in schema.fields:
            _collect(each.schema, f"{name}.{each.name}", capability, leaves)
    elif isinstance(schema, dtdl.Standard) and schema.word in IOT_CENTRAL_SCHEMAS:
        for part in IOT_CENTRAL_SCHEMAS[schema.word]:
            leaves[f"{name}.{part}"] = Leaf(capability, *_NUMBER)
    elif isinstance(schema, dtdl.Standard) and schema.word in GEOSPATIAL:
        leaves[f"{name}.type"] = Leaf(capability, *_TEXT)
    else:
        leaf = _leaf(schema, capability)
        if leaf is not None:
            leaves[name] = leaf


def _leaf(schema: dtdl.Schema, capability: str) -> Leaf | None:
    if isinstance(schema, dtdl.EnumSchema):
        return Leaf(capability, lambda value: is_enum_value(schema, value), enum_words(schema))
    if isinstance(schema, dtdl.Standard):
        check = KEPT_CHECKS.get(schema.word)
        if check is not None:
            return Leaf(capability, *check)
        return Leaf(capability, lambda _: True, "anything") if not schema.word else None
    return None


def _descend(schema: dtdl.Schema, path: list[str], capability: str) -> Leaf | None:
    """The leaf at a path below a schema."""
    if not path:
        return _leaf(schema, capability)
    head, rest = path[0], path[1:]
    if isinstance(schema, dtdl.ArraySchema):
        return _descend(schema.element, rest, capability) if _is_index(head) else None
    if isinstance(schema, dtdl.ObjectSchema):
        inner = next((each.schema for each in schema.fields if each.name == head), None)
        return None if inner is None else _descend(inner, rest, capability)
    if isinstance(schema, dtdl.MapSchema):  # keys may have dots
        tails = (_descend(schema.value, path[cut:], capability) for cut in range(1, len(path) + 1))
        return next((each for each in tails if each is not None), None)
    return _part(schema, head, rest, capability) if isinstance(schema, dtdl.Standard) else None


def _part(schema: dtdl.Standard, head: str, rest: list[str], capability: str) -> Leaf | None:
    """The leaf inside of a geopoint, a vector or a GeoJSON geometry."""
    is_part = head in IOT_CENTRAL_SCHEMAS.get(schema.word, ()) and not rest
    is_coordinate = schema.word in GEOSPATIAL and head == "coordinates" and rest and all(map(_is_index, rest))
    if is_part or is_coordinate:
        return Leaf(capability, *_NUMBER)
    return Leaf(capability, *_TEXT) if schema.word in GEOSPATIAL and head == "type" and not rest else None


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdecimal()
