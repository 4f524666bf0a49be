# SPDX-License-Identifier: Apache-2.0
"""The result of a query over twins: values at paths, columns, and aggregates of groups."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from armillary.errors import InvalidArgumentError

# Names from the outside in; text in [[double brackets]] is one name.
Path = tuple[str, ...]

# What stands for a value that is not there: no JSON is this.
MISSING: Final = object()
# Different groups of one query: their rows are one page of IoT Hub's.
MAX_GROUPS: Final = 1000
FUNCTIONS: Final = ("count", "avg", "sum", "min", "max")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the result."""

    name: str  # in the result
    path: Path  # of the value; empty for ``count``
    function: str = ""  # one of FUNCTIONS; empty for the value itself


@dataclass(slots=True)
class _Group:
    shown: dict[str, Any]
    count: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)  # name -> sum, least, greatest, how many


class Tally:
    """Counts, sums, minima and maxima of groups, taken document by document.

    ``groups`` are the paths whose values make a group; empty for one group of everything.
    """

    def __init__(self, columns: tuple[Column, ...], groups: tuple[Path, ...]) -> None:
        self._columns = columns
        self._paths = groups
        self._groups: dict[str, _Group] = {}
        if not groups:
            self._groups[""] = _Group({})

    def add(self, document: Mapping[str, Any]) -> None:
        """Take a document that the query chooses; raises InvalidArgumentError above MAX_GROUPS groups."""
        group = self._group(document)
        group.count += 1
        for each in self._columns:
            value = None if each.function in ("", "count") else as_number(at(document, each.path))
            if value is None:
                continue
            total, least, greatest, count = group.values.get(each.name, (0.0, math.inf, -math.inf, 0))
            group.values[each.name] = [total + value, min(least, value), max(greatest, value), count + 1]

    def rows(self) -> list[dict[str, Any]]:
        """A row a group, in the order in which they were first seen; what no document has is not in it."""
        return [self._row(each) for each in self._groups.values()]

    def _group(self, document: Mapping[str, Any]) -> _Group:
        if not self._paths:
            return self._groups[""]
        found = [at(document, path) for path in self._paths]
        key = json.dumps([None if value is MISSING else [value] for value in found], sort_keys=True)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= MAX_GROUPS:
                raise InvalidArgumentError(f"query: more than {MAX_GROUPS} groups", remedy="Narrow it with WHERE.")
            shown = {each.name: at(document, each.path) for each in self._columns if not each.function}
            group = self._groups[key] = _Group({name: value for name, value in shown.items() if value is not MISSING})
        return group

    def _row(self, group: _Group) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for each in self._columns:
            if each.function == "count":
                row[each.name] = group.count
            elif each.function:
                result = _result(each.function, group.values.get(each.name))
                if result is not None:
                    row[each.name] = result
            elif each.name in group.shown:
                row[each.name] = group.shown[each.name]
        return row


def at(document: Mapping[str, Any], path: Path) -> Any:
    """The value at a path, or :data:`MISSING`."""
    found: Any = document
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return MISSING
        found = found[name]
    return found


def as_number(value: object) -> float | None:
    """A value as a number that can be counted with, or None; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond every float
        return None


def _result(function: str, values: list[float] | None) -> float | None:
    """None where no document has a number, or the numbers add up to more than there is."""
    if values is None:
        return None
    total, least, greatest, count = values
    found = {"sum": total, "avg": total / count, "min": least, "max": greatest}[function]
    if not math.isfinite(found):
        return None
    return int(found) if found == int(found) else found
