# SPDX-License-Identifier: Apache-2.0
"""Converts a device template to the form of IoT Central's public REST API (2022-07-31).

Components and extended interfaces are inside the root interface, cloud properties among its contents.
``twin/template/json_form.py`` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from armillary.twin.template.json_form import listed
from armillary.wire.dtdl.names import NAME

CENTRAL_TYPES: Final = ("ModelDefinition", "DeviceModel")
MAX_LABEL: Final = 64  # DTDL v2's for a display name


def central_of_body(body: Mapping[str, Any], *, etag: str, identifier: str) -> dict[str, Any]:
    """A template's document in IoT Central's form, with components, extended interfaces and cloud properties.

    ``identifier`` is its ``@id`` where the template has none of its own.
    """
    models = {each["@id"]: each for each in _flat(body["models"])}
    root = dict(models[body["root"]])
    contents = [_inlined(each, models) for each in listed(root.get("contents"))]
    contents += [_central_cloud(each) for each in body.get("cloud_properties", ())]
    root["contents"] = contents
    if root.get("extends"):
        root["extends"] = [
            models.get(each, each) if isinstance(each, str) else each for each in listed(root["extends"])
        ]
    context = root.pop("@context", None)
    return {
        "etag": f'"{etag}"',
        "displayName": body["display_name"],
        "description": body.get("description", ""),
        "capabilityModel": root,
        "@id": body.get("identifier") or identifier,
        "@type": list(CENTRAL_TYPES),
        "@context": context if isinstance(context, list) else [context],
    }


def _flat(models: Sequence[Any]) -> Iterable[Mapping[str, Any]]:
    """Interfaces of documents, and those that stand inside of them as parts."""
    for each in models:
        if isinstance(each, list):
            yield from _flat(each)
        elif isinstance(each, Mapping):
            yield each
            for content in listed(each.get("contents")):
                if isinstance(content, Mapping) and isinstance(content.get("schema"), Mapping):
                    yield from (inner for inner in [content["schema"]] if inner.get("@type") == "Interface")
            yield from (inner for inner in listed(each.get("extends")) if isinstance(inner, Mapping))


def _inlined(content: Any, models: Mapping[str, Mapping[str, Any]]) -> Any:
    if not isinstance(content, Mapping) or not isinstance(content.get("schema"), str):
        return content
    inner = models.get(content["schema"])
    return content if inner is None else {**content, "schema": dict(inner)}


def _central_cloud(cloud: Mapping[str, Any]) -> dict[str, Any]:
    schema = cloud.get("schema", "string")
    kinds = {
        "string": ["StringValue"],
        "boolean": ["BooleanValue"],
        "date": ["DateValue"],
        "dateTime": ["DateTimeValue"],
    }
    if isinstance(schema, Mapping):
        values = _enum_values(schema["enum"])
        kind = "integer" if all(isinstance(each["value"], int) for each in schema["enum"]) else "string"
        types, schema = [], {"@type": "Enum", "valueSchema": kind, "enumValues": values}
    else:
        types = kinds.get(schema, ["NumberValue"] if schema in ("double", "float", "integer", "long") else [])
    made: dict[str, Any] = {
        "@type": ["Property", "Cloud", *types, *(["Initialized"] if cloud.get("initial") is not None else [])],
        "displayName": (cloud.get("display_name") or cloud["name"])[:MAX_LABEL],
        "name": cloud["name"],
        "schema": schema,
    }
    words = {
        "unit": "unit",
        "minimum": "minValue",
        "maximum": "maxValue",
        "minimum_length": "minLength",
        "maximum_length": "maxLength",
        "trim": "trim",
        "initial": "initialValue",
    }
    return made | {word: cloud[name] for name, word in words.items() if cloud.get(name) is not None}


def _enum_values(values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Values of an enum with names that DTDL takes, each once."""
    names: set[str] = set()
    made = []
    for number, each in enumerate(values, 1):
        title = str(each.get("name", each["value"]))
        name = title if NAME.match(title) and len(title) <= MAX_LABEL and title not in names else f"value{number}"
        names.add(name)
        made.append({"name": name, "displayName": title[:MAX_LABEL], "enumValue": each["value"]})
    return made
