# SPDX-License-Identifier: Apache-2.0
"""Help and output of every command: data to stdout, notes and errors to stderr, plain text where no terminal reads it.

Printed text may come from a device, so control characters are escaped. The library of the command line is imported in
the functions that use it: the service says where it is with this module, and takes 1.9 MB less memory without it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from armillary.cli.terminal.colour import BAD, HEADING, is_coloured, painted, state
from armillary.cli.terminal.fitting import ELLIPSIS, GAP, Fitted, cut, fit, padded
from armillary.errors import ArmillaryError

if TYPE_CHECKING:
    import typer

# Characters of what all rows of a table say, below it.
ROOM_OF_SAME = 40
# What people see of something that --json prints as it is.
Row = Callable[[Any], Mapping[str, Any]]


def noun(text: str = "", *, within: typer.Typer | None = None, name: str | None = None) -> typer.Typer:
    """A new group of verbs, part of ``within`` under ``name``.

    ``text`` is its help, none for verbs that another noun takes over with :func:`adopt`.
    """
    import typer  # noqa: PLC0415 - as the docstring of this module says

    made = typer.Typer(no_args_is_help=True, help=text or None, rich_markup_mode=None, add_completion=False)
    if within is not None:
        within.add_typer(made, name=name)
    return made


def adopt(app: typer.Typer, *parts: typer.Typer) -> None:
    """Add to a noun the verbs and groups that other modules declare, in this order."""
    for part in parts:
        app.registered_commands += part.registered_commands
        app.registered_groups += part.registered_groups


def inert(text: str, *, keep: str = "") -> str:
    r"""Text that a terminal shows and does not obey.

    Names, descriptions and output come from devices and their applications. What is not printable (escape sequences,
    line ends that would forge a line, marks that reverse the reading direction, halves of characters) is written out
    as in Python: ``\x1b``. Characters in ``keep`` stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode("ascii") for each in text
    )


def json_text(value: object, *, indent: int | None = None) -> str:
    r"""A JSON document as text that a terminal does not obey: what is not printable stands as ``\u001b`` in it."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def print_json(value: object) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(json_text(value, indent=2) + "\n")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command shows: ``found`` with ``--json``, what ``print_text`` prints for people without; how it exits."""

    found: object
    print_text: Callable[[], None] = lambda: None
    exit_code: int = 0

    def show(self, *, as_json: bool) -> None:
        """Print it, and end the command if its exit code is not 0."""
        if as_json:
            print_json(self.found)
        else:
            self.print_text()
        if self.exit_code:
            import typer  # noqa: PLC0415 - as the docstring of this module says

            raise typer.Exit(self.exit_code)

    def then(self, *more: str | Shown | None) -> Shown:
        """The same, and for people ``more`` below it: notes, and other things to show; None is nothing."""

        def print_text() -> None:
            self.print_text()
            for each in more:
                if isinstance(each, str):
                    note(each)
                elif each is not None:
                    each.print_text()

        return replace(self, print_text=print_text)


def record(found: Mapping[str, Any], *, row: Row | None = None) -> Shown:
    """One thing: a JSON object, or aligned ``name  value`` lines of what ``row`` makes of it for people."""

    def print_text() -> None:
        shown = found if row is None else row(found)
        width = max((len(name) for name in shown), default=0)
        coloured = is_coloured(sys.stdout)
        for name, value in shown.items():
            cell = _cell(value) or "-"
            sys.stdout.write(f"{inert(name):<{width}}  {state(name, cell, cell, coloured=coloured)}\n")

    return Shown(dict(found), print_text)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, empty: str, row: Row | None = None) -> Shown:
    """Many things: a JSON array, or a table of ``columns`` of what ``row`` makes of each for people.

    On a terminal the table is as wide as that is (:func:`fit`), elsewhere as it takes. ``empty`` says what to do when
    there is none.
    """
    found = [dict(each) for each in rows]

    def print_text() -> None:
        if not found:
            sys.stderr.write(empty + "\n")
            return
        shown = found if row is None else [row(each) for each in found]
        cells = [[_cell(each.get(column)) for column in columns] for each in shown]
        _print_fitted(fit(columns, cells, _columns_of_stdout()))

    return Shown(found, print_text)


def only(*names: str) -> Row:
    """What people see of a record: these fields of it."""
    return lambda found: {name: found[name] for name in names}


def present(*names: str) -> Row:
    """What people see of a record: those of these fields that have a value."""
    return lambda found: {name: found[name] for name in names if found.get(name) is not None}


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 device``, ``2 devices``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def note(text: str) -> None:
    """Tell a person something on stderr."""
    sys.stderr.write(inert(text, keep="\n") + "\n")


def print_error(error: ArmillaryError) -> None:
    """Print an error with its code, then what to do."""
    coloured = is_coloured(sys.stderr)
    word = painted("error:", BAD, coloured=coloured)
    sys.stderr.write(f"{word} {inert(error.message)} [{inert(error.code)}]\n")
    if error.remedy:
        sys.stderr.write(f"\n{painted('hint:', HEADING, coloured=coloured)} {inert(error.remedy)}\n")


def _print_fitted(table: Fitted) -> None:
    ellipsis = ELLIPSIS if _writes(ELLIPSIS) else "..."
    coloured = is_coloured(sys.stdout)

    def padded_cells(line: Sequence[str]) -> list[str]:
        pairs = zip(line, table.widths, strict=True)
        return [padded(cut(cell, width, ellipsis=ellipsis), width) for cell, width in pairs]

    heading = GAP.join(padded_cells(table.columns)).rstrip()
    sys.stdout.write(painted(heading, HEADING, coloured=coloured) + "\n")
    for row in table.rows:
        shown = zip(table.columns, row, padded_cells(row), strict=True)
        cells = (state(column, cell, text, coloured=coloured) for column, cell, text in shown)
        sys.stdout.write(GAP.join(cells).rstrip() + "\n")
    if table.same:
        note("the same in every row: " + ", ".join(f"{name} {cut(value, ROOM_OF_SAME)}" for name, value in table.same))
    if table.left_out:
        note(f"no room for {', '.join(table.left_out)}: a wider terminal or --json shows all columns")


def _columns_of_stdout() -> int | None:
    """Characters in a line of the terminal, as COLUMNS or the terminal itself says; None where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _writes(text: str) -> bool:
    """Whether stdout's encoding has all characters of a text."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_cell(item) for item in value) or "-"
    if isinstance(value, Mapping):
        return inert(json.dumps(dict(value), ensure_ascii=False, default=str))
    return inert(str(value))
