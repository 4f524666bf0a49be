# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of a profile's document, made of the reader's own tables: for editors, and for other tools.

The schema holds the form. What lies between parts (overlap, round trip, references) only the reader holds.

Source: JSON Schema 2020-12.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.wire.equipment import profile_fields as tables
from armillary.wire.equipment.field import Field
from armillary.wire.equipment.profile import Command, Point, RecipeArea
from armillary.wire.equipment.profile_reader import SECTIONS

_ID = "https://armillary.example/schema/equipment-profile.json"


def profile_schema() -> dict[str, Any]:
    """The schema, as plain values."""
    head = {key: each.schema() for key, each in tables.HEAD.items()}
    properties: dict[str, Any] = {
        "profile": tables.PROFILE_NAME.schema(),
        **head,
        "link": {"oneOf": [_link(protocol) for protocol in tables.LINKS]},
        "frames": _named(tables.FRAME.schema(), tables.MAX_PARTS),
        "points": _named(_point(), tables.MAX_POINTS),
        "arrays": _named(_array(), tables.MAX_PARTS),
        "events": _named(tables.EVENT.schema(), tables.MAX_PARTS),
        "derived": _named(tables.DERIVED.schema(), tables.MAX_PARTS),
        "alarms": _named(tables.ALARM.schema(), tables.MAX_PARTS),
        "commands": _named(_command(), tables.MAX_PARTS),
        "recipe": _recipe(),
        "firmware": tables.FIRMWARE.schema(),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _ID,
        "title": "Profile of equipment behind a guardian",
        "type": "object",
        "properties": {section: properties[section] for section in SECTIONS},
        "required": ["profile", "version", "title", "manufacturer", "model", "link"],
        "additionalProperties": False,
    }


def _named(schema: Mapping[str, Any], limit: int) -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": tables.NAME.schema(),
        "additionalProperties": schema,
        "maxProperties": limit,
    }


def _link(protocol: str) -> dict[str, Any]:
    make, fields = tables.LINKS[protocol]
    schema: dict[str, Any] = tables.Record(make, fields).schema()
    return {
        **schema,
        "properties": {"protocol": {"const": protocol}, **schema["properties"]},
        "required": ["protocol", *schema["required"]],
    }


def _addressed(make: type, fields: Mapping[str, Field], *, optional: frozenset[str]) -> dict[str, Any]:
    """A part whose address is of any link: which one belongs to the link, the reader holds."""
    schema: dict[str, Any] = tables.Record(make, fields).schema()
    places = {key: each.schema() for address in tables.ADDRESSES.values() for key, each in address.items()}
    # The type byte of a command's frame and the name of a point's are both called frame.
    for key in places.keys() & schema["properties"].keys():
        places[key] = {"anyOf": [places[key], schema["properties"][key]]}
    return {
        **schema,
        "properties": {**schema["properties"], **places},
        "required": [each for each in schema["required"] if each not in optional],
    }


def _point() -> dict[str, Any]:
    return _addressed(Point, tables.POINT, optional=frozenset({"raw"}))


def _command() -> dict[str, Any]:
    return _addressed(Command, tables.COMMAND, optional=frozenset())


def _array() -> dict[str, Any]:
    schema: dict[str, Any] = tables.ARRAY.schema()
    inner = {"position": tables.POSITION.schema(), "members": _named(_point(), tables.MAX_PARTS)}
    return {**schema, "properties": {**schema["properties"], **inner}, "required": [*schema["required"], "members"]}


def _recipe() -> dict[str, Any]:
    schema: dict[str, Any] = tables.Record(RecipeArea, tables.RECIPE).schema()
    fields = _named(tables.RECIPE_FIELD.schema(), tables.MAX_FIELDS)
    return {
        **schema,
        "properties": {**schema["properties"], "fields": fields},
        "required": [*schema["required"], "fields"],
    }
