# SPDX-License-Identifier: Apache-2.0
"""The fields of a rule's form, and the rule that they say: both ways, and nothing of a rule is lost between. Pure.

Conditions, actions and filters are rows: their fields end in the row's number (``name_0``, ``op_0``). ``kinds`` says
what a value of the device template is: ``number``, ``boolean``, ``text``, ``enum``; a name that is not in it is
typed as ``twin/author/shorthand.py`` says. What may stand in a rule is decided by ``twin/rule/json_form.py`` alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from armillary.console.dashboards.durations import seconds_of, words
from armillary.console.frame.action_checks import json_of
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError
from armillary.twin.author.shorthand import text_of, value_of
from armillary.twin.rule.action import COMMAND_TIMEOUT_S
from armillary.twin.rule.json_form import from_json
from armillary.twin.rule.rule import (
    CHOOSING,
    LATENESS_S,
    MAX_ACTIONS,
    MAX_CONDITIONS,
    MAX_FILTERS,
    SECTIONS,
    Rule,
)
from armillary.wire.text.time_zone import UTC

Fields = Mapping[str, str]
Kinds = Mapping[str, str]

# Value of a choice that stands for the field beside it, in which a name is typed.
OWN: Final = "own:"
# The comparison that a condition without a value has: nothing came for so long.
SILENT: Final = "silent"
# Group of rows -> the fields of one row, and how many rows a rule may have.
GROUPS: Final[Mapping[str, tuple[tuple[str, ...], int]]] = MappingProxyType(
    {
        "condition": (("name", "own", "op", "than", "value", "clear", "aggregate"), MAX_CONDITIONS),
        "action": (
            ("kind", "label", "to", "subject", "url", "secret", "signed", "method", "payload", "timeout", "reason",
             "job", "channel"),
            MAX_ACTIONS,
        ),
        "filter": (("filter", "filter_own", "filter_op", "filter_value"), MAX_FILTERS),
    }
)  # fmt: skip
TARGETS: Final = ("template", "product", "device_group", "group")
# Digits of a version: no template has so many.
MAX_DIGITS: Final = 9
_REMEDY: Final = "Correct the field; nothing was changed."


class Wrong(dict[str, str]):
    """What is wrong with fields, by name: the first mistake of each."""

    def reading(self, field: str, read: Callable[[], Any]) -> Any:
        """What ``read`` gives; None where it raises InvalidArgumentError, which is kept for the field."""
        try:
            return read()
        except InvalidArgumentError as error:
            self.setdefault(field, _sentence(error.message.partition(": ")[2] or error.message))
            return None


# Rows -------------------------------------------------------------------------------------------------------------


def rows_of(fields: Fields, group: str) -> list[dict[str, str]]:
    """The rows of a group as they were sent, blank ones too; a name that was typed beside a choice is the name."""
    members, most = GROUPS[group]
    found = []
    for at in range(most):
        row = {each: fields[f"{each}_{at}"] for each in members if f"{each}_{at}" in fields}
        for name, own in (("name", "own"), ("filter", "filter_own")):
            typed = row.pop(own, "").strip()
            if row.get(name) == OWN:
                row[name] = typed
        if row:
            found.append(row)
    return found


def with_rows(fields: Fields, group: str, rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Fields with other rows of a group, counted from 0."""
    members, most = GROUPS[group]
    gone = {f"{each}_{at}" for each in members for at in range(most)}
    kept = {name: value for name, value in fields.items() if name not in gone}
    return kept | {f"{name}_{at}": value for at, row in enumerate(rows) for name, value in row.items()}


def filled_rows(fields: Fields) -> dict[str, str]:
    """Fields without blank rows: a row's number is then its place in the rule."""
    made = dict(fields)
    for group in GROUPS:
        made = with_rows(made, group, [each for each in rows_of(fields, group) if not _is_blank(group, each)])
    return made


def _is_blank(group: str, row: Mapping[str, str]) -> bool:
    if group == "action":
        return not row.get("kind")
    if group == "filter":
        return not row.get("filter", "").strip()
    typed = any(row.get(each, "").strip() for each in ("name", "value", "clear", "than"))
    return not typed and row.get("op") != SILENT


