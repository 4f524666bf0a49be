# SPDX-License-Identifier: Apache-2.0
"""Parses IoT Central's query over devices of a template (``POST /api/query``, preview) and applies it to rows.

::

    query = SELECT [TOP n] item {, item} FROM dtmi:... [WHERE condition] [GROUP BY WINDOW(PT10M)] [ORDER BY name [DESC]]
    item  = name [AS alias] | function(name) [AS alias]      function = SUM MAX MIN COUNT AVG FIRST LAST
    name  = $id | $ts | $provisioned | $simulated | path     path: telemetry, or property or cloud property
    condition = AND, OR and parentheses over: name (= != <> < <= > >=) literal | name IN [literal {, literal}]
              | WITHIN_WINDOW(P1D) | WITHIN_WINDOW('start/end')

A row has the values that a device sent at one time, or the properties of a device. A missing value meets no comparison.
Functions aggregate numbers; FIRST and LAST take any value, COUNT counts values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.central.job import iso
from armillary.twin.document.query_tokens import TokenCursor
from armillary.wire.encoding.json_fields import kind_of

MAX_QUERY_CHARACTERS: Final = 4096
MAX_ITEMS: Final = 15
MAX_TERMS: Final = 50
MAX_DEPTH: Final = 10
MAX_ROWS: Final = 10_000
# Time range of a query without a window, as in IoT Central.
DEFAULT_WINDOW_MS: Final = 30 * 86_400_000

FUNCTIONS: Final = ("sum", "max", "min", "count", "avg", "first", "last")
META: Final = ("$id", "$ts", "$provisioned", "$simulated")

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<model>dtmi:[A-Za-z0-9_:]+(?:;\d+)?)"""
    r"""|(?P<duration>P(?=[\dT])(?:\d+W)?(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+S)?)?(?![\w.]))"""
    r"""|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?P<name>\$?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"""
    r"""|(?P<mark><=|>=|!=|<>|[=<>(),\[\]]))""",
    re.ASCII | re.DOTALL,
)
_DURATION: Final = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_UNITS_MS: Final = (7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1000)
MAX_DURATION_MS: Final = 3660 * 86_400_000

Row = Mapping[str, Any]
Condition = Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class Item:
    """A column of the result; ``function`` is one of FUNCTIONS, empty for the value itself."""

    name: str
    alias: str
    function: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """A parsed query."""

    items: tuple[Item, ...]  # columns of the result
    template: str  # identifier of the device template
    names: frozenset[str]  # every path that is looked at, conditions and order included
    condition: Condition  # whether a row is chosen, its window left out
    window: int | tuple[int, int] | None  # length of time until now, or start and end, Unix ms
    step_ms: int  # of ``GROUP BY WINDOW``; 0 for none
    order: tuple[str, bool] | None  # alias or name to sort by, and whether downwards
    top: int  # most rows

    @property
    def aggregates(self) -> bool:
        """Whether the query has functions, so that its rows are aggregates."""
        return any(each.function for each in self.items)

    def range_ms(self, now_ms: int) -> tuple[int, int]:
        """The time range of the query: its first millisecond and the first one after it."""
        if isinstance(self.window, tuple):
            return self.window
        return max(0, now_ms - (self.window or DEFAULT_WINDOW_MS)), now_ms + 1


def parse_select(text: str) -> Select:
    """Read a query; raises InvalidArgumentError with the place if it is not of the language above."""
    if len(text) > MAX_QUERY_CHARACTERS:
        raise _fault(f"at most {MAX_QUERY_CHARACTERS} characters", f"{len(text)}")
    return _Parser(text).select()


