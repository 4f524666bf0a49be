# SPDX-License-Identifier: Apache-2.0
"""Edits of a template's draft: add or remove a capability, a cloud property or a view.

Each function takes the body of a template's document (``json_form.py``), and returns an edited copy that is valid as a
whole. The models stay DTDL as their author wrote it: only the element in question changes, and the context gets the
extensions that a new element needs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.twin.template.json_form import listed, parse_template, with_known
from armillary.twin.template.template import Template, is_cloud
from armillary.wire.dtdl.tables import IOT_CENTRAL, IOT_CENTRAL_SCHEMAS, PRIMITIVES, QUANTITATIVE_TYPES
from armillary.wire.dtdl.units import SEMANTIC_TYPES, UNITS

Body = dict[str, Any]

KINDS: Final = ("telemetry", "property", "command")
# Schemas that the console's form offers; ``enum`` needs values.
SCHEMAS: Final = (*PRIMITIVES, *IOT_CENTRAL_SCHEMAS, "enum")
# IoT Central's type with the members ``minValue`` and ``maxValue``.
NUMBER_VALUE: Final = "NumberValue"


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityWish:
    """A capability to add."""

    kind: str  # one of KINDS
    name: str  # in messages, twins and calls
    component: str = ""  # empty for the root interface
    display_name: str = ""  # for people
    schema: str = ""  # one of SCHEMAS; empty for a command
    values: tuple[tuple[str, int | str], ...] = ()  # of an enum: (name, value) each
    semantic_type: str = ""  # such as ``Temperature``
    unit: str = ""  # of the semantic type
    writable: bool = False  # operators may set a desired value; for properties only
    minimum: float | None = None
    maximum: float | None = None
    request: tuple[str, str] | None = None  # name and schema of a command's request


def meanings(version: int) -> dict[str, tuple[str, ...]]:
    """Semantic type -> its units, for a version of DTDL."""
    units = UNITS[version]
    return {name: tuple(sorted(units[unit_type])) for name, unit_type in sorted(SEMANTIC_TYPES[version].items())}


def with_capability(body: Mapping[str, Any], wish: CapabilityWish) -> Body:
    """A body with one more capability.

    Raises:
        ModelError: the model would break rules of DTDL.
        InvalidArgumentError: a field of ``wish`` is not valid; names it.
        NotFoundError: there is no such component.
    """
    made = copy.deepcopy(dict(body))
    template = parse_template(made)
    interface_id = _interface_of(template, wish.component)
    version = template.model.interfaces[interface_id].dtdl_version
    interface, document = _found(made, interface_id)
    content = _content(wish, version)
    if isinstance(content.get("schema"), str) and content["schema"] in IOT_CENTRAL_SCHEMAS:
        _need_context(interface, document, IOT_CENTRAL)
    if wish.semantic_type and version > 2:
        _need_context(interface, document, QUANTITATIVE_TYPES)
    interface["contents"] = [*listed(interface.get("contents")), content]
    parse_template(made)
    return made


def without_capability(body: Mapping[str, Any], name: str) -> tuple[Body, tuple[str, ...]]:
    """A body without a capability; and the names that views and labels lose with it.

    An interface that several components share, or that others extend, loses it for all of them.

    Raises:
        NotFoundError: the template has no such capability.
        ModelError, InvalidArgumentError: the rest is not a valid template.
    """
    made = copy.deepcopy(dict(body))
    template = parse_template(made)
    capability = template.capabilities.get(name)
    if capability is None:
        raise NotFoundError(f"the template has no capability {name[:64]!a}", remedy="Reload the page.")
    own = capability.content.name
    for interface_id in _with_extended(template, _interface_of(template, capability.component)):
        interface, _ = _found(made, interface_id)
        contents = listed(interface.get("contents"))
        kept = [each for each in contents if not (isinstance(each, Mapping) and each.get("name") == own)]
        if len(kept) < len(contents):
            interface["contents"] = kept
            return _pruned(made)
    raise NotFoundError(
        f"{name[:64]!a} is not written out in the models", remedy="Change the models as JSON: the element has a name."
    )


def with_cloud_property(body: Mapping[str, Any], made_of: Mapping[str, Any]) -> Body:
    """A body with a cloud property, which replaces one of its name; raises InvalidArgumentError if it is not valid."""
    return _with_named(body, "cloud_properties", made_of)


def without_cloud_property(body: Mapping[str, Any], name: str) -> tuple[Body, tuple[str, ...]]:
    """A body without a cloud property; and the names that views and labels lose with it.

    Raises NotFoundError if there is none, or the model defines it.
    """
    made = _without_named(body, "cloud_properties", name)
    if made is None:
        template = parse_template(dict(body))
        in_model = any(is_cloud(each) and each.name == name for each in template.model.contents(template.root))
        remedy = "It stands in the model: take it away there." if in_model else "Reload the page."
        raise NotFoundError(f"there is no cloud property {name[:64]!a} beside the model", remedy=remedy)
    return _pruned(made)


def with_view(body: Mapping[str, Any], made_of: Mapping[str, Any]) -> Body:
    """A body with a view; one of the same name is replaced. Raises as :func:`with_cloud_property`."""
    return _with_named(body, "views", made_of)


def without_view(body: Mapping[str, Any], name: str) -> Body:
    """A body without a view; raises NotFoundError if there is none."""
    made = _without_named(body, "views", name)
    if made is None:
        raise NotFoundError(f"there is no view {name[:64]!a}", remedy="Reload the page.")
    return made


# Parts ------------------------------------------------------------------------------------------------------------


def _content(wish: CapabilityWish, version: int) -> dict[str, Any]:
    if wish.kind not in KINDS:
        raise _refused("kind", f"one of {', '.join(KINDS)}", wish.kind)
    types = [wish.kind.capitalize()]
    content: dict[str, Any] = {"@type": types[0], "name": wish.name}
    if wish.display_name:
        content["displayName"] = wish.display_name
    if wish.kind == "command":
        if wish.request is not None:
            content["request"] = {"name": wish.request[0], "schema": wish.request[1]}
        return content
    if wish.schema not in SCHEMAS:
        raise _refused("schema", f"one of {', '.join(SCHEMAS)}", wish.schema)
    content["schema"] = _enum(wish) if wish.schema == "enum" else wish.schema
    if wish.semantic_type:
        types.append(wish.semantic_type)
        content["unit"] = wish.unit
    limits = _limits(wish, version)
    if limits:
        types.append(NUMBER_VALUE)
        content |= limits
    if wish.kind == "property":
        content["writable"] = wish.writable
    return content if len(types) == 1 else {**content, "@type": types}


def _limits(wish: CapabilityWish, version: int) -> dict[str, float]:
    limits = {"minValue": wish.minimum, "maxValue": wish.maximum}
    given = {name: value for name, value in limits.items() if value is not None}
    if given and version > 2:
        raise _refused("minimum", "no limits: DTDL version 3 has no place for them", "some")
    if wish.minimum is not None and wish.maximum is not None and wish.minimum > wish.maximum:
        raise _refused("minimum", f"at most {wish.maximum:g}", f"{wish.minimum:g}")
    return given


def _enum(wish: CapabilityWish) -> dict[str, Any]:
    if not wish.values:
        raise _refused("values", "the values of the enum", "none")
    whole = all(isinstance(value, int) for _, value in wish.values)
    values = [{"name": name, "enumValue": value if whole else str(value)} for name, value in wish.values]
    return {"@type": "Enum", "valueSchema": "integer" if whole else "string", "enumValues": values}


def _interface_of(template: Template, component: str) -> str:
    if not component:
        return template.root
    found = template.components.get(component)
    if found is None:
        raise NotFoundError(f"the template has no component {component[:64]!a}", remedy="Reload the page.")
    return found


def _with_extended(template: Template, interface_id: str) -> list[str]:
    """An interface and all it extends, in the order in which their contents count."""
    found = [interface_id]
    for each in found:
        interface = template.model.interfaces.get(each)
        found += [above for above in (interface.extends if interface else ()) if above not in found]
    return found


def _found(body: Body, interface_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An interface in the models, and the document that it stands in."""
    for document in body["models"]:
        for each in _objects(document):
            if each.get("@id") == interface_id and ("contents" in each or "Interface" in listed(each.get("@type"))):
                return each, document
    raise NotFoundError(
        f"the models do not write {interface_id[:128]!a} out", remedy="Change the models as JSON instead."
    )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _need_context(interface: dict[str, Any], document: dict[str, Any], extension: str) -> None:
    """Add an extension to the context of an interface, unless it is there."""
    holder = interface if "@context" in interface else document
    present = listed(holder.get("@context"))
    if extension not in present:
        # The language's own context goes first (DTDL v3 §Context); version 2 takes either order.
        holder["@context"] = [*present, extension]


def _with_named(body: Mapping[str, Any], member: str, made_of: Mapping[str, Any]) -> Body:
    made = copy.deepcopy(dict(body))
    present, name = list(made.get(member, [])), made_of.get("name")
    at = next((n for n, each in enumerate(present) if each.get("name") == name), len(present))
    made[member] = [*present[:at], dict(made_of), *present[at + 1 :]]
    parse_template(made)
    return made


def _without_named(body: Mapping[str, Any], member: str, name: str) -> Body | None:
    present = body.get(member, [])
    kept = [each for each in present if each.get("name") != name]
    return None if len(kept) == len(present) else copy.deepcopy({**body, member: kept})


def _pruned(body: Body) -> tuple[Body, tuple[str, ...]]:
    """A body whose views and labels name only what the template has; and the names that were removed."""
    template = parse_template({**body, "views": [], "labels": {}})
    made, gone = with_known(body, template.capabilities.keys() | template.cloud.keys())
    parse_template(made)
    return made, tuple(dict.fromkeys(gone))


def _refused(name: str, expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name}: expected {expected}, got {got[:40]!a}", remedy="Correct it in the form.")