# Fields -> rule ---------------------------------------------------------------------------------------------------


def body_of(fields: Fields, kinds: Kinds) -> tuple[dict[str, Any], Wrong]:
    """The rule that fields without blank rows say (:func:`filled_rows`), and what of them says nothing.

    The rule has no ``enabled`` and no ``catalog``: neither is a field.
    """
    wrong = Wrong()
    conditions = [_condition(each, at, kinds, wrong) for at, each in enumerate(rows_of(fields, "condition"))]
    made: dict[str, Any] = {
        "name": _line(fields, "name"),
        "description": fields.get("description", "").replace("\r\n", "\n"),
        "severity": _line(fields, "severity"),
        "match": _line(fields, "match"),
        "target": _target(fields, kinds, wrong),
        "conditions": conditions,
        "actions": _actions(fields, wrong),
    }
    for name, field in (("hold_s", "hold"), ("cool_down_s", "cool_down")):
        if found := _seconds(fields, field, wrong):
            made[name] = found
    if fields.get("repeat"):
        made["repeat"] = True
    if quiet := [each.strip() for each in fields.get("quiet_times", "").splitlines() if each.strip()]:
        made["quiet"] = {"times": quiet, "zone": _line(fields, "quiet_zone") or UTC}
    elif _line(fields, "quiet_zone"):
        wrong.setdefault("quiet_times", say("Type when it is quiet, for example Mon-Fri 22:00-06:00."))
    if _line(fields, "window"):
        made["window"] = {
            "kind": _line(fields, "window_kind") or "sliding",
            "length_s": _seconds(fields, "window", wrong),
            **({"lateness_s": _seconds(fields, "lateness", wrong)} if _line(fields, "lateness") else {}),
        }
    _check(made, wrong)
    return made, wrong


def _check(made: Mapping[str, Any], wrong: Wrong) -> None:
    """What belongs together and is in different fields, in the form's words."""
    if not made["name"]:
        wrong.setdefault("name", say("Type a name."))
    if not made["conditions"]:
        wrong.setdefault("name_0", say("A rule needs at least one condition: choose a value."))
    is_windowed = "window" in made
    for at, each in enumerate(made["conditions"]):
        if "silent_s" in each:
            if is_windowed:
                wrong.setdefault(
                    f"op_{at}", say("A silence cannot stand beside a window: remove the window, or create two rules.")
                )
        elif not (each.get("telemetry") or each.get("property")):
            wrong.setdefault(f"name_{at}", say("Choose a value."))
        elif "telemetry" in each and is_windowed != ("aggregate" in each):
            where, what = (
                (f"aggregate_{at}", say("Choose how the values of the window become one, or take the window away."))
                if is_windowed
                else ("window", say("Type how long the window is, for example 5 min."))
            )
            wrong.setdefault(where, what)
    if is_windowed and not any("aggregate" in each or "silent_s" in each for each in made["conditions"]):
        wrong.setdefault("window", say("Only an average, a sum or the like of a value needs a window: leave it empty."))


def _target(fields: Fields, kinds: Kinds, wrong: Wrong) -> dict[str, Any]:
    target: dict[str, Any] = {name: _line(fields, name) for name in TARGETS}
    first, last = _line(fields, "version_first"), _line(fields, "version_last")
    if first or last:
        given = [wrong.reading("version_first", partial(_whole, each)) for each in (first, last)]
        target["versions"] = given
    target["devices"] = devices_of(fields)
    target["filters"] = [_filter(each, at, kinds, wrong) for at, each in enumerate(rows_of(fields, "filter"))]
    return {name: value for name, value in target.items() if value}


def devices_of(fields: Fields) -> list[str]:
    """The chosen devices as they were typed, one a line."""
    return [each for line in fields.get("devices", "").splitlines() if (each := line.strip())]


def _filter(row: Fields, at: int, kinds: Kinds, wrong: Wrong) -> dict[str, Any]:
    name, op = _line(row, "filter"), _line(row, "filter_op")
    value = wrong.reading(
        f"filter_value_{at}", lambda: read_value(row.get("filter_value", ""), op, kinds.get(name, ""))
    )
    return {"property": name, "op": op, "value": value}


