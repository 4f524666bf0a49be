# SPDX-License-Identifier: Apache-2.0
"""The form of a rule as a view: its rows, what can be chosen in each, and what is wrong beside its field. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field as member
from typing import Any, Final

from armillary.console.authored.rule_fields import GROUPS, OWN, SILENT, Fields, rows_of
from armillary.console.authored.rule_words import (
    ACTION_WORDS,
    AGGREGATE_WORDS,
    FITTING,
    LENGTHS,
    OPERATOR_WORDS,
    STRETCHES,
    WINDOW_WORDS,
    ZONES,
    Choices,
)
from armillary.console.frame.form import Field
from armillary.console.frame.states import SEVERITY
from armillary.console.language.say import apart, say
from armillary.twin.author.shorthand import text_of
from armillary.twin.rule.rule import CHOOSING, ORDERING, SECTIONS, SEVERITIES

_SEVERITIES: Final = tuple((each, SEVERITY[each].word) for each in SEVERITIES)


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
            name="add_device",
            label=say("Add a device of the template"),
            kind="select",
            choices=(("", say("Choose")), *offered.devices),
        ),
        "kinds": tuple(ACTION_WORDS.items()),
        "stretch": Field(
            name="stretch",
            label=say("On the values of"),
            kind="select",
            value=fields.get("stretch") or "day",
            choices=tuple((each, words) for each, (_, words) in STRETCHES.items()),
        ),
        "room": {group: len(rows_of(fields, group)) < most for group, (_, most) in GROUPS.items()},
        "lengths": LENGTHS,
        "zones": ZONES,
    }


def _field(fields: Fields, wrong: Mapping[str, str], name: str, label: str, **more: Any) -> Field:
    return Field(name=name, label=label, value=fields.get(name, ""), error=wrong.get(name, ""), **more)


def _what(fields: Fields, offered: Offered, wrong: Mapping[str, str]) -> tuple[Field, ...]:
    return (
        _field(fields, wrong, "name", say("Name"), required=True, limits=(("maxlength", "128"),)),
        _field(fields, wrong, "severity", say("Severity"), kind="select", choices=_SEVERITIES),
        _with_error(offered.catalog, wrong),
        _field(
            fields,
            wrong,
            "description",
            say("Description"),
            kind="area",
            rows=2,
            limits=(("maxlength", "1024"),),
            hint=say("for whoever reads the alert"),
        ),
    )


def _with_error(field: Field, wrong: Mapping[str, str]) -> Field:
    return Field(
        name=field.name,
        label=field.label,
        kind=field.kind,
        value=field.value,
        choices=field.choices,
        hint=field.hint,
        required=field.required,
        error=wrong.get(field.name, ""),
    )


def _devices(fields: Fields, offered: Offered, wrong: Mapping[str, str]) -> tuple[Field, ...]:
    template, group = fields.get("template", ""), fields.get("group", "")
    called = dict(offered.devices)
    lines = [each.strip() for each in fields.get("devices", "").splitlines() if each.strip()]
    named = [called[each] for each in lines if called.get(each, each) != each]
    hint = say("Names or ids, one a line; empty: all of them.")
    return (
        _field(
            fields,
            wrong,
            "template",
            say("Device template"),
            kind="select",
            choices=_with_gone((("", say("Any device")), *offered.templates), template),
            hint=say("its values and their units are offered below"),
        ),
        _field(
            fields,
            wrong,
            "group",
            say("Segment"),
            kind="select",
            choices=_with_gone((("", say("All of them")), *offered.groups), group),
        ),
        _field(
            fields,
            wrong,
            "devices",
            say("Only these devices"),
            kind="area",
            rows=2,
            hint=apart([f"{', '.join(named[:8])}.", hint], " ") if named else hint,
        ),
    )


def _when(fields: Fields, wrong: Mapping[str, str]) -> tuple[Field, ...]:
    return (
        _field(
            fields,
            wrong,
            "match",
            say("Fires when"),
            kind="select",
            choices=(("all", say("all conditions are met")), ("any", say("one condition is met"))),
        ),
        _field(
            fields,
            wrong,
            "hold",
            say("Met for"),
            limits=(("list", "lengths"),),
            hint=say("for example 20 s; empty: at once"),
        ),
        _field(
            fields,
            wrong,
            "window",
            say("Window"),
            limits=(("list", "lengths"),),
            hint=say("of averages, sums and the like, for example 5 min; empty: none"),
        ),
        _field(fields, wrong, "window_kind", say("Windows stand"), kind="select", choices=tuple(WINDOW_WORDS)),
    )


def _more(fields: Fields, wrong: Mapping[str, str]) -> tuple[Field, ...]:
    return (
        _field(
            fields,
            wrong,
            "cool_down",
            say("Quiet after it fired for"),
            hint=say("per device, for example 1 h; empty: no"),
        ),
        _field(
            fields,
            wrong,
            "quiet_times",
            say("Quiet times"),
            kind="area",
            rows=2,
            hint=say(
                "one a line: Mon-Fri 22:00-06:00, or Sat,Sun 00:00-24:00; it fires at their end if its "
                "conditions are still met; empty: none"
            ),
        ),
        _field(
            fields,
            wrong,
            "quiet_zone",
            say("Time zone of quiet times"),
            limits=(("maxlength", "64"), ("list", "zones")),
            hint=say("such as Europe/Berlin; empty: UTC"),
        ),
        _field(fields, wrong, "repeat", say("Fire at every evaluation that meets the conditions"), kind="check"),
        _field(fields, wrong, "lateness", say("Wait for late values"), hint=say("of a window; empty: 5 s")),
        _field(fields, wrong, "product", say("Product"), hint=say("empty: any")),
        _field(fields, wrong, "device_group", say("Device group"), hint=say("of deployments; empty: any")),
        _field(fields, wrong, "version_first", say("First version of the template"), hint=say("empty: any")),
        _field(fields, wrong, "version_last", say("Last version of the template"), hint=say("empty: any")),
    )


def _condition(at: int, row: Fields, offered: Offered, wrong: Mapping[str, str]) -> dict[str, Any]:
    name, op = row.get("name", ""), row.get("op", ">")
    known, aggregate = offered.known(name), row.get("aggregate", "")
    kind = "number" if aggregate else known.get("kind", "")
    is_property = name.partition(".")[0] in SECTIONS and "." in name
    clouds = [(each["name"].removeprefix("cloud."), _called(each)) for each in offered.values.get("cloud", ())]
    than = row.get("than", "")
    fields = [
        *_names(f"name_{at}", f"own_{at}", say("Value"), name, offered, wrong, silent=op == SILENT),
    ]
    if not is_property and op != SILENT:
        fields.append(_select(f"aggregate_{at}", say("Of it"), aggregate, AGGREGATE_WORDS, wrong))
    fitting = (*FITTING[kind], *(() if is_property else (SILENT,)))
    fields.append(_select(f"op_{at}", say("Comparison"), op, [(each, OPERATOR_WORDS[each]) for each in fitting], wrong))
    if op == SILENT:
        hint = say("a length of time, for example 10 min")
        fields.append(
            Field(
                name=f"value_{at}",
                label=say("Silent for"),
                value=row.get("value", ""),
                hint=hint,
                error=wrong.get(f"value_{at}", ""),
                limits=(("list", "lengths"),),
            )
        )
        return {"at": at, "fields": fields}
    label = say("Threshold") if op in ORDERING else say("Value to compare with")
    fields.append(_value(f"value_{at}", label, row.get("value", ""), op, kind, known, wrong, default=bool(than)))
    if op in ORDERING:
        fields.append(
            _value(
                f"clear_{at}",
                say("Clears at"),
                row.get("clear", ""),
                op,
                kind,
                known,
                wrong,
                hint=say("empty: at the threshold"),
            )
        )
    if (clouds or than) and op not in CHOOSING:
        fixed = [
            ("", say("the typed value")),
            *((each, say("the device's {words}", words=words)) for each, words in clouds),
        ]
        fields.append(_select(f"than_{at}", say("Compared with"), than, fixed, wrong))
    return {"at": at, "fields": fields}


def _names(
    name: str,
    own: str,
    label: str,
    value: str,
    offered: Offered,
    wrong: Mapping[str, str],
    *,
    silent: bool = False,
    properties: bool = False,
) -> list[Field]:
    """The choice of a value by what people call it; a field to type a name in, where it is none of the template's."""
    groups = [
        (heading, tuple((each["name"], _called(each, each["name"].partition(".")[0])) for each in listed))
        for heading, listed in (
            (say("Telemetry"), () if properties else offered.values.get("telemetry", ())),
            (say("Properties of the device"), offered.values.get("properties", ())),
            (say("Cloud properties"), offered.values.get("cloud", ())),
        )
        if listed
    ]
    error = wrong.get(name, "")
    hint = (
        say("reported.mode, tags.site or cloud.limit")
        if properties
        else say("as devices send it: temperature, reported.mode")
    )
    if not groups:
        return [Field(name=name, label=label, value=value, error=error, hint=hint, limits=(("maxlength", "128"),))]
    is_known = any(value == each for _, listed in groups for each, _ in listed)
    is_own = bool(value) and not is_known and value != OWN
    first = ("", say("Any message") if silent else say("Choose"))
    chosen = Field(
        name=name,
        label=label,
        kind="select",
        value=OWN if is_own else value,
        error=error,
        groups=tuple(groups),
        choices=(first, (OWN, say("Another, typed beside"))),
    )
    typed = Field(
        name=own, label=say("Another name"), value=value if is_own else "", limits=(("maxlength", "128"),), hint=hint
    )
    return [chosen, typed] if is_own or value == OWN else [chosen]


