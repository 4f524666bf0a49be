# SPDX-License-Identifier: Apache-2.0
"""Detection rules as data, in Sigma's form: what an event must say, in which words, and what that means.

Of Sigma's specification (version 2): ``title``, ``id``, ``logsource.service``, ``level``, and under ``detection`` named
selections and a ``condition`` of ``and``, ``or``, ``not``, parentheses, ``1 of NAME*`` and ``all of NAME*`` (``them``:
all selections). A selection is a map of fields that all hold, or a list of maps of which one does; a list of values is
one of them. Text is compared without regard to case; modifiers: ``contains``, ``startswith``, ``endswith``, ``all``,
and ``gte``, ``lte`` for numbers. Our own, under ``armillary``: the ``kind`` of the finding, and the ``action`` that is
proposed.

What a rule says that is not of this form is an error that names file, line and rule; nothing is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, NoReturn

from armillary.errors import WireError
from armillary.wire.device.finding import KINDS, SEVERITIES

Event = Mapping[str, str | int]
Test = Callable[[Event], bool]

KEYS: Final = frozenset(
    {"title", "id", "status", "description", "references", "author", "date", "logsource", "detection", "level"}
    | {"falsepositives", "tags", "armillary"}
)
MODIFIERS: Final = frozenset({"contains", "startswith", "endswith", "all", "gte", "lte"})
# Sigma's lowest level is our severity ``info``.
LEVELS: Final = {"informational": "info", **{each: each for each in SEVERITIES if each != "info"}}
MAX_DEPTH: Final = 16  # of parentheses
_TOKEN: Final = re.compile(r"\s*(\(|\)|[A-Za-z0-9_*]+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: ``matches`` says whether an event of ``service`` is what it describes."""

    rule_id: str
    title: str
    service: str
    severity: str
    kind: str
    action: str
    matches: Test


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule stands, for errors; ``lines`` has the line of each top-level key."""

    file: str
    line: int
    lines: Mapping[str, int]


def rule_from(document: Mapping[str, Any], place: Place) -> Rule:
    """A rule from its decoded document; raises WireError that names file, line and rule."""
    title = document.get("title")

    def fail(key: str, expected: str, got: object) -> NoReturn:
        line, name = place.lines.get(key, place.line), title if isinstance(title, str) else "without a title"
        raise WireError(
            f"{place.file} line {line}, rule {name!r:.60}",
            expected=expected,
            got=f"{got!r:.60}",
            remedy="docs/reference/detections.md has the form of rules.",
        )

    for unknown in sorted(document.keys() - KEYS):
        fail(unknown, f"one of {', '.join(sorted(KEYS))}", unknown)
    for key in ("title", "id", "level"):
        if not isinstance(document.get(key), str) or not document[key]:
            fail(key, f"text for {key}", document.get(key))
    source, ours = document.get("logsource"), document.get("armillary")
    if (
        not isinstance(source, Mapping)
        or source.get("product") != "armillary"
        or not isinstance(source.get("service"), str)
    ):
        fail("logsource", "product armillary and a service", source)
    if document["level"] not in LEVELS:
        fail("level", f"one of {', '.join(LEVELS)}", document["level"])
    if not isinstance(ours, Mapping) or ours.keys() != {"kind", "action"} or ours["kind"] not in KINDS:
        fail("armillary", "a kind of finding and an action", ours)
    if not isinstance(document.get("detection"), Mapping):
        fail("detection", "selections and a condition", document.get("detection"))
    try:
        matches = _detection(document["detection"])
    except ValueError as error:
        fail("detection", "selections and a condition that name each other", str(error))
    return Rule(
        rule_id=document["id"],
        title=document["title"],
        service=source["service"],
        severity=LEVELS[document["level"]],
        kind=ours["kind"],
        action=str(ours["action"]),
        matches=matches,
    )


def first_match(rules: Sequence[Rule], service: str, event: Event) -> Rule | None:
    """The first rule of a service that an event matches."""
    return next((rule for rule in rules if rule.service == service and rule.matches(event)), None)


def _detection(detection: Mapping[str, Any]) -> Test:
    selections = {name: _selection(value) for name, value in detection.items() if name != "condition"}
    condition = detection.get("condition")
    if not isinstance(condition, str) or not selections:
        raise ValueError("no selection or no condition")
    tokens = _TOKEN.findall(condition)
    if "".join(tokens) != re.sub(r"\s", "", condition):
        raise ValueError(f"condition {condition}")
    parser = _Condition(tokens, selections)
    test = parser.either(0)
    if parser.rest or parser.used != selections.keys():
        raise ValueError(f"condition {condition}: left over {parser.rest or sorted(selections.keys() - parser.used)}")
    return test


class _Condition:
    """Reads a condition from its tokens, from left to right."""

    def __init__(self, tokens: list[str], selections: Mapping[str, Test]) -> None:
        self.rest = tokens
        self.used: set[str] = set()
        self._selections = selections

    def either(self, depth: int) -> Test:
        """``a or b``."""
        tests = [self._both(depth)]
        while self._take("or"):
            tests.append(self._both(depth))
        return lambda event: any(test(event) for test in tests)

    def _both(self, depth: int) -> Test:
        tests = [self._one(depth)]
        while self._take("and"):
            tests.append(self._one(depth))
        return lambda event: all(test(event) for test in tests)

    def _one(self, depth: int) -> Test:
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} levels")
        if self._take("not"):
            test = self._one(depth + 1)
            return lambda event: not test(event)
        if self._take("("):
            test = self.either(depth + 1)
            if not self._take(")"):
                raise ValueError("a parenthesis that is not closed")
            return test
        word = self.rest.pop(0) if self.rest else ""
        if word in ("1", "all") and self._take("of"):
            tests = self._named(self.rest.pop(0) if self.rest else "")
            some = any if word == "1" else all
            return lambda event: some(test(event) for test in tests)
        (test, *others) = self._named(word)
        if others or "*" in word:
            raise ValueError(f"{word}: 1 of, or all of?")
        return test

    def _named(self, pattern: str) -> list[Test]:
        names = [name for name in self._selections if pattern == "them" or fnmatchcase(name, pattern)]
        if not names:
            raise ValueError(f"no selection {pattern!r}")
        self.used.update(names)
        return [self._selections[name] for name in names]

    def _take(self, word: str) -> bool:
        if self.rest and self.rest[0] == word:
            del self.rest[0]
            return True
        return False


def _selection(value: Any) -> Test:
    if isinstance(value, list) and value:
        tests = [_selection(one) for one in value]
        return lambda event: any(test(event) for test in tests)
    if not isinstance(value, Mapping) or not value:
        raise ValueError("a selection that is no map of fields")
    fields = [_field(str(name), wanted) for name, wanted in value.items()]
    return lambda event: all(test(event) for test in fields)


def _field(name: str, wanted: Any) -> Test:
    field, *modifiers = name.split("|")
    if unknown := set(modifiers) - MODIFIERS:
        raise ValueError(f"modifier {min(unknown)}")
    values = wanted if isinstance(wanted, list) else [wanted]
    if not values or not all(isinstance(one, (str, int)) for one in values):
        raise ValueError(f"values of {field}")
    if {"gte", "lte"} & set(modifiers) and not all(type(one) is int for one in values):
        raise ValueError(f"numbers for {field}")
    some = all if "all" in modifiers else any
    kinds = [one for one in modifiers if one != "all"]
    if len(kinds) > 1:
        raise ValueError(f"modifiers of {field}")
    compare = _COMPARISONS[kinds[0] if kinds else ""]
    return lambda event: field in event and some(compare(event[field], one) for one in values)


def _text(value: str | int) -> str:
    return str(value).casefold()


def _number(value: str | int) -> float:
    return value if isinstance(value, int) else float("nan")  # which is neither above nor below


_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "": lambda found, wanted: _text(found) == _text(wanted),
    "contains": lambda found, wanted: _text(wanted) in _text(found),
    "startswith": lambda found, wanted: _text(found).startswith(_text(wanted)),
    "endswith": lambda found, wanted: _text(found).endswith(_text(wanted)),
    "gte": lambda found, wanted: _number(found) >= wanted,
    "lte": lambda found, wanted: _number(found) <= wanted,
}
