# SPDX-License-Identifier: Apache-2.0
"""Checks JSON values against schemas of DTDL, and reports where and how they differ.

Serialisation is that of IoT Plug and Play and IoT Central: numbers as JSON numbers, dates and times as ISO 8601 text
(RFC 3339), enums by their value, objects and maps as JSON objects, arrays as arrays, geospatial values as GeoJSON (RFC
7946), ``geopoint`` as ``{"lat", "lon", "alt"?}``, ``vector`` as ``{"x", "y", "z"}``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

from armillary.wire.dtdl.model import ArraySchema, EnumSchema, MapSchema, ObjectSchema, Schema, Standard
from armillary.wire.dtdl.tables import GEOSPATIAL, IOT_CENTRAL_SCHEMAS

# Most mismatches reported of one value: those of a wrong array have one cause.
MAX_FAULTS: Final = 20

# ISO 8601-1 §5.5.2: years and months, or weeks; then days, and hours to seconds. Only the last part has a fraction.
_DURATION = re.compile(
    r"-?P(?=[0-9T])(?!.*\.[0-9]+[A-Z].)(?:(?:{0}Y)?(?:{0}M)?|(?:{0}W)?)(?:{0}D)?"
    r"(?:T(?=[0-9])(?:{0}H)?(?:{0}M)?(?:{0}S)?)?\Z".replace("{0}", r"[0-9]+(?:\.[0-9]+)?")
)
# RFC 3339 §5.6, which DTDL names for its three kinds of moment: full-date, full-time and date-time.
_FULL_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_FULL_TIME = r"(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-5][0-9])"
_MAX_TIME_CHARACTERS = 64
_MAX_FLOAT = 3.4028235677973366e38  # a double that rounds to a finite single

# RFC 7946 §3.1: how deep the coordinates of each geometry lie.
_GEOMETRY: Mapping[str, tuple[str, int]] = {
    "point": ("Point", 0),
    "multiPoint": ("MultiPoint", 1),
    "lineString": ("LineString", 1),
    "multiLineString": ("MultiLineString", 2),
    "polygon": ("Polygon", 2),
    "multiPolygon": ("MultiPolygon", 3),
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A value that differs from its schema."""

    name: str  # of the value, with dots and indexes
    expected: str  # what the schema allows, in words
    got: str  # what was found


def _is_number(value: object) -> bool:
    if type(value) is float:  # what telemetry has for every number
        return value - value == 0.0
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_single(value: object) -> bool:
    return isinstance(value, (int, float)) and _is_number(value) and abs(value) < _MAX_FLOAT


def _is_whole(bits: int) -> Callable[[object], bool]:
    limit = 1 << (bits - 1)

    def check(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit

    return check


def _is_kept_whole(bits: int) -> Callable[[object], bool]:
    limit = 1 << (bits - 1)

    def check(value: object) -> bool:
        if type(value) is float or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return -limit <= value < limit and value == value // 1
        return False

    return check


def _parses(pattern: str, parse: Callable[[str], object]) -> Callable[[object], bool]:
    written = re.compile(pattern)

    def check(value: object) -> bool:
        if not isinstance(value, str) or len(value) > _MAX_TIME_CHARACTERS or not written.fullmatch(value):
            return False
        try:
            parse(value.upper())
        except ValueError:
            return False
        return True

    return check


# Word -> (whether a value is one, what it is called).
PRIMITIVE_CHECKS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "string": (lambda value: isinstance(value, str), "text"),
    "double": (_is_number, "a number"),
    "float": (_is_single, "a number of single precision"),
    "integer": (_is_whole(32), "an integer of 32 bits"),
    "long": (_is_whole(64), "an integer of 64 bits"),
    "date": (_parses(_FULL_DATE, date.fromisoformat), "a date as 2026-11-24"),
    "time": (_parses(_FULL_TIME, time.fromisoformat), "a time with its offset as 16:05:00Z"),
    "dateTime": (
        _parses(f"{_FULL_DATE}[Tt]{_FULL_TIME}", datetime.fromisoformat),
        "a date and time with its offset as 2026-11-24T16:05:00Z",
    ),
    "duration": (
        lambda value: isinstance(value, str) and len(value) <= _MAX_TIME_CHARACTERS and bool(_DURATION.match(value)),
        "a duration as PT1H30M",
    ),
}


# The same for stored telemetry, where every number is a double, so that 1 and 1.0 are one value.
KEPT_CHECKS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    **PRIMITIVE_CHECKS,
    "integer": (_is_kept_whole(32), "an integer of 32 bits"),
    "long": (_is_kept_whole(64), "an integer of 64 bits"),
}


