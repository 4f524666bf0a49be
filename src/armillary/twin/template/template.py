# SPDX-License-Identifier: Apache-2.0
"""Device templates: the capabilities of a kind of device, and what operators store and see for each device.

A template is a model in DTDL (its root interface, the components of that, and all they extend), cloud properties
(values that operators store for each device and devices never see), views, and display names. It is stored as documents
of kind ``template``: ``NAME`` is the draft, which changes; ``NAME.1``, ``NAME.2`` are its published versions, which
never change. Devices have published versions only. Data that is not in a device's template is stored and shown too.

Not here: reading templates (``json_form.py``), migrating devices (``change.py``), storage (``engines/documents``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.template.schema import Mismatch, mismatches
from armillary.wire.dtdl import model as dtdl

# Cloud properties of one device, and bytes of one text among them (as a twin's).
MAX_CLOUD_PROPERTIES: Final = 300
MAX_TEXT_BYTES: Final = 4096

# Size of a template when each component has the contents of its interface, and each capability its whole schema: a
# short model can name one part a thousand times. The largest known templates have some 300 capabilities; ten times as
# many, with ten parts of a schema each, take a second and some megabytes.
MAX_CAPABILITIES: Final = 3_000
MAX_SCHEMA_PARTS: Final = 30_000

# IoT Central's type of a cloud property in a model.
CLOUD_TYPE: Final = "Cloud"

_REMEDY: Final = "armillary template show --template NAME lists what the template has."


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudProperty:
    """A value that operators store for each device."""

    name: str  # rules compare with it
    display_name: str = ""  # for people
    schema: dtdl.Schema = field(default_factory=lambda: dtdl.Standard("string"))  # a primitive, ``geopoint`` or an enum
    unit: str | None = None  # for people; any text
    minimum: float | None = None
    maximum: float | None = None
    minimum_length: int | None = None  # characters of a text
    maximum_length: int | None = None
    trim: bool = False  # white space around a text is removed before it is stored
    initial: Any = None  # value of a new device


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a value beyond its schema (IoT Central's ``NumberValue``, ``StringValue``); None for no limit."""

    minimum: float | None = None
    maximum: float | None = None
    minimum_length: int | None = None
    maximum_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A page of a device: names of capabilities and cloud properties in order; a ``form`` lets operators edit them."""

    name: str
    form: bool = False
    tiles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """A telemetry, property, command or relationship of a device."""

    name: str  # ``temperature``, or ``thermostat1.temperature`` of a component
    component: str  # its name; empty for the root interface
    kind: str  # ``telemetry``, ``property``, ``command`` or ``relationship``
    content: dtdl.Content  # its element in the model
    display_name: str  # for people, without language


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A device template."""

    display_name: str  # for people, as is ``description``
    description: str = ""
    catalog: str | None = None  # only for devices of this catalog; None for all
    root: str  # identifier of the root interface, which devices announce
    model: dtdl.Model  # with all interfaces that the root uses
    version: int = 0  # of a published version; 0 for a draft
    cloud: Mapping[str, CloudProperty] = field(default_factory=dict)  # by name
    views: tuple[View, ...] = ()
    labels: dtdl.Labels = field(default_factory=dict)  # display names that people gave to capabilities
    identifier: str = ""  # of the template in IoT Central's API
    # By name, of the root interface and its components.
    capabilities: Mapping[str, Capability] = field(default_factory=dict)
    components: Mapping[str, str] = field(default_factory=dict)  # name -> identifier of its interface


def capabilities_of(model: dtdl.Model, root: str, labels: dtdl.Labels) -> tuple[dict[str, Capability], dict[str, str]]:
    """Capabilities by name, without cloud properties, and components of a root interface.

    Raises InvalidArgumentError above :data:`MAX_CAPABILITIES` or :data:`MAX_SCHEMA_PARTS`, before they are built.
    """
    own = model.contents(root)
    components = {each.name: each.interface for each in own if isinstance(each, dtdl.Component)}
    parts = {name: model.contents(name) for name in {*components.values()} if name in model.interfaces}
    _check_size(own, components, parts)
    found: dict[str, Capability] = {}
    for content in own:
        if isinstance(content, dtdl.Component):
            for inner in parts.get(content.interface, ()):
                _add(found, content.name, inner, labels)
        elif not is_cloud(content):
            _add(found, "", content, labels)
    return found, components


def _check_size(
    own: Sequence[dtdl.Content], components: Mapping[str, str], parts: Mapping[str, Sequence[dtdl.Content]]
) -> None:
    """Count capabilities and parts of schemas for all components; each interface and schema is visited once."""
    sizes: dict[int, int] = {}
    of_interface = {name: sum(_parts_of(each, sizes) for each in contents) for name, contents in parts.items()}
    capabilities = len(own) - len(components) + sum(len(parts.get(each, ())) for each in components.values())
    schema_parts = sum(_parts_of(each, sizes) for each in own)
    schema_parts += sum(of_interface.get(each, 0) for each in components.values())
    for count, most, what in (
        (capabilities, MAX_CAPABILITIES, "capabilities, those of every component counted"),
        (schema_parts, MAX_SCHEMA_PARTS, "parts of schemas, each counted wherever it is named"),
    ):
        if count > most:
            raise InvalidArgumentError(
                f"models: expected at most {most:,} {what}, got {count:,}",
                remedy="Leave out components that devices do not have, or make several templates.",
            )


