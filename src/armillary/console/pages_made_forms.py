# SPDX-License-Identifier: Apache-2.0
"""Groups, jobs and data exports as forms, by kind of job and of destination; the JSON beside them says all of it.

A form is a list of :class:`Entry`: where in the document a field's value is, how it is read and how it is written. What
has no field stays as it is in the document. What the values mean is checked by the API, which has the last word.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from armillary.api.json_body import strict_json
from armillary.console.pages_form import Field, Form, choices, filled, limits
from armillary.errors import InvalidArgumentError
from armillary.twin.data_export import Source, parse_export
from armillary.twin.export_destination import SASL_MECHANISMS
from armillary.twin.group import parse_group
from armillary.twin.job import parse_job
from armillary.twin.json_fields import MAX_NAME_CHARACTERS

# What a reader gives for an empty field that stands for nothing: the document has no such member.
ABSENT: Final = object()

VARIANTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "job": MappingProxyType(
            {
                "set-property": "Set desired properties",
                "set-cloud-property": "Set cloud properties",
                "command": "Call a command",
                "move": "Move to a device group",
                "package": "Update by package",
            }
        ),
        "export": MappingProxyType(
            {"webhook": "Webhook", "file": "Files", "mqtt": "MQTT", "kafka": "Kafka", "s3": "S3 storage"}
        ),
        "group": MappingProxyType({}),
    }
)

# A line of a group: FIELD SIGN VALUE. Longer signs first, so that >= is not read as >.
_SIGNS: Final[Mapping[str, str]] = MappingProxyType(
    {">=": "ge", "<=": "le", "!=": "ne", "=": "eq", ">": "gt", "<": "lt", "contains": "contains"}
)
_SIGN_OF: Final[Mapping[str, str]] = MappingProxyType({word: sign for sign, word in _SIGNS.items()})
_CONDITION: Final = re.compile(r"(?P<field>\S+?)\s*(?P<sign>>=|<=|!=|=|>|<|\scontains\s)\s*(?P<value>.+)")
_EXISTS: Final = re.compile(r"(?P<field>\S+)\s+(?P<not>not\s+)?exists")

_MINUTE, _SECOND = "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"
_REMEDY: Final = "Correct the field; nothing was changed."


@dataclass(frozen=True, slots=True)
class Entry:
    """One field of a form.

    Attributes:
        path: Where its value is in the document.
        field: What is drawn; its name is the path's, with dots.
        read: What was typed -> the value, or :data:`ABSENT`. Raises InvalidArgumentError.
        write: The value -> what stands in the field.
        default: What a document without it means.
    """

    path: tuple[str, ...]
    field: Field
    read: Callable[[str, str], Any]
    write: Callable[[Any], str]
    default: Any = ABSENT


def variant_of(kind: str, body: Mapping[str, Any]) -> str:
    """Which form is a document's; "" where there is one only."""
    if kind == "export":
        return str(body["destination"]["kind"])
    if kind == "job":
        action = body["action"]
        if action["kind"] == "update":
            return "move" if action.get("package") is None else "package"
        return str(action["kind"])
    return ""


def begin(kind: str, variant: str) -> dict[str, Any]:
    """What a new document has before anything is typed."""
    if kind == "export":
        return {"name": "", "source": "telemetry", "destination": {"kind": variant}}
    if kind == "job":
        actions: dict[str, dict[str, Any]] = {"move": {"kind": "update"}, "package": {"kind": "update", "package": {}}}
        return {"name": "", "group": "", "action": actions.get(variant, {"kind": variant})}
    return {"name": "", "match": "all", "filters": []}


def form(
    kind: str,
    body: Mapping[str, Any],
    *,
    post: str,
    etag: str,
    groups: Sequence[tuple[str, str]],
    templates: Sequence[str],
    sent: Mapping[str, str] | None = None,
    error: InvalidArgumentError | None = None,
) -> Form | None:
    """The form of a document; None where it says what the form cannot.

    Args:
        kind: ``group``, ``job`` or ``export``.
        body: The document, or what :func:`begin` gave.
        post: Where it is sent.
        etag: Of the version that was seen; "" for a new one.
        groups: (id, name) of the device groups.
        templates: Names of the device templates.
        sent: What was typed, where it was refused.
        error: Why it was.
    """
    variant = variant_of(kind, body)
    fields: list[Field] = []
    for each in entries(kind, variant, groups, templates):
        value = _at(body, each.path)
        if value is ABSENT or value is None:
            value = each.default
        fields.append(_with_choice(replace(each.field, value="" if value is ABSENT else each.write(value))))
    is_new = not etag
    if not is_new and not _says_the_same(kind, body, fields):
        return None
    return Form(
        post=post,
        label=f"Make {_WORD[kind]}" if is_new else "Keep",
        fields=tuple(filled(fields, sent)) if sent is not None else tuple(fields),
        title=VARIANTS[kind].get(variant, "Who is in it"),
        hidden=(("etag", etag), ("variant", variant)),
        error=None if error is None else (error.message, error.remedy or ""),
        primary=True,
        anchor="form",
    )


