# SPDX-License-Identifier: Apache-2.0
"""Reads device templates: from the body of a document, from DTDL models, and from IoT Central's form.

::

    {"display_name": "Thermostat", "root": "dtmi:com:example:Thermostat;1", "models": [{"@id": ..., ...}],
     "cloud_properties": [{"name": "Customer", "schema": "string", "maximum_length": 40}],
     "views": [{"name": "Overview", "tiles": ["temperature", "Customer"]}], "labels": {"temperature": "Temperature"}}

A published version also has ``"version": N``. IoT Central's form is one object with ``capabilityModel`` (REST API
2022-07-31), whose cloud properties are in the model, with the type ``Cloud``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.template.template import (
    MAX_CLOUD_PROPERTIES,
    CloudProperty,
    Template,
    View,
    capabilities_of,
    check_cloud_value,
    cloud_of,
    is_cloud,
)
from armillary.wire.dtdl import model as dtdl
from armillary.wire.dtdl.names import NAME
from armillary.wire.dtdl.tables import IOT_CENTRAL, PRIMITIVES
from armillary.wire.encoding.json_fields import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, JsonFields

MAX_MODELS: Final = 100
# Bytes of all files of one model together. A template's document holds a megabyte; the same written with indents is
# three or four. Reading takes a second and 30 MB of memory for each.
MAX_MODEL_BYTES: Final = 4 << 20
MAX_VIEWS: Final = 50
MAX_TILES: Final = 300
MAX_VERSION: Final = 999_999
MAX_ENUM_VALUES: Final = 100
MAX_TEXT: Final = 4096

_REMEDY: Final = "Correct the template; docs/concepts/device-templates.md shows one."


def parse_template(body: object) -> Template:
    """The template in a document's body.

    Raises:
        ModelError: the models break rules of DTDL.
        InvalidArgumentError: another field is not valid; names it.
    """
    fields = JsonFields(body, "template", _REMEDY)
    root = fields.text("root", most=MAX_NAME_CHARACTERS)
    models = fields.items("models", most=MAX_MODELS)
    model = dtdl.parse_model([(_name_of(each, n), each) for n, each in enumerate(models)], tolerates_habits=True)
    if root not in model.interfaces:
        raise fields.refused("root", f"one of {', '.join(model.top_level[:5]) or 'the models'}", root)
    labels = _labels(fields)
    capabilities, components = capabilities_of(model, root, labels)
    template = Template(
        display_name=fields.text("display_name", most=MAX_NAME_CHARACTERS),
        description=fields.text("description", most=MAX_DESCRIPTION_CHARACTERS, default="", lines=True),
        catalog=fields.optional_text("catalog", most=MAX_NAME_CHARACTERS),
        root=root,
        model=model,
        version=fields.integer("version", 0, MAX_VERSION, default=0),
        cloud=_cloud(fields, model, root),
        views=tuple(
            _view(each, f"views[{n}]") for n, each in enumerate(fields.items("views", most=MAX_VIEWS, default=True))
        ),
        labels=labels,
        identifier=fields.text("identifier", most=MAX_NAME_CHARACTERS, default=""),
        capabilities=capabilities,
        components=components,
    )
    fields.finish()
    _check_names(template)
    return template


def body_of_documents(
    documents: Iterable[tuple[str, bytes]], *, root: str | None = None, display_name: str | None = None
) -> dict[str, Any]:
    """The body of a template from files: DTDL models, one file in IoT Central's form, or one ``template`` document.

    Args:
        documents: (name, content) each.
        root: Identifier of the root interface; None: the only one that is no part of another.
        display_name: For people; None for that of the root interface.

    Raises:
        ModelError: a file is not JSON, or the models break rules of DTDL.
        InvalidArgumentError: the files are too large, or none or several interfaces could be the root.
    """
    given = list(documents)
    size = sum(len(content) for _, content in given)
    if size > MAX_MODEL_BYTES:
        raise InvalidArgumentError(
            f"models: expected at most {MAX_MODEL_BYTES:,} bytes in all, got {size:,}",
            remedy="Leave out models that the root interface does not use.",
        )
    parsed = [(name, content, _object(content)) for name, content in given]
    central = [document for _, _, document in parsed if is_central(document)]
    if central:
        if len(parsed) > 1:
            raise InvalidArgumentError(
                "expected one file in IoT Central's form, or models", remedy="Import that file by itself."
            )
        return body_of_central(central[0])
    documents_of_ours = [
        document for _, _, document in parsed if isinstance(document, Mapping) and "models" in document
    ]
    if documents_of_ours and len(parsed) == 1:
        body = {name: value for name, value in documents_of_ours[0].items() if name != "version"}
        parse_template(body)
        return body
    model = dtdl.parse_model(given, tolerates_habits=True)
    models: list[Any] = []
    for _, _, document in parsed:
        models += document if isinstance(document, list) else [document]
    return _body(model, models, root, display_name)


def with_kept(body: Mapping[str, Any], before: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A body of :func:`body_of_documents` with what it does not replace of the draft ``before``; and names dropped.

    These are descriptions, cloud properties, views and labels.
    """
    template = parse_template(body)
    made = {name: before[name] for name in ("description", "catalog", "identifier") if name in before} | dict(body)
    gone: list[str] = []
    if "cloud_properties" not in body:
        clouds = [each for each in before.get("cloud_properties", ()) if each["name"] not in template.capabilities]
        gone += [each["name"] for each in before.get("cloud_properties", ()) if each not in clouds]
        made["cloud_properties"] = [each for each in clouds if each["name"] not in template.cloud]
    known = {*template.capabilities, *template.cloud, *(each["name"] for each in made.get("cloud_properties", ()))}
    old = {name: before[name] for name in ("views", "labels") if name in before and name not in body}
    kept, unknown = with_known(old, known)
    made = {name: value for name, value in (made | kept).items() if value not in ([], {})}
    return made, tuple(dict.fromkeys(gone + unknown))


