# SPDX-License-Identifier: Apache-2.0
"""Authored documents (groups, jobs) as IoT Central's operations read and write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from armillary.api.central.call import Call, wrong
from armillary.api.http.scope import CheckedCatalog
from armillary.engines.documents.document import Document, not_found
from armillary.engines.documents.store import MAX_LIMIT
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.platform.authored.documents import is_visible
from armillary.twin.central.id import document_id


def narrowed(call: Call) -> CheckedCatalog | None:
    """The catalog that a token of one catalog speaks for; None for one of all."""
    return None if call.operator.catalog_id is None else call.owner


def documents(call: Call, kind: str, after: str) -> Iterator[Document]:
    """Documents of a kind that the caller sees, by id, after an id."""
    owner, at = narrowed(call), after or None
    while True:
        page = call.platform.documents.list(kind, limit=MAX_LIMIT, after=at)
        yield from (each for each in page.items if is_visible(each, owner))
        at = page.next_after
        if at is None:
            return


def visible(call: Call, kind: str, given: str) -> Document:
    """The document of an id, as the caller may see it. Raises NotFoundError if there is none."""
    try:
        return call.platform.authored.visible(kind, document_id(given), narrowed(call))
    except InvalidArgumentError as error:  # nothing can have such an id
        raise not_found(kind, given) from error


def present(call: Call, kind: str, given: str) -> Document | None:
    """As :func:`visible`; None where there is none."""
    try:
        return visible(call, kind, given)
    except NotFoundError:
        return None


def keep(call: Call, kind: str, given: str, body: dict[str, Any], before: Document | None) -> Document:
    """Keep a document: a new one belongs to the catalog, an existing one keeps its owner.

    Raises:
        ConflictError: If-Match does not hold.
        PermissionDeniedError, NotFoundError: it is not the caller's to change.
    """
    name, owner = document_id(given), narrowed(call)
    call.platform.authored.check_free(kind, name, owner, call.if_match)
    body["catalog"] = call.catalog.name if before is None else before.content.get("catalog")
    call.platform.authored.put(call.actor, kind, name, body, owner, call.if_match)
    return call.platform.documents.get(kind, name)


def no_organisations(body: dict[str, Any]) -> None:
    """Raise InvalidArgumentError if a group or job names an organisation: both are of the whole catalog."""
    if body.get("organizations") not in (None, []):
        raise wrong("organizations", "none: this is of the whole application", body["organizations"])
