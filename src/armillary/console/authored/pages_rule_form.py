# SPDX-License-Identifier: Apache-2.0
"""The form of a rule as a view: its rows, what can be chosen in each, and what is wrong beside its field. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field as member
from types import MappingProxyType
from typing import Any, Final

from armillary.console.authored.rule_fields import GROUPS, OWN, SILENT, Fields, rows_of
from armillary.console.frame.form import Field, choices
from armillary.twin.author.shorthand import text_of
from armillary.twin.rule.rule import CHOOSING, OPERATORS, ORDERING, SECTIONS, SEVERITIES

Choices = Sequence[tuple[str, str]]

OPERATOR_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        ">": "is above", ">=": "is at least", "<": "is below", "<=": "is at most", "==": "is", "!=": "is not",
        "in": "is one of", "not in": "is none of", "contains": "contains", SILENT: "sends nothing for",
    }
)  # fmt: skip
# Kind of value -> comparisons that fit it.
FITTING: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "number": (">", ">=", "<", "<=", "==", "!=", "in", "not in"),
        "boolean": ("==", "!="),
        "enum": ("==", "!=", "in", "not in"),
        "text": ("==", "!=", "contains", "in", "not in"),
        "": tuple(OPERATORS),
    }
)
AGGREGATE_WORDS: Final[Choices] = (
    ("", "each value"), ("avg", "average of the window"), ("min", "lowest of the window"),
    ("max", "highest of the window"), ("sum", "sum of the window"), ("count", "number of values in the window"),
)  # fmt: skip
ACTION_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "email": "E-mail", "webhook": "Webhook", "command": "Command to the device", "job": "Job",
        "quarantine": "Quarantine the device", "channel": "Notification channel",
    }
)  # fmt: skip
WINDOW_WORDS: Final[Choices] = (("sliding", "up to the newest value"), ("tumbling", "side by side, at round times"))
# Time zones that a browser offers; any other of the IANA's database can be typed.
ZONES: Final = (
    "UTC", "Europe/London", "Europe/Berlin", "Europe/Zurich", "Europe/Helsinki", "America/New_York", "America/Chicago",
    "America/Denver", "America/Los_Angeles", "America/Sao_Paulo", "Asia/Dubai", "Asia/Kolkata", "Asia/Shanghai",
    "Asia/Singapore", "Asia/Tokyo", "Australia/Sydney",
)  # fmt: skip
LENGTHS: Final = ("1 min", "5 min", "15 min", "1 h", "12 h", "1 day")
# How far back a rule is tried: seconds -> words.
STRETCHES: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {
        "hour": (3600, "the last hour"), "day": (86_400, "the last day"), "week": (7 * 86_400, "the last 7 days"),
        "month": (30 * 86_400, "the last 30 days"),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What a form offers to choose from.

    Attributes:
        values: Lists of names as ``twin/rule/rule_values.py`` answers; empty without a template.
        templates, groups, jobs, channels, devices: (id, words).
        catalog: The choice of a catalog.
    """

    catalog: Field
    values: Mapping[str, Sequence[Mapping[str, Any]]] = member(default_factory=dict)
    templates: Choices = ()
    groups: Choices = ()
    jobs: Choices = ()
    channels: Choices = ()
    devices: Choices = ()

    @property
    def kinds(self) -> Mapping[str, str]:
        """Name of a value -> its kind."""
        return {each["name"]: each["kind"] for listed in self.values.values() for each in listed}

    def known(self, name: str) -> Mapping[str, Any]:
        """What is known of a value; nothing where it is not of the template."""
        return next((each for listed in self.values.values() for each in listed if each["name"] == name), {})


