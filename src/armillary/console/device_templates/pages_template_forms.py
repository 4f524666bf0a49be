# SPDX-License-Identifier: Apache-2.0
"""What the small forms of the template editor say: a capability, a cloud property, a view. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from armillary.errors import InvalidArgumentError

if TYPE_CHECKING:
    from armillary.twin.template.edit import CapabilityWish

_WHOLE: Final = re.compile(r"-?[0-9]{1,10}")
_SEPARATORS: Final = re.compile(r"[,\r\n]+")


def capability_of(form: Mapping[str, str]) -> CapabilityWish:
    """The capability that a form says.

    Raises:
        InvalidArgumentError: a field does not take what was typed.
    """
    from armillary.twin.template.edit import CapabilityWish  # noqa: PLC0415 - a megabyte that a console without templates does not need

    kind = form.get("kind", "")
    meaning, _, unit = form.get("meaning", "").partition("/")
    is_command, request = kind == "command", form.get("request", "").strip()
    return CapabilityWish(
        kind=kind,
        name=form.get("name", "").strip(),
        component=form.get("component", ""),
        display_name=form.get("display_name", "").strip(),
        schema="" if is_command else form.get("schema", ""),
        values=enum_of(form.get("values", "")),
        semantic_type="" if is_command else meaning,
        unit=unit,
        writable=bool(form.get("writable")),
        minimum=None if is_command else number_of(form, "minimum"),
        maximum=None if is_command else number_of(form, "maximum"),
        request=(request, form.get("request_schema", "")) if is_command and request else None,
    )


def cloud_property_of(form: Mapping[str, str]) -> dict[str, Any]:
    """The cloud property that a form says. Raises as :func:`capability_of`."""
    schema: Any = form.get("schema", "")
    if schema == "enum":
        schema = {"enum": [{"name": name, "value": value} for name, value in enum_of(form.get("values", ""))]}
    made: dict[str, Any] = {"name": form.get("name", "").strip(), "schema": schema}
    for name in ("display_name", "unit"):
        if form.get(name, "").strip():
            made[name] = form[name].strip()
    of_text = "_length" if schema == "string" else ""
    for name in ("minimum", "maximum"):
        limit = number_of(form, name)
        if limit is not None:
            made[name + of_text] = limit
    initial = form.get("initial", "").strip()
    if initial:
        made["initial"] = _initial(schema, initial)
    return made


def view_of(form: Mapping[str, str]) -> dict[str, Any]:
    """The view that a form says."""
    tiles = [each.strip() for each in _SEPARATORS.split(form.get("tiles", "")) if each.strip()]
    made: dict[str, Any] = {"name": form.get("name", "").strip(), "tiles": tiles}
    return {**made, "form": True} if form.get("form") else made


def enum_of(typed: str) -> tuple[tuple[str, int | str], ...]:
    """Values of an enum: ``low=1, high=2``, or names that are their own values."""
    found: list[tuple[str, int | str]] = []
    for each in _SEPARATORS.split(typed):
        if not each.strip():
            continue
        name, equals, value = (part.strip() for part in each.partition("="))
        text = value if equals else name
        found.append((name, int(text) if _WHOLE.fullmatch(text) else text))
    return tuple(found)


def number_of(form: Mapping[str, str], name: str) -> int | float | None:
    """A number that was typed; None for none.

    Raises:
        InvalidArgumentError: it is none.
    """
    typed = form.get(name, "").strip()
    if not typed:
        return None
    if _WHOLE.fullmatch(typed):
        return int(typed)
    try:
        number = float(typed)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidArgumentError(f"{name}: expected a number, got {typed[:40]!r}", remedy="Correct it in the form.")
    return number


def _initial(schema: Any, typed: str) -> Any:
    if schema in ("string", "date", "dateTime"):
        return typed
    try:
        return json.loads(typed)
    except (ValueError, RecursionError):
        return typed  # the value of an enum, or wrong: the template says which
