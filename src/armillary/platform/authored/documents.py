# SPDX-License-Identifier: Apache-2.0
"""Documents that authors make (groups, jobs, dashboards, pictures, rules and others): listed, shown, kept, deleted.

A document is of one catalog (``"catalog": NAME``) or of all (null). A caller that is limited to a catalog sees that
catalog's documents and those of all, and changes only that catalog's. ``catalog`` is that limit: None for no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.documents.document import Document, check_match, not_found, word_of
from armillary.engines.documents.store import MAX_LIMIT, DocumentPage, DocumentStore
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from armillary.identity.operator import Operator
from armillary.twin.author.dashboard import parse as parse_dashboard
from armillary.twin.author.data_export import parse_export
from armillary.twin.author.group import parse_group
from armillary.twin.author.job import parse_job
from armillary.twin.author.organisation import parse_organisation
from armillary.twin.author.picture import parse_picture
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
    "picture": parse_picture,
    "rule": parse_document,
}


@dataclass(eq=False)
class AuthoredDocuments:
    """Operations on authors' documents. Methods block for the disk."""

    _store: DocumentStore

    def listed(
        self, kind: str, catalog: str | None, limit: int, after: str | None, search: str | None = None
    ) -> dict[str, Any]:
        """Documents of a kind by id; with ``search`` those that have the text in their name or id."""
        kept = every(lambda at: self._store.list(kind, limit=MAX_LIMIT, after=at, text=search or ""), after)
        found = list(islice((each for each in kept if is_visible(each, catalog)), limit + 1))
        return {
            "items": [document_of(each) for each in found[:limit]],
            "next": found[limit - 1].id if len(found) > limit else None,
        }

    def visible(self, kind: str, document_id: str, catalog: str | None) -> Document:
        """A document that the caller may see.

        Raises:
            NotFoundError: there is none, or it is another catalog's; the two cannot be told apart.
        """
        found = self._store.get(kind, document_id)
        if not is_visible(found, catalog):
            raise not_found(kind, document_id)
        return found

    def owned(self, kind: str, document_id: str, catalog: str | None) -> Document:
        """A document that the caller may change. Raises as :meth:`visible` and :meth:`check_owned`."""
        found = self.check_owned(kind, document_id, catalog)
        if found is None:
            raise not_found(kind, document_id)
        return found

    def put(
        self,
        actor: Operator,
        kind: str,
        document_id: str,
        body: Mapping[str, Any],
        catalog: str | None,
        if_match: str | None,
    ) -> dict[str, Any]:
        """Keep a document; the audit log says who did."""
        kept = _of_catalog(kind, body, catalog)
        if catalog is not None:
            self.check_free(kind, document_id, catalog, if_match)
            if_match = self.owned_version(kind, document_id, catalog, if_match)
        PARSERS[kind](kept)
        present = self._store.find(kind, document_id)
        check_given(kept, kind, None if present is None else present.content)
        entry = put_entry(actor, kind, document_id)
        return document_of(self._store.put(kind, document_id, kept, by=entry, if_match=if_match))

    def check_put(
        self,
        kind: str,
        document_id: str,
        body: Mapping[str, Any],
        catalog: str | None,
        if_match: str | None,
    ) -> str:
        """Raise what :meth:`put` would, before anything is changed; the ETag to call it with."""
        kept = _of_catalog(kind, body, catalog)
        PARSERS[kind](kept)
        self.check_free(kind, document_id, catalog, if_match)
        found = self.check_owned(kind, document_id, catalog)
        check_given(kept, kind, None if found is None else found.content)
        present = None if found is None else found.etag
        check_match(kind, document_id, if_match, present)
        return present or ""

    def delete(
        self,
        actor: Operator,
        kind: str,
        document_id: str,
        catalog: str | None,
        if_match: str | None,
        *,
        force: bool = False,
    ) -> dict[str, Any]:
        """Delete a document that nothing uses, or whatever uses it with ``force``.

        Raises:
            ConflictError: something uses it; says what.
        """
        if catalog is not None:
            if_match = self.owned_version(kind, document_id, catalog, if_match)
        if not force:
            self.check_unused(kind, document_id, catalog)
        entry = AuditEntry(actor.name, f"{kind}.delete", document_id, {"forced": True} if force else {})
        self._store.delete(kind, document_id, by=entry, if_match=if_match)
        return {"deleted": document_id}

    def uses(self, kind: str, document_id: str, catalog: str | None) -> tuple[Use, ...]:
        """What uses a document, of that which the caller may see."""
        return uses_of(kind, document_id, self.seen_users(catalog))

    def seen_users(self, catalog: str | None) -> list[Named]:
        """Documents that may use others, of those that the caller may see: what others have keeps nobody from it."""
        found = self._store.all(USERS)
        return [Named(each.kind, each.id, each.content) for each in found if is_visible(each, catalog)]

    def check_unused(self, kind: str, document_id: str, catalog: str | None) -> None:
        """Raise ConflictError, which names them, where documents use this one."""
        found = self.uses(kind, document_id, catalog)
        if not found:
            return
        more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
        used = f"{word_of(kind)} {document_id[:64]!a} is used by"
        raise ConflictError(
            f"{used} {', '.join(each.words() for each in found[:MAX_NAMED])}{more}",
            remedy="Change those first; force=true (--force on the command line) deletes it although they name it.",
        )

    def check_owned(self, kind: str, document_id: str, catalog: str | None) -> Document | None:
        """The document, if a caller limited to ``catalog`` may change it; None where there is none yet.

        Raises:
            NotFoundError: it is another catalog's.
            PermissionDeniedError: it is of all catalogs.
        """
        found = self._store.find(kind, document_id)
        if catalog is None or found is None:
            return found
        owner = found.content.get("catalog")
        if owner is None:
            raise PermissionDeniedError(
                f"{word_of(kind)} {document_id[:64]!a} is of all catalogs",
                remedy="Use a token that is not for one catalog, or make one of your own under another id.",
            )
        if not _same(owner, catalog):
            raise not_found(kind, document_id)
        return found

    def check_free(self, kind: str, document_id: str, catalog: str | None, if_match: str | None) -> None:
        """Raise unless a caller limited to ``catalog`` may keep a document under an id.

        Ids are unique in the whole service, as groups, jobs, rules and devices name each other by them. A refusal shows
        that another catalog has the id, but neither which one nor what the document holds.

        Raises:
            ConflictError: another catalog has it; or it is not the version of ``if_match``, as if it were not there.
            PermissionDeniedError: it is of all catalogs.
        """
        try:
            self.check_owned(kind, document_id, catalog)
        except NotFoundError as error:
            check_match(kind, document_id, if_match, None)
            raise ConflictError(
                f"{word_of(kind)}: the id {document_id[:64]!a} is taken",
                remedy="Choose another one, for example one that begins with the name of your catalog.",
            ) from error

    def owned_version(self, kind: str, document_id: str, catalog: str, if_match: str | None) -> str:
        """The ETag of a catalog's document, "" for none; a change with it fails if the document changes meanwhile.

        Raises:
            NotFoundError: it is another catalog's.
            PermissionDeniedError: it is of all catalogs.
            ConflictError: it is not the version of ``if_match``.
        """
        found = self.check_owned(kind, document_id, catalog)
        check_match(kind, document_id, if_match, None if found is None else found.etag)
        return "" if found is None else found.etag