def document_of(kind: str, before: Mapping[str, Any], sent: Mapping[str, str]) -> dict[str, Any]:
    """The document that a form says; what the form has no field for stays as it is in ``before``.

    Raises:
        InvalidArgumentError: names the field and what was expected.
    """
    body: dict[str, Any] = copy.deepcopy(dict(before))
    for each in entries(kind, variant_of(kind, before), (), ()):
        typed = sent.get(each.field.name, "").replace("\r\n", "\n")
        _put(body, each.path, each.read(each.field.label, typed if each.field.kind == "password" else typed.strip()))
    return body


def entries(kind: str, variant: str, groups: Sequence[tuple[str, str]], templates: Sequence[str]) -> tuple[Entry, ...]:
    """The fields of a form, in order."""
    name = _text("name", "Name", required=True, most=MAX_NAME_CHARACTERS)
    if kind == "group":
        return (
            name,
            _choice("template", "Devices of template", choices(sorted(templates), none="any or none")),
            *_GROUP,
        )
    chosen = tuple((each, f"{words} ({each})" if words != each else each) for each, words in groups)
    if kind == "job":
        group = _choice("group", "Devices of group", (("", "choose one"), *chosen), required=True)
        return (name, group, *_ACTIONS[variant], *_WHEN)
    group = _choice("group", "Devices of group", (("", "all"), *chosen))
    return (name, *_WHAT, group, *_DESTINATIONS[variant], *_SHAPED)


# Kinds of field ---------------------------------------------------------------------------------------------------


def _entry(path: str, field: Field, read: Callable[[str, str], Any], write: Callable[[Any], str] = str) -> Entry:
    return Entry(tuple(path.split(".")), replace(field, name=path), read, write)


def _text(path: str, label: str, *, hint: str = "", required: bool = False, most: int = 2048) -> Entry:
    drawn = Field(name="", label=label, hint=hint, required=required, limits=limits(maxlength=most))
    return _entry(path, drawn, lambda _, typed: typed or ABSENT)


def _choice(path: str, label: str, given: tuple[tuple[str, str], ...], *, required: bool = False) -> Entry:
    drawn = Field(name="", label=label, kind="select", choices=given, required=required)
    return _entry(path, drawn, lambda _, typed: typed or ABSENT)


def _tick(path: str, label: str, *, default: bool) -> Entry:
    drawn = Field(name="", label=label, kind="check")
    made = _entry(path, drawn, lambda _, typed: bool(typed), lambda value: "on" if value else "")
    return replace(made, default=default)


def _whole(path: str, label: str, *, unit: str = "", hint: str = "", most: int | None = None) -> Entry:
    drawn = Field(name="", label=label, kind="number", unit=unit, hint=hint, limits=limits(min=0, max=most, step=1))
    return _entry(path, drawn, _read_whole)


def _secret(path: str, label: str) -> Entry:
    hint = "kept apart, shown nowhere; empty leaves the one there is"
    return _entry(path, Field(name="", label=label, kind="password", hint=hint), lambda _, typed: typed or ABSENT)


def _lines(
    path: str,
    label: str,
    hint: str,
    read: Callable[[str, str], Any],
    write: Callable[[Any], str],
    *,
    required: bool = False,
) -> Entry:
    return _entry(path, Field(name="", label=label, kind="code", hint=hint, required=required), read, write)


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
    return datetime.fromtimestamp(value, UTC).strftime(_SECOND if value % 60 else _MINUTE)


def _share_of(member: str) -> Callable[[str, str], Any]:
    """A number of devices, or a percentage of them."""

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
    """``NAME = VALUE`` a line, the value as JSON where it is that, else text."""
    found: dict[str, Any] = {}
    for line in _each_line(typed):
        name, sign, value = (part.strip() for part in line.partition("="))
        if not sign or not name:
            raise _refused(label, "NAME = VALUE on each line", line)
        if name in found:
            raise _refused(label, "each name once", name)
        found[name] = _value(value)
    return found


def _write_pairs(value: Any) -> str:
    return "\n".join(f"{name} = {_typed(each)}" for name, each in value.items())