def results(query: Select, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The result of a query over rows, a dict of alias -> value each; ``$ts`` of a row is Unix milliseconds."""
    chosen = (row for row in rows if query.condition(row))
    if query.aggregates:
        found = _aggregated(query, chosen)
    else:
        found = [({each.alias: row.get(each.name) for each in query.items}, row) for row in chosen]
    if query.order is not None:
        name, downwards = query.order
        found.sort(key=lambda each: _key(_sorted_by(each, name)), reverse=downwards)
    return [_timed(query, shown) for shown, _ in found[: query.top]]


def _sorted_by(found: tuple[dict[str, Any], Row], name: str) -> Any:
    return found[0].get(name, found[1].get(name))


def _timed(query: Select, shown: dict[str, Any]) -> dict[str, Any]:
    times = {each.alias for each in query.items if each.name == "$ts" and not each.function} | {"$ts"}
    return {name: iso(value / 1000) if name in times and value is not None else value for name, value in shown.items()}


def _aggregated(query: Select, rows: Iterable[Row]) -> list[tuple[dict[str, Any], Row]]:
    buckets: dict[int, list[Row]] = {}
    for row in rows:
        at = row["$ts"] // query.step_ms * query.step_ms if query.step_ms else 0
        buckets.setdefault(at, []).append(row)
    if not buckets and not query.step_ms:
        buckets[0] = []
    found: list[tuple[dict[str, Any], Row]] = []
    for at in sorted(buckets, reverse=True):
        bucket = sorted(buckets[at], key=lambda row: row["$ts"])
        shown = {each.alias: _function(each.function, [row.get(each.name) for row in bucket]) for each in query.items}
        found.append(({"$ts": at, **shown} if query.step_ms else shown, {"$ts": at}))
    return found


def _function(function: str, values: Sequence[Any]) -> Any:
    present = [each for each in values if each is not None]
    if function in ("first", "last"):
        return None if not present else present[0 if function == "first" else -1]
    if function == "count":
        return len(present)
    numbers = [each for each in present if isinstance(each, (int, float)) and not isinstance(each, bool)]
    if not numbers:
        return None
    if function == "avg":
        return sum(numbers) / len(numbers)
    if function == "sum":
        return sum(numbers)
    return max(numbers) if function == "max" else min(numbers)


def _key(value: Any) -> tuple[int, Any]:
    """Values of several kinds in one order: missing, truth values, numbers, texts."""
    if value is None or isinstance(value, (Mapping, list)):
        return 0, 0
    if isinstance(value, bool):
        return 1, value
    return (2, value) if isinstance(value, (int, float)) else (3, str(value))


class _Parser(TokenCursor):
    def __init__(self, text: str) -> None:
        super().__init__(text, _TOKEN, _fault)
        self._terms = 0
        self._names: set[str] = set()
        self._aliases: dict[str, str] = {}
        self._window: int | tuple[int, int] | None = None

    def select(self) -> Select:
        self.expect("select")
        top = min(MAX_ROWS, self._integer()) if self.take("top") else MAX_ROWS
        items = self.listed(self._item)
        if len(items) > MAX_ITEMS or len({each.alias for each in items}) < len(items):
            raise _fault(f"at most {MAX_ITEMS} items, each under a name of its own", f"{len(items)}")
        self.expect("from")
        template = self.take_kind("model", "a device template's identifier")
        condition: Condition = lambda _: True  # noqa: E731 - the empty condition
        if self.take("where"):
            condition = self._any(0)
        step_ms = 0
        if self.take("group"):
            self.expect("by", "window", "(")
            step_ms = _duration_ms(self.take_kind("duration", "a duration"))
            self.expect(")")
        order = self._order()
        if not self.is_end():
            raise _fault("the end of the query", self.shown())
        found = Select(
            items=tuple(items), template=template, names=frozenset(self._names), condition=condition,
            window=self._window, step_ms=step_ms, order=order, top=top,
        )  # fmt: skip
        plain = [each for each in items if not each.function]
        if found.aggregates and plain:
            raise _fault("functions only, where there is one", plain[0].name)
        if step_ms and not found.aggregates:
            raise _fault("a function such as AVG(name) with GROUP BY", "none")
        return found

    def _item(self) -> Item:
        name = self.take_kind("name", "a name")
        function = ""
        if name.lower() in FUNCTIONS and self.take("("):
            function, name = name.lower(), self.take_kind("name", "a name")
            self.expect(")")
        if name.startswith("$") and (name.lower() not in META or (function and function != "count")):
            raise _fault(", ".join(META), name)
        name = name.lower() if name.startswith("$") else name
        self._note(name)
        alias = f"{function}_{name}" if function else name
        if self.take("as"):
            alias = self.take_kind("name", "a name")
            self._aliases[alias] = name
        return Item(name, alias, function)

    def _order(self) -> tuple[str, bool] | None:
        if not self.take("order"):
            return None
        self.expect("by")
        name = self.take_kind("name", "a name")
        if name not in self._aliases:
            self._note(name)
        downwards = self.take("desc")
        if not downwards:
            self.take("asc")
        return name, downwards

    def _any(self, depth: int) -> Condition:
        parts = [self._all(depth)]
        had = self._window
        while self.take("or"):
            parts.append(self._all(depth + 1))
            if self._window != had or had is not None:
                raise _fault("WITHIN_WINDOW joined by AND", "OR")
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def _all(self, depth: int) -> Condition:
        parts = self.listed(lambda: self._one(depth), "and")
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def _one(self, depth: int) -> Condition:
        self._terms += 1
        if depth > MAX_DEPTH or self._terms > MAX_TERMS:
            raise _fault(f"at most {MAX_TERMS} conditions, {MAX_DEPTH} deep", "more")
        if self.take("("):
            inner = self._any(depth + 1)
            self.expect(")")
            return inner
        name = self.take_kind("name", "a name")
        if name.lower() == "within_window":
            self._take_window(depth)
            return lambda _: True
        name = self._aliases.get(name, name.lower() if name.startswith("$") else name)
        self._note(name)
        if self.take("in"):
            self.expect("[")
            values = self.listed(self._literal)
            self.expect("]")
            return lambda row: any(_compare("=", row.get(name), each) for each in values)
        mark = self.take_kind("mark", "a comparison")
        if mark not in ("=", "!=", "<>", "<", "<=", ">", ">="):
            raise _fault("a comparison", mark)
        literal = self._literal()
        return lambda row: _compare(mark, row.get(name), literal)

    def _take_window(self, depth: int) -> None:
        if depth or self._window is not None:
            raise _fault("one WITHIN_WINDOW, joined by AND", "another")
        self.expect("(")
        kind, text = self.peek()
        self._at += 1
        if kind == "duration":
            self._window = _duration_ms(text)
        elif kind == "text":
            start, _, end = text[1:-1].partition("/")
            self._window = (_moment_ms(start), _moment_ms(end) + 1)
        else:
            raise _fault("a duration such as P1D, or 'start/end'", text)
        self.expect(")")

    def _note(self, name: str) -> None:
        if name.lower() in META:
            return
        if name.startswith("$"):
            raise _fault(", ".join(META), name)
        self._names.add(name)

    def _literal(self) -> Any:
        kind, text = self.peek()
        self._at += 1
        if kind == "number":
            return json.loads(text)
        if kind == "name" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
        raise _fault("text in quotes, a number, true or false", text)

    def _integer(self) -> int:
        text = self.take_kind("number", "a number of rows")
        if not text.isdecimal() or len(text) > 6 or text == "0":
            raise _fault("a number of rows", text)
        return int(text)


def _compare(mark: str, found: Any, literal: Any) -> bool:
    kinds = [kind_of(each) for each in (found, literal)]
    if kinds[0] != kinds[1] or kinds[0] == "nothing":
        return False
    if mark in ("=", "!=", "<>"):
        return bool(found == literal) == (mark == "=")
    if kinds[0] == "boolean":
        return False
    return bool({"<": found < literal, "<=": found <= literal, ">": found > literal, ">=": found >= literal}[mark])


def _duration_ms(text: str) -> int:
    match = _DURATION.fullmatch(text)
    parts = [] if match is None else [int(each or 0) for each in match.groups()]
    length = sum(each * unit for each, unit in zip(parts, _UNITS_MS, strict=False))
    if not 0 < length <= MAX_DURATION_MS:
        raise _fault("a duration such as PT10M, of ten years at most", text)
    return length


def _moment_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise _fault("a time such as 2026-12-01T06:00:00Z", text) from None


def _fault(expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"query: expected {expected}, got {got!a:.80}", remedy="docs/reference/iot-central.md has the language."
    )
