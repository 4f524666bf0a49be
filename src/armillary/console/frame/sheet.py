# SPDX-License-Identifier: Apache-2.0
"""Pages that are made of tables: rules, alerts, templates, releases, groups, jobs, exports. One template lays them out.

A sheet is a sentence, sections with a table each, and where a document may be changed an editor of its JSON. Cells are
made by the functions below, so that a page says *what* stands in it and nowhere *how*.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import quote, urlencode

from armillary.api.http.json_body import strict_json
from armillary.console.frame.curve import Curve
from armillary.console.frame.form import Field, Form
from armillary.console.frame.states import State, state_of
from armillary.console.frame.times import RangeChoice
from armillary.console.frame.values import json_text
from armillary.console.frame.words import Moment, ShortId, grouped, moment, short_id
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError

# Parts of the console that have several places; "" for a page of none.
Within = Literal["hub", "updates", "security", ""]
# A page that somebody looks at is asked for again so often (seconds), as the fleet's is.
SEEN_EVERY_S = 15
# Name of the text in an address to which a list is narrowed.
FIND = "q"
# Rows of one page of a long table; the next is as many further on, at the same cost.
LIST_LINES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell: a text, a state, a moment, an id or a button, with a reason below it in small.

    ``pick`` is the id of the row, of a first cell whose row may be ticked.
    """

    text: str = ""
    href: str = ""
    reason: str = ""
    state: State | None = None
    at: Moment | None = None
    ident: ShortId | None = None
    code: bool = False
    command: bool = False
    number: bool = False
    pick: str = ""
    post: str = ""
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What can be done with the rows of a table that are ticked: ``post``, (verb, label) of each, the way ``back``."""

    post: str
    verbs: tuple[tuple[str, str], ...]
    back: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table with a heading; ``none`` is said where it has no row.

    ``form`` stands below the table; ``anchor`` is the section's id; ``sorts`` says that its heads may sort it
    (``sort.py``, which makes ``heads``), all pages by the columns ``by_source``; ``curve`` is a chart above the table,
    and so is ``plot``, which brings its values along (``authored/pages_trial.py``);
    ``more`` is a way to all that the table shows some of: (words, address); ``bar`` is the line above the table
    (``table_bar.py``); ``live_href`` is a page with this section alone, which is asked for every ``every_s`` seconds to
    stand in its place; ``bulk`` is what can be done with rows that are ticked.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    none: str
    note: str = ""
    next_href: str = ""
    anchor: str = ""
    form: Form | None = None
    sorts: bool = False
    heads: tuple[Any, ...] = ()
    curve: Curve | None = None
    plot: Any = None
    more: tuple[str, str] = ("", "")
    by_source: tuple[str, ...] = ()
    bar: Any = None
    live_href: str = ""
    every_s: int = 0
    bulk: Bulk | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """The JSON of a document in a form; ``error`` is what was wrong with what was sent."""

    post: str
    etag: str
    text: str
    is_new: bool = False
    name: str = ""
    error: InvalidArgumentError | None = None
    title: str = say("As JSON")
    about: str = say("the same as in the API, on the command line and in an exported application")


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A way on: a link (``href``), or a form that posts (``post``) with ``fields``; ``refused`` is why not now."""

    label: str
    href: str = ""
    post: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    danger: bool = False
    primary: bool = False
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """What is shown this once and kept nowhere: ``lines`` are (what it is, the secret itself)."""

    says: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A whole page.

    ``once`` stands above everything; ``facts`` are (name, cell); ``search`` is a form that only reads: its address,
    and fields; ``links`` are chosen views: (words, address, whether it is this one); ``ranges`` are other stretches of
    time;
    ``within`` is the part of the console whose places are shown above the page;
    ``command`` is a text to copy, under ``says_command``;
    ``head`` is the head that all pages of one device share (``device/pages_tabs.py``), None on any other page;
    ``heading`` is the window's title, by default the place's name; ``every_s`` is how often all but its forms is asked
    for again while something is under way, 0 never; ``is_list`` says that rows of its table stay while they are read,
    and new ones wait behind a bar (``static/new-rows.js``).
    """

    place: str
    title: str
    crumbs: tuple[tuple[str, str], ...] = ()
    detail: str = ""
    notices: tuple[tuple[str, str], ...] = ()
    buttons: tuple[Button, ...] = ()
    sections: tuple[Section, ...] = ()
    command: str = ""
    says_command: str = ""
    editor: Editor | None = None
    rule_form: Mapping[str, Any] | None = None
    find: str = ""
    call: Mapping[str, Any] | None = None
    once: Once | None = None
    facts: tuple[tuple[str, Cell], ...] = ()
    search: Form | None = None
    links: tuple[tuple[str, str, bool], ...] = ()
    ranges: RangeChoice | None = None
    forms: tuple[Form, ...] = ()
    within: Within = "hub"
    every_s: int = 0
    heading: str = ""
    head: Any = None
    is_list: bool = False

    @property
    def row_ids(self) -> tuple[Section, tuple[str, ...]] | None:
        """The table whose rows stay while they are read, with an id of each; None where there is none such."""
        tables = [each for each in self.sections if each.sorts and each.rows]
        if not (self.is_list and self.every_s) or len(tables) != 1:
            return None
        firsts = [row[0] for row in tables[0].rows]
        ids = tuple(each.pick or each.href or (each.ident.full if each.ident else each.text) for each in firsts)
        return (tables[0], ids) if len(set(ids)) == len(ids) and all(ids) else None

    @property
    def has_curve(self) -> bool:
        """Whether it has a chart, also one of a trial in its form, which needs a style and a script."""
        trial = (self.rule_form or {}).get("trial")
        sections = (*self.sections, *(trial.sections if trial else ()))
        return any(each.curve is not None or each.plot is not None for each in sections)


def cell_of(value: object) -> Cell:
    """A cell with a value that a column is sorted by."""
    if isinstance(value, State):
        return Cell(state=value)
    if isinstance(value, Moment):
        return Cell(at=value)
    return Cell(text="" if value is None else _written(value))


def _written(value: object) -> str:
    """A value as a text, which keeps its mark (``language/say.py``)."""
    return value if isinstance(value, str) else str(value)


def text(value: object, *, href: str = "", reason: str = "") -> Cell:
    """A cell with a text."""
    return Cell(text=_written(value), href=href, reason=reason)


def number(value: object) -> Cell:
    """A cell with a figure, on the right."""
    return Cell(text=_written(value), number=True)


def code(value: object) -> Cell:
    """A cell with JSON."""
    return Cell(text=value if isinstance(value, str) else json_text(value), code=True)


def state(table: Mapping[str, State], word: str | None, reason: str = "") -> Cell:
    """A cell with a state."""
    return Cell(state=state_of(table, word), reason=reason)


def when(at_ms: int | None, now: int) -> Cell:
    """A cell with a moment."""
    return Cell(at=None if at_ms is None else moment(at_ms // 1000, now), text=say("never"))


def button(label: str, post: str, *fields: tuple[str, str]) -> Cell:
    """A cell with a button."""
    return Cell(text=label, post=post, fields=fields)


def pretty(body: Mapping[str, Any]) -> str:
    """JSON as people edit it."""
    return json.dumps(body, ensure_ascii=False, indent=2)


def parsed(body: str) -> dict[str, Any]:
    """What was typed into an editor.

    Raises:
        InvalidArgumentError: not a JSON object as the API takes it (``api/http/json_body.py``); says where.
    """
    try:
        found = strict_json(body.encode())
    except RecursionError:
        found = None
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            "body: expected text without lone surrogates", remedy="Correct the escapes \\ud800 to \\udfff."
        ) from error
    except ValueError as error:
        raise InvalidArgumentError(f"body: expected JSON, {error}", remedy="Correct it there.") from error
    if not isinstance(found, dict):
        raise InvalidArgumentError("body: expected a JSON object", remedy="Begin with { and end with }.")
    return found


def place(kind: str, document_id: str, *more: str) -> str:
    """A path below a document: ``group``, ``job``, ``export``, ``rule``, ``template``, ``dashboard``."""
    return "/".join([f"/{kind}s", quote(document_id), *more])


def next_href(path: str, cursor: Any, query: Mapping[str, str] = MappingProxyType({})) -> str:
    """Where the next page is; "" where there is none."""
    return f"{path}?{urlencode({**query, 'after': cursor})}" if cursor else ""


def named(name: str, display_name: str | None, *, href: str = "") -> Cell:
    """A cell with what something is called, its machine name below where that is another."""
    shown = display_name or name
    return text(shown, href=href, reason=name if shown != name else "")


def device_href(device_id: str) -> str:
    """Where a device's page is, which a module is on as well."""
    return f"/devices/{quote(device_id.partition('/')[0], safe='')}"


