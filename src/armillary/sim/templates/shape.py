# SPDX-License-Identifier: Apache-2.0
"""Telemetry, properties and commands of a model by name, those of its components included. Pure functions.

A content of a component is named ``component.name``, as in ``wire/hub/telemetry.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.wire.dtdl import model as dtdl

# What a value of a schema of the language is in JSON; truth values are no numbers.
_NUMBERS: Final = frozenset(("double", "float"))
_WHOLE: Final = frozenset(("integer", "long"))
_PARTS: Final = {"geopoint": ("lat", "lon"), "vector": ("x", "y", "z")}


@dataclass(frozen=True, slots=True)
class Shape:
    """The contents of a model by full name, such as ``component.name``."""

    telemetry: Mapping[str, dtdl.Telemetry]
    properties: Mapping[str, dtdl.Property]
    commands: Mapping[str, dtdl.Command]

    @property
    def writable(self) -> tuple[str, ...]:
        """Names of the properties that operators may ask to change."""
        return tuple(name for name, each in self.properties.items() if each.writable)


def shape_of(model: dtdl.Model, interface_id: str) -> Shape:
    """The shape of an interface of a model; KeyError if the model has no such interface."""
    contents = dict(_contents(model, interface_id, ""))
    return Shape(
        {name: each for name, each in contents.items() if isinstance(each, dtdl.Telemetry)},
        {name: each for name, each in contents.items() if isinstance(each, dtdl.Property)},
        {name: each for name, each in contents.items() if isinstance(each, dtdl.Command)},
    )


def _contents(model: dtdl.Model, interface_id: str, prefix: str) -> Iterator[tuple[str, dtdl.Content]]:
    for content in model.contents(interface_id):
        if isinstance(content, dtdl.Component):
            yield from _contents(model, content.interface, f"{content.name}.")
        else:
            yield prefix + content.name, content


def parts_of(schema: dtdl.Schema) -> tuple[str, ...]:
    """Names of the parts of an object schema; none where it is no object."""
    if isinstance(schema, dtdl.ObjectSchema):
        return tuple(each.name for each in schema.fields)
    return _PARTS.get(schema.word, ()) if isinstance(schema, dtdl.Standard) else ()


def mismatch(schema: dtdl.Schema, value: Any) -> str | None:  # noqa: PLR0911 - a case a schema
    """Why a value does not fit a schema, in words; None when it fits."""
    if isinstance(schema, dtdl.EnumSchema):
        known = [each.value for each in schema.values]
        return None if value in known else f"expected one of {known}, got {value!r:.60}"
    if isinstance(schema, dtdl.ObjectSchema):
        return _mismatch_of_parts({each.name: each.schema for each in schema.fields}, value)
    if not isinstance(schema, dtdl.Standard):
        return "arrays and maps are not simulated"
    word = schema.word.rpartition(":")[2].partition(";")[0]
    if word in _PARTS:
        return _mismatch_of_parts(dict.fromkeys(_PARTS[word], dtdl.Standard("double")), value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if word in _NUMBERS:
        return None if is_number else f"expected a number, got {value!r:.60}"
    if word in _WHOLE:
        return None if is_number and isinstance(value, int) else f"expected a whole number, got {value!r:.60}"
    if word == "boolean":
        return None if isinstance(value, bool) else f"expected true or false, got {value!r:.60}"
    return None if isinstance(value, str) else f"expected text ({word}), got {value!r:.60}"


def _mismatch_of_parts(parts: Mapping[str, dtdl.Schema], value: Any) -> str | None:
    if not isinstance(value, Mapping) or set(value) != set(parts):
        return f"expected an object of {', '.join(parts)}, got {value!r:.80}"
    faults = [f"{name}: {fault}" for name, schema in parts.items() if (fault := mismatch(schema, value[name]))]
    return "; ".join(faults) or None
