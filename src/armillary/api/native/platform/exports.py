# SPDX-License-Identifier: Apache-2.0
"""Native routes of data exports: what leaves the hub, how far each one is, and what was refused for good."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.api.http.callers import caller_of
from armillary.api.http.documents import as_document
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, platform_of, service_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.native import authored
from armillary.api.native.parameters import (
    V1,
    After,
    CatalogQuery,
    DocumentBody,
    DocumentPath,
    IfMatch,
    Limit,
    NumberAfter,
)
from armillary.api.views import service as views
from armillary.engines.documents.document import Document
from armillary.engines.documents.store import DocumentStore
from armillary.errors import InvalidArgumentError, PermissionDeniedError
from armillary.platform.exports.exports import check_destination
from armillary.platform.exports.places import check_places
from armillary.platform.exports.replays import Replay
from armillary.service.context.paging import number_after
from armillary.twin.author.data_export import DataExport, parse_export, split_secret
from armillary.twin.author.export_destination import DestinationKind

KIND = "export"
# Of a status, what says how much all catalogs together send: a source's entries are of the whole service.
OF_ALL = ("newest", "behind")
OF_ALL_IN_CURSOR = ("seq", "place", "missed")


def list_exports(
    request: Request, catalog: CatalogQuery = None, limit: Limit = views.PAGE_ROWS, after: After = None
) -> dict[str, Any]:
    """Data exports by id, each with how it is doing as `status`."""
    page = authored.listed(request, KIND, catalog, limit, after)
    store = platform_of(request).documents
    documents = [store.find(KIND, each["id"]) for each in page["items"]]
    return {**page, "items": [_shown(request, each, catalog) for each in documents if each is not None]}


def show_export(request: Request, export_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A data export, with how it is doing as `status`; its secret is never shown.

    With `catalog` the status has nothing that counts other catalogs' records: null stands for it, and for all counts
    of an export of all catalogs.
    """
    return _shown(request, authored.visible(request, KIND, export_id, catalog), catalog)


