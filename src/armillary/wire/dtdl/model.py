# SPDX-License-Identifier: Apache-2.0
"""Device models in DTDL (Digital Twins Definition Language) versions 2 and 3: documents <-> frozen values.

::

    bytes --json_text--> nodes --reader--> elements --check--> judged --here--> Model

Every rule of the published language specification is applied, and every broken one is reported at once with document,
line, element and the specification's own name of the rule. Known extensions: ``dtmi:iotcentral:context;2`` and
``dtmi:dtdl:extension:quantitativeTypes;1``. Differences are written down in ``docs/reference/dtdl.md``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from armillary.errors import ModelError
from armillary.wire.dtdl.check import ModelCheck
from armillary.wire.dtdl.element import Element, Reference
from armillary.wire.dtdl.fault import HABITS, Document, Fault, Faults
from armillary.wire.dtdl.json_text import BOM, Node, UnreadableJsonError, decode_text, from_value, line_of, read_json
from armillary.wire.dtdl.literal import DEFAULT_LANGUAGE
from armillary.wire.dtdl.reader import ElementReader

Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What every element may have."""

    display_name: Labels = field(default_factory=dict)  # what people read, by language
    description: Labels = field(default_factory=dict)  # the same, longer
    comment: str = ""  # for authors of models


@dataclass(frozen=True, slots=True)
class Standard:
    """A schema of the language: ``double``, ``boolean``, ``point``, ``vector``."""

    word: str


@dataclass(frozen=True, slots=True)
class ArraySchema:
    """A list of values of one schema."""

    element: Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumValue(Described):
    """A label of an enum; ``value`` is what a device sends."""

    name: str
    value: int | str


@dataclass(frozen=True, slots=True)
class EnumSchema:
    """One of a few values, all integers or all text."""

    value_schema: str
    values: tuple[EnumValue, ...]


@dataclass(frozen=True, slots=True)
class MapSchema:
    """Values of one schema by names that the device chooses."""

    key_name: str
    value_name: str
    value: Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Described):
    """A part of an object."""

    name: str
    schema: Schema
    types: tuple[str, ...] = ()
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectSchema:
    """Named parts."""

    fields: tuple[Field, ...]


Schema: TypeAlias = "Standard | ArraySchema | EnumSchema | MapSchema | ObjectSchema"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content(Described):
    """What an interface contains."""

    name: str  # in messages, twins and calls
    types: tuple[str, ...] = ()  # besides its class: semantic types, ``State``, undefined ones
    others: Mapping[str, Any] = field(default_factory=dict)  # of an undefined type, such as ``minValue``


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry(Content):
    """Values that a device measures."""

    schema: Schema
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Property(Content):
    """State of a device; ``writable``: operators may ask for another."""

    schema: Schema
    unit: str | None = None
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload(Described):
    """What a command takes or gives."""

    name: str
    schema: Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Content):
    """Something a device can do."""

    request: Payload | None = None
    response: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationship(Content):
    """A link to another device."""

    target: str | None = None
    min_multiplicity: int | None = None
    max_multiplicity: int | None = None
    properties: tuple[Property, ...] = ()
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Component(Content):
    """A part of a device that has an interface of its own; ``interface`` is its identifier."""

    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface(Described):
    """An interface."""

    id: str
    dtdl_version: int
    extends: tuple[str, ...] = ()  # identifiers of the interfaces whose contents it has as well
    contents: tuple[Content, ...] = ()  # its own
    types: tuple[str, ...] = ()  # besides ``Interface``


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Interfaces that are complete together."""

    interfaces: Mapping[str, Interface]  # by identifier
    top_level: tuple[str, ...]  # identifiers of those at the top of a document, in order
    missing: frozenset[str] = frozenset()  # identifiers that are named and not there, if allowed
    unknown_contexts: frozenset[str] = frozenset()  # extensions that this program does not know
    warnings: tuple[tuple[str, str], ...] = ()  # (where, what) of broken rules that are tolerated

    def contents(self, interface_id: str) -> tuple[Content, ...]:
        """Contents of an interface and of those it extends, its own first; raises KeyError for an unknown one."""
        found: dict[str, Content] = {}
        pending, seen = deque([interface_id]), {interface_id}
        while pending:
            each = self.interfaces[pending.popleft()]
            for content in each.contents:
                found.setdefault(content.name, content)
            for above in each.extends:
                if above not in seen and above in self.interfaces:
                    seen.add(above)
                    pending.append(above)
        return tuple(found.values())


def label(labels: Labels, otherwise: str, language: str = DEFAULT_LANGUAGE) -> str:
    """The text of one language: that one, else English, else any, else ``otherwise``."""
    for tag in (language, DEFAULT_LANGUAGE, *(tag for tag in labels if tag.startswith(DEFAULT_LANGUAGE)), *labels):
        if tag in labels:
            return labels[tag]
    return otherwise


def parse_model(
    documents: Iterable[tuple[str, object]],
    *,
    allow_unknown_contexts: bool = True,
    allow_missing: bool = False,
    tolerates_habits: bool = False,
) -> Model:
    """Read documents, (name for messages, content) each, that are a model together.

    Args:
        documents: A content is one interface or an array of them, as bytes or as decoded JSON; faults in the latter
            name no lines.
        allow_unknown_contexts: Whether extensions that this program does not know may be in context (DTDL §Model
            completeness recommends it); their types and members are kept and not judged.
        allow_missing: Whether identifiers may be named that no document defines.
        tolerates_habits: Whether faults that IoT Central accepts are warnings (``HABITS`` of ``fault.py``).

    Raises:
        ModelError: names every broken rule.
    """
    faults = Faults(HABITS if tolerates_habits else ())
    reader = ElementReader(faults, allow_unknown_contexts=allow_unknown_contexts)
    for name, content in documents:
        document = Document(name)
        reader.read(document, _root(document, content) if isinstance(content, bytes) else from_value(content))
    check = ModelCheck(reader, faults, allow_missing=allow_missing)
    check.run()
    faults.raise_any()
    build = _Builder()
    interfaces = {
        element.identifier: build.interface(element) for element in reader.elements if element.kind == "Interface"
    }
    return Model(
        interfaces=interfaces,
        top_level=tuple(element.identifier for element in reader.top_level),
        missing=frozenset(check.missing),
        unknown_contexts=frozenset(reader.unknown_contexts),
        warnings=tuple((fault.place, fault.reason) for fault in faults.warnings),
    )


def _root(document: Document, content: bytes) -> Node:
    """The root of a document's text, which the document keeps for the lines of faults."""
    try:
        document.text = decode_text(content)
        return read_json(document.text)
    except UnreadableJsonError as error:
        text = document.text or content.removeprefix(BOM).decode("utf-8", "replace")
        fault = Fault(document.name, line_of(text, error.at), "", "RFC 8259", 0, error.expected, error.got)
        remedy = "Mend the JSON there: a comma, quotation mark or bracket is missing or too many."
        raise ModelError(
            [(fault.place, f"expected {error.expected}, got {error.got} (RFC 8259)")],
            details=[{**asdict(fault), "remedy": remedy}],
        ) from None


