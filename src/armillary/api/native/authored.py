# SPDX-License-Identifier: Apache-2.0
"""Documents that an application's author makes (groups, jobs, exports), as routes give them: list, show, put, delete.

A document is of one catalog (``"catalog": NAME``) or of all (null). With ``catalog=NAME`` a route shows what is of that
catalog and what is of all, and changes only what is of that catalog: that is all a token of one catalog can ask for
(``api/http/scope.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request

from armillary.api.http.documents import as_document
from armillary.api.http.routes import operator_of, platform_of, service_of
from armillary.api.http.scope import CheckedCatalog
from armillary.engines.documents.document import Document, check_match, not_found
from armillary.engines.documents.store import MAX_LIMIT
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from armillary.twin.author.dashboard import parse as parse_dashboard
from armillary.twin.author.data_export import parse_export
from armillary.twin.author.group import parse_group
from armillary.twin.author.job import parse_job
from armillary.twin.author.organisation import parse_organisation
from armillary.twin.author.uses import USERS, Named, Use, uses_of
from armillary.twin.rule.json_form import parse_document
from armillary.wire.text.given_text import check_given

# Users that a refusal names: enough to see what it is about; the route `uses` has all.
MAX_NAMED = 8

# kind -> check of its body.
PARSERS: Mapping[str, Callable[[object], object]] = {
    "dashboard": parse_dashboard,
    "export": parse_export,
    "group": parse_group,
    "job": parse_job,
    "organisation": parse_organisation,
    "rule": parse_document,
}


def listed(
    request: Request, kind: str, catalog: CheckedCatalog | None, limit: int, after: str | None
) -> dict[str, Any]:
    """Documents of a kind by id."""
    store, found, at = platform_of(request).documents, list[Document](), after
    while len(found) <= limit:
        page = store.list(kind, limit=MAX_LIMIT, after=at)
        found += [each for each in page.items if is_visible(each, catalog)]
        at = page.next_after
        if at is None:
            break
    return {
        "items": [document_of(each) for each in found[:limit]],
        "next": found[limit - 1].id if len(found) > limit else None,
    }


def visible(request: Request, kind: str, document_id: str, catalog: CheckedCatalog | None) -> Document:
    """A document that the caller may see.

    Raises:
        NotFoundError: there is none, or it is another catalog's; the two cannot be told apart.
    """
    found = platform_of(request).documents.get(kind, document_id)
    if not is_visible(found, catalog):
        raise not_found(kind, document_id)
    return found


def put(
    request: Request,
    kind: str,
    document_id: str,
    body: Mapping[str, Any],
    catalog: CheckedCatalog | None,
    if_match: str | None,
) -> dict[str, Any]:
    """Keep a document; the audit log says who did."""
    kept = _of_catalog(kind, body, catalog)
    if catalog is not None:
        check_free(request, kind, document_id, catalog, if_match)
        if_match = owned_version(request, kind, document_id, catalog, if_match)
    PARSERS[kind](kept)
    present = platform_of(request).documents.find(kind, document_id)
    check_given(kept, kind, None if present is None else present.content)
    actor = operator_of(request).name
    made = platform_of(request).documents.put(kind, document_id, kept, by=actor, if_match=if_match)
    service_of(request).audit.append(actor, f"{kind}.put", document_id, {"version": made.version})
    return document_of(made)


def check_put(
    request: Request,
    kind: str,
    document_id: str,
    body: Mapping[str, Any],
    catalog: CheckedCatalog | None,
    if_match: str | None,
) -> str:
    """Raise what :func:`put` would, before anything else is changed; the version that the change is then of."""
    kept = _of_catalog(kind, body, catalog)
    PARSERS[kind](kept)
    check_free(request, kind, document_id, catalog, if_match)
    found = check_owned(request, kind, document_id, catalog)
    check_given(kept, kind, None if found is None else found.content)
    present = None if found is None else found.etag
    check_match(kind, document_id, if_match, present)
    return present or ""


def check_catalog(kind: str, given: object, catalog: CheckedCatalog | None) -> None:
    """Raise unless the catalog that a body names is the one that its caller speaks for (None: for all).

    Raises:
        InvalidArgumentError: it is another one, or none; whether there is such a catalog is not said.
    """
    if catalog is not None and not _same(given, catalog):
        raise InvalidArgumentError(
            f"{kind}.catalog: expected {catalog}, got {given!a:.60}", remedy="Leave it out, or name the same catalog."
        )


def delete(
    request: Request,
    kind: str,
    document_id: str,
    catalog: CheckedCatalog | None,
    if_match: str | None,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Delete a document that nothing uses, or whatever uses it with ``force``.

    Raises:
        ConflictError: something uses it; says what.
    """
    if catalog is not None:
        if_match = owned_version(request, kind, document_id, catalog, if_match)
    if not force:
        check_unused(request, kind, document_id, catalog)
    actor = operator_of(request).name
    platform_of(request).documents.delete(kind, document_id, by=actor, if_match=if_match)
    service_of(request).audit.append(actor, f"{kind}.delete", document_id, {"forced": True} if force else {})
    return {"deleted": document_id}


