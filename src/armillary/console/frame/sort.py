# SPDX-License-Identifier: Apache-2.0
"""Tables that are sorted by their heads: the order stands in the address (``sort=NAME``, ``sort=-NAME``). Pure.

A table is sorted where all its rows are on the page. One of several pages is in the order of an index, which is what
makes each page cost the same whatever the size; its heads offer the orders that its source has an index for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

from armillary.console.frame.sheet import Cell, Section, Sheet
from armillary.console.frame.states import ATTENTION, BAD, GOOD, SEVERITIES, UNKNOWN, State
from armillary.console.frame.table_bar import SORT, lasting, slug
from armillary.console.frame.words import Moment

T = TypeVar("T")

_KINDS: Final[Mapping[str, int]] = MappingProxyType({BAD: 0, ATTENTION: 1, UNKNOWN: 2, GOOD: 3})
_DIGITS: Final = re.compile(r"(\d[\d,]*(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column.

    Attributes:
        href: Where it is sorted by this column, the other way round where it is already; "" where it cannot be.
        order: ``ascending`` or ``descending`` where the table is sorted by it, else "".
        number: Whether its figures stand on the right.
    """

    label: str
    href: str = ""
    order: str = ""
    number: bool = False


def sorted_table(
    columns: Mapping[str, Callable[[T], object] | None],
    items: Sequence[T],
    here: str,
    *,
    is_whole: bool,
    numbers: frozenset[str] = frozenset(),
    by_source: Collection[str] = (),
) -> tuple[tuple[Head, ...], list[T]]:
    """Heads of a table's columns, and its rows in the order that the address asks for.

    Args:
        columns: Label -> what a row is sorted by there: a text, state, moment or number; None: not by this column.
        items: The rows, in the order that they have by themselves.
        here: Path and query of the page.
        is_whole: Whether these are all rows that there are.
        numbers: Labels of columns with figures.
        by_source: Labels of columns by which the source sorts all pages; it has done so already.
    """
    path, _, query = here.partition("?")
    given = [each for each in lasting(here) if each[0] != SORT]
    asked = dict(parse_qsl(query)).get(SORT, "")
    found, heads = list(items), []
    for label, value_of in columns.items():
        name, sorted_there = slug(label), label in by_source and not is_whole
        is_sortable = sorted_there or (is_whole and len(items) > 1)
        if not is_sortable or value_of is None or not name:
            heads.append(Head(label, number=label in numbers))
            continue
        order = {name: "ascending", f"-{name}": "descending"}.get(asked, "")
        if order and not sorted_there:
            found.sort(key=lambda each, of=value_of: key_of(of(each)), reverse=order == "descending")  # type: ignore[misc]
        other = f"-{name}" if order == "ascending" else name
        heads.append(Head(label, f"{path}?{urlencode([*given, (SORT, other)])}", order, label in numbers))
    return tuple(heads), found


def sorted_sheet(sheet: Sheet, here: str) -> Sheet:
    """A sheet whose sections that may be sorted are, as the address asks."""
    return replace(sheet, sections=tuple(_sorted_section(each, here) for each in sheet.sections))


def order_of(query: Mapping[str, str], by_source: Mapping[str, str]) -> tuple[str, bool]:
    """What a source is asked to sort by ("": its own order), and whether falling.

    ``by_source`` is label -> the source's word.

    A table that fits on one page is sorted there by any column; asked in its own order it is the same table.
    """
    asked = query.get(SORT, "")
    words = {slug(label): word for label, word in by_source.items()}
    return words.get(asked.removeprefix("-"), ""), asked.startswith("-")


def key_of(value: object) -> tuple[Any, ...]:
    """What is compared: what is not there comes last, states by their gravity, figures in texts as numbers."""
    if value is None or value == "":
        return (1,)
    if isinstance(value, State):
        known = value.word in SEVERITIES
        return (0, 0, SEVERITIES.index(value.word) if known else _KINDS.get(value.kind, len(_KINDS)), value.word)
    if isinstance(value, Moment):
        return (0, 1, value.at)
    if isinstance(value, Cell):
        return key_of(value.state or value.at or (value.ident.full if value.ident else value.text))
    parts = _DIGITS.split(str(value).casefold())
    return (
        0,
        2,
        *((0, float(each.replace(",", ""))) if at % 2 else (1, each) for at, each in enumerate(parts) if each),
    )


def has_all_rows(next_href: str | None, here: str) -> bool:
    """Whether the page at an address has all rows of its table."""
    return not next_href and "after" not in dict(parse_qsl(here.partition("?")[2]))


def _sorted_section(section: Section, here: str) -> Section:
    if not section.sorts or not section.rows:
        return section
    first = section.rows[0]
    columns = {
        label: None if any(row[at].post for row in section.rows) else (lambda row, at=at: row[at])
        for at, label in enumerate(section.columns)
    }
    numbers = frozenset(label for at, label in enumerate(section.columns) if first[at].number)
    heads, rows = sorted_table(
        columns,
        section.rows,
        here,
        is_whole=has_all_rows(section.next_href, here),
        numbers=numbers,
        by_source=section.by_source,
    )
    return replace(section, heads=heads, rows=tuple(rows))
