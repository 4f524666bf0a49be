# SPDX-License-Identifier: Apache-2.0
"""Expressions as a tree of our own, which the kept library ``promql-parser`` reads.

What is not evaluated here is refused before anything is read.
Regular expressions are RE2's, as Prometheus' are: a query of a stranger takes time linear in the label.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from armillary.errors import HostError, InvalidArgumentError
from armillary.promql.over_time import FUNCTIONS
from armillary.promql.vectors import AGGREGATIONS, ARITHMETIC, COMPARISONS, EVERY_LABEL, OF_VALUES, Matching

# Queries of people and dashboards have hundreds of characters; the parser's depth grows with them.
MAX_CHARACTERS: Final = 4096
# Selectors of one query, and of one list: each looks through the caller's devices.
MAX_SELECTORS: Final = 20
# Nested parts: each is a call deeper in the evaluation, and Python's stack ends at a thousand.
MAX_DEPTH: Final = 50
# What brackets do not count in; a text that has no end is refused by the parser.
_TEXT_OR_COMMENT: Final = re.compile(
    r""" "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`]*` | \#[^\n]* """, re.VERBOSE
)
REMEDY: Final = "docs/guides/grafana.md lists what of PromQL is evaluated."


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label; an absent label is the empty text."""

    label: str
    op: str  # = != =~ !~
    value: str
    holds: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by their labels; with ``range_ms`` the samples of the time before each step, else the last one."""

    matchers: Sequence[Matcher]
    offset_ms: int = 0
    range_ms: int = 0


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True, slots=True)
class Call:
    """A function of a stretch of time."""

    function: str
    selector: Selector


@dataclass(frozen=True, slots=True)
class Mapped:
    """A function of each value."""

    function: str
    inner: Expression


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One series of many, for each combination of the labels that are kept."""

    op: str
    inner: Expression
    labels: frozenset[str]
    keeps: bool  # whether ``labels`` are those that are kept (by), not those that are left out (without)


@dataclass(frozen=True, slots=True)
class Operation:
    """Arithmetic or a comparison."""

    op: str
    left: Expression
    right: Expression
    as_number: bool  # a comparison that gives 0 and 1 (bool) instead of choosing
    matching: Matching = EVERY_LABEL


Expression = Selector | Number | Call | Mapped | Aggregation | Operation


def parse_expression(text: str) -> Expression:
    """The tree of a query.

    Raises:
        InvalidArgumentError: it cannot be read, or has a part that is not evaluated here.
        HostError: the extra ``grafana`` is not installed.
    """
    if len(text) > MAX_CHARACTERS:
        raise refused(f"a query of at most {MAX_CHARACTERS} characters", f"{len(text)}")
    library = _library()
    _check_depth(text)
    try:
        found = _tree(library, library.parse(text), 0)
    except ValueError as error:
        raise InvalidArgumentError(f"query: {str(error)[:200]}", remedy="Correct the query.") from None
    if _selectors(found) > MAX_SELECTORS:
        raise refused(f"at most {MAX_SELECTORS} selectors", f"{_selectors(found)}")
    return found


def parse_selector(text: str) -> Selector:
    """The selector of ``match[]``. Raises as :func:`parse_expression`."""
    found = parse_expression(text)
    if not isinstance(found, Selector) or found.range_ms or found.offset_ms:
        raise refused("a selector without range or offset in match[]", f"{text[:60]!a}")
    return found


def refused(expected: str, got: str) -> InvalidArgumentError:
    """The error for what is not evaluated here."""
    return InvalidArgumentError(f"query: expected {expected}, got {got}", remedy=REMEDY)


def _selectors(expression: Expression) -> int:
    if isinstance(expression, (Aggregation, Mapped)):
        return _selectors(expression.inner)
    if isinstance(expression, Operation):
        return _selectors(expression.left) + _selectors(expression.right)
    return not isinstance(expression, Number)


def _library() -> Any:
    try:
        import promql_parser  # noqa: PLC0415 - an extra, loaded by who uses it
        import re2  # noqa: F401, PLC0415 - as above
    except ImportError as error:
        raise HostError(
            "the parser of PromQL is not installed: queries cannot be read",
            remedy="Install the extra where the service runs: pip install 'armillary[grafana]'.",
        ) from error
    return promql_parser


def _check_depth(text: str) -> None:
    """Raise for a query that would go deeper than the parser's and our own stack."""
    depth = most = signs = 0
    for each in _TEXT_OR_COMMENT.sub("", text):
        depth += (each in "([{") - (each in ")]}")
        signs = signs + 1 if each in "+-" else 0 if not each.isspace() else signs
        most = max(most, depth, signs)
    if most > MAX_DEPTH:
        raise refused(f"at most {MAX_DEPTH} nested parts", "more")


