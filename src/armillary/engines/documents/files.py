# SPDX-License-Identifier: Apache-2.0
"""Exports documents as files and imports them: ``KIND/ID.json`` each, for a version control system.

An export has the bodies only, without versions, times and people: exported again after an import into another hub, the
files are equal. An import is one transaction; documents that it does not name stay, unless the caller asks to replace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.engines.database.outbox import Author
from armillary.engines.documents.document import KINDS, MAX_BODY_BYTES, Document, check_id, check_kind, encode_body
from armillary.engines.documents.store import MAX_CHANGES, Delete, DocumentStore, Put
from armillary.errors import ArmillaryError, InvalidArgumentError

# kind, id, body -> None; raises InvalidArgumentError for a body that says nothing sensible.
BodyCheck = Callable[[str, str, Mapping[str, Any]], None]

# Kinds that are the application itself; what operators keep of single devices is asked for by name, and a simulation
# names devices that are in this hub only.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_ESCAPE = re.compile("%([2-7][0-9a-f])")

APPLICATION_KINDS = tuple(kind for kind in KINDS if kind not in ("device", "simulation"))


def path_of(kind: str, document_id: str) -> str:
    """Path of a document in an export; capitals and signs in a device's id are written as ``%41``."""
    name = "".join(each if each in _PLAIN else f"%{ord(each):02x}" for each in document_id)
    return f"{kind}/{name}.json"


def export_files(store: DocumentStore, kinds: Iterable[str] = APPLICATION_KINDS) -> dict[str, bytes]:
    """Every document of ``kinds``: path -> file content."""
    return {path_of(each.kind, each.id): encode_body(each.content).encode() for each in store.all(kinds)}


@dataclass(frozen=True, slots=True)
class ImportStep:
    """The effect of an import on one document: ``change`` is ``new``, ``changed``, ``same`` or ``deleted``."""

    kind: str
    id: str
    change: str


def read_files(files: Mapping[str, bytes], check: BodyCheck) -> list[Put]:
    """The documents of the files, checked.

    Raises:
        InvalidArgumentError: not a path or not contents of an export; the message names the path.
    """
    if len(files) > MAX_CHANGES:
        raise InvalidArgumentError(f"expected at most {MAX_CHANGES} files, got {len(files)}")
    puts: list[Put] = []
    for path in sorted(files):
        kind, document_id = _parse_path(path)
        body = _parse_body(path, files[path])
        try:
            encode_body(body)
            check(kind, document_id, body)
        except ArmillaryError as error:
            raise InvalidArgumentError(f"{path}: {error.message}", remedy=error.remedy) from error
        puts.append(Put(kind, document_id, body))
    return puts


def plan_import(store: DocumentStore, puts: Sequence[Put], replace: Iterable[str] = ()) -> list[ImportStep]:
    """The effects of an import of what :func:`read_files` returned, by kind and id; see :func:`keep_files`."""
    present = {(each.kind, each.id): encode_body(each.content) for each in store.all({put.kind for put in puts})}
    steps: list[ImportStep] = []
    for put in puts:
        before = present.get((put.kind, put.id))
        change = "new" if before is None else "same" if before == encode_body(put.body) else "changed"
        steps.append(ImportStep(put.kind, put.id, change))
    steps += [ImportStep(each.kind, each.id, "deleted") for each in _others(store, puts, replace)]
    return sorted(steps, key=lambda step: (step.kind, step.id))


def keep_files(
    store: DocumentStore, puts: Sequence[Put], *, by: Author, replace: Iterable[str] = ()
) -> tuple[Document, ...]:
    """Store what :func:`read_files` returned, in one transaction; returns the new versions of the documents.

    Other documents of the kinds in ``replace`` are deleted.
    """
    gone = _others(store, puts, replace)
    return store.change([*gone, *puts], by=by)[len(gone) :]


def _others(store: DocumentStore, puts: Sequence[Put], replace: Iterable[str]) -> list[Delete]:
    """Documents of some kinds that are not among ``puts``."""
    kept = {(put.kind, put.id) for put in puts}
    return [Delete(each.kind, each.id) for each in store.all(replace) if (each.kind, each.id) not in kept]


def _parse_path(path: str) -> tuple[str, str]:
    kind, slash, name = path.partition("/")
    if not slash or not name.endswith(".json"):
        raise _refused(path, "a path KIND/ID.json", path)
    document_id = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), name.removesuffix(".json"))
    try:
        found = check_kind(kind), check_id(document_id, kind)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{path[:200]!a}: {error.message}", remedy=error.remedy) from error
    if path_of(*found) != path:
        raise _refused(path, "capitals and signs as %41", path)
    return found


def _parse_body(path: str, content: bytes) -> dict[str, Any]:
    if len(content) > 2 * MAX_BODY_BYTES:  # room for white space
        raise _refused(path, f"at most {2 * MAX_BODY_BYTES} bytes", f"{len(content)}")
    try:
        body = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_each_name_once)
    except RecursionError:
        raise _refused(path, "a few levels", "hundreds") from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise _refused(path, "JSON in UTF-8", str(error)[:200]) from None
    if not isinstance(body, dict):
        raise _refused(path, "a JSON object", type(body).__name__)
    return body


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return document


def _refused(path: str, expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{path[:200]!a}: expected {expected}, got {got[:200]!a}",
        remedy="Correct the file; nothing of the import was kept.",
    )
