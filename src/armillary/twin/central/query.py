# SPDX-License-Identifier: Apache-2.0
"""Converts the query text of a device group in IoT Central's REST API to and from a group.

::

    query     = SELECT * FROM devices [WHERE condition]
    condition = [template AND] ( terms | "(" terms ")" ) | template
    terms     = term {AND term} | term {OR term}
    template  = $template = "dtmi:..."
    term      = name (= != <> < <= > >= CONTAINS) literal | IS_DEFINED(name) | NOT IS_DEFINED(name)
    name      = $id | $provisioned | $simulated | path | $source.path
    literal   = "text" | 'text' | number | true | false

As in IoT Central, conditions are not nested. ``path`` is a property, or a cloud property where the template has one of
that name. ``$source.path``, ``CONTAINS`` and ``IS_DEFINED`` are extensions, so that every group has a text; sources are
those of ``twin/author/group.py`` (``$telemetry.temperature``, ``$device.health``). A path that is no plain name is in
backquotes. What a group cannot express is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.author.group import EXISTS, MAX_FILTERS, SOURCES, Field, Filter, Group, Value
from armillary.twin.document.query_tokens import TokenCursor

MAX_QUERY_CHARACTERS: Final = 100_000

HEAD: Final = "SELECT * FROM devices"

_OPERATORS: Final[Mapping[str, str]] = {
    "=": "eq", "!=": "ne", "<>": "ne", ">": "gt", ">=": "ge", "<": "lt", "<=": "le", "contains": "contains",
}  # fmt: skip
_WORDS: Final = {"eq": "=", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "contains": "CONTAINS"}
_PLAIN: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_RESERVED: Final = frozenset(("and", "or", "not", "select", "from", "where", "true", "false", "null", "contains"))
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"""
    r"""|(?P<name>\$?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\.?`(?:[^`]|``)*`)?|`(?:[^`]|``)*`)|(?P<mark><=|>=|!=|<>|[=<>()*]))""",
    re.ASCII | re.DOTALL,
)
_REMEDY: Final = "docs/reference/iot-central.md has the language; nothing was kept."


@dataclass(frozen=True, slots=True)
class CentralQuery:
    """A parsed query text."""

    template: str | None  # identifier of the device template
    match_all: bool  # every filter has to be met, not just one
    filters: tuple[Filter, ...]
    # Indexes of filters whose name has no source: a property, or a cloud property that the template has
    # (``with_clouds``).
    bare: frozenset[int]


def parse_query(text: str) -> CentralQuery:
    """Read a query text.

    Raises InvalidArgumentError, with the place, for a text that is no query and for a condition that no group has.
    """
    if len(text) > MAX_QUERY_CHARACTERS:
        raise _fault(f"at most {MAX_QUERY_CHARACTERS} characters", f"{len(text)}")
    return _Parser(text).query()


def with_clouds(query: CentralQuery, clouds: Collection[str]) -> tuple[Filter, ...]:
    """The filters, with the source ``cloud`` for bare names that are cloud properties of the template."""
    return tuple(
        Filter(Field("cloud", each.field.path), each.operator, each.value)
        if index in query.bare and each.field.path in clouds
        else each
        for index, each in enumerate(query.filters)
    )


def query_text(group: Group, template: str | None, clouds: Collection[str]) -> str:
    """The text of a group, with the identifier of its template and the names of that template's cloud properties."""
    terms = [_term(each, clouds) for each in group.filters]
    joined = (" AND " if group.match_all else " OR ").join(terms)
    if template is not None:
        head = f"$template = {json.dumps(template, ensure_ascii=False)}"
        is_any = len(terms) > 1 and not group.match_all
        joined = head if not terms else f"{head} AND ({joined})" if is_any else f"{head} AND {joined}"
    return HEAD if not joined else f"{HEAD} WHERE {joined}"


def _term(wanted: Filter, clouds: Collection[str]) -> str:
    place, value = wanted.field, wanted.value
    if (place.source, place.path) == ("device", "tier") and value == "simulated" and wanted.operator in ("eq", "ne"):
        return f"$simulated = {'true' if wanted.operator == 'eq' else 'false'}"
    name = _name(place, clouds)
    if wanted.operator == EXISTS:
        return f"IS_DEFINED({name})" if value else f"NOT IS_DEFINED({name})"
    return f"{name} {_WORDS[wanted.operator]} {json.dumps(value, ensure_ascii=False)}"


def _name(place: Field, clouds: Collection[str]) -> str:
    if place.source == "device" and place.path in ("id", "provisioned"):
        return f"${place.path}"
    words = place.path.lower().split(".")
    plain = _PLAIN.fullmatch(place.path) is not None and not _RESERVED & set(words) and words[0] != "is_defined"
    path = place.path if plain else "`" + place.path.replace("`", "``") + "`"
    is_cloud = place.path in clouds
    if (place.source == "property" and not is_cloud) or (place.source == "cloud" and is_cloud):
        return path
    return f"${place.source}.{path}"