def device(device_id: str, labels: Mapping[str, str]) -> Cell:
    """A cell with a device by what it is called, which leads to its page."""
    return text(labels.get(device_id) or short_id(device_id).short, href=device_href(device_id))


def list_sheet(
    title: str,
    columns: tuple[str, ...],
    found: Sequence[Sequence[Cell]],
    *,
    path: str,
    cursor: str | None,
    says: str,
    new: Button | None,
    command: str,
    detail: str = "",
    heading: str = "",
    bulk: Bulk | None = None,
    search: str = "",
) -> Sheet:
    """A page with all documents of a kind, or with those that have ``search`` in their name or id.

    Where none is ``found``, it says by ``detail`` what such a document is, and the ``command`` that makes one.
    ``says`` is the first line; ``new`` the way to a new one, None where the operator may make none.
    """
    next_page = next_href(path, cursor, {FIND: search} if search else {})
    new_way = (new,) if new is not None else ()
    if search:
        all_way = Button(label=say("Show all"), href=path)
        says, detail = (says, only_found(search)) if found else (nothing_found(search), "")
        new_way, command = (all_way, *new_way), ""
    elif found:
        detail = ""
    section = Section(
        title=heading or title, columns=columns, rows=found, none="", next_href=next_page, sorts=True, bulk=bulk
    )
    return Sheet(
        place=title,
        title=says,
        detail=detail,
        buttons=new_way,
        search=find_form(path, search) if found or search else None,
        sections=(section,) if found else (),
        command="" if found else command,
        every_s=SEEN_EVERY_S,
        is_list=True,
    )