def _tree(library: Any, node: Any, depth: int) -> Expression:
    if depth > MAX_DEPTH:
        raise refused(f"at most {MAX_DEPTH} nested parts", "more")
    kind = type(node).__name__
    if kind not in _READERS:
        raise refused("a selector, number, function, aggregation or operator", _REFUSED.get(kind, kind))
    return _READERS[kind](library, node, depth)


def _negated(library: Any, node: Any, depth: int) -> Operation:
    return Operation("*", Number(-1.0), _tree(library, node.expr, depth + 1), as_number=False)


def _selector(library: Any, node: Any, stretch: timedelta) -> Selector:
    if node.at is not None:
        raise refused("a selector without @", "one with it")
    if node.matchers.or_matchers:
        raise refused("conditions that all hold", "some joined by 'or'")
    found = [] if node.name is None else [_matcher(library, "__name__", library.MatchOp.Equal, node.name)]
    found += [_matcher(library, each.name, each.op, each.value) for each in node.matchers.matchers]
    return Selector(tuple(found), _ms(node.offset or timedelta(0)), _ms(stretch))


def _matcher(library: Any, label: str, op: Any, value: str) -> Matcher:
    kinds = library.MatchOp
    if op == kinds.Equal:
        return Matcher(label, "=", value, lambda given: given == value)
    if op == kinds.NotEqual:
        return Matcher(label, "!=", value, lambda given: given != value)
    import re2  # noqa: PLC0415 - an extra, loaded by who uses it

    options = re2.Options()
    options.log_errors, options.dot_nl = False, True
    try:
        fits = re2.compile(value, options).fullmatch
    except re2.error:
        raise refused("a regular expression of RE2", f"{value[:60]!a}") from None
    if op == kinds.Re:
        return Matcher(label, "=~", value, lambda given: fits(given) is not None)
    return Matcher(label, "!~", value, lambda given: fits(given) is None)


def _call(library: Any, node: Any, depth: int) -> Call | Mapped:
    name = node.func.name
    if name in OF_VALUES and len(node.args) == 1:
        return Mapped(name, _tree(library, node.args[0], depth + 1))
    if name not in FUNCTIONS:
        raise refused(f"one of the functions {', '.join(sorted((*FUNCTIONS, *OF_VALUES)))}", name)
    given = node.args[0]
    if not isinstance(given, library.MatrixSelector):
        raise refused(f"a selector with a range in {name}", "something else")
    return Call(name, _selector(library, given.vector_selector, given.range))


def _aggregation(library: Any, node: Any, depth: int) -> Aggregation:
    op = str(node.op)
    if op not in AGGREGATIONS:
        raise refused(f"one of the aggregations {', '.join(sorted(AGGREGATIONS))}", op)
    modifier = node.modifier
    labels = frozenset(() if modifier is None else modifier.labels)
    keeps = modifier is None or modifier.type == library.AggModifierType.By
    return Aggregation(op, _tree(library, node.expr, depth + 1), labels, keeps)


def _operation(library: Any, node: Any, depth: int) -> Operation:
    op, modifier = str(node.op), node.modifier
    if op not in ARITHMETIC and op not in COMPARISONS:
        raise refused(f"one of the operators {' '.join((*ARITHMETIC, *COMPARISONS))}", op)
    if modifier is not None and modifier.card != library.VectorMatchCardinality.OneToOne:
        raise refused("one series on each side", "group_left or group_right")
    matching = EVERY_LABEL
    if modifier is not None and modifier.matching is not None:
        keeps = modifier.matching.type == library.LabelModifierType.Include
        matching = Matching(frozenset(modifier.matching.labels), keeps)
    left, right = (_tree(library, each, depth + 1) for each in (node.lhs, node.rhs))
    return Operation(op, left, right, modifier is not None and modifier.return_bool, matching)


def _ms(stretch: timedelta) -> int:
    return stretch // timedelta(milliseconds=1)


# What reads each kind of the library's nodes.
_READERS: Final[Mapping[str, Callable[[Any, Any, int], Expression]]] = {
    "ParenExpr": lambda library, node, depth: _tree(library, node.expr, depth + 1),
    "NumberLiteral": lambda _, node, __: Number(node.val),
    "UnaryExpr": _negated,
    "VectorSelector": lambda library, node, _: _selector(library, node, timedelta(0)),
    "Call": _call,
    "AggregateExpr": _aggregation,
    "BinaryExpr": _operation,
}
_REFUSED: Final[Mapping[str, str]] = {
    "MatrixSelector": "a range without a function",
    "SubqueryExpr": "a subquery",
    "StringLiteral": "a text",
}
