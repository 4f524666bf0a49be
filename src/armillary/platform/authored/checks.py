# SPDX-License-Identifier: Apache-2.0
"""Whether documents that come from outside make sense: each kind's own check, and what they say of one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from armillary.engines.documents.document import word_of
from armillary.engines.documents.store import DocumentStore, Put
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.platform.authored.documents import PARSERS
from armillary.twin.author.organisation import check_tree, parse_organisation
from armillary.twin.template.name import published_id, split_id
from armillary.wire.text.given_text import check_given

# What is kept of a device (``platform/templates/device_templates.py``).
DEVICE_FIELDS = frozenset(("template", "version", "by", "cloud", "display_name", "organisation"))


def body_check(store: DocumentStore) -> Callable[[str, str, Mapping[str, Any]], None]:
    """The check of one document from outside, for ``engines/documents/files.py``."""

    def check(kind: str, document_id: str, body: Mapping[str, Any]) -> None:
        present = store.find(kind, document_id)
        check_given(body, kind, None if present is None else present.content)
        if kind == "template":
            _check_template(store, document_id, body)
        elif kind == "device":
            _check_device(body)
        elif kind in PARSERS:
            PARSERS[kind](body)
        else:
            raise InvalidArgumentError(f"{kind}: nothing of this kind can be imported", remedy="Leave it out.")

    return check


def check_organisations(store: DocumentStore, puts: Sequence[Put], replace: Sequence[str]) -> None:
    """Raise ConflictError if documents would break the tree of organisations or move one to another catalog."""
    given = {put.id: parse_organisation(put.body) for put in puts if put.kind == "organisation"}
    if not given and "organisation" not in replace:
        return
    present = {each.id: parse_organisation(each.content) for each in store.all(("organisation",))}
    for name, organisation in given.items():
        before = present.get(name)
        if before is not None and before.catalog.lower() != organisation.catalog.lower():
            raise ConflictError(
                f"organisation {name!a:.80} is of catalog {before.catalog!a:.60}", remedy="Import it under another id."
            )
    check_tree(given if "organisation" in replace else {**present, **given})


def warnings(store: DocumentStore, puts: Sequence[Put]) -> list[str]:
    """Groups and templates that documents name and that would not exist, as sentences."""
    known = {(put.kind, put.id) for put in puts}
    found: list[str] = []
    for put in puts:
        for kind, name in (("group", put.body.get("group")), ("template", put.body.get("template"))):
            if not isinstance(name, str) or put.kind in ("template", "rule"):
                continue
            if kind == "template" and put.kind == "device":
                name = published_id(name, int(put.body.get("version") or 1))  # noqa: PLW2901 - the same thing's id
            if (kind, name) not in known and store.find(kind, name) is None:
                found.append(f"{put.kind} {put.id}: there is no {word_of(kind)} {name!a:.80}")
    return found


def _check_template(store: DocumentStore, document_id: str, body: Mapping[str, Any]) -> None:
    from armillary.twin.template.json_form import parse_template  # noqa: PLC0415 - a megabyte that most hubs do not need

    name, version = split_id(document_id)
    if parse_template(body).version != version:
        raise InvalidArgumentError(
            f"template.version: expected {version or 'none'} as its file is named, got {body.get('version')!a:.20}",
            remedy="Name the file NAME.json for a draft, or as it was exported.",
        )
    present = store.find("template", document_id) if version else None
    if present is not None and dict(present.content) != dict(body):
        raise ConflictError(
            f"version {version} of template {name!a} is published and another one: it never changes",
            remedy="Publish a new version here, or import into an application without it.",
        )


def _check_device(body: Mapping[str, Any]) -> None:
    unknown = sorted(set(body) - DEVICE_FIELDS)
    if unknown or not isinstance(body.get("cloud", {}), Mapping):
        raise InvalidArgumentError(
            f"device: expected only {', '.join(sorted(DEVICE_FIELDS))}, got {', '.join(unknown)[:60] or 'no object'}",
            remedy="Correct the file.",
        )
