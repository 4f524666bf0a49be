# SPDX-License-Identifier: Apache-2.0
"""IoT Hub's query language over twins, the part that tools use: parsed strictly, evaluated on plain documents.

::

    query      = SELECT fields FROM devices [WHERE condition]
    fields     = "*" | COUNT() [AS name] | path {"," path} [each AS name]
    condition  = disjunctions of conjunctions of comparisons, NOT, parentheses
    comparison = path (= != <> < <= > >=) literal | path IN "[" literal {"," literal} "]"
               | is_defined(path) | is_null(path) | startswith(path, 'text')

A path that is not there compares with nothing: every comparison with it is false, ``!=`` too, as in IoT Hub. Numbers
compare with numbers and text with text; what cannot be ordered compares false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.query_tokens import tokens_of

MAX_QUERY_CHARS: Final = 4096
MAX_DEPTH: Final = 20
MAX_TERMS: Final = 200

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
    r"|(?P<name>[A-Za-z_$][\w$]*(?:\.[\w$]+|\[\[[^\]]+\]\])*)|(?P<mark><=|>=|!=|<>|[=<>(),\[\]*]))"
)
_MISSING: Final = object()

Condition = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query.

    Attributes:
        fields: ``(path, name in the answer)``; empty for ``*``.
        counts: Name of the count in the answer; empty when it is no count.
        condition: Whether a document is chosen.
    """

    fields: tuple[tuple[str, str], ...]
    counts: str
    condition: Condition

    def project(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """What the query shows of a chosen document."""
        if not self.fields:
            return dict(document)
        found = ((name, _at(document, path)) for path, name in self.fields)
        return {name: value for name, value in found if value is not _MISSING}


def parse_query(text: str) -> Query:
    """Read a query.

    Raises:
        InvalidArgumentError: not of the language above; names the place.
    """
    if len(text) > MAX_QUERY_CHARS:
        raise _fault(f"at most {MAX_QUERY_CHARS} characters", f"{len(text)}")
    return _Parser(tokens_of(text, _TOKEN, _fault)).query()


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._terms = 0

    def query(self) -> Query:
        self._word("select")
        fields, counts = self._fields()
        self._word("from")
        self._word("devices")
        condition: Condition = lambda _: True  # noqa: E731 - the empty condition
        if self._peek() is not None:
            self._word("where")
            condition = self._any(0)
        if self._peek() is not None:
            raise _fault("the end of the query", self._shown())
        return Query(fields, counts, condition)

    def _fields(self) -> tuple[tuple[tuple[str, str], ...], str]:
        if self._take_mark("*"):
            return (), ""
        if self._is_word("count") and self._peek(1) == ("mark", "("):
            self._at += 2
            self._take_mark("*")
            self._mark(")")
            return (), self._alias("$1")
        fields = []
        while True:
            path = self._path()
            fields.append((path, self._alias(path.rpartition(".")[2])))
            if not self._take_mark(","):
                return tuple(fields), ""

    def _alias(self, name: str) -> str:
        if not self._is_word("as"):
            return name
        self._at += 1
        return self._path()

    def _any(self, depth: int) -> Condition:
        parts = [self._all(depth)]
        while self._is_word("or"):
            self._at += 1
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else lambda document: any(part(document) for part in parts)

    def _all(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._is_word("and"):
            self._at += 1
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda document: all(part(document) for part in parts)

    def _one(self, depth: int) -> Condition:
        self._terms += 1
        if depth > MAX_DEPTH or self._terms > MAX_TERMS:
            raise _fault(f"at most {MAX_TERMS} terms, {MAX_DEPTH} deep", "more")
        if self._is_word("not"):
            self._at += 1
            inner = self._one(depth + 1)
            return lambda document: not inner(document)
        if self._take_mark("("):
            inner = self._any(depth + 1)
            self._mark(")")
            return inner
        path = self._path()
        if self._take_mark("("):
            return self._function(path.lower())
        return self._comparison(path)

    def _function(self, name: str) -> Condition:
        path = self._path()
        if name == "startswith":
            self._mark(",")
            prefix = self._literal()
            self._mark(")")
            return lambda document: isinstance(found := _at(document, path), str) and found.startswith(str(prefix))
        self._mark(")")
        if name == "is_defined":
            return lambda document: _at(document, path) is not _MISSING
        if name == "is_null":
            return lambda document: _at(document, path) is None
        raise _fault("is_defined, is_null or startswith", ascii(name[:40]))

    def _comparison(self, path: str) -> Condition:
        if self._is_word("in"):
            self._at += 1
            self._mark("[")
            values = [self._literal()]
            while self._take_mark(","):
                values.append(self._literal())
            self._mark("]")
            return lambda document: any(_equal(_at(document, path), value) for value in values)
        kind, mark = self._peek() or ("", "")
        compare = _COMPARE.get(mark) if kind == "mark" else None
        if compare is None:
            raise _fault("a comparison", self._shown())
        self._at += 1
        literal = self._literal()
        return lambda document: (found := _at(document, path)) is not _MISSING and compare(found, literal)

    def _literal(self) -> Any:
        kind, text = self._peek() or ("", "")
        words: dict[str, Any] = {"true": True, "false": False, "null": None}
        if kind == "text":
            value: Any = re.sub(r"\\(.)", r"\1", text[1:-1])
        elif kind == "number":
            value = float(text)
        elif kind == "name" and text.lower() in words:
            value = words[text.lower()]
        else:
            raise _fault("text in single quotes, a number, true, false or null", self._shown())
        self._at += 1
        return value

    def _path(self) -> str:
        kind, text = self._peek() or ("", "")
        if kind != "name":
            raise _fault("a property", self._shown())
        self._at += 1
        return re.sub(r"^(?:c|devices)\.", "", text) if text.count(".") and text.split(".")[0] == "devices" else text

    def _peek(self, ahead: int = 0) -> tuple[str, str] | None:
        place = self._at + ahead
        return self._tokens[place] if place < len(self._tokens) else None

    def _shown(self) -> str:
        found = self._peek()
        return "the end" if found is None else ascii(found[1][:40])

    def _is_word(self, word: str) -> bool:
        found = self._peek()
        return found is not None and found[0] == "name" and found[1].lower() == word

    def _word(self, word: str) -> None:
        if not self._is_word(word):
            raise _fault(word.upper(), self._shown())
        self._at += 1

    def _take_mark(self, mark: str) -> bool:
        if self._peek() != ("mark", mark):
            return False
        self._at += 1
        return True

    def _mark(self, mark: str) -> None:
        if not self._take_mark(mark):
            raise _fault(mark, self._shown())


def _at(document: Mapping[str, Any], path: str) -> Any:
    found: Any = document
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return _MISSING
        found = found[name]
    return found


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
        remedy="Use SELECT ... FROM devices [WHERE ...]: docs/guides/azure-iot-clients.md.",
    )