def _called(each: Mapping[str, Any], section: str = "") -> str:
    said = f"{each['display_name']} ({each['symbol']})" if each["symbol"] else str(each["display_name"])
    return say("{said}, as wanted", said=said) if section == "desired" else said


def _select(name: str, label: str, value: str, known: Choices, wrong: Mapping[str, str]) -> Field:
    return Field(
        name=name,
        label=label,
        kind="select",
        value=value,
        choices=_with_gone(tuple(known), value),
        error=wrong.get(name, ""),
    )


def _with_gone(known: tuple[tuple[str, str], ...], value: str) -> tuple[tuple[str, str], ...]:
    """Choices, with one more for a value that is none of them: what was chosen stays until another is."""
    return known if any(value == each for each, _ in known) else (*known, (value, OPERATOR_WORDS.get(value, value)))


def _value(
    name: str,
    label: str,
    value: str,
    op: str,
    kind: str,
    known: Mapping[str, Any],
    wrong: Mapping[str, str],
    *,
    default: bool = False,
    hint: str = "",
) -> Field:
    error, unit = wrong.get(name, ""), "" if kind != "number" else known.get("symbol", "")
    words = [(text_of(each["value"]), str(each["display_name"])) for each in known.get("words", ())]
    if default:
        label, hint = say("Where a device has none"), say("empty: such a device is left out")
    if op in CHOOSING:
        listed = ", ".join(f"{sent} ({said})" if said != sent else sent for sent, said in words[:12])
        hint = say("commas between; {listed}", listed=listed) if listed else say("commas between")
    elif kind == "boolean" or (kind == "enum" and words):
        offers = [("", say("Choose")), *(words if kind == "enum" else (("true", say("true")), ("false", say("false"))))]
        return _select(name, label, value, offers, wrong)
    attributes = (("inputmode", "decimal"),) if kind == "number" and op not in CHOOSING else ()
    return Field(name=name, label=label, value=value, unit=unit, error=error, hint=hint, limits=attributes)


