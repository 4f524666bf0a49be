# SPDX-License-Identifier: Apache-2.0
"""What pages share: asking the sources and the role, showing a sheet or a question, finding a device by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from starlette.responses import Response

from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.sheet import FIND, SEEN_EVERY_S, Section, Sheet, cell_of
from armillary.console.frame.sort import Head, has_all_rows, order_of, sorted_sheet, sorted_table
from armillary.console.frame.states import ATTENTION
from armillary.console.frame.table_bar import TableBar, bar_of, cut, hidden_of, kept_in, shown_in, with_kept
from armillary.console.frame.times import TimeRange, asked_range
from armillary.console.frame.words import sentence
from armillary.console.sources.permissions import may_ask
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS

T = TypeVar("T")

# Devices that are listed where one was meant.
LISTED = 8


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A table that a page draws cell by cell."""

    heads: tuple[Head, ...]
    rows: list[T]
    bar: TableBar
    next_href: str


@dataclass(frozen=True, slots=True)
class InOrder:
    """A page of a list.

    Attributes:
        by_source: Labels of the columns by which its source sorts all pages; none where it could not.
        problem: Why it is not in the order that the address asks for, or "".
        is_sorted: Whether the source sorted it so.
    """

    page: dict[str, Any]
    by_source: tuple[str, ...]
    problem: str
    is_sorted: bool


def show(visit: Visit, made: Sheet, status: int = 200) -> Response:
    """A sheet in its frame; only the sheet, where its table is exported (``tables/table_export.py``)."""
    made = sorted_sheet(made, visit.here)
    tables = [each for each in made.sections if each.sorts]
    if len(tables) == 1:
        table = _with_bar(visit, tables[0])
        made = replace(made, sections=tuple(table if each is tables[0] else each for each in made.sections))
        if made.search is not None:
            made = replace(made, search=with_kept(made.search, visit.here))
    if visit.sheets is not None:
        visit.sheets.append(made)
        return Response(status_code=status)
    return visit.page("sheet.html", status=status, view=made)


def in_order(visit: Visit, by_source: Mapping[str, str], wanted: Callable[..., dict[str, Any]]) -> InOrder:
    """A page of a list in the order that the address asks for; else in its source's own, with why.

    ``by_source`` is label -> the source's word; ``wanted`` asks with ``after`` and ``order``.
    """
    word, falls = order_of(visit.query, by_source)
    after = visit.query.get("after")
    try:
        page = wanted(after=after, order=f"-{word}" if word and falls else word)
    except InvalidArgumentError as error:
        if not word:
            raise
        # Too many to be sorted, or a page of another order: the list begins anew.
        return InOrder(wanted(after=None, order=""), (), f"{sentence(error.message)} {error.remedy}", is_sorted=False)
    return InOrder(page, tuple(by_source), "", is_sorted=bool(word))


def ordered_sheet(made: Sheet, found: InOrder, *, keeps_up: bool = True) -> Sheet:
    """The sheet of a list that :func:`in_order` asked for; ``keeps_up``: it asks for itself again."""
    table = next(each for each in made.sections if each.sorts)
    sorted_table = replace(table, by_source=found.by_source, note="" if found.is_sorted else table.note)
    notices = ((ATTENTION, found.problem),) if found.problem else ()
    return replace(
        made,
        notices=(*made.notices, *notices),
        sections=tuple(sorted_table if each is table else each for each in made.sections),
        every_s=(made.every_s or SEEN_EVERY_S) if keeps_up else 0,
        is_list=keeps_up,
    )


def bar(
    visit: Visit, labels: Sequence[str], *, rows: int, is_whole: bool, by_source: bool = False, exports: bool = True
) -> TableBar:
    """The line above a page's table, with what its reader keeps of it; of an export the address alone counts."""
    place = visit.here.partition("?")[0]
    memory = ask(visit, "table_memory", place=place) if visit.sheets is None else {}
    sorts = is_whole or by_source
    return bar_of(labels, visit.here, memory, rows=rows, is_whole=is_whole, sorts=sorts, exports=exports)