def put_export(
    request: Request,
    export_id: DocumentPath,
    body: DocumentBody,
    catalog: CatalogQuery = None,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Make or change a data export. A destination's `secret` is kept apart; without one the present secret stays."""
    document, secret = split_secret(body)
    export = parse_export(document)
    if export.group is not None:
        authored.visible(request, "group", export.group, catalog)
    if catalog is not None and export.destination.kind is DestinationKind.FILE:
        raise PermissionDeniedError(
            "an export to files of the service's disk", remedy="Use a token that is not for one catalog, or a webhook."
        )
    authored.check_free(request, KIND, export_id, catalog, if_match)
    check_destination(platform_of(request).exports.hosts, export)
    if not isinstance(document, dict):
        raise InvalidArgumentError("body: expected a JSON object", remedy="Correct the body.")
    _keep(request, export_id, (document, secret), catalog, if_match)
    return _shown(request, authored.visible(request, KIND, export_id, catalog), catalog)


def _keep(
    request: Request,
    export_id: str,
    given: tuple[dict[str, Any], str | None],
    catalog: CheckedCatalog | None,
    seen: str | None,
) -> None:
    """Keep an export and its secret, both or neither.

    The secret is there first: with the new destination and the one before it, that one would be sent elsewhere.
    """
    document, secret = given
    store, export = platform_of(request).exports.store, parse_export(document)
    with platform_of(request).changing_secrets:
        if secret is None and export.destination.options.get("signed"):
            check_same_target(platform_of(request).documents, export_id, export)
        version = authored.check_put(request, KIND, export_id, document, catalog, seen)
        check_places_for(platform_of(request).documents, {export_id: {"catalog": catalog, **document}})
        before = store.secret(export_id)
        try:
            if secret is not None:
                store.keep_secret(export_id, secret)
            authored.put(request, KIND, export_id, document, catalog, version)
        except BaseException:  # whatever it is: the export stays as it was, and so does its secret
            if secret is not None:
                store.restore_secret(export_id, before)
            raise


def delete_export(
    request: Request, export_id: DocumentPath, catalog: CatalogQuery = None, if_match: IfMatch = None
) -> dict[str, Any]:
    """Delete a data export with its dead letters; files that it wrote stay."""
    deleted = authored.delete(request, KIND, export_id, catalog, if_match)
    platform_of(request).exports.store.forget(export_id)
    return deleted


def list_dead_letters(
    request: Request,
    export_id: DocumentPath,
    catalog: CatalogQuery = None,
    limit: Limit = views.PAGE_ROWS,
    after: NumberAfter = None,
) -> dict[str, Any]:
    """Batches that the destination refused for good, or on which the transform failed, oldest first."""
    authored.visible(request, KIND, export_id, catalog)
    authored.check_owned(request, KIND, export_id, catalog)
    store = platform_of(request).exports.store
    found = store.dead_letters(export_id, after=number_after(after) or 0, limit=limit + 1)
    items = [as_document(each) for each in found[:limit]]
    return {"items": items, "next": str(found[limit - 1].number) if len(found) > limit else None}


async def replay_export(request: Request, export_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Deliver dead letters again, oldest first; what is delivered is no dead letter any more.

    What takes longer than 5 seconds goes on by itself, for 10 minutes at most: the answer has `under_way` true, and
    `delivered` says how many records were delivered until then.
    """
    caller, actor, audit = caller_of(request), operator_of(request).name, service_of(request).audit

    def begin() -> Replay:
        authored.visible(request, KIND, export_id, catalog)
        authored.check_owned(request, KIND, export_id, catalog)
        return platform_of(request).exports.replays.begin(
            export_id,
            caller.owner,
            lambda records: audit.append(actor, "export.replay", export_id, {"records": records}),
            catalog=caller.catalog,
        )

    async with caller.turn():
        replay = await run_in_threadpool(begin)
    is_over = await replay.ended()
    return {"delivered": replay.delivered, "under_way": not is_over}


def _shown(request: Request, document: Document, catalog: CheckedCatalog | None) -> dict[str, Any]:
    status: dict[str, Any] = as_document(platform_of(request).exports.status(document))
    if catalog is not None:
        status |= dict.fromkeys(OF_ALL)
        if document.content.get("catalog") is None:
            status |= {"cursor": None, "why": ""}
        elif status["cursor"] is not None:
            status["cursor"] |= dict.fromkeys(OF_ALL_IN_CURSOR)
    return {**authored.document_of(document), "status": status}


def check_places_for(store: DocumentStore, changed: Mapping[str, Mapping[str, Any]], *, replace: bool = False) -> None:
    """Raise ConflictError where bodies of exports, by id, enable more of them than there may be.

    Args:
        store: Has the exports that there are.
        changed: The bodies.
        replace: Whether these are to be the only ones.
    """
    present = {each.id: each.content for each in store.all((KIND,)) if not replace or each.id in changed}
    check_places(present, changed)


def check_same_target(store: DocumentStore, export_id: str, export: DataExport) -> None:
    """A secret is not taken along to another place: who may change an export could otherwise have it sent there."""
    present = store.find(KIND, export_id)
    before = None if present is None else parse_export(present.content).destination
    if before is None or not before.options.get("signed") or _target(before) != _target(export.destination):
        raise InvalidArgumentError(
            "export.destination.secret: expected one, as the destination is new", remedy="Give the secret again."
        )


def _target(destination: Any) -> tuple[Any, ...]:
    """Who gets to know the secret: where it goes, who vouches for that place, and how it is shown there."""
    options = destination.options
    names = ("url", "host", "port", "tls", "endpoint", "access_key", "servers", "ca", "sasl")
    return (destination.kind, *(options.get(name) for name in names))


_row = partial(Route, tag="data exports", narrowed=True)
_ONE = V1 + "/exports/{export_id}"
ROUTES = (
    _row("GET", V1 + "/exports", list_exports, READER),
    _row("GET", _ONE, show_export, READER),
    _row("PUT", _ONE, put_export, CONTRIBUTOR),
    _row("DELETE", _ONE, delete_export, CONTRIBUTOR),
    _row("GET", _ONE + "/dead-letters", list_dead_letters, READER),
    _row("POST", _ONE + "/dead-letters/replay", replay_export, CONTRIBUTOR),
)
