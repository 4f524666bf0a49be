# SPDX-License-Identifier: Apache-2.0
"""The form of a segment: its query as rows of property, comparison and value, both ways; nothing of it is lost. Pure.

What may stand in a segment is decided by ``twin/author/group.py`` alone. Rows end in their number (``field_0``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from armillary.console.authored.rule_fields import OWN, read_value
from armillary.console.frame.form import Field
from armillary.console.frame.states import HEALTH
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError
from armillary.identity.issue import TRUST_TIERS
from armillary.twin.author.group import DEVICE_FIELDS, EXISTS, MAX_FILTERS, parse_group
from armillary.twin.author.shorthand import text_of
from armillary.wire.encoding.json_fields import MAX_NAME_CHARACTERS

Fields = Mapping[str, str]
Choices = Sequence[tuple[str, str]]
MISSING: Final = "missing"
MEMBERS: Final = ("field", "own", "op", "value")
OPERATOR_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "eq": say("is"),
        "ne": say("is not"),
        "gt": say("is above"),
        "ge": say("is at least"),
        "lt": say("is below"),
        "le": say("is at most"),
        "contains": say("contains"),
        EXISTS: say("is there"),
        MISSING: say("is not there"),
    }
)
# Kind of value -> comparisons that fit it.
FITTING: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "number": ("gt", "ge", "lt", "le", "eq", "ne", EXISTS, MISSING),
        "boolean": ("eq", "ne", EXISTS, MISSING),
        "enum": ("eq", "ne", EXISTS, MISSING),
        "text": ("eq", "ne", "contains", EXISTS, MISSING),
        "": tuple(OPERATOR_WORDS),
    }
)
DEVICE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "id": say("Device id"),
        "health": say("Health"),
        "tier": say("Trust tier"),
        "chip": say("Chip"),
        "catalog": say("Catalog"),
        "product": say("Product"),
        "device_group": say("Device group"),
        "os_version": say("OS version"),
        "verdict": say("Verdict of its last check-in"),
        "manufacturing_state": say("Manufacturing state"),
        "provisioned": say("Provisioned"),
        "connected": say("Connected to the hub"),
        "template": say("Device template"),
        "template_version": say("Version of its template"),
    }
)
DEVICE_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"health": "enum", "tier": "enum", "connected": "boolean", "provisioned": "boolean", "template_version": "number"}
)
_WORDS: Final[Mapping[str, Choices]] = MappingProxyType(
    {
        "device:health": tuple((each, HEALTH[each].word) for each in HEALTH if each != "decommissioned"),
        "device:tier": tuple((each, each) for each in TRUST_TIERS),
    }
)
# Section of a rule's name for a value -> where a segment looks for it.
_SOURCES: Final[Mapping[str, str]] = MappingProxyType({"reported": "reported", "desired": "desired", "cloud": "cloud"})
_HEADINGS: Final = (
    ("telemetry", say("Newest values")),
    ("properties", say("Properties of the device")),
    ("cloud", say("Kept by operators")),
)


def rows_of(fields: Fields) -> list[dict[str, str]]:
    """The rows as they were sent; a name that was typed beside a choice is the name."""
    found = []
    for at in range(MAX_FILTERS):
        row = {each: fields[f"{each}_{at}"] for each in MEMBERS if f"{each}_{at}" in fields}
        typed = row.pop("own", "").strip()
        if row.get("field") == OWN and typed:
            row["field"] = typed
        if row:
            found.append(row)
    return found


def with_rows(fields: Fields, rows: Sequence[Fields]) -> dict[str, str]:
    """Fields with other rows, counted from 0."""
    gone = {f"{each}_{at}" for each in MEMBERS for at in range(MAX_FILTERS)}
    kept = {name: value for name, value in fields.items() if name not in gone}
    return kept | {f"{name}_{at}": value for at, row in enumerate(rows) for name, value in row.items()}


def body_of(fields: Fields, values: Mapping[str, Any]) -> dict[str, Any]:
    """The segment that fields say; rows in which nothing was chosen are left out.

    Raises:
        InvalidArgumentError: names the row's field in the form's words.
    """
    kinds, filters = _kinds(values), []
    for at, row in enumerate(rows_of(fields)):
        field, operator = row.get("field", "").strip(), row.get("op", "")
        if field in ("", OWN):
            continue
        if operator in (EXISTS, MISSING):
            filters.append({"field": field, "operator": EXISTS, "value": operator == EXISTS})
            continue
        try:
            value = read_value(row.get("value", ""), "==", kinds.get(field, ""))
        except InvalidArgumentError as error:
            said = error.message.partition(": ")[2] or error.message
            raise InvalidArgumentError(f"Condition {at + 1}, value: {said}", remedy=error.remedy) from error
        filters.append({"field": field, "operator": operator, "value": value})
    made: dict[str, Any] = {"name": fields.get("name", "").strip(), "match": fields.get("match", "all")}
    if description := fields.get("description", "").replace("\r\n", "\n").strip():
        made["description"] = description
    if template := fields.get("template", "").strip():
        made["template"] = template
    return made | {"filters": filters}


def fields_of(body: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str] | None:
    """The fields of a segment; None where the form cannot say the same."""
    made = {name: str(body.get(name) or "") for name in ("name", "description", "template", "catalog")}
    made["match"] = str(body.get("match", "all"))
    kinds = _kinds(values)
    rows = []
    for each in body.get("filters", ()):
        if each["operator"] == EXISTS:
            rows.append({"field": each["field"], "op": EXISTS if each.get("value", True) else MISSING, "value": ""})
        else:
            value = each["value"]
            is_text = kinds.get(each["field"]) == "text" and isinstance(value, str)
            rows.append({"field": each["field"], "op": each["operator"], "value": value if is_text else text_of(value)})
    made = with_rows(made, rows)
    try:
        again = {**{key: body[key] for key in ("catalog",) if key in body}, **body_of(made, values)}
        return made if parse_group(again) == parse_group(body) else None
    except InvalidArgumentError:
        return None


def _kinds(values: Mapping[str, Any]) -> dict[str, str]:
    return {each["field"]: each["kind"] for _, listed in offered(values) for each in listed}


def offered(values: Mapping[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Headings, each with what can be looked at: ``field``, ``words``, ``symbol``, ``kind``, ``choices``."""
    yield (
        say("The device"),
        [
            {
                "field": f"device:{name}",
                "words": DEVICE_WORDS[name],
                "symbol": "",
                "kind": DEVICE_KINDS.get(name, "text"),
                "choices": _WORDS.get(f"device:{name}", ()),
            }
            for name in DEVICE_FIELDS
        ],
    )
    for key, heading in _HEADINGS:
        listed = [_value(key, each) for each in values.get(key, ())]
        if listed:
            yield heading, listed