class _Builder:
    """Builds values from elements without faults; a schema that is named twice becomes one value."""

    def __init__(self) -> None:
        self._schemas: dict[int, Schema] = {}

    def interface(self, element: Element) -> Interface:
        """The interface of an element."""
        return Interface(
            **_described(element),
            id=element.identifier,
            dtdl_version=element.version,
            extends=tuple(_identifier(link) for link in element.links.get("extends", ())),
            contents=tuple(self._content(each) for each in element.linked("contents")),
            types=element.types,
        )

    def _content(self, element: Element) -> Content:
        common: dict[str, Any] = {
            **_described(element),
            "name": element.literals["name"],
            "types": element.types,
            "others": element.others,
        }
        literals = element.literals
        if element.kind == "Telemetry":
            return Telemetry(**common, schema=self._schema(element, "schema"), unit=_unit(element))
        if element.kind == "Property":
            return self._property(element, common)
        if element.kind == "Command":
            return Command(
                **common, request=self._payload(element, "request"), response=self._payload(element, "response")
            )
        if element.kind == "Component":
            return Component(**common, interface=_identifier(element.links["schema"][0]))
        return Relationship(
            **common,
            target=literals.get("target"),
            min_multiplicity=literals.get("minMultiplicity"),
            max_multiplicity=literals.get("maxMultiplicity"),
            properties=tuple(
                self._property(each, {**_described(each), "name": each.literals["name"], "types": each.types})
                for each in element.linked("properties")
            ),
            writable=literals.get("writable", False),
        )

    def _property(self, element: Element, common: dict[str, Any]) -> Property:
        writable = element.literals.get("writable", False)
        return Property(**common, schema=self._schema(element, "schema"), unit=_unit(element), writable=writable)

    def _payload(self, element: Element, member: str) -> Payload | None:
        inner = next(iter(element.linked(member)), None)
        if inner is None:
            return None
        return Payload(**_described(inner), name=inner.literals["name"], schema=self._schema(inner, "schema"))

    def _schema(self, element: Element, member: str) -> Schema:
        link = element.links[member][0]
        if link.element is None:  # a word, or allowed to be missing: then nothing is known of it
            return Standard(link.word)
        inner = link.element
        known = self._schemas.get(id(inner))
        if known is None:
            known = self._schemas[id(inner)] = self._complex(inner)
        return known

    def _complex(self, element: Element) -> Schema:
        if element.kind == "Array":
            return ArraySchema(self._schema(element, "elementSchema"))
        if element.kind == "Enum":
            values = tuple(
                EnumValue(**_described(each), name=each.literals["name"], value=each.literals["enumValue"])
                for each in element.linked("enumValues")
            )
            return EnumSchema(element.literals["valueSchema"], values)
        if element.kind == "Map":
            parts = (*element.linked("mapKey"), *element.linked("mapValue"))
            if len(parts) < 2:  # one of the two is allowed to be missing
                return Standard("")
            key, value = parts
            return MapSchema(key.literals["name"], value.literals["name"], self._schema(value, "schema"))
        return ObjectSchema(
            tuple(
                Field(
                    **_described(each),
                    name=each.literals["name"],
                    schema=self._schema(each, "schema"),
                    types=each.types,
                    unit=_unit(each),
                )
                for each in element.linked("fields")
            )
        )


def _described(element: Element) -> dict[str, Any]:
    literals = element.literals
    return {
        "display_name": literals.get("displayName", {}),
        "description": literals.get("description", {}),
        "comment": literals.get("comment", ""),
    }


def _identifier(link: Reference) -> str:
    return link.identifier if link.element is None else link.element.identifier


def _unit(element: Element) -> str | None:
    """The unit: judged where a semantic type asks for one, else as an undefined type brought it."""
    other = element.others.get("unit")
    return element.unit or (other if isinstance(other, str) else None)
