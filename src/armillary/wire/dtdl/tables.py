# SPDX-License-Identifier: Apache-2.0
"""The metamodel of DTDL as tables: which elements there are, which members each has, and their limits.

Sources: "DTDL Language Specification", versions 2 and 3 (Azure/opendigitaltwins-dtdl); where the two
differ, §Changes says so. ``tests/conformance/test_dtdl_metamodel.py`` compares them with the published metamodel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from armillary.wire.dtdl.units import SEMANTIC_TYPES, UNITS

VERSIONS = (2, 3)


class Kind(Enum):
    """What the value of a member is."""

    TEXT = "a string"
    NAME = "a name: letters, digits and underscores, a letter first and no underscore last"
    LOCALIZED = "a string, or strings by language"
    BOOLEAN = "true or false"
    INTEGER = "an integer"
    LITERAL = "an integer or a string, as valueSchema says"
    IDENTIFIER = "a digital twin model identifier"
    CHOICE = "one of a few words"
    SCHEMA = "a schema"
    ELEMENT = "one element"
    ELEMENTS = "elements"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of an element."""

    kind: Kind  # of its value
    is_required: bool = False
    max_characters: int | None = None  # of a text
    minimum: int | None = None  # smallest integer, or fewest elements
    maximum: int | None = None  # largest integer, or most elements
    classes: tuple[str, ...] = ()  # elements that it may be
    choices: tuple[str, ...] = ()  # words that it may be
    takes_older: bool = False  # elements of the version of DTDL before are as good


Members = Mapping[str, Member]

COMPLEX = ("Array", "Enum", "Map", "Object")
CONTENTS = ("Command", "Component", "Property", "Relationship", "Telemetry")

PRIMITIVES = ("boolean", "date", "dateTime", "double", "duration", "float", "integer", "long", "string", "time")
NUMERIC = frozenset(("double", "float", "integer", "long"))
GEOSPATIAL = ("lineString", "multiLineString", "multiPoint", "multiPolygon", "point", "polygon")

# Elements that need no @type where nothing else can stand.
TYPE_IS_OPTIONAL = frozenset(
    ("CommandPayload", "CommandRequest", "CommandResponse", "EnumValue", "Field", "MapKey", "MapValue")
)

MAX_INTERFACE_ID_CHARACTERS = 128
MAX_ID_CHARACTERS = 2048
RESERVED_PREFIXES = ("dtmi:dtdl:", "dtmi:standard:")

# §Limits and exclusions.
MAX_EXTENDS_DEPTH = 10
MAX_SCHEMA_DEPTH = 5
MAX_EXTENDED_INTERFACES_3 = 1024
MAX_ELEMENTS_3 = 100_000
MAX_INTERFACE_CHARACTERS_3 = 1 << 20
# Not DTDL's: contents of all interfaces together, each with those it extends; and elements below them. What a thousand
# interfaces inherit of one is looked at a thousand times: a second of work for the most that is allowed.
MAX_INHERITED = 100_000
MAX_INHERITED_ELEMENTS = 1_000_000


def _members(*, name_length: int, label_length: int, is_newer: bool) -> Mapping[str, Members]:
    common: Members = {
        "comment": Member(kind=Kind.TEXT, max_characters=512),
        "description": Member(kind=Kind.LOCALIZED, max_characters=512),
        "displayName": Member(kind=Kind.LOCALIZED, max_characters=label_length),
    }
    named: Members = {**common, "name": Member(kind=Kind.NAME, is_required=True, max_characters=name_length)}
    schema = Member(kind=Kind.SCHEMA, is_required=True, classes=COMPLEX, takes_older=is_newer)
    without_array = replace(schema, classes=("Enum", "Map", "Object"))
    writable = Member(kind=Kind.BOOLEAN)
    valued: Members = {**named, "schema": schema}
    payloads = ("CommandRequest", "CommandResponse") if is_newer else ("CommandPayload", "CommandPayload")
    return {
        "Array": {**common, "elementSchema": schema},
        "Command": {
            **named,
            "commandType": Member(kind=Kind.CHOICE, choices=("asynchronous", "synchronous")),
            "request": Member(kind=Kind.ELEMENT, classes=payloads[:1]),
            "response": Member(kind=Kind.ELEMENT, classes=payloads[1:]),
        },
        **dict.fromkeys(payloads, valued),
        "Component": {
            **named,
            "schema": Member(kind=Kind.ELEMENT, is_required=True, classes=("Interface",), takes_older=is_newer),
        },
        "Enum": {
            **common,
            "enumValues": Member(
                kind=Kind.ELEMENTS,
                is_required=not is_newer,
                minimum=None if is_newer else 1,
                maximum=None if is_newer else 100,
                classes=("EnumValue",),
            ),
            "valueSchema": Member(kind=Kind.CHOICE, is_required=True, choices=("integer", "string")),
        },
        "EnumValue": {**named, "enumValue": Member(kind=Kind.LITERAL, is_required=True)},
        "Field": valued,
        "Interface": {
            **common,
            "contents": Member(kind=Kind.ELEMENTS, classes=CONTENTS, takes_older=is_newer),
            "extends": Member(
                kind=Kind.ELEMENTS, maximum=None if is_newer else 2, classes=("Interface",), takes_older=is_newer
            ),
            "schemas": Member(kind=Kind.ELEMENTS, classes=COMPLEX),
        },
        "Map": {
            **common,
            "mapKey": Member(kind=Kind.ELEMENT, is_required=True, classes=("MapKey",)),
            "mapValue": Member(kind=Kind.ELEMENT, is_required=True, classes=("MapValue",)),
        },
        "MapKey": {**named, "schema": Member(kind=Kind.CHOICE, is_required=True, choices=("string",))},
        "MapValue": valued,
        "Object": {
            **common,
            "fields": Member(
                kind=Kind.ELEMENTS,
                is_required=not is_newer,
                minimum=None if is_newer else 1,
                maximum=None if is_newer else 30,
                classes=("Field",),
            ),
        },
        "Property": {**named, "schema": schema if is_newer else without_array, "writable": writable},
        "Relationship": {
            **named,
            "maxMultiplicity": Member(kind=Kind.INTEGER, minimum=1, maximum=None if is_newer else 500),
            "minMultiplicity": Member(kind=Kind.INTEGER, minimum=0, maximum=0),
            "properties": Member(
                kind=Kind.ELEMENTS, maximum=None if is_newer else 300, classes=("Property",), takes_older=is_newer
            ),
            "target": Member(kind=Kind.IDENTIFIER, max_characters=MAX_ID_CHARACTERS),
            "writable": writable,
        },
        "Telemetry": valued,
    }