def _read_sources(label: str, typed: str) -> Any:
    """``NAME = WHERE`` a line: as pairs, and what stands behind the sign is text."""
    if not typed:
        return ABSENT
    pairs = [[part.strip() for part in line.partition("=")] for line in _each_line(typed)]
    for name, sign, where in pairs:
        if not (name and sign and where):
            raise _refused(label, "NAME = SOURCE:PATH on each line", f"{name} {sign} {where}".strip())
    return {name: where for name, _, where in pairs}


def _write_sources(value: Any) -> str:
    return "\n".join(f"{name} = {each}" for name, each in value.items())


def _read_conditions(label: str, typed: str) -> Any:
    """``FIELD SIGN VALUE`` a line, or ``FIELD exists``, ``FIELD not exists``."""
    return [_condition(label, line) for line in _each_line(typed)]


def _condition(label: str, line: str) -> dict[str, Any]:
    there = _EXISTS.fullmatch(line)
    if there is not None:
        return {"field": there["field"], "operator": "exists", "value": there["not"] is None}
    found = _CONDITION.fullmatch(line)
    if found is None:
        raise _refused(label, "FIELD SIGN VALUE on each line, as telemetry:temperature > 40", line)
    return {"field": found["field"], "operator": _SIGNS[found["sign"].strip()], "value": _value(found["value"])}


def _write_conditions(value: Any) -> str:
    return "\n".join(map(_write_condition, value))


def _write_condition(each: Mapping[str, Any]) -> str:
    if each["operator"] == "exists":
        return f"{each['field']} {'' if each.get('value', True) else 'not '}exists"
    return f"{each['field']} {_SIGN_OF[each['operator']]} {_typed(each['value'])}"