def uses(request: Request, kind: str, document_id: str, catalog: CheckedCatalog | None) -> tuple[Use, ...]:
    """What uses a document, of that which the caller may see."""
    return uses_of(kind, document_id, seen_users(request, catalog))


def seen_users(request: Request, catalog: CheckedCatalog | None) -> list[Named]:
    """Documents that may use others, of those that the caller may see: nobody's keeps another owner from deleting."""
    found = platform_of(request).documents.all(USERS)
    return [Named(each.kind, each.id, each.content) for each in found if is_visible(each, catalog)]


def uses_page(found: Sequence[Use]) -> dict[str, Any]:
    """What uses something, as a page."""
    return {"items": [{**as_document(each), "words": each.words()} for each in found], "next": None}


def check_unused(request: Request, kind: str, document_id: str, catalog: CheckedCatalog | None) -> None:
    """Raise ConflictError, which names them, where documents use this one."""
    found = uses(request, kind, document_id, catalog)
    if not found:
        return
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    raise ConflictError(
        f"{kind} {document_id[:64]!a} is used by {', '.join(each.words() for each in found[:MAX_NAMED])}{more}",
        remedy="Change those first; force=true (--force on the command line) deletes it although they name it.",
    )


def check_owned(request: Request, kind: str, document_id: str, catalog: CheckedCatalog | None) -> Document | None:
    """The document that who speaks for a catalog (None: for all) may change; None where there is none yet.

    Raises:
        NotFoundError: it is another catalog's.
        PermissionDeniedError: it is of all catalogs.
    """
    found = platform_of(request).documents.find(kind, document_id)
    if catalog is None or found is None:
        return found
    owner = found.content.get("catalog")
    if owner is None:
        raise PermissionDeniedError(
            f"{kind} {document_id[:64]!a} is of all catalogs",
            remedy="Use a token that is not for one catalog, or make one of your own under another id.",
        )
    if not _same(owner, catalog):
        raise not_found(kind, document_id)
    return found


def check_free(
    request: Request, kind: str, document_id: str, catalog: CheckedCatalog | None, if_match: str | None
) -> None:
    """Raise unless who speaks for a catalog (None: for all) may keep a document under an id.

    Ids are of the whole service, as groups, jobs, rules and devices name each other by them. So one that another
    catalog has is taken, which its being refused shows; whose it is and what it holds is not said.

    Raises:
        ConflictError: another catalog has it; or it is not the version of ``if_match``, as if it were not there.
        PermissionDeniedError: it is of all catalogs.
    """
    try:
        check_owned(request, kind, document_id, catalog)
    except NotFoundError as error:
        check_match(kind, document_id, if_match, None)
        raise ConflictError(
            f"{kind}: the id {document_id[:64]!a} is taken",
            remedy="Choose another one, for example one that begins with the name of your catalog.",
        ) from error


def owned_version(request: Request, kind: str, document_id: str, catalog: CheckedCatalog, if_match: str | None) -> str:
    """The version that a change of a catalog's document is of, "" for none: what somebody makes meanwhile is theirs.

    Raises:
        NotFoundError: it is another catalog's.
        PermissionDeniedError: it is of all catalogs.
        ConflictError: it is not the version of ``if_match``.
    """
    found = check_owned(request, kind, document_id, catalog)
    check_match(kind, document_id, if_match, None if found is None else found.etag)
    return "" if found is None else found.etag


def is_visible(document: Document, catalog: CheckedCatalog | None) -> bool:
    """Whether who speaks for a catalog (None: for all) sees a document."""
    owner = document.content.get("catalog")
    return catalog is None or owner is None or _same(owner, catalog)


def document_of(document: Document) -> dict[str, Any]:
    """A document as JSON."""
    return {
        "id": document.id,
        "version": document.version,
        "etag": document.etag,
        "changed_ms": document.changed_ms,
        "changed_by": document.changed_by,
        "body": dict(document.content),
    }


def _of_catalog(kind: str, body: Mapping[str, Any], catalog: CheckedCatalog | None) -> dict[str, Any]:
    kept = dict(body)
    if catalog is not None:
        check_catalog(kind, kept.setdefault("catalog", catalog), catalog)
    return kept


def _same(name: object, catalog: str) -> bool:
    return isinstance(name, str) and name.lower() == catalog.lower()