# Version -> element -> its members.
CLASSES: Mapping[int, Mapping[str, Members]] = {
    2: _members(name_length=64, label_length=64, is_newer=False),
    3: _members(name_length=512, label_length=512, is_newer=True),
}

# Contents of an interface together with those of the interfaces it extends; DTDL v3 counts elements instead.
MAX_CONTENTS_2 = 300

# Words of the language that are no material element: they may not be used as if they were undefined.
_ABSTRACT = (
    "Boolean ComplexSchema CommandType Content Date DateTime Double Duration Entity Float Integer Long NamedEntity"
    " NumericSchema PrimitiveSchema Schema SchemaField SemanticType SemanticUnit String TemporalSchema Time Unit"
    " UnitAttribute exponent languageMajorVersion symbol"
)
_ONLY_2 = (
    "RatioUnit DecimalUnit DecimalPrefix BinaryUnit BinaryPrefix QuantitativeType baseUnit bottomUnit prefix topUnit"
    " unit deci centi milli micro nano pico femto atto zepto yocto deka hecto kilo mega giga tera peta exa zetta yotta"
    " kibi mebi gibi tebi pebi exbi zebi yobi"
)
_ONLY_3 = "AdjunctType Alias CommandPayload DtdlExtension LatentType NamedLatentType aliasFor metamodel model"


def _reserved(version: int) -> frozenset[str]:
    words = set(_ABSTRACT.split()) | {"asynchronous", "synchronous", *PRIMITIVES, *GEOSPATIAL}
    for name, members in CLASSES[version].items():
        words |= {name, *members}
    if version == 2:
        words |= {*_ONLY_2.split(), *SEMANTIC_TYPES[2], *UNITS[2]}.union(*UNITS[2].values())
    else:
        words |= set(_ONLY_3.split())
    return frozenset(words)


# Version -> §Reserved strings, terms.
RESERVED: Mapping[int, frozenset[str]] = {version: _reserved(version) for version in VERSIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class CoType:
    """A type that a language extension adds to an element."""

    classes: tuple[str, ...]  # elements that it may be added to
    schemas: frozenset[str] = frozenset()  # words that the schema may be; empty: any
    schema_class: str | None = None  # element that the schema must be
    unit_type: str | None = None  # of the member ``unit``; None: it adds no such member
    is_unit_required: bool = False


IOT_CENTRAL = "dtmi:iotcentral:context;2"
IOT_CENTRAL_PREFIX = "dtmi:iotcentral:"
QUANTITATIVE_TYPES = "dtmi:dtdl:extension:quantitativeTypes;1"

_SIGNALS = ("Property", "Telemetry")

# IoT Central extension version 2: adjunct types (DTDL v2 only) and schemas.
IOT_CENTRAL_TYPES: Mapping[str, CoType] = {
    "State": CoType(classes=_SIGNALS, schema_class="Enum"),
    "Event": CoType(classes=_SIGNALS, schemas=NUMERIC | {"string"}),
    "Location": CoType(classes=_SIGNALS, schemas=frozenset((*GEOSPATIAL, "geopoint"))),
    "VelocityVector": CoType(classes=_SIGNALS, schemas=frozenset(("vector",)), unit_type="VelocityUnit"),
    "AccelerationVector": CoType(classes=_SIGNALS, schemas=frozenset(("vector",)), unit_type="AccelerationUnit"),
}
# Name -> fields, all of them double.
IOT_CENTRAL_SCHEMAS: Mapping[str, tuple[str, ...]] = {"geopoint": ("lon", "lat", "alt"), "vector": ("x", "y", "z")}

# Semantic types of the language itself (v2) and of quantitativeTypes (v3), as co-types.
QUANTITIES: Mapping[int, Mapping[str, CoType]] = {
    version: {
        name: CoType(classes=classes, schemas=NUMERIC, unit_type=unit_type, is_unit_required=True)
        for name, unit_type in SEMANTIC_TYPES[version].items()
    }
    for version, classes in ((2, _SIGNALS), (3, ("CommandRequest", "CommandResponse", "Field", "MapValue", *_SIGNALS)))
}