def _read_json(label: str, typed: str) -> Any:
    if not typed:
        return ABSENT
    try:
        return strict_json(typed.encode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        raise _refused(label, "JSON", typed) from None


def _read_list(_label: str, typed: str) -> Any:
    return _each_line(typed)


def _each_line(typed: str) -> list[str]:
    return [line.strip() for line in typed.split("\n") if line.strip()]


def _value(typed: str) -> Any:
    """A JSON value where it is one, else the text itself."""
    try:
        return strict_json(typed.encode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return typed


def _typed(value: Any) -> str:
    """What is typed for a value: text as it is, unless it would be read as something else."""
    if isinstance(value, str) and value == value.strip() and value and _value(value) == value and "\n" not in value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _refused(label: str, expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{label}: expected {expected}, got {got[:80]!a}", remedy=_REMEDY)


# What each form has -----------------------------------------------------------------------------------------------

_PARSERS: Final[Mapping[str, Callable[[object], Any]]] = MappingProxyType(
    {"group": parse_group, "job": parse_job, "export": parse_export}
)
_WORD: Final = MappingProxyType({"group": "group", "job": "job", "export": "export"})
_CONDITION_HINT: Final = (
    "one a line: device:health = attested, telemetry:temperature > 40, cloud:site contains north, tag:floor exists"
)
_GROUP: Final = (
    _choice("match", "A device is in it when", (("all", "all conditions are met"), ("any", "one is met"))),
    _lines("filters", "Conditions", f"{_CONDITION_HINT}; none: every device", _read_conditions, _write_conditions),
)
_WHEN: Final = (
    _entry(
        "start",
        Field(name="", label="First run", hint="as 2027-01-31 06:00, UTC; empty: when somebody presses Run"),
        _read_time,
        _write_time,
    ),
    _whole("repeat.every_s", "Again every", unit="seconds", hint="empty: never"),
    _entry(
        "batch",
        Field(name="", label="In batches of", hint="devices, or a share as 10%; empty: all in one"),
        _share_of("size"),
        _write_share,
    ),
    _whole("batch.pause_s", "Pause between batches", unit="seconds"),
    _entry(
        "abort",
        Field(name="", label="Stop when so many have failed", hint="devices, or a share as 5%; empty: never"),
        _share_of("count"),
        _write_share,
    ),
    _whole("retries", "Tries again after a failure", most=20),
)
_PAIRS_HINT: Final = "NAME = VALUE, one a line; the value as JSON, or plain text; null deletes"
_TIMEOUT: Final = "waits so long for the device's word; empty: "
_ACTIONS: Final[Mapping[str, tuple[Entry, ...]]] = MappingProxyType(
    {
        "set-property": (
            _lines("action.properties", "Properties", _PAIRS_HINT, _read_pairs, _write_pairs, required=True),
        ),
        "set-cloud-property": (
            _lines("action.properties", "Cloud properties", _PAIRS_HINT, _read_pairs, _write_pairs, required=True),
        ),
        "command": (
            _text("action.command", "Command", hint="COMPONENT*COMMAND in a component", required=True, most=128),
            _whole("action.timeout_s", "Timeout", unit="seconds", hint=f"{_TIMEOUT}30 s", most=300),
            _lines("action.payload", "Parameters", "JSON; empty: none", _read_json, json.dumps),
        ),
        "move": (
            _text("action.device_group", "To device group", hint="PRODUCT/GROUP", required=True),
            _whole("action.timeout_s", "Timeout", unit="seconds", hint=f"{_TIMEOUT}7 days"),
        ),
        "package": (
            _text("action.package.version", "Version", required=True, most=64),
            _text("action.package.url", "Address of the package", required=True),
            _text("action.package.sha256", "SHA-256", hint="64 hexadecimal digits", required=True, most=64),
            _whole("action.timeout_s", "Timeout", unit="seconds", hint=f"{_TIMEOUT}7 days"),
        ),
    }
)
_WHAT: Final = (
    _choice("source", "What is exported", choices([each.value for each in Source])),
    _tick("enabled", "It runs", default=True),
    _choice("from", "Begins with", (("now", "what comes from now on"), ("beginning", "the oldest that is still kept"))),
)
_SHAPED: Final = (
    _choice("match", "One is exported when", (("all", "all conditions are met"), ("any", "one is met"))),
    _lines("filters", "Conditions", f"{_CONDITION_HINT}; none: all are", _read_conditions, _write_conditions),
    _lines(
        "enrichments", "Added to each", "NAME = cloud:site, one a line; empty: nothing", _read_sources, _write_sources
    ),
    _lines("transform", "Transform", "a jq program; empty: as it is", lambda _, typed: typed or ABSENT, str),
)
_TLS: Final = _tick("destination.tls", "TLS", default=True)
_DESTINATIONS: Final[Mapping[str, tuple[Entry, ...]]] = MappingProxyType(
    {
        "webhook": (
            _text("destination.url", "Address", hint="http or https", required=True),
            _secret("destination.secret", "Secret that signs"),
        ),
        "file": (
            _whole("destination.rotate_bytes", "A new file after", unit="bytes", hint="empty: 64 MiB"),
            _whole("destination.keep_files", "Files that are kept", hint="empty: all"),
        ),
        "mqtt": (
            _text("destination.host", "Host", required=True, most=253),
            _whole("destination.port", "Port", hint="empty: 8883", most=65535),
            _TLS,
            _text("destination.topic", "Topic", required=True, most=256),
            _text("destination.username", "User name", most=MAX_NAME_CHARACTERS),
            _secret("destination.secret", "Password"),
        ),
        "kafka": (
            _lines("destination.servers", "Servers", "HOST:PORT, one a line", _read_list, "\n".join, required=True),
            _text("destination.topic", "Topic", required=True, most=249),
            _TLS,
            _choice("destination.sasl", "Proves itself with", choices(SASL_MECHANISMS)),
            _text("destination.username", "User name", most=MAX_NAME_CHARACTERS),
            _secret("destination.secret", "Password"),
            _lines(
                "destination.ca",
                "Authority of the servers",
                "PEM; empty: those of the system",
                lambda _, typed: typed or ABSENT,
                str,
            ),
        ),
        "s3": (
            _text("destination.endpoint", "Endpoint", hint="http or https, without a path", required=True),
            _text("destination.bucket", "Bucket", required=True, most=63),
            _text("destination.prefix", "Prefix", most=256),
            _text("destination.region", "Region", hint="empty: us-east-1", most=64),
            _text("destination.access_key", "Access key", required=True, most=128),
            _secret("destination.secret", "Secret access key"),
        ),
    }
)


def _says_the_same(kind: str, body: Mapping[str, Any], fields: Sequence[Field]) -> bool:
    """Whether the form, sent back as it is, changes nothing: what somebody wrote as JSON is not lost by being shown."""
    typed = {each.name: each.value for each in fields}
    try:
        return bool(_PARSERS[kind](document_of(kind, body, typed)) == _PARSERS[kind](body))
    except InvalidArgumentError:
        return False


# Places in a document ---------------------------------------------------------------------------------------------


def _at(body: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = body
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return ABSENT
        found = found[name]
    return found


def _put(body: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
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


def _with_choice(field: Field) -> Field:
    """A select that also has what the document says, where that is none of its choices: it is not lost unseen."""
    known = {value for value, _ in field.choices}
    if field.kind == "select" and field.value not in known and field.value:
        return replace(field, choices=(*field.choices, (field.value, f"{field.value} (not there)")))
    return field