def _condition(row: Fields, at: int, kinds: Kinds, wrong: Wrong) -> dict[str, Any]:
    name, op, aggregate = _line(row, "name"), _line(row, "op"), _line(row, "aggregate")
    if op == SILENT:
        silent = {"silent_s": wrong.reading(f"value_{at}", lambda: _length(row.get("value", "")))}
        return {"telemetry": name, **silent} if name else silent
    which = "property" if name.partition(".")[0] in SECTIONS and "." in name else "telemetry"
    kind, than = "number" if aggregate else kinds.get(name, ""), _line(row, "than")
    if than and not row.get("value", "").strip():
        value: Any = {"cloud_property": than}
    else:
        value = wrong.reading(f"value_{at}", lambda: read_value(row.get("value", ""), op, kind))
        value = {"cloud_property": than, "default": value} if than else value
    made = {which: name, "op": op, "value": value}
    if aggregate:
        made["aggregate"] = aggregate
    if row.get("clear", "").strip():
        made["clear"] = wrong.reading(f"clear_{at}", lambda: read_value(row["clear"], op, kind))
    return made


def _actions(fields: Fields, wrong: Wrong) -> list[dict[str, Any]]:
    """The actions; one without a name gets one of its kind, because names tell a rule's actions apart."""
    rows = rows_of(fields, "action")
    names = [_line(each, "label") for each in rows]
    for at, name in enumerate(names):
        if name and name in names[:at]:
            wrong.setdefault(f"label_{at}", say("Another action of this rule has this name: type another."))
    for at, row in enumerate(rows):
        if not names[at]:
            kind = row["kind"]
            names[at] = next(each for n in range(1, 99) if (each := f"{kind} {n}" if n > 1 else kind) not in names)
    return [_action(row, at, names[at], wrong) for at, row in enumerate(rows)]


def _action(row: Fields, at: int, name: str, wrong: Wrong) -> dict[str, Any]:  # noqa: C901 - a case a kind
    kind = row["kind"]
    made: dict[str, Any] = {"name": name, "kind": kind}
    match kind:
        case "email":
            made["to"] = row.get("to", "").replace(",", " ").replace(";", " ").split()
            if not made["to"]:
                wrong.setdefault(f"to_{at}", say("Type at least one address."))
            subject = _line(row, "subject")
            made |= {"subject": subject} if subject else {}
        case "webhook":
            made["url"] = _line(row, "url")
            if not made["url"]:
                wrong.setdefault(f"url_{at}", say("Type the address that is called."))
            if row.get("secret"):
                made["secret"] = row["secret"]
            else:
                made["signed"] = bool(row.get("signed"))
        case "command":
            made["method"] = _line(row, "method")
            if not made["method"]:
                wrong.setdefault(f"method_{at}", say("Choose a command."))
            payload = wrong.reading(f"payload_{at}", lambda: json_of(_line(row, "payload"), "parameters"))
            made |= {} if payload is None else {"payload": payload}
            if _line(row, "timeout"):
                made["timeout_s"] = wrong.reading(f"timeout_{at}", lambda: _length(row["timeout"]))
        case "quarantine":
            reason = row.get("reason", "").replace("\r\n", "\n")
            made |= {"reason": reason} if reason else {}
        case "job" | "channel":
            made[kind] = _line(row, kind)
            if not made[kind]:
                wrong.setdefault(f"{kind}_{at}", say("Choose a job.") if kind == "job" else say("Choose a channel."))
    return made


def read_value(text: str, op: str, kind: str) -> Any:
    """The value that was typed for a comparison; a list of them, with commas between, with ``in`` and ``not in``.

    Raises:
        InvalidArgumentError: it is empty, or of another kind than the value that it is compared with.
    """
    typed = text.strip()
    if not typed:
        raise InvalidArgumentError("nothing is typed: type what it is compared with", remedy=_REMEDY)
    if op not in CHOOSING:
        return _single(typed, kind)
    if typed.startswith("["):
        found = value_of(typed)
        if isinstance(found, list):
            return found
    return [_single(each.strip(), kind) for each in typed.split(",")]


