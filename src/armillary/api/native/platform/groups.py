# SPDX-License-Identifier: Apache-2.0
"""Native routes of segments: saved queries, and who is in them now."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, platform_of
from armillary.api.native.device_labels import with_names
from armillary.api.native.parameters import (
    V1,
    CatalogPage,
    CatalogQuery,
    Change,
    DocumentBody,
    DocumentPath,
    Force,
    Search,
)
from armillary.api.views import authored as views_authored
from armillary.platform.authored.documents import document_of
from armillary.twin.author.group import parse_group

KIND = "group"


def list_groups(request: Request, page: CatalogPage, search: Search = None) -> dict[str, Any]:
    """Segments by id."""
    return platform_of(request).authored.listed(KIND, *page, search)


def show_group(request: Request, group_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A segment: the query."""
    return document_of(platform_of(request).authored.visible(KIND, group_id, catalog))


def put_group(request: Request, group_id: DocumentPath, body: DocumentBody, change: Change) -> dict[str, Any]:
    """Make or change a segment; with `If-Match` only the version that the caller has seen."""
    return platform_of(request).authored.put(actor_of(request), KIND, group_id, body, *change)


def delete_group(request: Request, group_id: DocumentPath, change: Change, *, force: Force = False) -> dict[str, Any]:
    """Delete a segment; no device changes. One that something uses is refused, unless `force`."""
    return platform_of(request).authored.delete(actor_of(request), KIND, group_id, *change, force=force)


def group_uses(request: Request, group_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """What uses a segment: dashboards with their tiles, rules, jobs, data exports."""
    return views_authored.uses_of(platform_of(request), KIND, group_id, catalog)


def group_members(request: Request, group_id: DocumentPath, page: CatalogPage) -> dict[str, Any]:
    """Devices that are in a segment now, by id, each with the values that the segment's filters look at."""
    group = parse_group(platform_of(request).authored.visible(KIND, group_id, page.catalog).content)
    return with_names(request, views_authored.members(platform_of(request), group, *page))


def preview_group(request: Request, body: DocumentBody, page: CatalogPage) -> dict[str, Any]:
    """Devices that would be in a segment; nothing is kept."""
    return with_names(request, views_authored.members(platform_of(request), parse_group(body), *page))


_row = partial(Route, tag="segments", narrowed=True)
_ONE = V1 + "/groups/{group_id}"
ROUTES = (
    _row("GET", V1 + "/groups", list_groups, READER),
    _row("POST", V1 + "/group-preview", preview_group, READER),
    _row("GET", _ONE, show_group, READER),
    _row("PUT", _ONE, put_group, CONTRIBUTOR),
    _row("DELETE", _ONE, delete_group, CONTRIBUTOR),
    _row("GET", _ONE + "/members", group_members, READER),
    _row("GET", _ONE + "/uses", group_uses, READER),
)