def _value(key: str, each: Mapping[str, Any]) -> dict[str, Any]:
    section, _, path = each["name"].partition(".")
    field = f"telemetry:{each['name']}" if key == "telemetry" else f"{_SOURCES[section]}:{path}"
    said = f"{each['display_name']} ({each['symbol']})" if each["symbol"] else str(each["display_name"])
    words = [(text_of(one["value"]), str(one["display_name"])) for one in each.get("words", ())]
    return {
        "field": field,
        "words": say("{said}, as wanted", said=said) if section == "desired" and key == "properties" else said,
        "symbol": each["symbol"],
        "kind": each["kind"],
        "choices": words,
    }


def form_view(fields: Fields, values: Mapping[str, Any], templates: Choices, catalog: Field) -> dict[str, Any]:
    """What the template of the form draws."""
    listed = list(offered(values))
    known = {each["field"]: each for _, inner in listed for each in inner}
    rows = [_row(at, row, listed, known) for at, row in enumerate(rows_of(fields))]
    chosen = fields.get("template", "")
    gone = ((chosen, say("{chosen} (not there)", chosen=chosen)),) if chosen and chosen not in dict(templates) else ()
    return {
        "what": (
            Field(
                name="name",
                label=say("Name"),
                value=fields.get("name", ""),
                required=True,
                limits=(("maxlength", str(MAX_NAME_CHARACTERS)),),
            ),
            catalog,
            Field(
                name="template",
                label=say("Device template"),
                kind="select",
                value=chosen,
                choices=(("", say("Any or none")), *templates, *gone),
                hint=say("its values and their units are offered below"),
            ),
            Field(
                name="match",
                label=say("A device is in it when"),
                kind="select",
                value=fields.get("match", "all"),
                choices=(("all", say("all conditions are met")), ("any", say("one condition is met"))),
            ),
        ),
        "description": Field(
            name="description",
            label=say("Description"),
            kind="area",
            rows=2,
            value=fields.get("description", ""),
            limits=(("maxlength", "1024"),),
        ),
        "rows": rows,
        "has_room": len(rows) < MAX_FILTERS,
    }


def _row(
    at: int, row: Fields, listed: Sequence[tuple[str, list[dict[str, Any]]]], known: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    field, operator, value = row.get("field", ""), row.get("op", "eq"), row.get("value", "")
    groups = tuple((heading, tuple((each["field"], each["words"]) for each in inner)) for heading, inner in listed)
    is_own = bool(field) and field not in known
    fields = [
        Field(
            name=f"field_{at}",
            label=say("Property"),
            kind="select",
            value=OWN if is_own else field,
            groups=groups,
            choices=(("", say("Choose")), (OWN, say("Another, typed beside"))),
        )
    ]
    if is_own:
        fields.append(
            Field(
                name=f"own_{at}",
                label=say("Where it stands"),
                value="" if field == OWN else field,
                limits=(("maxlength", "256"),),
                hint=say("tag:site, reported:mode, desired:mode, cloud:limit or telemetry:temperature"),
            )
        )
    found = known.get(field, {})
    kind = found.get("kind", "")
    fitting = FITTING.get(kind, FITTING[""])
    operators = fitting if operator in fitting else (*fitting, operator)
    fields.append(
        Field(
            name=f"op_{at}",
            label=say("Comparison"),
            kind="select",
            value=operator,
            choices=tuple((each, OPERATOR_WORDS.get(each, each)) for each in operators),
        )
    )
    if operator not in (EXISTS, MISSING):
        fields.append(_operand(at, value, kind, found))
    return {"at": at, "fields": fields}


def _operand(at: int, value: str, kind: str, found: Mapping[str, Any]) -> Field:
    words: Choices = (("true", say("yes")), ("false", say("no"))) if kind == "boolean" else found.get("choices", ())
    if words and kind in ("boolean", "enum"):
        gone = ((value, value),) if value and value not in dict(words) else ()
        return Field(
            name=f"value_{at}",
            label=say("Value"),
            kind="select",
            value=value,
            choices=(("", say("Choose")), *words, *gone),
        )
    limits = (("inputmode", "decimal"),) if kind == "number" else (("maxlength", "1024"),)
    return Field(name=f"value_{at}", label=say("Value"), value=value, unit=found.get("symbol", ""), limits=limits)