def _single(typed: str, kind: str) -> Any:
    if kind == "text":
        return typed
    found = value_of(typed)
    if kind == "number" and (isinstance(found, bool) or not isinstance(found, (int, float))):
        raise InvalidArgumentError(f"expected a number such as 25 or -0.5, got {typed[:40]!r}", remedy=_REMEDY)
    if kind == "boolean" and not isinstance(found, bool):
        raise InvalidArgumentError(f"expected true or false, got {typed[:40]!r}", remedy=_REMEDY)
    return found


def _seconds(fields: Fields, name: str, wrong: Wrong) -> int | None:
    text = _line(fields, name)
    return wrong.reading(name, lambda: _length(text)) if text else None


def _length(text: str) -> int:
    return seconds_of(text, "length")


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > MAX_DIGITS:
        raise InvalidArgumentError(
            f"expected a first and a last version, as 1 and 3, got {text[:40]!r}", remedy=_REMEDY
        )
    return int(text)


def _line(fields: Fields, name: str) -> str:
    return fields.get(name, "").strip()


# Rule -> fields ---------------------------------------------------------------------------------------------------


def fields_of(body: Mapping[str, Any], kinds: Kinds) -> dict[str, str] | None:
    """The fields that say a rule; None where they cannot say it exactly, and it is changed as JSON."""
    try:
        rule = from_json({name: value for name, value in body.items() if name != "catalog"})
        fields = _fields(body)
        for at, each in enumerate(body["conditions"]):
            fields |= {f"{name}_{at}": value for name, value in _condition_row(each, kinds).items()}
        for at, each in enumerate(body.get("target", {}).get("filters", ())):
            fields |= {f"{name}_{at}": value for name, value in _filter_row(each, kinds).items()}
        for at, each in enumerate(body.get("actions", ())):
            fields |= {f"{name}_{at}": value for name, value in _action_row(each, at).items()}
        return fields if rule == _said(fields, kinds, enabled=rule.enabled) else None
    except (InvalidArgumentError, ArithmeticError):  # kept by another program, or beyond what a field can say
        return None


def _said(fields: Fields, kinds: Kinds, *, enabled: bool) -> Rule | None:
    """The rule that comes back of fields; None where there is none."""
    again, wrong = body_of(filled_rows(fields), kinds)
    return None if wrong else from_json({**again, "enabled": enabled})


def _fields(body: Mapping[str, Any]) -> dict[str, str]:
    target, window = body.get("target", {}), body.get("window") or {}
    first, last = (str(each) for each in target.get("versions") or ("", ""))
    lateness = window.get("lateness_s", LATENESS_S)
    return {
        "name": body["name"],
        "description": body.get("description", ""),
        "severity": body.get("severity", "medium"),
        "match": body.get("match", "all"),
        **{name: target.get(name, "") for name in TARGETS},
        "version_first": first,
        "version_last": last,
        "devices": "\n".join(target.get("devices", ())),
        "window": said_length(window.get("length_s", 0)),
        "window_kind": window.get("kind", "sliding"),
        "lateness": "" if lateness == LATENESS_S else f"{lateness} s",
        "hold": said_length(body.get("hold_s", 0)),
        "cool_down": said_length(body.get("cool_down_s", 0)),
        "repeat": "on" if body.get("repeat") else "",
        "quiet_times": "\n".join((body.get("quiet") or {}).get("times", ())),
        "quiet_zone": (body.get("quiet") or {}).get("zone", ""),
    }


def said_length(seconds: int) -> str:
    """A length of time as it is typed; "" for none."""
    return words(seconds) if seconds else ""


def _condition_row(each: Mapping[str, Any], kinds: Kinds) -> dict[str, str]:
    name = each.get("telemetry") or each.get("property") or ""
    if each.get("silent_s"):
        return {"name": name, "op": SILENT, "value": said_length(each["silent_s"])}
    operand, aggregate = each.get("value"), each.get("aggregate") or ""
    kind, than = "number" if aggregate else kinds.get(name, ""), ""
    if isinstance(operand, Mapping):
        than, operand = operand["cloud_property"], operand.get("default")
    return {
        "name": name,
        "op": each["op"],
        "than": than,
        "value": "" if operand is None else write_value(operand, kind),
        "clear": "" if each.get("clear") is None else write_value(each["clear"], kind),
        "aggregate": aggregate,
    }