def nothing_found(search: str) -> str:
    """What a list says that has nothing with a text."""
    return say("Nothing here has {text} in its name or id.", text=json_text(search))


def only_found(search: str) -> str:
    """What stands below the first line of a list that is narrowed to what has a text."""
    return say("Only those with {text} in their name or id.", text=json_text(search))


def find_form(path: str, search: str, hidden: tuple[tuple[str, str], ...] = ()) -> Form:
    """The form that narrows a list to those with a text in their name or id."""
    return Form(
        post=path,
        label=say("Find"),
        fields=(Field(name=FIND, label=say("Text in the name or id"), value=search),),
        hidden=hidden,
    )


def command(value: str) -> Cell:
    """A cell with a command to copy."""
    return Cell(text=value, command=True)


def json_cell(value: Any) -> Cell:
    """A cell with a value as JSON, or that there is none."""
    return Cell(text=say("none")) if value is None else code(json_text(value))


def audit_section(lines: Sequence[Mapping[str, Any]], now: int) -> Section:
    """Audit lines with the hashes that chain them."""
    return Section(
        title=say("Audit lines"),
        note=say("what this rests on; the log verifies itself on the audit page"),
        columns=(say("Line"), say("When"), say("What"), say("By"), say("Hash")),
        rows=[
            (
                text(grouped(each["number"]), href="/audit"),
                Cell(at=moment(each["at"], now)),
                text(each["operation"], reason=each["target"]),
                text(each["actor"]),
                Cell(ident=short_id(each["hash"])),
            )
            for each in lines
        ],
        none=say("None."),
    )


def act_button(target: str, value: str, catalog: str) -> Button:
    """The way to an action that is aimed at an advisory or a finding (``console/security/actions.py``)."""
    given = {"target": target, "value": value, **({"catalog": catalog} if catalog else {})}
    return Button(label=say("Act on it"), href=f"/new-action?{urlencode(given)}")


def aware_button(subject: str, reference: str, catalog: str) -> Button:
    """The way to a case about an advisory or a finding (``console/evidence``)."""
    given = {"subject": subject, "reference": reference, **({"catalog": catalog} if catalog else {})}
    return Button(label=say("Become aware"), href=f"/new-case?{urlencode(given)}")
