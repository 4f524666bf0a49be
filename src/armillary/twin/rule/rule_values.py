# SPDX-License-Identifier: Apache-2.0
"""What a rule for devices of a template can look at, filter by and command, each with its name, unit and kind.

Names are those of rules (``twin/rule/rule.py``): telemetry by its own, properties behind ``reported.``, ``desired.``
and ``cloud.``. Parts of objects and places stand one by one, because a rule compares single values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from armillary.twin.template.value_names import Naming, as_fields

if TYPE_CHECKING:
    from armillary.wire.dtdl.model import Schema

Document = dict[str, Any]

# Names of one list: a person chooses from it.
MAX_CHOICES: Final = 400
_NUMBERS: Final = frozenset(
    ("double", "float", "integer", "long", "byte", "short", "unsignedByte", "unsignedShort", "unsignedInteger",
     "unsignedLong", "decimal")
)  # fmt: skip
_PARTS: Final = {"vector": "xyz", "geopoint": ("lat", "lon", "alt")}


def values_of(naming: Naming) -> Document:
    """``telemetry``, ``properties``, ``cloud`` and ``commands`` of the templates of ``naming``.

    Each is a list of ``name``, ``display_name``, ``symbol``, ``words`` and ``kind``: number, boolean, enum, text, or
    "" for what a rule cannot compare by kind.
    """
    found: dict[str, dict[str, str]] = {each: {} for each in ("telemetry", "properties", "cloud", "commands")}
    for template in naming.templates:
        for each in template.capabilities.values():
            schema = getattr(each.content, "schema", None)
            if each.kind == "command":
                found["commands"][each.name] = ""
            elif each.kind == "telemetry" and schema is not None:
                found["telemetry"] |= dict(_leaves(each.name, schema))
            elif each.kind == "property" and schema is not None:
                sections = ("reported", "desired") if getattr(each.content, "writable", False) else ("reported",)
                for section in sections:
                    found["properties"] |= dict(_leaves(f"{section}.{each.name}", schema))
        for each_name, cloud in template.cloud.items():
            found["cloud"] |= dict(_leaves(f"cloud.{each_name}", cloud.schema))
    return {each: _named(naming, kinds) for each, kinds in found.items()}


def _named(naming: Naming, kinds: dict[str, str]) -> list[Document]:
    return [{**as_fields(naming.of(name)), "kind": kind} for name, kind in list(kinds.items())[:MAX_CHOICES]]


def _leaves(name: str, schema: Schema) -> Iterator[tuple[str, str]]:
    """(name, kind) of the single values of a schema: an object's fields and a place's parts behind dots."""
    word = getattr(schema, "word", "")
    if word in _PARTS:
        yield from ((f"{name}.{part}", "number") for part in _PARTS[word])
    elif getattr(schema, "fields", None):
        for each in schema.fields:  # type: ignore[union-attr]  # only an object has fields
            yield from _leaves(f"{name}.{each.name}", each.schema)
    elif getattr(schema, "values", None):
        yield name, "enum"
    elif word in _NUMBERS:
        yield name, "number"
    elif word == "boolean":
        yield name, "boolean"
    else:
        yield name, "text" if word in ("string", "date", "dateTime", "time", "duration", "uuid") else ""
