# SPDX-License-Identifier: Apache-2.0
"""What stands above a table: saved views, how many rows there are, which columns are shown, exports. Pure.

Which columns are shown stands in the address (``columns=state,os``); where it says nothing, those count that the person
chose last. The first column says what a row is, and stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from armillary.console.frame.flash import PARAMETER
from armillary.console.frame.form import Form
from armillary.console.frame.sheet import Section
from armillary.console.frame.words import grouped
from armillary.console.language.say import say

COLUMNS: Final = "columns"
SORT: Final = "sort"
# Stands for no column but the first, which always stays.
NO_OTHER: Final = "none"
# A table is exported where its address says so, in one of these forms (``console/tables/table_export.py``).
EXPORT: Final = "export"
EXPORT_FORMS: Final = ("csv", "json")
# What of an address is the place in a list, or said once, and no part of a view.
PASSING: Final = frozenset(("after", "seen", EXPORT, PARAMETER))


@dataclass(frozen=True, slots=True)
class View:
    """A saved view: its name, where it leads, whether it is what is shown now."""

    view_id: str
    name: str
    href: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column that may be shown or not."""

    name: str
    label: str
    is_shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableBar:
    """The line above a table.

    Attributes:
        here: The address that is saved as a view.
        all_href: The table without filters.
        count: How many rows there are, in words.
        note: Why the heads sort nothing, or "".
        columns: Those that may be hidden.
        hidden: Places of the columns that are not shown, from 0.
        exports: (words, address).
    """

    here: str
    all_href: str
    views: tuple[View, ...] = ()
    count: str = ""
    note: str = ""
    columns: tuple[Column, ...] = ()
    hidden: frozenset[int] = frozenset()
    exports: tuple[tuple[str, str], ...] = ()

    @property
    def current(self) -> View | None:
        """The view that is shown now."""
        return next((each for each in self.views if each.is_current), None)

    @property
    def known(self) -> str:
        """The names of all columns that may be hidden, with commas between."""
        return ",".join(each.name for each in self.columns)

    def classes(self, before: int = 0) -> str:
        """The classes of a table that is drawn cell by cell; ``before`` are cells that stand before its columns."""
        return " ".join(f"hide-{at + before + 1}" for at in sorted(self.hidden))


def slug(label: str) -> str:
    """A column's name in addresses."""
    return re.sub(r"[^a-z]+", "-", label.lower()).strip("-")


def lasting(here: str) -> list[tuple[str, str]]:
    """The query of an address without what passes."""
    return [(name, value) for name, value in parse_qsl(here.partition("?")[2]) if name not in PASSING and value]


def address(path: str, query: Sequence[tuple[str, str]]) -> str:
    """A path with a query, or without one where it is empty."""
    return f"{path}?{urlencode(query)}" if query else path


def export_links(here: str, shown: str = "") -> tuple[tuple[str, str], ...]:
    """The ways to the export of the table at an address: (words, address); ``shown`` are its columns, "" all."""
    path = here.partition("?")[0]
    kept = [each for each in lasting(here) if each[0] != COLUMNS] + ([(COLUMNS, shown)] if shown else [])
    return tuple((form.upper(), address(path, [*kept, (EXPORT, form)])) for form in EXPORT_FORMS)


def shown_in(here: str) -> str:
    """The columns that an address asks for; "" where it says nothing of them."""
    return dict(lasting(here)).get(COLUMNS, "")


def hidden_of(labels: Sequence[str], shown: str | None) -> frozenset[int]:
    """Places of the columns that are not among ``shown``; none where that names no column of the table."""
    if not shown:
        return frozenset()
    asked = frozenset(shown.split(",")) - {""}
    names = [slug(each) for each in labels]
    if not asked & frozenset((*names, NO_OTHER)):
        return frozenset()
    first = next((at for at, each in enumerate(names) if each), 0)
    return frozenset(at for at, each in enumerate(names) if each and at != first and each not in asked)


def bar_of(
    labels: Sequence[str],
    here: str,
    memory: Mapping[str, Any],
    *,
    rows: int,
    is_whole: bool,
    sorts: bool,
    exports: bool = True,
) -> TableBar:
    """The line above a table.

    Args:
        labels: Of its columns; "" of one that has none, which stays.
        here: Path and query of the page.
        memory: What is kept of it: ``views`` (id, name, query) and ``columns``.
        rows: How many are shown.
        is_whole: Whether these are all.
        sorts: Whether its heads sort it as it is.
        exports: Whether it can be exported.
    """
    path = here.partition("?")[0]
    kept = lasting(here)
    shown = shown_in(here) or memory.get("columns") or ""
    hidden = hidden_of(labels, shown)
    first = next((at for at, each in enumerate(labels) if slug(each)), 0)
    now = sorted(kept)
    views = tuple(
        View(each["view_id"], each["name"], f"{path}?{each['query']}" if each["query"] else path,
             sorted(parse_qsl(each["query"])) == now)
        for each in memory.get("views", ())
    )  # fmt: skip
    return TableBar(
        here=address(path, kept),
        all_href=path,
        views=views,
        count=_count(rows, is_whole=is_whole) if rows else "",
        note="" if sorts or rows < 2 else say("in a fixed order; narrow it to one page to sort it"),
        columns=tuple(
            Column(slug(each), each, at not in hidden) for at, each in enumerate(labels) if slug(each) and at != first
        ),
        hidden=hidden,
        exports=export_links(here, shown if hidden else "") if exports and rows else (),
    )


def _count(rows: int, *, is_whole: bool) -> str:
    count = grouped(rows)
    return say("{count} in all", count=count) if is_whole else say("{count} on this page, there are more", count=count)


def kept_in(href: str, here: str) -> str:
    """A way to another page of the same table, with the order and the columns that the address has now."""
    path, _, query = href.partition("?")
    if not href or path != here.partition("?")[0]:
        return href
    there = parse_qsl(query)
    names = {name for name, _ in there}
    more = [each for each in lasting(here) if each[0] in (COLUMNS, SORT) and each[0] not in names]
    return address(path, [*there, *more])


def with_kept(form: Form, here: str) -> Form:
    """A form that narrows a list, with the order and the columns that the list has now."""
    more = tuple(each for each in lasting(here) if each[0] in (COLUMNS, SORT))
    return replace(form, hidden=(*form.hidden, *more))


def cut(section: Section, hidden: frozenset[int]) -> Section:
    """A section without the columns at some places."""
    if not hidden:
        return section
    shown = [at for at in range(len(section.columns)) if at not in hidden]
    return replace(
        section,
        columns=tuple(section.columns[at] for at in shown),
        rows=[tuple(row[at] for at in shown) for row in section.rows],
        heads=tuple(section.heads[at] for at in shown) if section.heads else (),
    )