def form_view(fields: Fields, offered: Offered, wrong: Mapping[str, str]) -> dict[str, Any]:
    """What the template of the form draws."""
    conditions = [_condition(at, row, offered, wrong) for at, row in enumerate(rows_of(fields, "condition"))]
    actions = [_action(at, row, offered, wrong) for at, row in enumerate(rows_of(fields, "action"))]
    filters = [_filter(at, row, offered, wrong) for at, row in enumerate(rows_of(fields, "filter"))]
    more = (
        "product",
        "device_group",
        "version_first",
        "version_last",
        "lateness",
        "cool_down",
        "repeat",
        "quiet_times",
    )
    is_more = bool(filters) or any(fields.get(each) or wrong.get(each) for each in more)
    return {
        "what": _what(fields, offered, wrong),
        "devices": _devices(fields, offered, wrong),
        "conditions": conditions,
        "when": _when(fields, wrong),
        "actions": actions,
        "more": _more(fields, wrong),
        "filters": filters,
        "is_more": is_more,
        "has_devices": bool(offered.devices),
        "add_device": Field(
            name="add_device", label="Add a device of the template", kind="select",
            choices=(("", "Choose"), *offered.devices),
        ),
        "kinds": tuple(ACTION_WORDS.items()),
        "stretch": Field(
            name="stretch", label="On the values of", kind="select", value=fields.get("stretch") or "day",
            choices=tuple((each, words) for each, (_, words) in STRETCHES.items()),
        ),
        "room": {group: len(rows_of(fields, group)) < most for group, (_, most) in GROUPS.items()},
        "lengths": LENGTHS,
        "zones": ZONES,
    }  # fmt: skip


def _field(fields: Fields, wrong: Mapping[str, str], name: str, label: str, **more: Any) -> Field:
    return Field(name=name, label=label, value=fields.get(name, ""), error=wrong.get(name, ""), **more)


def _what(fields: Fields, offered: Offered, wrong: Mapping[str, str]) -> tuple[Field, ...]:
    return (
        _field(fields, wrong, "name", "Name", required=True, limits=(("maxlength", "128"),)),
        _field(fields, wrong, "severity", "Severity", kind="select", choices=choices(SEVERITIES)),
        _with_error(offered.catalog, wrong),
        _field(
            fields, wrong, "description", "Description", kind="area", rows=2, limits=(("maxlength", "1024"),),
            hint="for whoever reads the alert",
        ),
    )  # fmt: skip


def _with_error(field: Field, wrong: Mapping[str, str]) -> Field:
    return Field(
        name=field.name, label=field.label, kind=field.kind, value=field.value, choices=field.choices,
        hint=field.hint, required=field.required, error=wrong.get(field.name, ""),
    )  # fmt: skip


def _devices(fields: Fields, offered: Offered, wrong: Mapping[str, str]) -> tuple[Field, ...]:
    template, group = fields.get("template", ""), fields.get("group", "")
    called = dict(offered.devices)
    lines = [each.strip() for each in fields.get("devices", "").splitlines() if each.strip()]
    named = [called[each] for each in lines if called.get(each, each) != each]
    said = f"{', '.join(named[:8])}. " if named else ""
    return (
        _field(
            fields, wrong, "template", "Device template", kind="select",
            choices=_with_gone((("", "Any device"), *offered.templates), template),
            hint="its values and their units are offered below",
        ),
        _field(
            fields, wrong, "group", "Segment", kind="select",
            choices=_with_gone((("", "All of them"), *offered.groups), group),
        ),
        _field(
            fields, wrong, "devices", "Only these devices", kind="area", rows=2,
            hint=f"{said}Names or ids, one a line; empty: all of them.",
        ),
    )  # fmt: skip


def _when(fields: Fields, wrong: Mapping[str, str]) -> tuple[Field, ...]:
    return (
        _field(
            fields, wrong, "match", "Fires when", kind="select",
            choices=(("all", "all conditions are met"), ("any", "one condition is met")),
        ),
        _field(
            fields, wrong, "hold", "Met for", limits=(("list", "lengths"),), hint="for example 20 s; empty: at once",
        ),
        _field(
            fields, wrong, "window", "Window", limits=(("list", "lengths"),),
            hint="of averages, sums and the like, for example 5 min; empty: none",
        ),
        _field(fields, wrong, "window_kind", "Windows stand", kind="select", choices=tuple(WINDOW_WORDS)),
    )  # fmt: skip


