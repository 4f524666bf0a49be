# SPDX-License-Identifier: Apache-2.0
"""Aggregations of many series, and operators between series and numbers.

Every step is computed for itself; a series without a value at a step has no part in it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from armillary.errors import InvalidArgumentError
from armillary.promql.samples import Labels, Row, key_of, without_name

# A value for each step.
Scalar = list[float]
Value = Scalar | list[Row]


@dataclass(frozen=True, slots=True)
class Matching:
    """Labels by which series of both sides find each other: ``on`` (``keeps``) or ``ignoring``."""

    labels: frozenset[str]
    keeps: bool

    def chosen(self, labels: Labels) -> dict[str, str]:
        """Those of some labels."""
        return {name: value for name, value in labels.items() if (name in self.labels) is self.keeps}


# Two series find each other that are the same but for the metric.
EVERY_LABEL: Final = Matching(frozenset(), keeps=False)


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _remainder(left: float, right: float) -> float:
    return math.fmod(left, right) if right and math.isfinite(left) else math.nan


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "%": _remainder,
    "^": _power,
}
COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((each - mean) ** 2 for each in values) / len(values))


AGGREGATIONS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
    "stddev": _deviation,
}


def _of_positive(compute: Callable[[float], float]) -> Callable[[float], float]:
    """A function that has no value below zero, and minus infinity at zero where Python has an error."""

    def computed(value: float) -> float:
        if value < 0:
            return math.nan
        return compute(value) if value else -math.inf

    return computed


# Functions of each value; of a number without a fraction (NaN, infinities) the rounding ones give that number.
OF_VALUES: Final[Mapping[str, Callable[[float], float]]] = {
    "abs": abs,
    "ceil": lambda value: float(math.ceil(value)) if math.isfinite(value) else value,
    "floor": lambda value: float(math.floor(value)) if math.isfinite(value) else value,
    "round": lambda value: float(math.floor(value + 0.5)) if math.isfinite(value) else value,
    "sqrt": lambda value: math.nan if value < 0 else math.sqrt(value),
    "ln": _of_positive(math.log),
    "log2": _of_positive(math.log2),
    "log10": _of_positive(math.log10),
}


def mapped(function: str, rows: Sequence[Row]) -> list[Row]:
    """A function of each value."""
    compute = OF_VALUES[function]
    return [
        Row(without_name(row.labels), [None if each is None else compute(each) for each in row.values]) for row in rows
    ]


def aggregated(op: str, rows: Sequence[Row], labels: frozenset[str], *, keeps: bool) -> list[Row]:
    """One series for each combination of the labels that are kept, by ``by`` (``keeps``) or ``without``."""
    compute = AGGREGATIONS[op]
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in rows:
        kept = without_name(row.labels) if not keeps else row.labels
        chosen = {name: value for name, value in kept.items() if (name in labels) is keeps}
        groups.setdefault(key_of(chosen), []).append(row)
    found = []
    for key, members in groups.items():
        columns = zip(*(each.values for each in members), strict=True)
        present = ([each for each in column if each is not None] for column in columns)
        found.append(Row(dict(key), [compute(each) if each else None for each in present]))
    return found


def operated(op: str, left: Value, right: Value, matching: Matching, *, as_number: bool) -> Value:
    """Arithmetic or a comparison, step by step.

    Raises:
        InvalidArgumentError: two numbers are compared without ``bool``, or several series have the same labels.
    """
    step = _step(op, as_number=as_number)
    if _is_scalar(left) and _is_scalar(right):
        if op in COMPARISONS and not as_number:
            raise InvalidArgumentError(
                "query: expected bool in a comparison of two numbers, got none", remedy=f"Write: {op} bool."
            )
        pairs = zip(left, right, strict=True)
        return [step(one, two, one) for one, two in pairs]  # type: ignore[arg-type, return-value]  # checked above
    name = (lambda labels: labels) if op in COMPARISONS and not as_number else without_name
    if _is_scalar(right):
        return [_row(name(each.labels), each.values, right, each.values, step) for each in left]  # type: ignore[union-attr, arg-type]
    if _is_scalar(left):
        return [_row(name(each.labels), left, each.values, each.values, step) for each in right]  # type: ignore[union-attr, arg-type]
    ones, twos = _by_labels(left, matching), _by_labels(right, matching)  # type: ignore[arg-type]
    return [
        _row(matching.chosen(name(one.labels)), one.values, twos[key].values, one.values, step)
        for key, one in ones.items()
        if key in twos
    ]


def _step(op: str, *, as_number: bool) -> Callable[[float, float, float], float | None]:
    """What one step does with both sides and the value that a comparison keeps."""
    if op in ARITHMETIC:
        compute = ARITHMETIC[op]
        return lambda one, two, _: compute(one, two)
    holds = COMPARISONS[op]
    if as_number:
        return lambda one, two, _: float(holds(one, two))
    return lambda one, two, kept: kept if holds(one, two) else None


def _row(
    labels: Labels,
    left: Sequence[float | None],
    right: Sequence[float | None],
    kept: Sequence[float | None],
    step: Callable[[float, float, float], float | None],
) -> Row:
    pairs = zip(left, right, kept, strict=True)
    return Row(
        labels,
        [None if one is None or two is None or each is None else step(one, two, each) for one, two, each in pairs],
    )


def _by_labels(rows: Sequence[Row], matching: Matching) -> dict[tuple[tuple[str, str], ...], Row]:
    found: dict[tuple[tuple[str, str], ...], Row] = {}
    for row in rows:
        key = key_of(matching.chosen(without_name(row.labels)))
        if key in found:
            raise InvalidArgumentError(
                "query: expected one series for each combination of labels, got several",
                remedy="Select one metric on each side, name more labels (on), or aggregate by labels first.",
            )
        found[key] = row
    return found


def _is_scalar(value: Value) -> bool:
    return bool(value) and isinstance(value[0], float)