def _filter_row(each: Mapping[str, Any], kinds: Kinds) -> dict[str, str]:
    name = each["property"]
    value = write_value(each["value"], kinds.get(name, ""))
    return {"filter": name, "filter_op": each.get("op", "=="), "filter_value": value}


def _action_row(each: Mapping[str, Any], at: int) -> dict[str, str]:
    row = {"kind": each["kind"], "label": each.get("name", str(at + 1))}
    match each["kind"]:
        case "email":
            row |= {"to": " ".join(each["to"]), "subject": each.get("subject", "")}
        case "webhook":
            row |= {"url": each["url"], "signed": "on" if each.get("signed") else ""}
        case "command":
            payload = each.get("payload")
            row |= {
                "method": each["method"],
                "payload": "" if payload is None else json.dumps(payload, ensure_ascii=False),
                "timeout": said_length(each.get("timeout_s", COMMAND_TIMEOUT_S)),
            }
        case "quarantine":
            row["reason"] = each.get("reason", "")
        case "job":
            row["job"] = each["job"]
        case "channel":
            row["channel"] = each["channel"]
    return row


def write_value(value: Any, kind: str) -> str:
    """A value as it is typed."""
    if isinstance(value, list):
        plain = ", ".join(_written(each, kind) for each in value)
        is_same = value and not plain.startswith("[") and all("," not in _written(each, kind) for each in value)
        return plain if is_same else json.dumps(value, ensure_ascii=False)
    return _written(value, kind)


def _written(value: Any, kind: str) -> str:
    return value if kind == "text" and isinstance(value, str) else text_of(value)


# Errors -----------------------------------------------------------------------------------------------------------

_FIELD_OF: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "conditions": {
            "": "name", "telemetry": "name", "property": "name", "op": "op", "value": "value", "clear": "clear",
            "aggregate": "aggregate", "silent_s": "value",
        },
        "actions": {
            "": "kind", "kind": "kind", "name": "label", "to": "to", "subject": "subject", "url": "url",
            "signed": "secret", "secret": "secret", "method": "method", "payload": "payload", "timeout_s": "timeout",
            "reason": "reason", "job": "job", "channel": "channel",
        },
        "filters": {"": "filter", "property": "filter", "op": "filter_op", "value": "filter_value"},
    }
)  # fmt: skip
_SINGLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "window.length_s": "window", "window.kind": "window_kind", "window.lateness_s": "lateness", "window": "window",
        "quiet.zone": "quiet_zone",
        "hold_s": "hold", "cool_down_s": "cool_down", "target.devices": "devices", "target.versions": "version_first",
        **{f"target.{name}": name for name in TARGETS}, "conditions": "name_0",
        **{name: name for name in ("name", "description", "severity", "match")}, "Catalog": "catalog",
    }
)  # fmt: skip
_ROW: Final = re.compile(r"(?:target\.)?(conditions|actions|filters)\[(\d{1,3})\](?:\.(\w+)(?:\.\w+)?)?\Z")
_QUIET_TIME: Final = re.compile(r"quiet\.times(?:\[\d{1,3}\])?\Z")
_UNSIGNED: Final = re.compile(r"actions: '(.+)' is signed and has no secret\Z")


def wrong_of(error: InvalidArgumentError, fields: Fields) -> Wrong:
    """Where the mistake that an error names stands among fields without blank rows; empty where it is in none."""
    path, _, said = error.message.partition(": ")
    row = _ROW.match(path)
    if row is not None and (member := _FIELD_OF[row[1]].get(row[3] or "")) is not None:
        return Wrong({f"{member}_{row[2]}": _sentence(said)})
    if _QUIET_TIME.match(path):
        return Wrong({"quiet_times": _sentence(said)})
    if path in _SINGLE:
        return Wrong({_SINGLE[path]: _sentence(said)})
    if (unsigned := _UNSIGNED.match(error.message)) is not None:
        for at, each in enumerate(rows_of(fields, "action")):
            if each.get("label", "").strip() in (unsigned[1], ""):
                return Wrong({f"secret_{at}": say("Type the secret that signs what is sent: 16 to 128 characters.")})
    return Wrong()


def _sentence(said: str) -> str:
    return said[:1].upper() + said[1:].rstrip(".") + "."