def _parts_of(content: dtdl.Content, sizes: dict[int, int]) -> int:
    """Parts of all schemas of a content."""
    payloads = (getattr(content, "request", None), getattr(content, "response", None))
    schemas = [getattr(each, "schema", None) for each in (content, *payloads)]
    return sum(_schema_size(each, sizes) for each in schemas if each is not None)


def _schema_size(schema: dtdl.Schema, sizes: dict[int, int]) -> int:
    """Parts of a schema, written out; ``sizes`` keeps those that were counted. DTDL nests five levels at most."""
    if id(schema) not in sizes:
        if isinstance(schema, dtdl.ArraySchema):
            size = _schema_size(schema.element, sizes)
        elif isinstance(schema, dtdl.MapSchema):
            size = _schema_size(schema.value, sizes)
        elif isinstance(schema, dtdl.EnumSchema):
            size = len(schema.values)
        elif isinstance(schema, dtdl.ObjectSchema):
            size = sum(_schema_size(each.schema, sizes) for each in schema.fields)
        else:
            size = 0
        sizes[id(schema)] = size + 1
    return sizes[id(schema)]


def is_cloud(content: dtdl.Content) -> bool:
    """Whether a property of a model is a cloud property, by IoT Central's type."""
    return isinstance(content, dtdl.Property) and CLOUD_TYPE in content.types


def cloud_of(content: dtdl.Content) -> CloudProperty:
    """The cloud property that a model defines in IoT Central's form."""
    assert isinstance(content, dtdl.Property)  # noqa: S101 - the caller looked
    limits = limits_of(content)
    return CloudProperty(
        name=content.name,
        display_name=dtdl.label(content.display_name, content.name),
        schema=content.schema,
        unit=content.unit,
        minimum=limits.minimum,
        maximum=limits.maximum,
        minimum_length=limits.minimum_length,
        maximum_length=limits.maximum_length,
        trim=content.others.get("trim") is True,
        initial=content.others.get("initialValue"),
    )


def limits_of(content: dtdl.Content) -> Limits:
    """The limits of a value in IoT Central's members of a model; members of another type are ignored."""
    others = content.others
    return Limits(
        minimum=_number(others.get("minValue")),
        maximum=_number(others.get("maxValue")),
        minimum_length=_length(others.get("minLength")),
        maximum_length=_length(others.get("maxLength")),
    )


def changed_cloud(template: Template, present: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Cloud properties of a device after a change, name -> value; null deletes a value.

    Raises InvalidArgumentError with the property and what was expected.
    """
    after = dict(present)
    for name, value in change.items():
        if value is None:
            after.pop(name, None)
            continue
        found = template.cloud.get(name)
        if found is None:
            known = ", ".join(template.cloud) or "none"
            raise InvalidArgumentError(
                f"cloud property {name[:64]!a}: expected one of the template's ({known})", remedy=_REMEDY
            )
        after[name] = check_cloud_value(found, value)
    if len(after) > MAX_CLOUD_PROPERTIES:
        raise InvalidArgumentError(f"expected at most {MAX_CLOUD_PROPERTIES} cloud properties", remedy=_REMEDY)
    return after


def check_cloud_value(found: CloudProperty, value: Any) -> Any:
    """The value to store for a cloud property; raises InvalidArgumentError if it is beyond schema or limits."""
    if found.trim and isinstance(value, str):
        value = value.strip()
    wrong = cloud_mismatch(found, value)
    if wrong is not None:
        raise InvalidArgumentError(
            f"cloud property {wrong.name}: expected {wrong.expected}, got {wrong.got}", remedy=_REMEDY
        )
    return value


def cloud_mismatch(found: CloudProperty, value: Any) -> Mismatch | None:
    """How a value differs from a cloud property's schema and limits; None when it fits."""
    wrong = mismatches(found.schema, value, found.name)
    if wrong:
        return wrong[0]
    if isinstance(value, str) and len(value.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        return Mismatch(found.name, f"at most {MAX_TEXT_BYTES} bytes", f"{len(value)} characters")
    return limit_mismatch(found, value, found.name)


def limit_mismatch(limits: Limits | CloudProperty, value: Any, name: str) -> Mismatch | None:
    """How a value that fits its schema exceeds its limits; None when it does not."""
    size: float
    least: float | None
    most: float | None
    if isinstance(value, str):
        size, least, most, what = len(value), limits.minimum_length, limits.maximum_length, " characters"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        size, least, most, what = value, limits.minimum, limits.maximum, ""
    else:
        return None
    if least is not None and size < least:
        return Mismatch(name, f"at least {least:g}{what}", f"{size:g}")
    if most is not None and size > most:
        return Mismatch(name, f"at most {most:g}{what}", f"{size:g}")
    return None


def initial_cloud(template: Template) -> dict[str, Any]:
    """Cloud properties of a new device of a template."""
    return {each.name: each.initial for each in template.cloud.values() if each.initial is not None}


_KINDS: Mapping[type[dtdl.Content], str] = {
    dtdl.Telemetry: "telemetry",
    dtdl.Property: "property",
    dtdl.Command: "command",
    dtdl.Relationship: "relationship",
}


def _add(found: dict[str, Capability], component: str, content: dtdl.Content, labels: dtdl.Labels) -> None:
    kind = _KINDS.get(type(content))
    if kind is None:  # a component inside a component: DTDL has none
        return
    name = f"{component}.{content.name}" if component else content.name
    display_name = labels.get(name) or dtdl.label(content.display_name, content.name)
    found[name] = Capability(name=name, component=component, kind=kind, content=content, display_name=display_name)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _length(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