def with_known(body: Mapping[str, Any], known: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """Members of a template's document; its views and labels name only what is ``known``. And the names removed."""
    made, removed = dict(body), []
    if "views" in body:
        removed = [tile for view in body["views"] for tile in view.get("tiles", ()) if tile not in known]
        made["views"] = [
            {**view, "tiles": [tile for tile in view.get("tiles", ()) if tile in known]} for view in body["views"]
        ]
    if "labels" in body:
        removed += [name for name in body["labels"] if name not in known]
        made["labels"] = {name: text for name, text in body["labels"].items() if name in known}
    return made, removed


def is_central(document: object) -> bool:
    """Whether a document is a device template in IoT Central's form."""
    return isinstance(document, Mapping) and isinstance(document.get("capabilityModel"), Mapping)


def body_of_central(document: Mapping[str, Any], *, display_name: str | None = None) -> dict[str, Any]:
    """The body of a template in IoT Central's form. Raises as :func:`body_of_documents`."""
    interface = dict(document["capabilityModel"])
    interface.setdefault("@context", document.get("@context") or [IOT_CENTRAL, "dtmi:dtdl:context;2"])
    interface.setdefault("@type", "Interface")
    model = dtdl.parse_model([("capabilityModel", interface)], tolerates_habits=True)
    title = display_name or document.get("displayName")
    if isinstance(title, Mapping):
        title = dtdl.label({str(tag): str(text) for tag, text in title.items()}, "")
    body = _body(model, [interface], model.top_level[0], title if isinstance(title, str) and title else None)
    clouds = _solution_cloud(document.get("solutionModel"))
    if clouds:
        body["cloud_properties"] = clouds
    if isinstance(document.get("description"), str):
        body["description"] = document["description"][:MAX_DESCRIPTION_CHARACTERS]
    if isinstance(document.get("@id"), str):
        body["identifier"] = document["@id"][:MAX_NAME_CHARACTERS]
    return body


# Reading -----------------------------------------------------------------------------------------------------


def _body(model: dtdl.Model, models: list[Any], root: str | None, display_name: str | None) -> dict[str, Any]:
    chosen = root or _root_of(model)
    if chosen not in model.interfaces:
        raise InvalidArgumentError(
            f"root: expected one of {', '.join(model.top_level[:10])}, got {chosen[:128]!a}",
            remedy="Name an interface of these files.",
        )
    title = display_name or dtdl.label(
        model.interfaces[chosen].display_name, chosen.partition(";")[0].rpartition(":")[2]
    )
    return {"display_name": title[:MAX_NAME_CHARACTERS], "root": chosen, "models": models}


def _root_of(model: dtdl.Model) -> str:
    parts: set[str] = set()
    for interface in model.interfaces.values():
        parts |= set(interface.extends)
        parts |= {content.interface for content in interface.contents if isinstance(content, dtdl.Component)}
    roots = [each for each in model.top_level if each not in parts]
    if len(roots) != 1:
        raise InvalidArgumentError(
            f"root: expected one interface that is no part of another, got {', '.join(roots[:10]) or 'none'}",
            remedy="Say which one devices have: --root DTMI.",
        )
    return roots[0]


def listed(value: Any) -> list[Any]:
    """The value of a member of a model that may be one thing or a list, as a list; empty for None."""
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _object(content: bytes) -> Any:
    """The JSON in a file; None where it is not JSON, which the model's reader then reports."""
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def _solution_cloud(solution: object) -> list[dict[str, Any]]:
    """Cloud properties of exports up to 2021, which have them beside the model, with limits in ``valueDetail``."""
    found = solution.get("cloudProperties") if isinstance(solution, Mapping) else None
    made: list[dict[str, Any]] = []
    for each in found if isinstance(found, list) else []:
        if not isinstance(each, Mapping) or not isinstance(each.get("name"), str):
            raise InvalidArgumentError("solutionModel.cloudProperties: expected objects with a name", remedy=_REMEDY)
        title, detail = each.get("displayName"), each.get("valueDetail")
        if isinstance(title, Mapping):
            title = dtdl.label({str(tag): str(text) for tag, text in title.items()}, "")
        one: dict[str, Any] = {"name": each["name"], "schema": _solution_schema(each.get("schema"))}
        if isinstance(title, str) and title:
            one["display_name"] = title[:MAX_NAME_CHARACTERS]
        limits = detail if isinstance(detail, Mapping) else {}
        words = {
            "minValue": "minimum",
            "maxValue": "maximum",
            "minLength": "minimum_length",
            "maxLength": "maximum_length",
        }
        made.append(one | {name: limits[word] for word, name in words.items() if limits.get(word) is not None})
    return made


def _solution_schema(schema: object) -> Any:
    if not isinstance(schema, Mapping):
        return schema if isinstance(schema, str) else "string"
    values = schema.get("enumValues")
    return {
        "enum": [
            {"value": each.get("enumValue"), "name": str(each.get("name"))}
            for each in (values if isinstance(values, list) else [])
            if isinstance(each, Mapping)
        ]
    }


def _name_of(document: object, number: int) -> str:
    identifier = document.get("@id") if isinstance(document, Mapping) else None
    return identifier if isinstance(identifier, str) else f"models[{number}]"


def _cloud(fields: JsonFields, model: dtdl.Model, root: str) -> dict[str, CloudProperty]:
    found = {each.name: cloud_of(each) for each in model.contents(root) if is_cloud(each)}
    given = fields.items("cloud_properties", most=MAX_CLOUD_PROPERTIES, default=True)
    for number, each in enumerate(given):
        made = _cloud_property(each, f"cloud_properties[{number}]")
        if made.name in found:
            raise fields.refused(f"cloud_properties[{number}].name", "each name once", made.name)
        found[made.name] = made
    return found


def _cloud_property(document: object, path: str) -> CloudProperty:
    fields = JsonFields(document, path, _REMEDY)
    name = fields.text("name", most=64)
    if not NAME.match(name):
        raise fields.refused("name", "letters, digits and underscores, a letter first", name)
    initial = fields.take("initial", None)
    made = CloudProperty(
        name=name,
        display_name=fields.text("display_name", most=MAX_NAME_CHARACTERS, default=""),
        schema=_cloud_schema(fields),
        unit=fields.optional_text("unit", most=64),
        minimum=_optional_number(fields, "minimum"),
        maximum=_optional_number(fields, "maximum"),
        minimum_length=fields.optional_integer("minimum_length", 0, MAX_TEXT),
        maximum_length=fields.optional_integer("maximum_length", 0, MAX_TEXT),
        trim=fields.boolean("trim", default=False),
        initial=initial,
    )
    fields.finish()
    if initial is not None:
        check_cloud_value(made, initial)
    return made


def _cloud_schema(fields: JsonFields) -> dtdl.Schema:
    value = fields.take("schema", "string")
    if isinstance(value, str):
        if value not in (*PRIMITIVES, "geopoint"):
            raise fields.refused("schema", f"{', '.join(PRIMITIVES)}, geopoint or an enum", value)
        return dtdl.Standard(value)
    inner = JsonFields(value, "cloud_properties.schema", _REMEDY)
    values = [_enum_value(each, f"enum[{n}]") for n, each in enumerate(inner.items("enum", most=MAX_ENUM_VALUES))]
    inner.finish()
    kinds = {type(each.value) for each in values}
    if len(kinds) != 1 or len({each.value for each in values}) != len(values):
        raise fields.refused("schema", "different values, all text or all integers", value)
    return dtdl.EnumSchema("integer" if kinds == {int} else "string", tuple(values))


def _enum_value(document: object, path: str) -> dtdl.EnumValue:
    fields = JsonFields(document, path, _REMEDY)
    value = fields.take("value")
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise fields.refused("value", "text or an integer", value)
    name = fields.text("name", most=MAX_NAME_CHARACTERS, default=str(value))
    fields.finish()
    return dtdl.EnumValue(name=name, value=value)


def _optional_number(fields: JsonFields, name: str) -> float | None:
    value = fields.take(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise fields.refused(name, "a number", value)
    return float(value)


def _labels(fields: JsonFields) -> dict[str, str]:
    value = fields.take("labels", {})
    if not isinstance(value, Mapping) or len(value) > MAX_TILES:
        raise fields.refused("labels", f"names and texts, at most {MAX_TILES}", value)
    for text in value.values():
        if not isinstance(text, str) or not 0 < len(text) <= MAX_NAME_CHARACTERS:
            raise fields.refused("labels", f"texts of 1 to {MAX_NAME_CHARACTERS} characters", text)
    return dict(value)


def _view(document: object, path: str) -> View:
    fields = JsonFields(document, path, _REMEDY)
    tiles = fields.items("tiles", most=MAX_TILES, default=True)
    for tile in tiles:
        if not isinstance(tile, str):
            raise fields.refused("tiles", "names", tile)
    made = View(
        name=fields.text("name", most=MAX_NAME_CHARACTERS),
        form=fields.boolean("form", default=False),
        tiles=tuple(tiles),
    )
    fields.finish()
    return made


def _check_names(template: Template) -> None:
    known = template.capabilities.keys() | template.cloud.keys()
    for name in template.cloud:
        if name in template.capabilities:
            raise InvalidArgumentError(
                f"template.cloud_properties: {name!a} is a {template.capabilities[name].kind} of the model",
                remedy="Call the cloud property something else.",
            )
    for view in template.views:
        for tile in view.tiles:
            if tile not in known:
                raise InvalidArgumentError(
                    f"template.views {view.name!a}: the template has no {tile[:64]!a}",
                    remedy="Name capabilities ([component.]name) and cloud properties.",
                )
    for name in template.labels:
        if name not in known:
            raise InvalidArgumentError(
                f"template.labels: the template has no {name[:64]!a}", remedy="Name capabilities ([component.]name)."
            )
