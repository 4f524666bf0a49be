# SPDX-License-Identifier: Apache-2.0
"""Segments: saved queries over the facts of devices, which decide at any moment who is a member.

::

    {"name": "Warm and far away", "template": "dtmi-example-sensor-1", "match": "all", "filters": [
      {"field": "telemetry:temperature", "operator": "gt", "value": 40},
      {"field": "cloud:site", "operator": "eq", "value": "north"},
      {"field": "device:health", "operator": "ne", "value": "attested"}]}

A filter compares one value of the device with a constant. A value that is missing, or of another kind than the
constant, meets no comparison, ``ne`` included: "no data" is not "different". Only ``exists`` tests for missing values.
Data exports choose devices in the same language (``data_export.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.wire.encoding.json_fields import (
    MAX_DESCRIPTION_CHARACTERS,
    MAX_NAME_CHARACTERS,
    JsonFields,
    is_value,
    kind_of,
)

Value = str | bool | int | float

# Filters of one segment, and of one data export.
MAX_FILTERS: Final = 50
MAX_PATH_CHARACTERS: Final = 256
MAX_TEXT_CHARACTERS: Final = 1024

# Where a filter looks: ``property`` is what the device reported, else what is desired.
SOURCES: Final = ("property", "reported", "desired", "tag", "cloud", "telemetry", "device")
# Names behind ``device:``: what the service states of a device, and whether the hub has a connection.
DEVICE_FIELDS: Final = (
    "id", "health", "tier", "chip", "catalog", "product", "device_group", "os_version", "verdict",
    "manufacturing_state", "provisioned", "connected", "template", "template_version",
)  # fmt: skip

REMEDY: Final = "docs/concepts/segments.md lists every field; nothing was kept."


def _contains(value: object, wanted: Value) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_same(each, wanted) for each in value)
    return isinstance(value, str) and isinstance(wanted, str) and wanted in value


def _same(value: object, wanted: Value) -> bool:
    return kind_of(value) == kind_of(wanted) and value == wanted


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[object, Value], bool]:
    return lambda value, wanted: kind_of(value) == "number" == kind_of(wanted) and test(value, wanted)


# operator -> (value that is there, constant) -> whether the filter is met.
OPERATORS: Final[Mapping[str, Callable[[Any, Value], bool]]] = {
    "eq": _same,
    "ne": lambda value, wanted: kind_of(value) == kind_of(wanted) and value != wanted,
    "gt": _ordered(lambda value, wanted: value > wanted),
    "ge": _ordered(lambda value, wanted: value >= wanted),
    "lt": _ordered(lambda value, wanted: value < wanted),
    "le": _ordered(lambda value, wanted: value <= wanted),
    "contains": _contains,
}
EXISTS: Final = "exists"


@dataclass(frozen=True, slots=True)
class Field:
    """A place where a value may be: one of :data:`SOURCES`, and a path whose dots go into objects."""

    source: str
    path: str

    def __str__(self) -> str:
        return f"{self.source}:{self.path}"


@dataclass(frozen=True, slots=True)
class Filter:
    """One comparison; ``operator`` is a key of :data:`OPERATORS` or ``exists``, whose value is a truth value."""

    field: Field
    operator: str
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A segment."""

    name: str  # for people, as is ``description``
    description: str = ""
    catalog: str | None = None  # only devices of this catalog; None for all
    template: str | None = None  # only devices of this device template (its document's id)
    match_all: bool = True  # every filter has to be met, not just one; without filters every device is in
    filters: tuple[Filter, ...] = ()  # at most MAX_FILTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """The facts of a device at one moment; those that a query does not need may be empty (:class:`Needs`)."""

    device_id: str
    fields: Mapping[str, Value | None] = field(default_factory=dict)  # by names of DEVICE_FIELDS
    reported: Mapping[str, Any] = field(default_factory=dict)  # ``desired``, ``tags`` and ``cloud`` have the same form
    desired: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    cloud: Mapping[str, Any] = field(default_factory=dict)
    telemetry: Mapping[str, Value] = field(default_factory=dict)  # last values by name


@dataclass(frozen=True, slots=True)
class Needs:
    """Which facts a query looks at, so that nothing else is read."""

    twin: bool = False  # reported, desired or tags
    cloud: bool = False  # cloud properties
    telemetry: frozenset[str] = frozenset()  # names of last values
    template: bool = False  # device template and its version

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.twin or other.twin,
            self.cloud or other.cloud,
            self.telemetry | other.telemetry,
            self.template or other.template,
        )


