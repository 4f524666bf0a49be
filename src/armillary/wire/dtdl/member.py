# SPDX-License-Identifier: Apache-2.0
"""Members that hold literal values, read and judged: texts, names, numbers, truth values, choices, identifiers.

Source: DTDL v2 and v3, the tables of §DTDL element.
"""

from __future__ import annotations

from typing import Any

from armillary.wire.dtdl.element import Element
from armillary.wire.dtdl.fault import Faults, shown
from armillary.wire.dtdl.json_text import Node
from armillary.wire.dtdl.literal import Refuse, literal, localized, single
from armillary.wire.dtdl.names import NAME, is_identifier
from armillary.wire.dtdl.tables import Kind, Member

# Name of the rule that a value of the wrong kind breaks.
_RULES = {
    Kind.BOOLEAN: "Boolean",
    Kind.INTEGER: "Integer",
    Kind.LITERAL: "Integer",
    Kind.IDENTIFIER: "IsDtmi",
    Kind.CHOICE: "SpecificValues",
    Kind.LOCALIZED: "LangString",
}


def read_literal(element: Element, name: str, member: Member, node: Node, faults: Faults) -> None:
    """Read a member into ``element.literals``; nothing where it is refused or an empty array.

    The value of an enum is kept as a node: its enum says what it must be (``check.py``).
    """

    def refuse(place: Node, rule: str, expected: str, got: str) -> None:
        wrong_kind = rule.endswith(("OrObject", "OrArrayOrObject"))
        path = element.member_path(name)
        full = element.rule(_RULES.get(member.kind, "String"), name) if wrong_kind else rule
        faults.add(element.document, place, path, full, element.version, expected=expected, got=got)

    if member.kind is Kind.LOCALIZED:
        texts = localized(node, element.version, refuse)
        for text in texts.values():
            _judge_length(element, name, member, node, text, faults)
        element.literals[name] = texts
        return
    item, fits = single(node, is_required=member.is_required)
    if not fits:
        rule = _RULES.get(member.kind, "String")
        element.note(faults, node, rule, f"one value: {member.kind.value}", shown(node), member=name)
    elif item is not None:
        value = _value(element, name, member, item, faults, refuse)
        if value is not None:
            element.literals[name] = value


def _value(element: Element, name: str, member: Member, node: Node, faults: Faults, refuse: Refuse) -> Any:
    if member.kind is Kind.LITERAL:
        return node
    if member.kind is Kind.BOOLEAN:
        return literal(node, "Boolean", element.version, refuse)
    if member.kind is Kind.INTEGER:
        return _integer(element, name, member, node, faults, refuse)
    if member.kind is Kind.CHOICE:
        return _choice(element, name, member, node, faults)
    if member.kind is Kind.IDENTIFIER:
        return _identifier(element, name, member, node, faults)
    text: str | None = literal(node, "String", element.version, refuse)
    if text is not None:
        _judge_length(element, name, member, node, text, faults)
        if member.kind is Kind.NAME and not NAME.match(text):
            element.note(faults, node, "Pattern", Kind.NAME.value, ascii(text[:80]), member=name)
    return text


def _identifier(element: Element, name: str, member: Member, node: Node, faults: Faults) -> str | None:
    if not isinstance(node.value, str) or not is_identifier(node.value, element.version):
        element.note(faults, node, "IsDtmi", "a model identifier dtmi:...;N", shown(node), member=name)
        return None
    _judge_length(element, name, member, node, node.value, faults)
    return node.value


def _integer(element: Element, name: str, member: Member, node: Node, faults: Faults, refuse: Refuse) -> int | None:
    value: int | None = literal(node, "Integer", element.version, refuse)
    if value is None or member.minimum is None:
        return value
    if member.minimum == member.maximum != value:
        element.note(faults, node, "ExactValue", str(member.minimum), str(value), member=name)
    elif value < member.minimum:
        element.note(faults, node, "MinValue", f"at least {member.minimum}", str(value), member=name)
    elif member.maximum is not None and value > member.maximum:
        element.note(faults, node, "MaxValue", f"at most {member.maximum}", str(value), member=name)
    return value


def _choice(element: Element, name: str, member: Member, node: Node, faults: Faults) -> str | None:
    family, oldest = ("CommandType", element.version) if name == "commandType" else ("Schema", 2)
    for word in member.choices:
        identifiers = [f"dtmi:dtdl:instance:{family}:{word};{v}" for v in range(oldest, element.version + 1)]
        if node.value == word or node.value in identifiers:
            return word
    element.note(faults, node, "SpecificValues", " or ".join(member.choices), shown(node), member=name)
    return None


def _judge_length(element: Element, name: str, member: Member, node: Node, text: str, faults: Faults) -> None:
    if member.max_characters is not None and len(text) > member.max_characters:
        expected = f"at most {member.max_characters} characters"
        element.note(faults, node, "StringLength", expected, f"{len(text)}", member=name)