def _more(fields: Fields, wrong: Mapping[str, str]) -> tuple[Field, ...]:
    return (
        _field(fields, wrong, "cool_down", "Quiet after it fired for", hint="per device, for example 1 h; empty: no"),
        _field(
            fields,
            wrong,
            "quiet_times",
            "Quiet times",
            kind="area",
            rows=2,
            hint="one a line: Mon-Fri 22:00-06:00, or Sat,Sun 00:00-24:00; it fires at their end if its conditions "
            "are still met; empty: none",
        ),
        _field(
            fields,
            wrong,
            "quiet_zone",
            "Time zone of quiet times",
            limits=(("maxlength", "64"), ("list", "zones")),
            hint="such as Europe/Berlin; empty: UTC",
        ),
        _field(fields, wrong, "repeat", "Fire at every evaluation that meets the conditions", kind="check"),
        _field(fields, wrong, "lateness", "Wait for late values", hint="of a window; empty: 5 s"),
        _field(fields, wrong, "product", "Product", hint="empty: any"),
        _field(fields, wrong, "device_group", "Device group", hint="of deployments; empty: any"),
        _field(fields, wrong, "version_first", "First version of the template", hint="empty: any"),
        _field(fields, wrong, "version_last", "Last version of the template", hint="empty: any"),
    )


def _condition(at: int, row: Fields, offered: Offered, wrong: Mapping[str, str]) -> dict[str, Any]:
    name, op = row.get("name", ""), row.get("op", ">")
    known, aggregate = offered.known(name), row.get("aggregate", "")
    kind = "number" if aggregate else known.get("kind", "")
    is_property = name.partition(".")[0] in SECTIONS and "." in name
    clouds = [(each["name"].removeprefix("cloud."), _called(each)) for each in offered.values.get("cloud", ())]
    than = row.get("than", "")
    fields = [
        *_names(f"name_{at}", f"own_{at}", "Value", name, offered, wrong, silent=op == SILENT),
    ]
    if not is_property and op != SILENT:
        fields.append(_select(f"aggregate_{at}", "Of it", aggregate, AGGREGATE_WORDS, wrong))
    fitting = (*FITTING[kind], *(() if is_property else (SILENT,)))
    fields.append(_select(f"op_{at}", "Comparison", op, [(each, OPERATOR_WORDS[each]) for each in fitting], wrong))
    if op == SILENT:
        hint = "a length of time, for example 10 min"
        fields.append(Field(name=f"value_{at}", label="Silent for", value=row.get("value", ""), hint=hint,
                            error=wrong.get(f"value_{at}", ""), limits=(("list", "lengths"),)))  # fmt: skip
        return {"at": at, "fields": fields}
    label = "Threshold" if op in ORDERING else "Value to compare with"
    fields.append(_value(f"value_{at}", label, row.get("value", ""), op, kind, known, wrong, default=bool(than)))
    if op in ORDERING:
        fields.append(_value(f"clear_{at}", "Clears at", row.get("clear", ""), op, kind, known, wrong,
                             hint="empty: at the threshold"))  # fmt: skip
    if (clouds or than) and op not in CHOOSING:
        fixed = [("", "the typed value"), *((each, f"the device's {words}") for each, words in clouds)]
        fields.append(_select(f"than_{at}", "Compared with", than, fixed, wrong))
    return {"at": at, "fields": fields}


