# SPDX-License-Identifier: Apache-2.0
"""Nouns for documents that authors write (groups, rules, jobs, ...): shared options, and the verbs all of them have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.output import Row, Shown, note, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, Verb, remote_command, segment
from armillary.cli.terminal.remote_names import YesOption, confirm
from armillary.errors import ConflictError, InvalidArgumentError, OperatorError

# The service takes 256 KiB.
MAX_FILE_BYTES = 256 << 10
# The ETag of a document that is not there (engines/documents/document.py).
NOTHING_THERE = '""'

CatalogOption = Annotated[
    str | None, typer.Option("--catalog", "-c", metavar="NAME", help="Of this catalog and of all; a token may need it.")
]
FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", metavar="FILE", help="The whole definition as JSON; - reads stdin.")
]
IdOption = Annotated[
    str | None, typer.Option("--id", metavar="ID", help="Its id: a-z 0-9 . _ -; made of the name by default.")
]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Change the one of this id, where there is one.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Although something uses it.")]
SearchOption = Annotated[
    str | None,
    typer.Option("--search", "-s", metavar="TEXT", help="Only those with this text in their name or id."),
]
NameOption = Annotated[str | None, typer.Option("--name", "-n", metavar="TEXT", help="Its name, for people.")]


def read_definition(file: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises InvalidArgumentError if it cannot be read or holds none."""
    try:
        found = json.loads(read_file(file, limit=MAX_FILE_BYTES))
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{file}: expected a JSON file ({error})", remedy="Correct the file.") from error
    if not isinstance(found, dict):
        raise InvalidArgumentError(f"{file}: expected a JSON object", remedy="Correct the file.")
    return found


def id_of(name: str) -> str:
    """An id made of a name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64] or "unnamed"


def none_of(word: str, search: str | None) -> str:
    """What is said where a list has nothing with a text; "" where none was asked for."""
    return f"No {word} has {search!r} in its name or id." if search else ""


def row_of(document: dict[str, Any]) -> dict[str, Any]:
    """A document as one row for people: its id and version, and what it says."""
    return readable({"id": document["id"], "version": document["version"], **document["body"]})


class Documents:
    """The documents of one kind in the service, and the verbs that are alike for every kind.

    ``path`` is its native path, such as ``/groups``; ``option`` names one document; ``word`` is what people call it
    where that is not the path's word, ``name`` where they read more than that word.
    """

    def __init__(self, app: typer.Typer, path: str, option: object, *, name: str = "", word: str = "") -> None:
        self._app = app
        self._path = path
        self._option = option
        self._word = word or path.strip("/").removesuffix("s")
        self._name = name or self._word

    def place(self, document_id: str) -> str:
        """Native path of one document."""
        return f"{self._path}/{segment(document_id)}"

    def put(
        self,
        remote: RemoteService,
        document_id: str | None,
        body: dict[str, Any],
        catalog: str | None,
        *,
        replace: bool,
    ) -> Any:
        """Keep a document, by default under an id made of its name. Raises ConflictError unless it may replace one."""
        chosen = document_id or id_of(str(body.get("name")))
        if_match = None if replace else NOTHING_THERE
        try:
            return remote.put(self.place(chosen), body, if_match=if_match, catalog=catalog)
        except OperatorError as error:
            if replace or error.code != "request.precondition":
                raise
            raise ConflictError(
                f"there is a {self._word} {chosen!r} already: nothing was changed",
                remedy="Give --replace to change it, or --id to make another one.",
            ) from error

    def add_list(self, text: str, columns: tuple[str, ...], *, empty: str, row: Row = row_of) -> None:
        """Declare ``list``, with ``text`` as its help."""

        def verb(remote: RemoteService, catalog: CatalogOption = None, search: SearchOption = None) -> Shown:
            found = remote.pages(self._path, catalog=catalog, search=search)
            return table(found, columns, row=row, empty=none_of(self._word, search) or empty)

        self._declare("list", text, verb)

    def add_show(self, text: str, *, row: Row = row_of) -> None:
        """Declare ``show``, with ``text`` as its help."""

        def verb(remote: RemoteService, document_id: str, catalog: CatalogOption = None) -> Shown:
            return record(remote.get(self.place(document_id), catalog=catalog), row=row)

        self._declare("show", text, verb)

    def add_delete(self, text: str) -> None:
        """Declare ``delete``, with ``text`` as its help."""

        def verb(
            remote: RemoteService, document_id: str, catalog: CatalogOption = None, yes: YesOption = False
        ) -> None:
            confirm(f"Delete the {self._name} {document_id}?", yes=yes)
            remote.delete(self.place(document_id), catalog=catalog)
            note(f"{self._word} {document_id} deleted")

        self._declare("delete", text, verb)

    def add_delete_of_used(self, text: str) -> None:
        """Declare ``delete`` of what others may use: it names them, and needs ``--force`` then."""

        def verb(
            remote: RemoteService,
            document_id: str,
            catalog: CatalogOption = None,
            force: ForceOption = False,
            yes: YesOption = False,
        ) -> None:
            place = self.place(document_id)
            users = remote.get(f"{place}/uses", catalog=catalog)["items"]
            if users:
                note(f"the {self._word} {document_id} is used by:")
                for each in users:
                    note(f"  {each['words']}")
            if force or not users:  # else the service refuses it, and says the same to programs
                confirm(f"Delete the {self._word} {document_id}?", yes=yes)
            remote.delete(place, catalog=catalog, force=True if force else None)
            note(f"{self._word} {document_id} deleted")

        self._declare("delete", text, verb)

    def _declare(self, name: str, text: str, verb: Verb) -> None:
        verb.__doc__ = text
        verb.__annotations__["document_id"] = self._option
        remote_command(self._app, name)(verb)