def listed(
    visit: Visit,
    columns: Mapping[str, Callable[[T], object] | None],
    items: Sequence[T],
    next_href: str | None,
    *,
    numbers: frozenset[str] = frozenset(),
    by_source: Collection[str] = (),
    is_cut: bool = False,
    more: Mapping[str, Callable[[T], object]] = MappingProxyType({}),
) -> Listed[T]:
    """The table of a page that draws its cells itself: rows in order, heads, and the line above.

    Columns, figures and what the source sorts are as ``sort.sorted_table`` takes them; ``next_href`` leads to the next
    page; ``is_cut`` says that there are more rows, to which no page leads. ``more`` is what the exported table has
    besides, label -> value: whole ids, and columns by which nothing is sorted.
    """
    whole = has_all_rows(next_href, visit.here) and not is_cut
    heads, rows = sorted_table(columns, items, visit.here, is_whole=whole, numbers=numbers, by_source=by_source)
    made = bar(visit, tuple(columns), rows=len(rows), is_whole=whole, by_source=bool(by_source))
    following = kept_in(next_href or "", visit.here)
    if visit.sheets is not None:
        read = {label: of for label, of in {**columns, **more}.items() if of is not None}
        cells = [tuple(cell_of(of(each)) for of in read.values()) for each in rows]
        table = Section(title="", columns=tuple(read), rows=cells, none="", sorts=True, next_href=following)
        visit.sheets.append(
            Sheet(place="", title="", sections=(cut(table, hidden_of(table.columns, shown_in(visit.here))),))
        )
    return Listed(heads, rows, made, following)


def _with_bar(visit: Visit, table: Section) -> Section:
    whole = has_all_rows(table.next_href, visit.here)
    made = bar(visit, table.columns, rows=len(table.rows), is_whole=whole, by_source=bool(table.by_source))
    return cut(replace(table, bar=made, next_href=kept_in(table.next_href, visit.here)), made.hidden)


def found_text(visit: Visit) -> str:
    """The text to which the address narrows a list, "" for none.

    Raises:
        InvalidArgumentError: it is longer than any name.
    """
    text = visit.query.get(FIND, "").strip()
    if len(text) > MAX_NAME_CHARACTERS:
        raise InvalidArgumentError(
            f"{FIND}: expected a text of at most {MAX_NAME_CHARACTERS} characters, got {len(text)}",
            remedy="Look for a shorter part of the name.",
        )
    return text


def shown_range(visit: Visit) -> tuple[TimeRange, str]:
    """The stretch of time that the address asks for; where it asks for none that can be, the page's own and why."""
    try:
        return asked_range(visit.query, visit.now), ""
    except InvalidArgumentError as error:
        return TimeRange(), f"{sentence(error.message)} {error.remedy}"


def confirm(visit: Visit, asked: Confirmation, notice: str = "") -> Response:
    """The page that asks before something is done; ``notice`` says why it asks again."""
    return visit.page("confirm.html", status=409 if notice else 200, view=asked, notice=notice)


def asks(question: Callable[[Visit], Confirmation]) -> Callable[[Visit], Response]:
    """The page that asks what ``question`` says; the action asks it again, so that both mean the same."""
    return lambda visit: confirm(visit, question(visit))


def ask(visit: Visit, question: str, **arguments: Any) -> dict[str, Any]:
    """The answer to a question (``sources/answers_*.py``)."""
    return visit.sources.application.ask(question, **arguments)


def may(visit: Visit, question: str, document: Mapping[str, Any] | None = None) -> bool:
    """Whether the operator may ask or change something (``permissions.ROUTES_OF``), and change a document of it.

    Documents of all catalogs are only seen by one of a catalog.
    """
    is_theirs = document is None or visit.operator.catalog is None or document.get("catalog") is not None
    return is_theirs and may_ask(visit.operator, question)


def catalogs(visit: Visit) -> list[str]:
    """Names of the catalogs that the operator speaks for."""
    return [str(each["name"]) for each in visit.sources.settings.catalog_names()]


def sent_catalog(visit: Visit, form: Mapping[str, str]) -> str | None:
    """The catalog that a form was sent for; None for all. NotFoundError if the operator does not speak for it."""
    catalog = form.get("catalog", "") or None
    if catalog not in (None, *catalogs(visit)):
        raise NotFoundError(f"catalog {catalog!r:.60} does not exist", remedy="Choose one of the list.")
    return catalog


def meant(visit: Visit, text: str) -> str:
    """The id of the device that a name, an id, or the first digits of one mean.

    Raises:
        NotFoundError: none.
        InvalidArgumentError: nothing was typed, or several are meant; they are listed.
    """
    asked = text.strip()[:MAX_NAME_CHARACTERS]
    if not asked:
        raise InvalidArgumentError("no device was named", remedy="Type its name, its id, or the first digits of it.")
    found = ask(visit, "find_device", text=asked)["items"]
    if not found:
        raise NotFoundError(
            f"no device is called {asked!r}, and no id begins so",
            remedy="Type its name as it stands, its id, or four or more first digits of it.",
        )
    if len(found) > 1:
        listed = ", ".join(f"{each['name']} ({each['device_id'][:12]})" for each in found[:LISTED])
        raise InvalidArgumentError(
            f"{asked!r} means {len(found)} devices: {listed}", remedy="Type the id of one, or its first digits."
        )
    return str(found[0]["device_id"])