def _names(
    name: str, own: str, label: str, value: str, offered: Offered, wrong: Mapping[str, str], *,
    silent: bool = False, properties: bool = False,
) -> list[Field]:  # fmt: skip
    """The choice of a value by what people call it; a field to type a name in, where it is none of the template's."""
    groups = [
        (heading, tuple((each["name"], _called(each, each["name"].partition(".")[0])) for each in listed))
        for heading, listed in (
            ("Telemetry", () if properties else offered.values.get("telemetry", ())),
            ("Properties of the device", offered.values.get("properties", ())),
            ("Cloud properties", offered.values.get("cloud", ())),
        )
        if listed
    ]
    error = wrong.get(name, "")
    hint = "reported.mode, tags.site or cloud.limit" if properties else "as devices send it: temperature, reported.mode"
    if not groups:
        return [Field(name=name, label=label, value=value, error=error, hint=hint, limits=(("maxlength", "128"),))]
    is_known = any(value == each for _, listed in groups for each, _ in listed)
    is_own = bool(value) and not is_known and value != OWN
    first = ("", "Any message" if silent else "Choose")
    chosen = Field(
        name=name, label=label, kind="select", value=OWN if is_own else value, error=error, groups=tuple(groups),
        choices=(first, (OWN, "Another, typed beside")),
    )  # fmt: skip
    typed = Field(
        name=own, label="Another name", value=value if is_own else "", limits=(("maxlength", "128"),), hint=hint
    )
    return [chosen, typed] if is_own or value == OWN else [chosen]


def _called(each: Mapping[str, Any], section: str = "") -> str:
    said = f"{each['display_name']} ({each['symbol']})" if each["symbol"] else str(each["display_name"])
    return f"{said}, as wanted" if section == "desired" else said


def _select(name: str, label: str, value: str, known: Choices, wrong: Mapping[str, str]) -> Field:
    return Field(
        name=name, label=label, kind="select", value=value, choices=_with_gone(tuple(known), value),
        error=wrong.get(name, ""),
    )  # fmt: skip


def _with_gone(known: tuple[tuple[str, str], ...], value: str) -> tuple[tuple[str, str], ...]:
    """Choices, with one more for a value that is none of them: what was chosen stays until another is."""
    return known if any(value == each for each, _ in known) else (*known, (value, OPERATOR_WORDS.get(value, value)))


def _value(
    name: str, label: str, value: str, op: str, kind: str, known: Mapping[str, Any], wrong: Mapping[str, str], *,
    default: bool = False, hint: str = "",
) -> Field:  # fmt: skip
    error, unit = wrong.get(name, ""), "" if kind != "number" else known.get("symbol", "")
    words = [(text_of(each["value"]), str(each["display_name"])) for each in known.get("words", ())]
    if default:
        label, hint = "Where a device has none", "empty: such a device is left out"
    if op in CHOOSING:
        listed = ", ".join(f"{sent} ({said})" if said != sent else sent for sent, said in words[:12])
        hint = f"commas between; {listed}" if listed else "commas between"
    elif kind == "boolean" or (kind == "enum" and words):
        offers = [("", "Choose"), *(words if kind == "enum" else (("true", "true"), ("false", "false")))]
        return _select(name, label, value, offers, wrong)
    attributes = (("inputmode", "decimal"),) if kind == "number" and op not in CHOOSING else ()
    return Field(name=name, label=label, value=value, unit=unit, error=error, hint=hint, limits=attributes)


def _filter(at: int, row: Fields, offered: Offered, wrong: Mapping[str, str]) -> dict[str, Any]:
    name, op = row.get("filter", ""), row.get("filter_op", "==")
    known = offered.known(name)
    kind = known.get("kind", "")
    listed = [(each, OPERATOR_WORDS[each]) for each in FITTING[kind]]
    fields = [
        *_names(f"filter_{at}", f"filter_own_{at}", "Property", name, offered, wrong, properties=True),
        _select(f"filter_op_{at}", "Comparison", op, listed, wrong),
        _value(f"filter_value_{at}", "Value to compare with", row.get("filter_value", ""), op, kind, known, wrong),
    ]
    return {"at": at, "fields": fields}