def version_before(history: Sequence[Document], catalog: str | None) -> Document:
    """The version before the newest of a document's ``history``, newest first, for a caller that may see the newest.

    Raises:
        NotFoundError: there is none, or it was another catalog's.
    """
    found = history[1] if len(history) > 1 else None
    if found is None or found.body is None or not is_visible(found, catalog):
        raise NotFoundError("there is no version before this one", remedy="There is nothing to go back to.")
    return found


def put_entry(actor: Operator, kind: str, document_id: str) -> AuditEntry:
    """The audit entry of a document that is kept, which says the version that it got."""
    return AuditEntry(actor.name, f"{kind}.put", document_id, lambda made: {"version": made[0].version})


def every(pages: Callable[[str | None], DocumentPage], after: str | None = None) -> Iterator[Document]:
    """Every document of a list that is read in pages; ``pages`` gets the id that a page begins behind."""
    while True:
        page = pages(after)
        yield from page.items
        after = page.next_after
        if after is None:
            return


def check_catalog(kind: str, given: object, catalog: str | None) -> None:
    """Raise unless the catalog that a body names is the one that its caller is limited to.

    Raises:
        InvalidArgumentError: it is another one, or none; whether there is such a catalog is not said.
    """
    if catalog is not None and not _same(given, catalog):
        raise InvalidArgumentError(
            f"{kind}.catalog: expected {catalog}, got {given!a:.60}", remedy="Leave it out, or name the same catalog."
        )


def is_visible(document: Document, catalog: str | None) -> bool:
    """Whether a caller limited to ``catalog`` sees a document."""
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


def _of_catalog(kind: str, body: Mapping[str, Any], catalog: str | None) -> dict[str, Any]:
    kept = dict(body)
    if catalog is not None:
        check_catalog(kind, kept.setdefault("catalog", catalog), catalog)
    return kept


def _same(name: object, catalog: str) -> bool:
    return isinstance(name, str) and name.lower() == catalog.lower()
