# SPDX-License-Identifier: Apache-2.0
"""Rewords the framework's validation errors: the field as the sender knows it, what was expected, what was sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

# Longest value quoted back from a request, characters.
MAX_QUOTED: Final = 40
# Where a value stood -> how a sentence says so where the name alone would not tell.
PLACES: Final[Mapping[str, str]] = MappingProxyType(
    {"path": " in the path", "query": " in the query", "header": " in the headers"}
)
# A field with one of these in its name may be a secret: what came is not said.
SECRET: Final = ("secret", "key", "token", "password", "certificate", "csr")

_Context = Mapping[str, Any]


def worded(fault: Mapping[str, Any]) -> tuple[str, str]:
    """The name of a field and a sentence about what was wrong with it, from an error of pydantic's."""
    where = [each for each in fault["loc"] if not str(each).startswith("function-")]
    place = str(where[0]) if where else "body"
    name = _name(where[1:]) or "body"
    said = _SENTENCES.get(str(fault["type"]))
    context: _Context = fault.get("ctx") or {}
    reason = _plain(str(fault["msg"])) if said is None else said(context)
    return name, f"{reason}{_came(name, fault)}{PLACES.get(place, '')}"


def _name(parts: list[Any]) -> str:
    """The path of a value, such as ``devices[0].id``."""
    name = ""
    for part in parts:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name


def _came(name: str, fault: Mapping[str, Any]) -> str:
    """The value that was sent, where it is short, plain and no secret."""
    if fault["type"] in _NOTHING_CAME or any(each in name.lower() for each in SECRET):
        return ""
    shown = _shown(fault.get("input"))
    return f", got {shown}" if shown else ""


def _shown(given: object) -> str:
    if given is None or isinstance(given, bool):
        return {None: "null", True: "true", False: "false"}[given]
    if isinstance(given, (int, float)):
        return str(given) if abs(given) < 10**MAX_QUOTED else "a larger number"
    if isinstance(given, str):
        return f"{given!a}" if len(given) <= MAX_QUOTED else f"{len(given)} characters"
    if isinstance(given, (list, tuple)):
        return f"a list of {len(given)}"
    return "a JSON object" if isinstance(given, Mapping) else ""


def _plain(text: str) -> str:
    """The framework's own sentence, for an error that has none here."""
    return text.removeprefix("Value error, ").replace("Input should be", "expected").replace("Input", "the value")


def _said(text: str) -> Callable[[_Context], str]:
    return lambda _: text


def _of(text: str, *names: str) -> Callable[[_Context], str]:
    return lambda context: text.format(*(context.get(each, "?") for each in names))


def _count(text: str, name: str, thing: str) -> Callable[[_Context], str]:
    def said(context: _Context) -> str:
        number = context.get(name)
        return f"expected {text} {number} {thing}{'' if number == 1 else 's'}"

    return said


_NOTHING_CAME: Final = frozenset(("missing", "extra_forbidden", "json_invalid"))
_SENTENCES: Final[Mapping[str, Callable[[_Context], str]]] = MappingProxyType(
    {
        "missing": _said("is missing"),
        "extra_forbidden": _said("is not known here"),
        "json_invalid": _of("is no JSON: {0}", "error"),
        "string_type": _said("expected text"),
        "string_too_short": _count("at least", "min_length", "character"),
        "string_too_long": _count("at most", "max_length", "character"),
        "string_pattern_mismatch": _of("expected text of the form {0}", "pattern"),
        "string_unicode": _said("expected text without lone surrogates"),
        "int_type": _said("expected a whole number"),
        "int_parsing": _said("expected a whole number"),
        "int_parsing_size": _said("expected a smaller number"),
        "int_from_float": _said("expected a whole number"),
        "float_type": _said("expected a number"),
        "float_parsing": _said("expected a number"),
        "finite_number": _said("expected a finite number"),
        "bool_type": _said("expected true or false"),
        "bool_parsing": _said("expected true or false"),
        "greater_than": _of("expected more than {0}", "gt"),
        "greater_than_equal": _of("expected at least {0}", "ge"),
        "less_than": _of("expected less than {0}", "lt"),
        "less_than_equal": _of("expected at most {0}", "le"),
        "literal_error": _of("expected one of {0}", "expected"),
        "enum": _of("expected one of {0}", "expected"),
        "uuid_type": _said("expected a UUID"),
        "uuid_parsing": _said("expected a UUID"),
        "list_type": _said("expected a list"),
        "too_short": _count("at least", "min_length", "item"),
        "too_long": _count("at most", "max_length", "item"),
        "dict_type": _said("expected a JSON object"),
        "model_type": _said("expected a JSON object"),
        "model_attributes_type": _said("expected a JSON object"),
        "none_required": _said("expected null"),
    }
)