def parse_group(document: object) -> Group:
    """The body of a segment; raises InvalidArgumentError with the field and what was expected."""
    fields = JsonFields(document, "group", REMEDY)
    group = Group(
        name=fields.text("name", most=MAX_NAME_CHARACTERS),
        description=fields.text("description", most=MAX_DESCRIPTION_CHARACTERS, default="", lines=True),
        catalog=fields.optional_text("catalog", most=MAX_NAME_CHARACTERS),
        template=fields.optional_text("template", most=MAX_NAME_CHARACTERS),
        match_all=fields.choice("match", ("all", "any"), "all") == "all",
        filters=parse_filters(fields),
    )
    fields.finish()
    return group


def parse_filters(fields: JsonFields) -> tuple[Filter, ...]:
    """The field ``filters`` of a segment or an export."""
    found = fields.items("filters", most=MAX_FILTERS, default=True)
    return tuple(_filter(each, f"filters[{index}]") for index, each in enumerate(found))


def parse_field(text: object, place: str) -> Field:
    """``source:path``; raises InvalidArgumentError if there is no such source, or no path."""
    source, _, path = text.partition(":") if isinstance(text, str) else ("", "", "")
    good = source in SOURCES and 1 <= len(path) <= MAX_PATH_CHARACTERS
    if not good or (source == "device" and path not in DEVICE_FIELDS):
        known = f"device:NAME of {', '.join(DEVICE_FIELDS)}" if source == "device" else f"{', '.join(SOURCES)}:PATH"
        raise InvalidArgumentError(f"{place}: expected {known}, got {text!a:.60}", remedy=REMEDY)
    return Field(source, path)


def needs_of(fields: Iterable[Field]) -> Needs:
    """The facts that some fields need."""
    wanted = tuple(fields)
    return Needs(
        twin=any(each.source in ("property", "reported", "desired", "tag") for each in wanted),
        cloud=any(each.source == "cloud" for each in wanted),
        telemetry=frozenset(each.path for each in wanted if each.source == "telemetry"),
        template=any(each.source == "device" and each.path.startswith("template") for each in wanted),
    )


def needs_of_filters(filters: Iterable[Filter]) -> Needs:
    """The facts that some filters need."""
    return needs_of(each.field for each in filters)


def needs_of_group(group: Group) -> Needs:
    """The facts that membership of a segment needs."""
    return needs_of_filters(group.filters) | Needs(template=group.template is not None)


def is_member(group: Group, facts: DeviceFacts) -> bool:
    """Whether a device is in a segment."""
    if group.catalog is not None and not _equal_names(facts.fields.get("catalog"), group.catalog):
        return False
    if group.template is not None and facts.fields.get("template") != group.template:
        return False
    return meets(group.filters, facts, match_all=group.match_all)


def meets(filters: tuple[Filter, ...], facts: DeviceFacts, *, match_all: bool) -> bool:
    """Whether a device meets all filters, or any one; without filters it does."""
    if not filters:
        return True
    return (all if match_all else any)(is_met(each, facts) for each in filters)


def is_met(wanted: Filter, facts: DeviceFacts) -> bool:
    """Whether a device meets one filter."""
    value = value_at(wanted.field, facts)
    if wanted.operator == EXISTS:
        return (value is not None) == wanted.value
    return value is not None and OPERATORS[wanted.operator](value, wanted.value)


def value_at(place: Field, facts: DeviceFacts) -> Any:
    """The JSON value of a device at a field; None where there is none."""
    source, path = place.source, place.path
    if source == "device":
        return facts.device_id if path == "id" else facts.fields.get(path)
    if source == "telemetry":
        return facts.telemetry.get(path)
    if source == "property":
        found = _acknowledged(_inside(facts.reported, path))
        return _inside(facts.desired, path) if found is None else found
    document = {"reported": facts.reported, "desired": facts.desired, "tag": facts.tags, "cloud": facts.cloud}[source]
    return _inside(document, path)


def _filter(document: object, place: str) -> Filter:
    fields = JsonFields(document, place, REMEDY)
    where = parse_field(fields.take("field"), f"{place}.field")
    operator = fields.choice("operator", (*OPERATORS, EXISTS))
    value: Any = fields.boolean("value", default=True) if operator == EXISTS else fields.take("value")
    fields.finish()
    if not is_value(value) or (isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS):
        raise fields.refused("value", f"a number, true, false or text of at most {MAX_TEXT_CHARACTERS}", value)
    if operator in ("gt", "ge", "lt", "le") and kind_of(value) != "number":
        raise fields.refused("value", f"a number for {operator}", value)
    return Filter(where, operator, value)


def _inside(document: Mapping[str, Any], path: str) -> Any:
    if path in document:  # names of cloud properties may have dots
        return document[path]
    found: Any = document
    for key in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def _acknowledged(value: Any) -> Any:
    """A writable property is reported as ``{"value", "ac", "av", "ad"}`` (IoT Plug and Play)."""
    return value["value"] if isinstance(value, Mapping) and "value" in value and "ac" in value else value


def _equal_names(value: object, name: str) -> bool:
    return isinstance(value, str) and value.lower() == name.lower()  # names of catalogs compare without case
