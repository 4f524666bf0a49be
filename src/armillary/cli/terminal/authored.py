# SPDX-License-Identifier: Apache-2.0
"""What nouns of an application's documents (group, job, export) have in common on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.output import note, print_json, print_record
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, read_file, segment
from armillary.cli.terminal.remote_names import confirm
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
NameOption = Annotated[str | None, typer.Option("--name", "-n", metavar="TEXT", help="Its name, for people.")]


def read_definition(file: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        InvalidArgumentError: not readable, too large, or no JSON object.
    """
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


def put(
    remote: RemoteService, path: str, document_id: str, body: dict[str, Any], catalog: str | None, *, replace: bool
) -> Any:
    """Keep a document.

    Raises:
        ConflictError: there is one of this id, and it is not to be replaced.
    """
    if_match = None if replace else NOTHING_THERE
    try:
        return remote.put(f"{path}/{segment(document_id)}", body, if_match=if_match, catalog=catalog)
    except OperatorError as error:
        if replace or error.code != "request.precondition":
            raise
        raise ConflictError(
            f"there is a {path.strip('/').removesuffix('s')} {document_id!r} already: nothing was changed",
            remedy="Give --replace to change it, or --id to make another one.",
        ) from error


def delete(
    remote: RemoteService, path: str, document_id: str, catalog: str | None, *, yes: bool, force: bool = False
) -> None:
    """Delete a document that others may use, after a question that names them.

    Raises:
        OperatorError: something uses it, and it is not forced.
    """
    place, word = f"{path}/{segment(document_id)}", path.strip("/").removesuffix("s")
    users = remote.get(f"{place}/uses", catalog=catalog)["items"]
    if users:
        note(f"the {word} {document_id} is used by:")
        for each in users:
            note(f"  {each['words']}")
    if force or not users:  # else the service refuses it, and says the same to programs
        confirm(f"Delete the {word} {document_id}?", yes=yes)
    remote.delete(place, catalog=catalog, force=True if force else None)
    note(f"{word} {document_id} deleted")


def row_of(document: dict[str, Any]) -> dict[str, Any]:
    """A document as one row for people: its id and version, and what it says."""
    body = document["body"]
    return readable({"id": document["id"], "version": document["version"], **body})


def print_document(document: dict[str, Any], *, as_json: bool) -> None:
    """Print one document."""
    if as_json:
        print_json(document)
    else:
        print_record(row_of(document), as_json=False)