def _filter(at: int, row: Fields, offered: Offered, wrong: Mapping[str, str]) -> dict[str, Any]:
    name, op = row.get("filter", ""), row.get("filter_op", "==")
    known = offered.known(name)
    kind = known.get("kind", "")
    listed = [(each, OPERATOR_WORDS[each]) for each in FITTING[kind]]
    fields = [
        *_names(f"filter_{at}", f"filter_own_{at}", say("Property"), name, offered, wrong, properties=True),
        _select(f"filter_op_{at}", say("Comparison"), op, listed, wrong),
        _value(f"filter_value_{at}", say("Value to compare with"), row.get("filter_value", ""), op, kind, known, wrong),
    ]
    return {"at": at, "fields": fields}


def _action(at: int, row: Fields, offered: Offered, wrong: Mapping[str, str]) -> dict[str, Any]:
    def one(name: str, label: str, **more: Any) -> Field:
        key = f"{name}_{at}"
        return Field(name=key, label=label, value=row.get(name, ""), error=wrong.get(key, ""), **more)

    fields: list[Field] = []
    match row.get("kind", ""):
        case "email":
            fields = [
                one("to", say("To"), hint=say("spaces between addresses")),
                one("subject", say("Subject"), hint=say("empty: made")),
            ]
        case "webhook":
            fields = [one("url", say("Address"), hint="https://…"), *_secret(one, signed=bool(row.get("signed")))]
        case "command":
            fields = [
                _command(one, row, offered),
                one("payload", say("Parameters"), hint=say("JSON; empty: none")),
                one("timeout", say("Answer within"), hint=say("empty: 30 s")),
            ]
        case "job":
            listed = (("", say("Choose")), *offered.jobs)
            fields = [
                one(
                    "job",
                    say("Job"),
                    kind="select",
                    choices=_with_gone(listed, row.get("job", "")),
                    hint=say("is run when the rule fires"),
                )
            ]
        case "channel":
            listed = (("", say("Choose")), *offered.channels)
            fields = [
                one(
                    "channel",
                    say("Channel"),
                    kind="select",
                    choices=_with_gone(listed, row.get("channel", "")),
                    hint=say("is told when the rule fires, whatever it hears of otherwise"),
                )
            ]
        case "quarantine":
            fields = [one("reason", say("Reason"), hint=say("for the audit log; empty: none"))]
    fields.append(one("label", say("Name of the action"), hint=say("empty: made"), limits=(("maxlength", "64"),)))
    kind = row.get("kind", "")
    return {"at": at, "kind": kind, "word": ACTION_WORDS.get(kind, kind), "fields": fields}


def _secret(one: Any, *, signed: bool) -> list[Field]:
    hint = say("empty: the one that it has") if signed else say("empty: not signed; 16 to 128 characters")
    kept = [one("signed", say("Signed with its secret"), kind="check")] if signed else []
    return [one("secret", say("Secret that signs it"), kind="password", hint=hint), *kept]


def _command(one: Any, row: Fields, offered: Offered) -> Any:
    known = [(each["name"], str(each["display_name"])) for each in offered.values.get("commands", ())]
    if not known:
        return one("method", say("Command"), hint=say("a direct method of the device"), limits=(("maxlength", "128"),))
    listed = (("", say("Choose")), *known)
    return one("method", say("Command"), kind="select", choices=_with_gone(listed, row.get("method", "")))
