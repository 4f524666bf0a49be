# SPDX-License-Identifier: Apache-2.0
"""Evaluates an expression at each step of a range; a query of one moment has one step.

The samples come from a :class:`Source`, one request for each selector: with the times it looks at and the grain that
would do, so that long ranges can be answered from roll-ups.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from armillary.errors import InvalidArgumentError
from armillary.promql.expression import Call, Expression, Mapped, Number, Operation, Selector
from armillary.promql.over_time import FUNCTIONS, KEEPS_NAME, NEEDS_EVERY, Window
from armillary.promql.samples import Row, Samples, without_name
from armillary.promql.vectors import Value, aggregated, mapped, operated

# A sample is the value of its series for so long: Prometheus' --query.lookback-delta.
LOOKBACK_MS: Final = 5 * 60_000
# Values that all windows of one query hold together: a few tenths of a second.
MAX_WINDOW_VALUES: Final = 5_000_000
# Values that all selectors and functions of one query give, a value for each series and step: some 80 MB as an answer.
MAX_RESULT_VALUES: Final = 500_000
# A stretch of a roll-up may be this part of a window.
PARTS_OF_WINDOW: Final = 5


class Source(Protocol):
    """Where samples come from."""

    def select(self, selector: Selector, start_ms: int, end_ms: int, grain_ms: int) -> Sequence[Samples]:
        """Samples of the series that a selector chooses, ``start_ms < time <= end_ms``.

        Stretches of roll-ups may be ``grain_ms`` wide; 0 asks for samples as they were sent.
        """


@dataclass(frozen=True, slots=True)
class Steps:
    """The moments of a query, Unix milliseconds; one where first and last are the same."""

    first_ms: int
    last_ms: int
    step_ms: int

    def times(self) -> range:
        """The moments in order."""
        return range(self.first_ms, self.last_ms + 1, self.step_ms)


@dataclass(eq=False)
class Evaluation:
    """One query under way."""

    source: Source
    steps: Steps
    _window_values: int = field(default=0, init=False)
    _result_values: int = field(default=0, init=False)

    def value(self, expression: Expression) -> Value:
        """The result: a number for each step, or series without those that have no value at any step.

        Raises:
            InvalidArgumentError: the query asks for more than a limit allows, or for what no operator gives.
        """
        if isinstance(expression, Number):
            return [expression.value] * len(self.steps.times())
        if isinstance(expression, Selector):
            return self._selected(expression)
        if isinstance(expression, Call):
            return self._called(expression)
        if isinstance(expression, Operation):
            return _with_values(self._operation(expression))
        rows = _series(self.value(expression.inner))
        if isinstance(expression, Mapped):
            return mapped(expression.function, rows)
        return aggregated(expression.op, rows, expression.labels, keeps=expression.keeps)

    def _operation(self, expression: Operation) -> Value:
        left, right = self.value(expression.left), self.value(expression.right)
        return operated(expression.op, left, right, expression.matching, as_number=expression.as_number)

    def _selected(self, selector: Selector) -> list[Row]:
        steps, offset = self.steps, selector.offset_ms
        grain = steps.step_ms if steps.last_ms > steps.first_ms else 0
        first, last = steps.first_ms - offset, steps.last_ms - offset
        found = []
        for samples in self._read(selector, first - max(LOOKBACK_MS, grain), last, grain):
            lookback = max(LOOKBACK_MS, samples.width_ms)
            times, values = samples.times, samples.values
            row: list[float | None] = []
            for moment in steps.times():
                at = moment - offset
                index = bisect_right(times, at) - 1
                row.append(values[index] if index >= 0 and times[index] > at - lookback else None)
            found.append(Row(samples.labels, row))
        return [each for each in found if any(value is not None for value in each.values)]

    def _called(self, call: Call) -> list[Row]:
        selector, steps, compute = call.selector, self.steps, FUNCTIONS[call.function]
        offset, span = selector.offset_ms, selector.range_ms
        grain = 0 if call.function in NEEDS_EVERY else span // PARTS_OF_WINDOW
        found = []
        for samples in self._read(selector, steps.first_ms - offset - span, steps.last_ms - offset, grain):
            row: list[float | None] = []
            for moment in steps.times():
                at = moment - offset
                first, end = bisect_right(samples.times, at - span), bisect_right(samples.times, at)
                self._count(end - first)
                row.append(compute(Window(samples, first, end, at - span, at)) if end > first else None)
            labels = samples.labels if call.function in KEEPS_NAME else without_name(samples.labels)
            found.append(Row(labels, row))
        return [each for each in found if any(value is not None for value in each.values)]

    def _read(self, selector: Selector, start_ms: int, end_ms: int, grain_ms: int) -> Sequence[Samples]:
        found = self.source.select(selector, start_ms, end_ms, grain_ms)
        self._result_values += len(found) * len(self.steps.times())
        if self._result_values > MAX_RESULT_VALUES:
            raise InvalidArgumentError(
                f"query: expected at most {MAX_RESULT_VALUES:,} values, one for each series and step, got more",
                remedy="Choose fewer series in the selector, or make the step longer.",
            )
        return found

    def _count(self, values: int) -> None:
        self._window_values += values
        if self._window_values > MAX_WINDOW_VALUES:
            raise InvalidArgumentError(
                f"query: expected windows of at most {MAX_WINDOW_VALUES:,} values together, got more",
                remedy="Ask for fewer series or a shorter time, or make the window shorter or the step longer.",
            )


def _series(value: Value) -> list[Row]:
    rows = [each for each in value if isinstance(each, Row)]
    if len(rows) != len(value):
        raise InvalidArgumentError("query: expected series within a function, got a number", remedy="Correct it.")
    return rows


def _with_values(value: Value) -> Value:
    if value and isinstance(value[0], Row):
        return [each for each in value if isinstance(each, Row) and any(one is not None for one in each.values)]
    return value