def _action(at: int, row: Fields, offered: Offered, wrong: Mapping[str, str]) -> dict[str, Any]:
    def one(name: str, label: str, **more: Any) -> Field:
        key = f"{name}_{at}"
        return Field(name=key, label=label, value=row.get(name, ""), error=wrong.get(key, ""), **more)

    fields: list[Field] = []
    match row.get("kind", ""):
        case "email":
            fields = [one("to", "To", hint="spaces between addresses"), one("subject", "Subject", hint="empty: made")]
        case "webhook":
            fields = [one("url", "Address", hint="https://…"), *_secret(one, signed=bool(row.get("signed")))]
        case "command":
            fields = [
                _command(one, row, offered),
                one("payload", "Parameters", hint="JSON; empty: none"),
                one("timeout", "Answer within", hint="empty: 30 s"),
            ]
        case "job":
            listed = (("", "Choose"), *offered.jobs)
            fields = [one("job", "Job", kind="select", choices=_with_gone(listed, row.get("job", "")),
                          hint="is run when the rule fires")]  # fmt: skip
        case "channel":
            listed = (("", "Choose"), *offered.channels)
            fields = [one("channel", "Channel", kind="select", choices=_with_gone(listed, row.get("channel", "")),
                          hint="is told when the rule fires, whatever it hears of otherwise")]  # fmt: skip
        case "quarantine":
            fields = [one("reason", "Reason", hint="for the audit log; empty: none")]
    fields.append(one("label", "Name of the action", hint="empty: made", limits=(("maxlength", "64"),)))
    kind = row.get("kind", "")
    return {"at": at, "kind": kind, "word": ACTION_WORDS.get(kind, kind), "fields": fields}


def _secret(one: Any, *, signed: bool) -> list[Field]:
    hint = "empty: the one that it has" if signed else "empty: not signed; 16 to 128 characters"
    kept = [one("signed", "Signed with its secret", kind="check")] if signed else []
    return [one("secret", "Secret that signs it", kind="password", hint=hint), *kept]


def _command(one: Any, row: Fields, offered: Offered) -> Any:
    known = [(each["name"], str(each["display_name"])) for each in offered.values.get("commands", ())]
    if not known:
        return one("method", "Command", hint="a direct method of the device", limits=(("maxlength", "128"),))
    listed = (("", "Choose"), *known)
    return one("method", "Command", kind="select", choices=_with_gone(listed, row.get("method", "")))


# Errors in words --------------------------------------------------------------------------------------------------

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "name": "value", "op": "comparison", "than": "compared with", "value": "threshold", "clear": "clears at",
        "aggregate": "of it", "kind": "kind", "label": "name", "to": "to", "subject": "subject", "url": "address",
        "secret": "secret", "method": "command", "payload": "parameters", "timeout": "answer within",
        "reason": "reason", "job": "job", "channel": "channel", "filter": "property",
        "filter_op": "comparison", "filter_value": "value",
        "hold": "met for", "cool_down": "quiet after it fired for", "lateness": "wait for late values",
        "devices": "only these devices", "template": "device template", "group": "segment",
        "device_group": "device group", "version_first": "first version", "window_kind": "windows stand",
        "match": "fires when", "quiet_times": "quiet times", "quiet_zone": "time zone of quiet times",
    }
)  # fmt: skip
# Mistakes that the line above the form says; all of them stand at their fields.
_SAID: Final = 3


def in_words(wrong: Mapping[str, str]) -> str:
    """What is wrong with a form, in one line: "Condition 1, clears at: expected at most 9, got 10"."""
    said = "; ".join(
        f"{_place(name)}: {text[:1].lower()}{text[1:].rstrip('.')}" for name, text in list(wrong.items())[:_SAID]
    )
    more = f"; and {len(wrong) - _SAID} more" if len(wrong) > _SAID else ""
    return said[:1].upper() + said[1:] + more


def _place(name: str) -> str:
    first, _, number = name.rpartition("_")
    group = next((each for each, (members, _) in GROUPS.items() if first in members and number.isdecimal()), "")
    return f"{group} {int(number) + 1}, {_WORDS.get(first, first)}" if group else _WORDS.get(name, name)