def mismatches(schema: Schema, value: object, name: str) -> list[Mismatch]:
    """The mismatches of a decoded JSON value with a schema, at most MAX_FAULTS; ``name`` is the value's."""
    found: list[Mismatch] = []
    for mismatch in _walk(schema, value, name):
        found.append(mismatch)
        if len(found) == MAX_FAULTS:
            break
    return found


def _walk(schema: Schema, value: object, name: str) -> Iterator[Mismatch]:
    if isinstance(schema, Standard):
        yield from _standard(schema.word, value, name)
    elif isinstance(schema, EnumSchema):
        if not is_enum_value(schema, value):
            yield Mismatch(name, enum_words(schema), shown(value))
    elif isinstance(schema, ArraySchema):
        if not isinstance(value, list):
            yield Mismatch(name, "an array", shown(value))
            return
        for index, item in enumerate(value):
            yield from _walk(schema.element, item, f"{name}.{index}")
    elif not isinstance(value, Mapping):
        yield Mismatch(name, "an object", shown(value))
    elif isinstance(schema, MapSchema):
        for key, item in value.items():
            yield from _walk(schema.value, item, f"{name}.{key}")
    else:
        yield from _object(schema, value, name)


def _object(schema: ObjectSchema, value: Mapping[str, object], name: str) -> Iterator[Mismatch]:
    fields = {field.name: field.schema for field in schema.fields}
    for key, item in value.items():
        if key in fields:
            yield from _walk(fields[key], item, f"{name}.{key}")
        else:
            yield Mismatch(f"{name}.{key}", f"one of the fields {', '.join(fields)}", "another")


def _standard(word: str, value: object, name: str) -> Iterator[Mismatch]:
    check = PRIMITIVE_CHECKS.get(word)
    if check is not None:
        if not check[0](value):
            yield Mismatch(name, check[1], shown(value))
    elif word in IOT_CENTRAL_SCHEMAS:
        yield from _parts(word, value, name)
    elif word in GEOSPATIAL:
        kind, depth = _GEOMETRY[word]
        fits = isinstance(value, Mapping) and value.get("type") == kind and _nested(value.get("coordinates"), depth)
        if not fits:
            yield Mismatch(name, f"GeoJSON {kind}", shown(value))
    # Any other word is of a model with references that could not be resolved: every value fits.


def _parts(word: str, value: object, name: str) -> Iterator[Mismatch]:
    parts = IOT_CENTRAL_SCHEMAS[word]
    if not isinstance(value, Mapping):
        yield Mismatch(name, f"an object with {', '.join(parts)}", shown(value))
        return
    for part in parts:
        if part not in value:
            if part != "alt":
                yield Mismatch(f"{name}.{part}", "a number", "nothing")
        elif not (_is_number(value[part]) or (part == "alt" and value[part] is None)):
            yield Mismatch(f"{name}.{part}", "a number", shown(value[part]))
    for key in value:
        if key not in parts:
            yield Mismatch(f"{name}.{key}", f"one of {', '.join(parts)}", "another")


def _nested(value: object, depth: int) -> bool:
    if not isinstance(value, list):
        return False
    if depth == 0:
        return 2 <= len(value) <= 3 and all(_is_number(item) for item in value)
    return all(_nested(item, depth - 1) for item in value)


def shape(schema: Schema) -> object:
    """A schema without its labels: schemas of the same shape have the same values."""
    if isinstance(schema, ArraySchema):
        return ("array", shape(schema.element))
    if isinstance(schema, EnumSchema):
        return ("enum", *sorted(str(each.value) for each in schema.values))
    if isinstance(schema, MapSchema):
        return ("map", shape(schema.value))
    if isinstance(schema, ObjectSchema):
        return ("object", *sorted((each.name, shape(each.schema)) for each in schema.fields))
    return schema.word


def is_enum_value(schema: EnumSchema, value: object) -> bool:
    """Whether a value is one of an enum's; 1.0 equals 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    return any(value == each.value for each in schema.values)


def enum_words(schema: EnumSchema) -> str:
    """The values of an enum in words, for error messages."""
    words = [f"{each.value!r} ({each.name})" for each in schema.values[:10]]
    return "one of " + ", ".join(words) + (", ..." if len(schema.values) > len(words) else "")


def shown(value: object) -> str:
    """A value in words, for error messages."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"an array of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return ascii(value)[:60]