class _Parser(TokenCursor):
    def __init__(self, text: str) -> None:
        super().__init__(text, _TOKEN, _fault)
        self._template: str | None = None
        self._bare: set[int] = set()

    def shown(self) -> str:
        return super().shown()[:60]

    def query(self) -> CentralQuery:
        self.expect("select", "*", "from", "devices")
        filters: list[Filter] = []
        match_all = True
        if not self.is_end():
            self.expect("where")
            filters, match_all = self._condition()
        if not self.is_end():
            raise _fault("the end: conditions are joined by AND or by OR, and not nested", self.shown())
        if len(filters) > MAX_FILTERS:
            raise _fault(f"at most {MAX_FILTERS} conditions", f"{len(filters)}")
        every = match_all or len(filters) < 2
        return CentralQuery(self._template, every, tuple(filters), frozenset(self._bare))

    def _condition(self) -> tuple[list[Filter], bool]:
        if self._take_template() and not self.take("and"):
            if self.is_end():
                return [], True
            raise _fault("AND, as $template is a condition for all", self.shown())
        if self.take("("):
            found = self._terms()
            self.expect(")")
            return found
        return self._terms()

    def _terms(self) -> tuple[list[Filter], bool]:
        filters = self._one_more([])
        joined = ""
        while True:
            word = "and" if self.take("and") else "or" if self.take("or") else ""
            if not word:
                return filters, joined != "or"
            if joined not in ("", word):
                raise _fault("AND or OR, not both", word.upper())
            joined = word
            had = self._template
            filters = self._one_more(filters)
            if word == "or" and self._template != had:
                raise _fault("$template joined by AND", "OR")

    def _one_more(self, filters: list[Filter]) -> list[Filter]:
        if self._take_template():
            return filters
        return [*filters, self._term(len(filters))]

    def _take_template(self) -> bool:
        if not self.take("$template"):
            return False
        self.expect("=")
        value = self._literal()
        if not isinstance(value, str) or not value or self._template is not None:
            raise _fault("one $template, a model identifier", repr(value))
        self._template = value
        return True

    def _term(self, index: int) -> Filter:
        negated = self.take("not")
        if self.take("is_defined"):
            self.expect("(")
            place = self._place(index)
            self.expect(")")
            return Filter(place, EXISTS, not negated)
        if negated:
            raise _fault("IS_DEFINED", self.shown())
        name = self.peek()[1]
        place = self._place(index)
        mark = self.peek()
        operator = _OPERATORS.get(mark[1].lower()) if mark[0] in ("mark", "name") else None
        if operator is None:
            raise _fault("a comparison", self.shown())
        self._at += 1
        value = self._literal()
        if operator in ("gt", "ge", "lt", "le") and (isinstance(value, (bool, str))):
            raise _fault(f"a number after {mark[1]}", repr(value))
        if name.lower() == "$simulated":
            if operator not in ("eq", "ne") or not isinstance(value, bool):
                raise _fault("$simulated = true or false", f"{mark[1]} {value!r}")
            return Filter(place, "eq" if value == (operator == "eq") else "ne", "simulated")
        return Filter(place, operator, value)

    def _place(self, index: int) -> Field:
        kind, text = self.peek()
        if kind != "name" or text.lower() in _RESERVED:
            raise _fault("a name", self.shown())
        self._at += 1
        if not text.startswith("$"):
            self._bare.add(index)
            return Field("property", _unquoted(text))
        known = {"$id": "id", "$provisioned": "provisioned", "$simulated": "tier"}
        if text.lower() in known:
            return Field("device", known[text.lower()])
        source, _, path = text[1:].partition(".")
        if source.lower() not in SOURCES or not path:
            raise _fault(f"${', $'.join(known)[1:]}, a property, or $SOURCE.PATH", text[:60])
        return Field(source.lower(), _unquoted(path))

    def _literal(self) -> Value:
        kind, text = self.peek()
        words: dict[str, Any] = {"true": True, "false": False}
        self._at += 1
        if kind == "number":
            return json.loads(text)  # type: ignore[no-any-return] # an int or a float
        if kind == "name" and text.lower() in words:
            return bool(words[text.lower()])
        if kind == "text":
            inner = text if text[0] == '"' else '"' + text[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
            try:
                return str(json.loads(inner, strict=False))
            except ValueError:
                raise _fault("text with JSON's escapes", text[:60]) from None
        self._at -= 1
        raise _fault("text in quotes, a number, true or false", self.shown())


def _unquoted(path: str) -> str:
    head, tick, quoted = path.partition("`")
    return path if not tick else head + quoted[:-1].replace("``", "`")


def _fault(expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"filter: expected {expected}, got {got!a:.80}", remedy=_REMEDY)
