# SPDX-License-Identifier: Apache-2.0
"""Answers about what somebody keeps of the console's tables: saved views, chosen columns."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from armillary.console.sources.request_context import RequestContext, uuid_of
from armillary.console.sources.signed_in import Document
from armillary.errors import UnauthenticatedError
from armillary.identity.signed_in import SignedIn

if TYPE_CHECKING:
    from armillary.engines.records.people.table_views import TableView
    from armillary.service.people.table_views import Owner


def table_memory(by: RequestContext, place: str) -> Document:
    """What is kept of the table at a place: ``views`` and ``columns``."""
    owner, kept = _owner(by), by.service.table_views
    views = [_document(each) for each in kept.list(owner, place)]
    return {"views": views, "columns": kept.columns(owner, place)}


def show_view(by: RequestContext, view_id: str) -> Document:
    """One view."""
    return _document(by.service.table_views.get(_owner(by), uuid_of("view", view_id)))


def save_view(by: RequestContext, place: str, name: str, query: str) -> Document:
    """A view, saved."""
    return _document(by.service.table_views.save(_owner(by), place, name, query))


def rename_view(by: RequestContext, view_id: str, name: str) -> Document:
    """A view under another name."""
    return _document(by.service.table_views.rename(_owner(by), uuid_of("view", view_id), name))


def delete_view(by: RequestContext, view_id: str) -> Document:
    """A view, deleted."""
    return _document(by.service.table_views.delete(_owner(by), uuid_of("view", view_id)))


def choose_columns(by: RequestContext, place: str, shown: str | None) -> Document:
    """The columns of a table, remembered."""
    by.service.table_views.choose_columns(_owner(by), place, shown)
    return {}


def _document(view: TableView) -> Document:
    return {"view_id": str(view.view_id), "place": view.place, "name": view.name, "query": view.query}


def _owner(by: RequestContext) -> Owner:
    from armillary.service.people.table_views import Owner  # noqa: PLC0415 - memory: not without a console

    if not isinstance(by.operator, SignedIn):
        raise UnauthenticatedError("only somebody who is signed in has views of tables")
    catalog, organisation = by.operator.catalog, by.operator.organisation
    scope = f"{catalog or ''}/{organisation or ''}".rstrip("/")
    return Owner(UUID(by.operator.owner), by.operator.name, scope)
