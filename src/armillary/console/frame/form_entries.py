# SPDX-License-Identifier: Apache-2.0
"""Fields of a form that stand for places of a JSON document: how each is drawn, read and written.

What a value means is checked by whoever takes the document. Here is only said what somebody can type: whole numbers,
times, lines of ``NAME = VALUE`` or of filters (``twin/author/shorthand.py``), JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from armillary.api.http.json_body import strict_json
from armillary.console.frame.form import Field, limits
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError
from armillary.twin.author.shorthand import filter_of, filter_text, text_of, value_of

# What a reader gives for an empty field that stands for nothing: the document has no such member.
ABSENT: Final = object()

_MINUTE, _SECOND = "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"
_REMEDY: Final = "Correct the field; nothing was changed."


@dataclass(frozen=True, slots=True)
class Entry:
    """One field of a form.

    Attributes:
        path: Where its value is in the document; the field's name is the same with dots.
        read: What was typed -> the value, or :data:`ABSENT`. Raises InvalidArgumentError.
        write: The value -> what stands in the field.
        default: What a document without it means.
    """

    path: tuple[str, ...]
    field: Field
    read: Callable[[str, str], Any]
    write: Callable[[Any], str]
    default: Any = ABSENT


# Kinds of field ---------------------------------------------------------------------------------------------------


def text(path: str, label: str, *, hint: str = "", required: bool = False, most: int = 2048) -> Entry:
    """A line of text; empty is nothing."""
    drawn = Field(name="", label=label, hint=hint, required=required, limits=limits(maxlength=most))
    return _entry(path, drawn, _as_it_is)


def choice(path: str, label: str, given: tuple[tuple[str, str], ...], *, required: bool = False) -> Entry:
    """One of ``given``: (value, words)."""
    drawn = Field(name="", label=label, kind="select", choices=given, required=required)
    return _entry(path, drawn, _as_it_is)


def tick(path: str, label: str, *, default: bool) -> Entry:
    """True or false; ``default`` is what a document without it means."""
    drawn = Field(name="", label=label, kind="check")
    made = _entry(path, drawn, lambda _, typed: bool(typed), lambda value: "on" if value else "")
    return replace(made, default=default)


def whole(path: str, label: str, *, unit: str = "", hint: str = "", most: int | None = None) -> Entry:
    """A whole number from 0; empty is nothing."""
    drawn = Field(name="", label=label, kind="number", unit=unit, hint=hint, limits=limits(min=0, max=most, step=1))
    return _entry(path, drawn, _read_whole)


def secret(path: str, label: str) -> Entry:
    """What is kept apart by whoever takes the document; never sent back."""
    hint = say("kept apart, shown nowhere; empty leaves the one there is")
    return _entry(path, Field(name="", label=label, kind="password", hint=hint), _as_it_is)


def moment(path: str, label: str, *, hint: str) -> Entry:
    """A time in UTC, kept as Unix seconds."""
    return _entry(path, Field(name="", label=label, hint=hint), _read_time, _write_time)


def share(path: str, label: str, member: str, *, hint: str) -> Entry:
    """A number of devices, kept as ``{member: number}``, or a percentage of them, kept as ``{"percent": number}``."""
    return _entry(path, Field(name="", label=label, hint=hint), _share_of(member), _write_share)


def pairs(path: str, label: str, *, hint: str, required: bool = False) -> Entry:
    """``NAME = VALUE`` on each line, the value as on the command line."""
    return _entry(path, _code(label, hint, required=required), _read_pairs, _write_pairs)


def sources(path: str, label: str, *, hint: str) -> Entry:
    """``NAME = SOURCE:PATH`` on each line."""
    return _entry(path, _code(label, hint), _read_sources, _write_pairs_of_text)


def filters(path: str, label: str, *, hint: str) -> Entry:
    """A filter on each line, as on the command line."""
    return _entry(path, _code(label, hint), _read_filters, _write_filters)


def json_value(path: str, label: str, *, hint: str) -> Entry:
    """JSON; empty is nothing."""
    return _entry(path, _code(label, hint), _read_json, json.dumps)


def one_a_line(path: str, label: str, *, hint: str, required: bool = False) -> Entry:
    """A list of texts."""
    return _entry(path, _code(label, hint, required=required), lambda _, typed: _each_line(typed), "\n".join)


def code(path: str, label: str, *, hint: str) -> Entry:
    """Several lines of text as they are; empty is nothing."""
    return _entry(path, _code(label, hint), _as_it_is)


def _entry(path: str, field: Field, read: Callable[[str, str], Any], write: Callable[[Any], str] = str) -> Entry:
    return Entry(tuple(path.split(".")), replace(field, name=path), read, write)


def _code(label: str, hint: str, *, required: bool = False) -> Field:
    return Field(name="", label=label, kind="code", hint=hint, required=required)


def _as_it_is(_label: str, typed: str) -> Any:
    return typed or ABSENT


def _read_whole(label: str, typed: str) -> Any:
    if not typed:
        return ABSENT
    if not typed.isascii() or not typed.isdecimal() or len(typed) > 15:
        raise _refused(label, "a whole number", typed)
    return int(typed)


def _read_time(label: str, typed: str) -> Any:
    if not typed:
        return ABSENT
    try:
        moment = datetime.strptime(typed, _SECOND if typed.count(":") > 1 else _MINUTE).replace(tzinfo=UTC)
        return int(moment.timestamp())
    except ValueError:
        raise _refused(label, "a time as 2027-01-31 06:00, UTC", typed) from None


def _write_time(value: Any) -> str:
    try:
        return datetime.fromtimestamp(value, UTC).strftime(_SECOND if value % 60 else _MINUTE)
    except (ValueError, OverflowError):
        return str(value)  # after the year 9999: no form can say it


def _share_of(member: str) -> Callable[[str, str], Any]:
    def read(label: str, typed: str) -> Any:
        if not typed:
            return ABSENT
        number = typed.removesuffix("%").strip()
        return {"percent" if typed.endswith("%") else member: _read_whole(label, number)}

    return read


def _write_share(value: Any) -> str:
    if value.get("percent") is not None:
        return f"{value['percent']}%"
    return str(value.get("size") or value.get("count") or "")


def _read_pairs(label: str, typed: str) -> Any:
    found: dict[str, Any] = {}
    for line in _each_line(typed):
        name, sign, value = (part.strip() for part in line.partition("="))
        if not sign or not name:
            raise _refused(label, "NAME = VALUE on each line", line)
        if name in found:
            raise _refused(label, "each name once", name)
        found[name] = value_of(value)
    return found


def _write_pairs(value: Any) -> str:
    return "\n".join(f"{name} = {text_of(each)}" for name, each in value.items())


def _read_sources(label: str, typed: str) -> Any:
    if not typed:
        return ABSENT
    pairs = [[part.strip() for part in line.partition("=")] for line in _each_line(typed)]
    for name, sign, where in pairs:
        if not (name and sign and where):
            raise _refused(label, "NAME = SOURCE:PATH on each line", f"{name} {sign} {where}".strip())
    return {name: where for name, _, where in pairs}


def _write_pairs_of_text(value: Any) -> str:
    return "\n".join(f"{name} = {each}" for name, each in value.items())


def _read_filters(label: str, typed: str) -> Any:
    try:
        return [filter_of(line) for line in _each_line(typed)]
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{label}: {error.message}", remedy=error.remedy) from error


def _write_filters(value: Any) -> str:
    return "\n".join(map(filter_text, value))


def _read_json(label: str, typed: str) -> Any:
    if not typed:
        return ABSENT
    try:
        return strict_json(typed.encode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        raise _refused(label, "JSON", typed) from None


def _each_line(typed: str) -> list[str]:
    return [line.strip() for line in typed.split("\n") if line.strip()]


def _refused(label: str, expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{label}: expected {expected}, got {got[:80]!a}", remedy=_REMEDY)


# Places in a document ---------------------------------------------------------------------------------------------


def value_at(body: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """What stands at a place, or :data:`ABSENT`."""
    found: Any = body
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return ABSENT
        found = found[name]
    return found


def put(body: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set the value at a path, or take away what is there; an object that only it was in goes too."""
    *outer, last = path
    places = [body]
    for name in outer:
        inner = places[-1].get(name)
        if not isinstance(inner, dict):
            if value is ABSENT:
                return
            inner = places[-1][name] = {}
        places.append(inner)
    if value is not ABSENT:
        places[-1][last] = value
        return
    places[-1].pop(last, None)
    for place, name in zip(reversed(places[:-1]), reversed(outer), strict=True):
        if not place[name]:
            del place[name]
