# SPDX-License-Identifier: Apache-2.0
"""Reads a rule from JSON and writes it: the form that authors write and that is stored, exported and served.

Unknown fields are refused.

::

    {"name": "High water flow", "severity": "high", "match": "all",
     "target": {"template": "flow-meter", "versions": [1, 3], "filters": [{"property": "tags.site", "op": "==", ...}]},
     "conditions": [{"telemetry": "Flow", "aggregate": "avg", "op": ">",
                     "value": {"cloud_property": "MaxFlow", "default": 40}, "clear": 35},
                    {"property": "reported.mode", "op": "in", "value": ["auto", "eco"]},
                    {"silent_s": 600}],
     "window": {"kind": "sliding", "length_s": 300},
     "hold_s": 60, "cool_down_s": 3600, "repeat": false,
     "quiet": {"times": ["Mon-Fri 22:00-06:00", "Sat,Sun 00:00-24:00"], "zone": "Europe/Berlin"},
     "actions": [{"name": "desk", "kind": "email", "to": ["desk@example.com"]}]}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.rule.action import action_from_json
from armillary.twin.rule.fields import (
    json_integer,
    json_list,
    json_object,
    json_seconds,
    json_text,
    json_truth,
    one_of,
    refused,
)
from armillary.twin.rule.quiet import MAX_QUIET_WINDOWS, QuietTimes
from armillary.twin.rule.rule import (
    CHOOSING,
    LATENESS_S,
    MAX_ACTIONS,
    MAX_CHOICES,
    MAX_CONDITIONS,
    MAX_FILTERS,
    MAX_NAME_CHARACTERS,
    MAX_TEXT_CHARACTERS,
    OPERATORS,
    ORDERING,
    SECTIONS,
    SEVERITIES,
    Aggregate,
    Condition,
    Operand,
    PropertyFilter,
    Rule,
    Target,
    Value,
    Window,
    WindowKind,
    plain,
)
from armillary.wire.encoding.json_fields import kind_of
from armillary.wire.text.time_zone import MAX_ZONE_CHARACTERS, zone_named
from armillary.wire.text.week_windows import MINUTES_OF_WEEK, minutes_of, parse_window

# Devices named one by one in a target: more is a device group or a template.
MAX_DEVICES: Final = 1000


def from_json(document: object) -> Rule:
    """The rule in a decoded JSON document.

    Raises InvalidArgumentError with the field, what was expected and what was found.
    """
    fields = json_object(document, "rule", _RULE_FIELDS)
    window = None if fields.get("window") is None else _window(fields["window"])
    conditions = tuple(
        _condition(each, f"conditions[{number}]", window)
        for number, each in enumerate(json_list(fields.get("conditions"), "conditions", 1, MAX_CONDITIONS))
    )
    actions = tuple(
        action_from_json(each, f"actions[{number}]", str(number + 1))
        for number, each in enumerate(json_list(fields.get("actions", []), "actions", 0, MAX_ACTIONS))
    )
    names = [each.name for each in actions]
    if len(set(names)) != len(names):
        raise refused("actions", "a different name for each", repr(names))
    if window is not None and not any(each.aggregate for each in conditions):
        raise refused("window", "a condition with an aggregate", "none")
    return Rule(
        name=json_text(fields.get("name"), "name", 1, MAX_NAME_CHARACTERS),
        description=json_text(fields.get("description", ""), "description", 0, MAX_TEXT_CHARACTERS, lines=True),
        severity=one_of(fields.get("severity", "medium"), "severity", SEVERITIES),
        enabled=json_truth(fields.get("enabled", True), "enabled"),
        target=_target(fields.get("target", {})),
        match_all=one_of(fields.get("match", "all"), "match", ("all", "any")) == "all",
        conditions=conditions,
        window=window,
        hold_s=json_seconds(fields.get("hold_s", 0), "hold_s", 0),
        cool_down_s=json_seconds(fields.get("cool_down_s", 0), "cool_down_s", 0),
        repeat=json_truth(fields.get("repeat", False), "repeat"),
        quiet=None if fields.get("quiet") is None else _quiet(fields["quiet"]),
        actions=actions,
    )


def parse_document(document: object) -> tuple[str | None, Rule]:
    """The rule in a ``rule`` document, and the catalog whose devices it is for; None for all catalogs.

    Raises InvalidArgumentError as :func:`from_json`.
    """
    if not isinstance(document, Mapping):
        return None, from_json(document)
    catalog = document.get("catalog")
    if catalog is not None:
        json_text(catalog, "catalog", 1, MAX_NAME_CHARACTERS)
    return catalog, from_json({name: value for name, value in document.items() if name != "catalog"})


def to_json(rule: Rule) -> dict[str, Any]:
    """The rule as a JSON object; :func:`from_json` reads it."""
    document: dict[str, Any] = {
        "name": rule.name,
        "description": rule.description,
        "severity": rule.severity,
        "enabled": rule.enabled,
        "target": _target_json(rule.target),
        "match": "all" if rule.match_all else "any",
        "conditions": [_condition_json(each) for each in rule.conditions],
        "hold_s": rule.hold_s,
        "cool_down_s": rule.cool_down_s,
        "repeat": rule.repeat,
        "actions": [{"name": each.name, "kind": each.kind, **each.options} for each in rule.actions],
    }
    if rule.window is not None:
        window = rule.window
        document["window"] = {"kind": window.kind.value, "length_s": window.length_s, "lateness_s": window.lateness_s}
    if rule.quiet is not None:
        document["quiet"] = {"times": [str(each) for each in rule.quiet.windows], "zone": rule.quiet.zone}
    return document


# Parts ----------------------------------------------------------------------------------------------------------------

_RULE_FIELDS = (
    "name", "description", "severity", "enabled", "target", "match", "conditions", "window", "hold_s", "cool_down_s",
    "repeat", "quiet", "actions",
)  # fmt: skip


def _target(document: object) -> Target:
    path = "target"
    fields = json_object(
        document, path, ("template", "versions", "product", "device_group", "group", "devices", "filters")
    )
    versions = fields.get("versions")
    if versions is not None:
        first, last = (json_integer(each, f"{path}.versions") for each in json_list(versions, f"{path}.versions", 2, 2))
        if not 1 <= first <= last:
            raise refused(f"{path}.versions", "the first and the last version, rising from 1", repr(versions))
        versions = (first, last)
        if not fields.get("template"):
            raise refused(f"{path}.versions", "a template beside it", "none")
    devices = tuple(
        json_text(each, f"{path}.devices", 1, MAX_NAME_CHARACTERS).lower()
        for each in json_list(fields.get("devices", []), f"{path}.devices", 0, MAX_DEVICES)
    )
    filters = tuple(
        _filter(each, f"{path}.filters[{number}]")
        for number, each in enumerate(json_list(fields.get("filters", []), f"{path}.filters", 0, MAX_FILTERS))
    )
    texts = {
        name: json_text(fields.get(name, ""), f"{path}.{name}", 0, MAX_NAME_CHARACTERS)
        for name in ("template", "product", "device_group", "group")
    }
    return Target(versions=versions, devices=devices, filters=filters, **texts)


def _target_json(target: Target) -> dict[str, Any]:
    found: dict[str, Any] = {
        "template": target.template,
        "product": target.product,
        "device_group": target.device_group,
        "group": target.group,
        "devices": list(target.devices),
        "filters": [
            {"property": each.prop, "op": each.op, "value": _plain_json(each.value)} for each in target.filters
        ],
    }
    if target.versions is not None:
        found["versions"] = list(target.versions)
    return {name: value for name, value in found.items() if value}


def _filter(document: object, path: str) -> PropertyFilter:
    fields = json_object(document, path, ("property", "op", "value"))
    op = one_of(fields.get("op", "=="), f"{path}.op", tuple(OPERATORS))
    value = _constant(fields.get("value"), op, f"{path}.value")
    return PropertyFilter(_property(fields.get("property"), f"{path}.property"), op, value)


def _condition(document: object, path: str, window: Window | None) -> Condition:
    fields = json_object(document, path, ("telemetry", "property", "silent_s", "aggregate", "op", "value", "clear"))
    telemetry = json_text(fields.get("telemetry", ""), f"{path}.telemetry", 0, MAX_NAME_CHARACTERS)
    if "silent_s" in fields:
        extra = sorted(set(fields) - {"telemetry", "silent_s"})
        if extra or window is not None:
            raise refused(
                path, "silent_s with nothing beside it but telemetry, and no window", ", ".join(extra) or "one"
            )
        return Condition(telemetry=telemetry, silent_s=json_seconds(fields["silent_s"], f"{path}.silent_s", 1))
    if bool(telemetry) == ("property" in fields):
        raise refused(path, "one of telemetry, property and silent_s", ", ".join(sorted(fields)) or "nothing")
    op = one_of(fields.get("op"), f"{path}.op", tuple(OPERATORS))
    operand = _operand(fields.get("value"), op, f"{path}.value")
    clear = None if fields.get("clear") is None else _operand(fields["clear"], op, f"{path}.clear")
    _check_clear(op, operand, clear, path)
    if not telemetry:
        if fields.get("aggregate") is not None:
            raise refused(f"{path}.aggregate", "none: a property has no points", repr(fields["aggregate"]))
        return Condition(prop=_property(fields["property"], f"{path}.property"), op=op, operand=operand, clear=clear)
    aggregate = fields.get("aggregate")
    if (aggregate is None) != (window is None):
        raise refused(
            f"{path}.aggregate",
            "none, because the rule has no window" if window is None else "one, because the rule has a window",
            repr(aggregate),
        )
    if aggregate is None:
        return Condition(telemetry=telemetry, op=op, operand=operand, clear=clear)
    found = Aggregate(one_of(aggregate, f"{path}.aggregate", tuple(each.value for each in Aggregate)))
    for name, each in (("value", operand), ("clear", clear)):
        if each is not None and each.value is not None and kind_of(each.value) != "number":
            raise refused(f"{path}.{name}", f"a number, as {found} gives", repr(each.value))
    return Condition(telemetry=telemetry, aggregate=found, op=op, operand=operand, clear=clear)


def _check_clear(op: str, operand: Operand, clear: Operand | None, path: str) -> None:
    if clear is None:
        return
    if op not in ORDERING:
        raise refused(f"{path}.clear", f"an ordering ({', '.join(sorted(ORDERING))})", op)
    if isinstance(clear.value, float) and isinstance(operand.value, float):
        beyond = clear.value <= operand.value if op in (">", ">=") else clear.value >= operand.value
        if not beyond:
            side = "at most" if op in (">", ">=") else "at least"
            raise refused(
                f"{path}.clear", f"{side} {operand.value:g}: the rule would end before it began", f"{clear.value:g}"
            )


def _condition_json(condition: Condition) -> dict[str, Any]:
    if condition.silent_s:
        document: dict[str, Any] = {"silent_s": condition.silent_s}
        return {"telemetry": condition.telemetry, **document} if condition.telemetry else document
    document = {"telemetry": condition.telemetry} if condition.telemetry else {"property": condition.prop}
    if condition.aggregate is not None:
        document["aggregate"] = condition.aggregate.value
    document |= {"op": condition.op, "value": _operand_json(condition.operand)}
    if condition.clear is not None:
        document["clear"] = _operand_json(condition.clear)
    return document


def _operand(document: object, op: str, path: str) -> Operand:
    if not isinstance(document, Mapping):
        return Operand(_constant(document, op, path))
    fields = json_object(document, path, ("cloud_property", "default"))
    name = json_text(fields.get("cloud_property"), f"{path}.cloud_property", 1, MAX_NAME_CHARACTERS)
    if op in CHOOSING:
        raise refused(path, f"a list of constants with {op}", f"the cloud property {name!r}")
    default = fields.get("default")
    return Operand(None if default is None else _constant(default, op, f"{path}.default"), name)


def _operand_json(operand: Operand) -> Any:
    if not operand.cloud_property:
        return None if operand.value is None else _plain_json(operand.value)
    document: dict[str, Any] = {"cloud_property": operand.cloud_property}
    if operand.value is not None:
        document["default"] = _plain_json(operand.value)
    return document


def _constant(value: object, op: str, path: str) -> Value | tuple[Value, ...]:
    if op in CHOOSING:
        return tuple(_single(each, path) for each in json_list(value, path, 1, MAX_CHOICES))
    single = _single(value, path)
    if op in ORDERING and kind_of(single) != "number":
        raise refused(path, f"a number with {op}", repr(value))
    if op == "contains" and not isinstance(single, str):
        raise refused(path, "text with contains", repr(value))
    return single


def _single(value: object, path: str) -> Value:
    try:
        found = plain(value)
    except OverflowError:  # an integer that no double holds
        found = math.inf
    if found is None or (isinstance(found, float) and not math.isfinite(found)):
        raise refused(path, "a finite number, true, false or text", repr(value))
    if isinstance(found, str) and len(found) > MAX_TEXT_CHARACTERS:
        raise refused(path, f"at most {MAX_TEXT_CHARACTERS} characters", f"{len(found)}")
    return found


def _plain_json(value: Value | tuple[Value, ...]) -> Any:
    if isinstance(value, tuple):
        return [_plain_json(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _window(document: object) -> Window:
    fields = json_object(document, "window", ("kind", "length_s", "lateness_s"))
    kind = WindowKind(one_of(fields.get("kind"), "window.kind", tuple(each.value for each in WindowKind)))
    length = json_seconds(fields.get("length_s"), "window.length_s", 1)
    return Window(kind, length, json_seconds(fields.get("lateness_s", LATENESS_S), "window.lateness_s", 0))


def _quiet(document: object) -> QuietTimes:
    fields = json_object(document, "quiet", ("times", "zone"))
    windows = []
    for number, each in enumerate(json_list(fields.get("times"), "quiet.times", 1, MAX_QUIET_WINDOWS)):
        path = f"quiet.times[{number}]"
        try:
            windows.append(parse_window(json_text(each, path, 1, MAX_NAME_CHARACTERS), "quiet time"))
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"{path}: {error.message.partition(': ')[2]}", remedy=error.remedy) from error
    if len(minutes_of(windows)) == MINUTES_OF_WEEK:
        raise refused("quiet.times", "some time of the week in which it may fire, or a rule that is off", "all of it")
    zone = json_text(fields.get("zone"), "quiet.zone", 1, MAX_ZONE_CHARACTERS)
    try:
        zone_named(zone)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"quiet.zone: {error.message.partition(': ')[2]}", remedy=error.remedy) from error
    return QuietTimes(tuple(windows), zone)


def _property(value: object, path: str) -> str:
    found = json_text(value, path, 3, MAX_NAME_CHARACTERS)
    section, dot, rest = found.partition(".")
    if section not in SECTIONS or not dot or not all(rest.split(".")):
        raise refused(path, f"{' or '.join(SECTIONS)}, a dot and a name", repr(found))
    return found
