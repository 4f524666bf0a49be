# SPDX-License-Identifier: Apache-2.0
"""IoT Hub's query language over twins, as far as tools use it: parsed strictly, evaluated on JSON documents.

::

    query      = SELECT [TOP number] fields FROM source [[AS] alias] [WHERE condition] [GROUP BY path {"," path}]
    fields     = "*" | field {"," field}
    field      = (path | COUNT() | (AVG | SUM | MIN | MAX) "(" path ")") [AS name]
    source     = devices | devices.modules
    condition  = disjunctions of conjunctions of comparisons, NOT, parentheses
    comparison = path (= != <> < <= > >=) literal | path (IN | NIN) "[" literal {"," literal} "]"
               | is_defined(path) | is_null(path) | startswith(path, 'text')
    path       = name {"." name}, where a name is letters, digits, _ and $, or anything in [[double brackets]]

Every comparison with a missing path is false, ``!=`` and ``NIN`` too, as in IoT Hub. Numbers compare with numbers and
text with text; values without an order compare false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.document.hub_query_rows import FUNCTIONS, MISSING, Column, Path, Tally, at
from armillary.twin.document.query_tokens import TokenCursor

MAX_QUERY_CHARS: Final = 4096
MAX_DEPTH: Final = 20
MAX_TERMS: Final = 200
# Fields, and paths of GROUP BY.
MAX_COLUMNS: Final = 50
# Rows that TOP may ask for.
MAX_TOP: Final = 20_000
DEVICES: Final = "devices"
MODULES: Final = "devices.modules"

_NAME: Final = r"(?:[A-Za-z_$][\w$]*|\[\[[^\]]+\]\])"
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
    rf"|(?P<name>{_NAME}(?:\.(?:[\w$]+|\[\[[^\]]+\]\])|\[\[[^\]]+\]\])*)|(?P<mark><=|>=|!=|<>|[=<>(),\[\]*]))"
)
_PARTS: Final = re.compile(r"\[\[([^\]]+)\]\]|([\w$]+)")
# Words of the language, or of SQL, that are not offered; a property of such a name is written [[name]].
_REFUSED: Final = frozenset(
    ("order", "join", "distinct", "having", "like", "between", "union", "limit", "devices.jobs")
)

Condition = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query."""

    columns: tuple[Column, ...]  # empty for ``*``
    source: str  # DEVICES or MODULES
    top: int | None  # most rows
    groups: tuple[Path, ...]  # paths whose values make a group
    condition: Condition  # whether a document is chosen

    @property
    def tallies(self) -> bool:
        """Whether each row is of a group of documents and not of one document."""
        return bool(self.groups) or any(each.function for each in self.columns)

    def tally(self) -> Tally:
        """A new tally of the chosen documents."""
        return Tally(self.columns, self.groups)

    def project(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The row of a chosen document."""
        if not self.columns:
            return dict(document)
        found = ((each.name, at(document, each.path)) for each in self.columns)
        return {name: value for name, value in found if value is not MISSING}


def parse_query(text: str) -> Query:
    """Read a query.

    Raises InvalidArgumentError for a text that is no query, with the place, or that uses a word which is not offered.
    """
    if len(text) > MAX_QUERY_CHARS:
        raise _fault(f"at most {MAX_QUERY_CHARS} characters", f"{len(text)}")
    return _Parser(text).query()


class _Parser(TokenCursor):
    def __init__(self, text: str) -> None:
        super().__init__(text, _TOKEN, _fault)
        self._terms = 0
        for kind, word in self._tokens:
            if kind == "name" and word.lower() in _REFUSED:
                raise InvalidArgumentError(
                    f"query: {word.upper()} is not offered",
                    remedy="What is: docs/guides/azure-iot-clients.md. Write a property of this name as [[name]].",
                )
        self._aliases = self._read_aliases()

    def shown(self) -> str:
        return super().shown() if self.is_end() else ascii(super().shown()[:40])

    def query(self) -> Query:
        self.expect("select")
        top = self._top()
        columns = self._columns()
        self.expect("from")
        source = self._source()
        condition: Condition = lambda _: True  # noqa: E731 - the empty condition
        groups: tuple[Path, ...] = ()
        if self.take("where"):
            condition = self._any(0)
        if self.take("group"):
            self.expect("by")
            groups = self._group_paths()
        if not self.is_end():
            raise _fault("the end of the query", self.shown())
        return _checked(Query(columns, source, top, groups, condition))

    def _read_aliases(self) -> frozenset[str]:
        """First names of a path that are no property: the source, and its alias, which stands behind FROM."""
        words = [word.lower() if kind == "name" else "" for kind, word in self._tokens]
        after = self._tokens[words.index("from") + 2 :] if "from" in words else []
        if after and after[0][1].lower() == "as":
            after = after[1:]
        is_alias = bool(after) and after[0][0] == "name" and after[0][1].lower() not in ("where", "group")
        return frozenset((DEVICES, after[0][1])) if is_alias else frozenset((DEVICES,))

    def _top(self) -> int | None:
        if not self.is_word("top") or self.peek(1)[0] != "number":
            return None
        text = self._tokens[self._at + 1][1]
        if not text.isdecimal() or not 1 <= int(text) <= MAX_TOP:
            raise _fault(f"TOP 1 to {MAX_TOP}", ascii(text[:20]))
        self._at += 2
        return int(text)

    def _source(self) -> str:
        kind, word = self.peek()
        if kind != "name" or word.lower() not in (DEVICES, MODULES):
            raise _fault(f"{DEVICES} or {MODULES}", self.shown())
        self._at += 1
        self.take("as")
        if self.peek()[1] in self._aliases - {DEVICES}:
            self._at += 1
        return word.lower()

    def _columns(self) -> tuple[Column, ...]:
        if self.take("*"):
            return ()
        found: list[Column] = []
        while True:
            found.append(self._column(f"${len(found) + 1}"))
            if len(found) > MAX_COLUMNS:
                raise _fault(f"at most {MAX_COLUMNS} fields", "more")
            if not self.take(","):
                return tuple(found)

    def _column(self, unnamed: str) -> Column:
        kind, word = self.peek()
        if kind == "name" and word.lower() in FUNCTIONS and self.peek(1) == ("mark", "("):
            self._at += 2
            function = word.lower()
            path: Path = ()
            if function != "count":
                path = self._path()
            else:
                self.take("*")
            self.expect(")")
            return Column(self._alias(unnamed), path, function)
        path = self._path()
        return Column(self._alias(path[-1]), path)

    def _alias(self, name: str) -> str:
        if not self.take("as"):
            return name
        return ".".join(self._path())

    def _group_paths(self) -> tuple[Path, ...]:
        found = tuple(self.listed(self._path))
        if len(found) > MAX_COLUMNS:
            raise _fault(f"at most {MAX_COLUMNS} paths", "more")
        return found

    def _any(self, depth: int) -> Condition:
        parts = self.listed(lambda: self._all(depth), "or")
        return parts[0] if len(parts) == 1 else lambda document: any(part(document) for part in parts)

    def _all(self, depth: int) -> Condition:
        parts = self.listed(lambda: self._one(depth), "and")
        return parts[0] if len(parts) == 1 else lambda document: all(part(document) for part in parts)

    def _one(self, depth: int) -> Condition:
        self._terms += 1
        if depth > MAX_DEPTH or self._terms > MAX_TERMS:
            raise _fault(f"at most {MAX_TERMS} terms, {MAX_DEPTH} deep", "more")
        if self.take("not"):
            inner = self._one(depth + 1)
            return lambda document: not inner(document)
        if self.take("("):
            inner = self._any(depth + 1)
            self.expect(")")
            return inner
        path = self._path()
        if self.take("("):
            return self._function(".".join(path).lower())
        return self._comparison(path)

    def _function(self, name: str) -> Condition:
        if name not in ("is_defined", "is_null", "startswith"):
            raise _fault("is_defined, is_null or startswith", ascii(name[:40]))
        path = self._path()
        if name == "startswith":
            self.expect(",")
            prefix = self._literal()
            self.expect(")")
            return lambda document: isinstance(found := at(document, path), str) and found.startswith(str(prefix))
        self.expect(")")
        if name == "is_defined":
            return lambda document: at(document, path) is not MISSING
        return lambda document: at(document, path) is None

    def _comparison(self, path: Path) -> Condition:
        is_in = self.take("in")
        if is_in or self.take("nin"):
            values = self._literals()
            return lambda document: (
                (found := at(document, path)) is not MISSING and any(_equal(found, value) for value in values) is is_in
            )
        kind, mark = self.peek()
        compare = _COMPARE.get(mark) if kind == "mark" else None
        if compare is None:
            raise _fault("a comparison", self.shown())
        self._at += 1
        literal = self._literal()
        return lambda document: (found := at(document, path)) is not MISSING and compare(found, literal)

    def _literals(self) -> list[Any]:
        self.expect("[")
        values = self.listed(self._literal)
        self.expect("]")
        return values

    def _literal(self) -> Any:
        kind, text = self.peek()
        words: dict[str, Any] = {"true": True, "false": False, "null": None}
        if kind == "text":
            value: Any = re.sub(r"\\(.)", r"\1", text[1:-1])
        elif kind == "number":
            value = float(text)
        elif kind == "name" and text.lower() in words:
            value = words[text.lower()]
        else:
            raise _fault("text in single quotes, a number, true, false or null", self.shown())
        self._at += 1
        return value

    def _path(self) -> Path:
        text = self.take_kind("name", "a property")
        names = tuple(escaped or plain for escaped, plain in _PARTS.findall(text))
        return names[1:] if len(names) > 1 and names[0] in self._aliases and not text.startswith("[[") else names


def _checked(query: Query) -> Query:
    """The query, when every field of it has one value for each row."""
    if query.groups and not query.columns:
        raise _fault("fields, with GROUP BY", "'*'")
    for each in query.columns if query.tallies else ():
        if not each.function and each.path not in query.groups:
            raise _fault("a path of GROUP BY beside COUNT, AVG, SUM, MIN and MAX", ascii(".".join(each.path)[:40]))
    return query


def _equal(found: Any, literal: Any) -> bool:
    if isinstance(found, bool) or isinstance(literal, bool):
        return found is literal
    if isinstance(found, (int, float)) and isinstance(literal, float):
        return float(found) == literal
    return type(found) is type(literal) and bool(found == literal)


def _ordered(found: Any, literal: Any) -> bool:
    numbers = isinstance(found, (int, float)) and not isinstance(found, bool) and isinstance(literal, float)
    return numbers or (isinstance(found, str) and isinstance(literal, str))


_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": _equal,
    "!=": lambda found, literal: not _equal(found, literal),
    "<>": lambda found, literal: not _equal(found, literal),
    "<": lambda found, literal: _ordered(found, literal) and found < literal,
    "<=": lambda found, literal: _ordered(found, literal) and found <= literal,
    ">": lambda found, literal: _ordered(found, literal) and found > literal,
    ">=": lambda found, literal: _ordered(found, literal) and found >= literal,
}


def _fault(expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"query: expected {expected}, got {got}",
        remedy="Use SELECT ... FROM devices [WHERE ...] [GROUP BY ...]: docs/guides/azure-iot-clients.md.",
    )
