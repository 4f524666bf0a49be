# SPDX-License-Identifier: Apache-2.0
"""Literal values of members: text, numbers, truth values, and text by language.

Source: DTDL v2 and v3 §Representational literal, §Localizable string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from armillary.wire.dtdl.fault import shown
from armillary.wire.dtdl.json_text import Node
from armillary.wire.dtdl.names import LANGUAGE

# Called with the node, the rule's name, what it expects and what stands there.
Refuse = Callable[[Node, str, str, str], None]

DEFAULT_LANGUAGE = "en"

_XSD = "http://www.w3.org/2001/XMLSchema#"
_INTEGERS = range(-(2**31), 2**31)


def single(node: Node, *, is_required: bool) -> tuple[Node | None, bool]:
    """The one value of a member, bare or in an array; and whether the number of values is allowed."""
    if not isinstance(node.value, list):
        return node, True
    items = node.value
    if len(items) == 1:
        return items[0], True
    return None, not items and not is_required


def literal(node: Node, name: str, version: int, refuse: Refuse) -> Any:
    """A literal ``String``, ``Integer`` or ``Boolean``, bare or as a value object; None after ``refuse`` was called."""
    rule = f"Representational{name}"
    if not isinstance(node.value, dict):
        if _is(node.value, name):
            return node.value
        refuse(node, f"{rule}OrObject", _article(name), shown(node))
        return None
    members = node.value
    if not _keywords(members, rule, ("@value", "@type"), version, refuse):
        return None
    kind = members.get("@type")
    names = (f"xsd:{name.lower()}", _XSD + name.lower())
    if kind is not None:
        one, _ = single(kind, is_required=True)
        if one is None or one.value not in names:
            refuse(kind, f"{rule}Type{name}", names[0], shown(kind))
            return None
    return _value(node, members, rule, name, refuse)


def localized(node: Node, version: int, refuse: Refuse) -> dict[str, str]:
    """Text by language; what is refused is left out."""
    if isinstance(node.value, str):
        return {DEFAULT_LANGUAGE: node.value}
    if isinstance(node.value, dict):
        return _language_map(node.value, refuse)
    if not isinstance(node.value, list):
        refuse(node, "LocalizableStringOrArrayOrObject", "a string, an array or an object", shown(node))
        return {}
    texts: dict[str, str] = {}
    for item in node.value:
        language, text = _language_value(item, version, refuse)
        if text is None:
            continue
        if language in texts:
            rule = "OnlyOneDefault" if language == DEFAULT_LANGUAGE else "ElementLanguageValueUnique"
            refuse(item, f"LocalizableStringArray{rule}", "each language once", ascii(language))
        texts[language] = text
    return texts


def _language_map(members: Mapping[str, Node], refuse: Refuse) -> dict[str, str]:
    texts: dict[str, str] = {}
    for language, inner in members.items():
        if not LANGUAGE.match(language):
            rule = "LocalizableStringObjectMemberNameRegex"
            refuse(inner, rule, "a language as en, de or zh-Hans-CN", ascii(language[:40]))
        elif not isinstance(inner.value, str):
            refuse(inner, "LocalizableStringObjectMemberValueString", "a string", shown(inner))
        else:
            texts[language] = inner.value
    return texts


def _language_value(item: Node, version: int, refuse: Refuse) -> tuple[str, str | None]:
    rule = "LocalizableStringArrayElement"
    if isinstance(item.value, str):
        return DEFAULT_LANGUAGE, item.value
    if not isinstance(item.value, dict):
        refuse(item, f"{rule}StringOrObject", "a string or an object", shown(item))
        return "", None
    members = item.value
    if not _keywords(members, rule, ("@value", "@language"), version, refuse):
        return "", None
    language = members.get("@language")
    if language is not None and not (isinstance(language.value, str) and LANGUAGE.match(language.value)):
        refuse(language, f"{rule}LanguageValueRegex", "a language as en, de or zh-Hans-CN", shown(language))
        return "", None
    text: str | None = _value(item, members, rule, "String", refuse)
    return DEFAULT_LANGUAGE if language is None else str(language.value), text


def _keywords(members: Mapping[str, Node], rule: str, names: tuple[str, str], version: int, refuse: Refuse) -> bool:
    """Whether a value object has no other members than it may; DTDL v2 lets some pass."""
    for key, inner in members.items():
        if not key.startswith("@"):
            refuse(inner, f"{rule}OnlyKeywords", "only members that begin with @", ascii(key[:40]))
            return False
        if key in ("@id", "@context", "@graph") or (version > 2 and key not in names):
            part = "NoIdContextGraph" if version == 2 else f"OnlyValueAnd{names[1][1:].title()}"
            refuse(inner, rule + part, " and ".join(names), key)
            return False
    return True


def _value(node: Node, members: Mapping[str, Node], rule: str, name: str, refuse: Refuse) -> Any:
    value = members.get("@value")
    if value is None:
        refuse(node, f"{rule}HasValue", "a member @value", "none")
        return None
    if not _is(value.value, name):
        refuse(value, f"{rule}Value{name}", _article(name), shown(value))
        return None
    return value.value


def _is(value: object, name: str) -> bool:
    if name == "String":
        return isinstance(value, str)
    if name == "Boolean":
        return isinstance(value, bool)
    return isinstance(value, int) and not isinstance(value, bool) and value in _INTEGERS


def _article(name: str) -> str:
    return {"String": "a string", "Integer": "an integer of 32 bits", "Boolean": "true or false"}[name]
