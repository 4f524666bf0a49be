# SPDX-License-Identifier: Apache-2.0
"""Values with a schema as fields of a form: what a browser asks for, and what was typed read back. Pure.

An empty field is no value. Text that is empty on purpose, and what else a form cannot say, is sent as JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from armillary.api.http.json_body import strict_json
from armillary.console.frame.form import Field, limits
from armillary.console.frame.values import json_text
from armillary.console.language.say import apart, say
from armillary.errors import InvalidArgumentError

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
# Schema -> what the field says of it.
HINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "time": "16:05:00Z",
        "dateTime": "2026-11-24T16:05:00Z",
        "duration": "PT1H30M",
        "geopoint": '{"lat": 47.4, "lon": 8.5}',
        "vector": '{"x": 1, "y": 0, "z": 0}',
    }
)
BOOLEANS: Final = (("true", "true"), ("false", "false"))
MAX_TEXT_CHARS: Final = 4096


def value_field(name: str, found: Mapping[str, Any], value: Any, *, none: str) -> Field:
    """The field of a property, ``found`` as the API shows it; ``none`` are the words of the empty choice."""
    schema = found["schema"]
    label, unit = found["display_name"] or found["name"], found["symbol"]
    hint = found["name"] if label != found["name"] else ""
    if isinstance(schema, Mapping) and "enum" in schema:
        choices = tuple((_json(each["value"]), f"{each['display_name']} ({each['value']})") for each in schema["enum"])
        return _select(name, label, hint, (("", none), *choices), _json(value))
    if schema == "boolean":
        return _select(name, label, hint, (("", none), *BOOLEANS), _json(value))
    bounds = found.get("limits") or found
    if schema in ("double", "float", "integer", "long"):
        least, most = bounds.get("minimum"), bounds.get("maximum")
        return Field(
            name=name,
            label=label,
            kind="number",
            unit=unit,
            value=_json(value),
            limits=limits(step="1" if schema in ("integer", "long") else "any", min=_figure(least), max=_figure(most)),
            hint=_joined(hint, _range_words(least, most)),
        )
    if isinstance(schema, str) and schema not in ("geopoint", "vector") and not _is_shape(schema):
        shortest, longest = bounds.get("minimum_length"), bounds.get("maximum_length") or MAX_TEXT_CHARS
        return Field(
            name=name,
            label=label,
            kind="date" if schema == "date" else "text",
            unit=unit,
            value=value if isinstance(value, str) else _json(value),
            limits=limits(
                minlength=shortest, maxlength=longest, placeholder=HINTS.get(schema) if schema in HINTS else None
            )
            if schema != "date"
            else (),
            hint=hint,
        )
    word = schema if isinstance(schema, str) else next(iter(schema), "")
    return Field(
        name=name,
        label=label,
        kind="code",
        rows=2,
        unit=unit,
        value=_json(value),
        limits=limits(placeholder=HINTS.get(word)),
        hint=_joined(hint, say("JSON: {word}", word=word)),
    )


def typed_value(found: Mapping[str, Any], text: str) -> Any:
    """What was typed into the field of a property; None for an empty one.

    Raises:
        InvalidArgumentError: not what such a field takes.
    """
    schema, text = found["schema"], text.strip("\r\n")
    if not text.strip():
        return None
    if schema in ("integer", "long", "double", "float"):
        return _number(found, text.strip(), whole=schema in ("integer", "long"))
    if isinstance(schema, str) and schema not in ("boolean", "geopoint", "vector") and not _is_shape(schema):
        return text if schema == "string" else text.strip()
    try:
        return strict_json(text.encode())
    except (ValueError, RecursionError):
        raise _refused(found, "JSON", text) from None


def _number(found: Mapping[str, Any], text: str, *, whole: bool) -> int | float:
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        raise _refused(found, "a number", text) from None
    if not math.isfinite(number):
        raise _refused(found, "a number", text)
    if whole:
        raise _refused(found, "a whole number", text)
    return number


def _select(name: str, label: str, hint: str, choices: tuple[tuple[str, str], ...], value: str) -> Field:
    if value not in dict(choices):  # what stands there is none of them: it must not look like another one
        choices = (*choices, (value, say("{value}, which is none of these", value=value)))
    return Field(name=name, label=label, kind="select", choices=choices, value=value, hint=hint)


def _is_shape(schema: str) -> bool:
    """Whether a schema is GeoJSON (``point``, ``polygon``, ...)."""
    return schema.lower().endswith(("point", "polygon", "linestring"))


def _range_words(least: Any, most: Any) -> str:
    if least is None and most is None:
        return ""
    if least is None:
        return say("at most {limit}", limit=f"{most:g}")
    return (
        say("at least {limit}", limit=f"{least:g}")
        if most is None
        else say("{least} to {most}", least=f"{least:g}", most=f"{most:g}")
    )


def _figure(number: Any) -> str | None:
    return None if number is None else f"{number:g}"


def _joined(first: str, then: str) -> str:
    return apart([first, then], "; ") if first and then else first or then


def _json(value: Any) -> str:
    return "" if value is None else json_text(value)


def _refused(found: Mapping[str, Any], expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{found['name']}: expected {expected}, got {got[:60]!r}", remedy="Correct it in the form."
    )
